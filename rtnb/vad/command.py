"""``rtnb vad``: the turns of sound files, or a sweep of settings over them.

What is found goes to one stream, or into a folder, in the order of the files. A file
that cannot be used is complained of, and the others go on.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import tempfile
from collections import Counter
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from rtnb.audio.files import duration_of
from rtnb.errors import ConfigError, EngineError, RtnbError
from rtnb.vad.label_files import FORMATS as LABEL_FORMATS
from rtnb.vad.label_files import replacing
from rtnb.vad.labels import Labels
from rtnb.vad.models import speech_model
from rtnb.vad.probability import speech_probability
from rtnb.vad.reports import (
    FORMATS,
    Found,
    header_of,
    suffix_of,
    text_of,
    text_of_sweep,
)
from rtnb.vad.scoring import score
from rtnb.vad.segmentation import segment
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, ServerVad
from rtnb.vad.workers import POOL_FROM_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import BinaryIO, TextIO

    from rtnb.vad.probability import SpeechProbability

    Complain: TypeAlias = Callable[[str], object]

STREAM: Final = "-"
"""Name of standard input among the files, and of standard output."""

SWEPT_THRESHOLDS: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""What a sweep tries where no threshold is given."""

SWEPT_SILENCES: Final = (100, 200, 300, 400, 500, 700, 1000)
"""What a sweep tries where no silence is given, in milliseconds."""

_ABOUT_MANY = ("table", "csv", "json", "rttm")
_FOR_SWEEPS = ("table", "csv", "json")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the command is asked for.

    Parameters
    ----------
    files : tuple of str
        Sound files; ``-`` is one on standard input.
    threshold : tuple of float, default ()
        One, for a sweep any number; none for the default, or what a sweep tries.
    silence, prefix : tuple of int, default ()
        Likewise, in milliseconds.
    model : str, default "silero"
        What `speech_model` takes.
    format : str, default "table"
        One of `FORMATS`.
    out : str, default "-"
        A folder, which is made if need be; ``-`` is standard output.
    sweep : bool, default False
        Try all combinations instead of finding turns.
    jobs : int, optional
        Processes that listen; by default as many as are worth it.
    labels : str, optional
        A file of labels; for many files a folder with one of each stem.

    Raises
    ------
    ConfigError
        If that cannot be done.
    """

    files: tuple[str, ...]
    threshold: tuple[float, ...] = ()
    silence: tuple[int, ...] = ()
    prefix: tuple[int, ...] = ()
    model: str = "silero"
    format: str = "table"
    out: str = STREAM
    sweep: bool = False
    jobs: int | None = None
    labels: str | None = None

    def __post_init__(self) -> None:
        speech_model(self.model)
        self._check_settings()
        self._check_files()
        self._check_format()

    @property
    def settings(self) -> ServerVad:
        """What turns are found with."""
        chosen = {
            "threshold": self.threshold,
            "silence_duration_ms": self.silence,
            "prefix_padding_ms": self.prefix,
        }
        given: dict[str, Any] = {name: one[0] for name, one in chosen.items() if one}
        return msgspec.structs.replace(SERVER_VAD_DEFAULTS, **given)

    def _check_settings(self) -> None:
        for name in ("threshold", "silence", "prefix"):
            values = getattr(self, name)
            if len(values) > 1 and not self.sweep:
                raise ConfigError(
                    f"--{name} has {len(values)} values: give one, or --sweep as well"
                )
        for threshold in self.threshold:
            ServerVad(threshold=threshold)
        for silence in self.silence:
            ServerVad(silence_duration_ms=silence)
        for prefix in self.prefix:
            ServerVad(prefix_padding_ms=prefix)

    def _check_files(self) -> None:
        if (double := _double(self.files)) is not None:
            raise ConfigError(f"{double} is given twice: give each file once")
        if self.labels is None or Path(self.labels).is_dir() or len(self.files) == 1:
            return
        raise ConfigError(
            f"{self.labels} cannot be about {len(self.files)} files: give a folder "
            "with a file of labels for each"
        )

    def _check_format(self) -> None:
        if self.sweep and self.format not in _FOR_SWEEPS:
            raise ConfigError(
                f"a sweep has no turns to write as {self.format}: choose --format "
                f"{', '.join(_FOR_SWEEPS)}"
            )
        if self.out == STREAM:
            if self.format not in _ABOUT_MANY and len(self.files) > 1:
                raise ConfigError(
                    f"one {self.format} file cannot hold the turns of "
                    f"{len(self.files)} files: give --out FOLDER"
                )
            return
        if self.format == "table":
            raise ConfigError(
                f"a table is to be read, not to be kept in {self.out}: choose --format "
                f"{', '.join(FORMATS[1:])}"
            )
        if not self.sweep and (double := _double(map(_stem, self.files))) is not None:
            raise ConfigError(
                f"two files are called {double}, and their turns would have one name "
                f"in {self.out}: rename one, or choose another folder for it"
            )


def run(
    order: Order,
    *,
    stdin: BinaryIO,
    stdout: TextIO,
    complain: Callable[[str], object],
) -> int:
    """Do what the command is asked for.

    Parameters
    ----------
    order : Order
        All of it.
    stdin : binary file
        Where the file called ``-`` comes from.
    stdout : text file
        Where the turns go, unless into a folder.
    complain : callable
        Told in a sentence of each file that cannot be used.

    Returns
    -------
    int
        0, or 1 if a file could not be used.

    Raises
    ------
    ConfigError
        If a sweep has nothing to listen to.
    OSError
        If what is found cannot be written.
    EngineError
        If a process is lost.
    """
    if order.out != STREAM:
        Path(order.out).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rtnb-vad-") as folder:
        sounds = {file: Path(file) for file in order.files}
        if STREAM in sounds:
            sounds[STREAM] = Path(folder, "stdin.wav")
            with sounds[STREAM].open("wb") as file:
                shutil.copyfileobj(stdin, file)
        with _processes(_jobs(order, sounds)) as executor:
            task = _sweep if order.sweep else _find
            return task(order, sounds, executor, stdout, complain)


def _find(
    order: Order,
    sounds: Mapping[str, Path],
    executor: Executor | None,
    stdout: TextIO,
    complain: Complain,
) -> int:
    """Find the turns of every file and write them."""
    write = _writer(order, stdout)
    code = 0
    for file, listen in _listening(order, sounds, executor):
        try:
            text = text_of(_found(file, order, listen()), order.format)
        except BrokenExecutor as error:
            raise EngineError(
                "a process that listened ended before its work: there may not be "
                "memory for so many, give a lower --jobs"
            ) from error
        except (RtnbError, OSError) as error:
            complain(_complaint(file, error))
            code = 1
        else:
            write(_stem(file), text)
    return code


def _listening(
    order: Order, sounds: Mapping[str, Path], executor: Executor | None
) -> Iterator[tuple[str, Callable[[], SpeechProbability]]]:
    """For each file a function that gives its probability, or raises why not."""
    if executor is None:
        for file, path in sounds.items():
            yield file, partial(speech_probability, path, order.model)
        return
    futures = {
        file: executor.submit(_listen_there, path, order.model)
        for file, path in sounds.items()
    }
    for file, future in futures.items():
        yield file, future.result


def _listen_there(path: Path, model: str) -> SpeechProbability:
    return speech_probability(path, model, on_progress=_say_nothing)


def _say_nothing(_done_s: float, _total_s: float) -> None:
    """Show no bar where many would be drawn over each other."""


def _found(file: str, order: Order, probability: SpeechProbability) -> Found:
    turns = segment(probability, order.settings)
    scored = None
    if order.labels is not None:
        labels = _labels_of(file, Path(order.labels))
        scored = score(turns, probability, reference=labels)
    return Found(file, _stem(file), probability, order.settings, turns, scored)


def _labels_of(file: str, source: Path) -> Labels:
    if not source.is_dir():
        return Labels.read(source)
    suffixes = {each.suffix.lower() for each in LABEL_FORMATS.values()}
    for path in sorted(source.iterdir()):
        if path.stem == _stem(file) and path.suffix.lower() in suffixes:
            return Labels.read(path)
    raise ConfigError(
        f"{source} has no labels for it: add {_stem(file)}.csv or the like"
    )


def _writer(order: Order, stdout: TextIO) -> Callable[[str, str], object]:
    """What takes the stem of a file's name and the text about it."""
    header = header_of(order.format)
    if order.out == STREAM:
        stdout.write(header)
        return lambda _stem, text: stdout.write(text)
    folder, suffix = Path(order.out), suffix_of(order.format)
    return lambda stem, text: _keep(folder / f"{stem}{suffix}", header + text)


def _keep(target: Path, text: str) -> None:
    with replacing(target) as draft:
        draft.write_text(text, "utf-8", newline="")


def _stem(file: str) -> str:
    return "stdin" if file == STREAM else Path(file).stem


def _double(names: Iterable[str]) -> str | None:
    """The first name that is there twice."""
    counts = Counter(names)
    return next((name for name, count in counts.items() if count > 1), None)


def _complaint(file: str, error: object) -> str:
    """The error, with the file's name unless it has it."""
    said = str(error)
    named = re.search(rf"(?<!\w){re.escape(file)}(?!\w)", said)
    return said if named else f"{file}: {said}"


def _sweep(
    order: Order,
    sounds: Mapping[str, Path],
    executor: Executor | None,
    stdout: TextIO,
    complain: Complain,
) -> int:
    """Try all combinations of settings on all files and write the table."""
    from rtnb.vad.sweeping import sweep

    reference: dict[str, Labels] = {}
    usable = dict(sounds)
    if order.labels is not None:
        for file in order.files:
            try:
                reference[file] = _labels_of(file, Path(order.labels))
            except (RtnbError, OSError) as error:
                complain(_complaint(file, error))
                del usable[file]
    frame = sweep(
        usable,
        threshold=order.threshold or SWEPT_THRESHOLDS,
        silence_duration_ms=order.silence or SWEPT_SILENCES,
        prefix_padding_ms=order.prefix or None,
        reference=reference or None,
        executor=executor,
        model=order.model,
    )
    failed: dict[str, str] = frame.attrs["failed"]
    for file, reason in failed.items():
        complain(_complaint(file, reason))
    text = text_of_sweep(frame, order.format)
    if order.out == STREAM:
        stdout.write(text)
    else:
        _keep(Path(order.out, f"sweep{suffix_of(order.format)}"), text)
    return 1 if failed or len(usable) < len(sounds) else 0


def _jobs(order: Order, sounds: Mapping[str, Path]) -> int:
    """How many processes listen; 1: this one."""
    if order.jobs is not None:
        return min(order.jobs, len(sounds))
    seconds = 0.0
    for path in sounds.values():
        with suppress(RtnbError, OSError):
            seconds += duration_of(path)
    worth_it = seconds >= POOL_FROM_S
    return min(os.cpu_count() or 1, len(sounds)) if worth_it else 1


@contextmanager
def _processes(count: int) -> Iterator[Executor | None]:
    """Processes that listen, if there are to be several; gone when all is done.

    Ctrl-C is for the one who asked: these ignore it and are ended.
    """
    if count < 2:  # noqa: PLR2004 - one is this one
        yield None
        return
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        count, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)
    )
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
