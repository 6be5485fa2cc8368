"""Many settings over many recordings: what each would have done, as a table.

The probability of a recording is found once, however many settings there are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rtnb.audio import Clip
from rtnb.errors import ConfigError
from rtnb.vad.grid import FIGURES, SETTINGS, WHOLE, Grid
from rtnb.vad.models import speech_model
from rtnb.vad.probability import SpeechProbability
from rtnb.vad.scoring import plain_labels
from rtnb.vad.workers import Outcome, Task, run_all, run_here

if TYPE_CHECKING:
    from collections.abc import Hashable
    from concurrent.futures import Executor

    import pandas as pd
    from numpy.typing import ArrayLike

    from rtnb.vad.models import SpeechFunction, SpeechModel
    from rtnb.vad.probability import HasMicrophone
    from rtnb.vad.workers import Stressor

    Sound: TypeAlias = "Clip | str | os.PathLike[str] | HasMicrophone"

log = logging.getLogger("rtnb.vad")


def sweep(
    clips: Sound | SpeechProbability | Iterable[Any] | Mapping[str, Any],
    *,
    threshold: ArrayLike | None = None,
    silence_duration_ms: ArrayLike | None = None,
    prefix_padding_ms: ArrayLike | None = None,
    reference: Iterable[Any] | Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    stressors: Mapping[Hashable, Stressor | None] | None = None,
    model: str | SpeechModel | SpeechFunction = "silero",
) -> pd.DataFrame:
    """Find out what many settings would have done.

    Parameters
    ----------
    clips : clip, path, recording or SpeechProbability; or many of them
        What to listen to; a mapping gives them names. A path is read where the work is
        done, which may be another process or machine.
    threshold, silence_duration_ms, prefix_padding_ms : number or sequence of them
        Every combination is tried; one that is left out has its default.
    reference : labels, or labels for each clip, optional
        Where there is speech: objects with `start_s` and `end_s`, or pairs of seconds.
        For many clips a sequence with the labels of each, or a mapping by name, where a
        path may go by the name of its file; clips that are not in it have none.
    executor : concurrent.futures.Executor, optional
        Who listens to the clips; Dask's ``client.get_executor()`` is one. It is left
        open. By default processes, if there is work for more than one, or nobody else.
    stressors : mapping of name to function of Clip, optional
        Each clip is changed in every one of these ways and not used as it is, for which
        the function is None. Processes must be able to import the functions;
        `functools.partial` of one will do, and a lambda will not.
    model : str, SpeechModel or callable, default "silero"
        What `speech_model` takes.

    Returns
    -------
    pandas.DataFrame
        One row for each file, stressor and setting: ``file``, ``stressor`` (if there
        are any), the settings, ``minutes``, ``speech_s``, and the measures of
        `rtnb.vad.scoring`. ``attrs["failed"]`` holds the reason for every file that
        could not be used, ``attrs["summary"]`` a sentence.

    Raises
    ------
    ConfigError
        If a setting, a label, a name or the model cannot be, or no file could be used.
    AudioFormatError, OSError
        If there is but one clip and it cannot be used.
    EngineError
        If the processes that listen are lost.

    Notes
    -----
    Interrupting it ends the work on all clips and leaves no process behind.

    The processes are spawned, not forked: a notebook's kernel runs threads, and a fork
    of it may lock up in a lock that one of them held. Like everything that spawns, a
    script calls it below ``if __name__ == "__main__":``.

    Examples
    --------
    >>> clip = Clip.example() + Clip.silence(1.0, 16_000)
    >>> frame = sweep(clip, threshold=[0.4, 0.6], silence_duration_ms=[200, 500])
    >>> frame[["threshold", "silence_duration_ms", "turns", "delay_ms"]].values.tolist()
    [[0.4, 200.0, 1.0, 256.0], [0.4, 500.0, 1.0, 544.0], [0.6, 200.0, 1.0, 224.0], [0.6, 500.0, 1.0, 512.0]]
    """
    grid = Grid.of(threshold, silence_duration_ms, prefix_padding_ms)
    speech_model(model)
    alone = _is_one(clips)
    pieces = _named(clips, alone=alone)
    labels = _labels_of(pieces, reference, alone=alone)
    _check_stressors(pieces, stressors)
    tasks = [
        Task(name, sound, stressor, change, model, grid, labels[name])
        for name, sound in pieces.items()
        for stressor, change in (stressors or {"": None}).items()
    ]
    lone = alone and executor is None
    outcomes = run_here(tasks) if lone else run_all(tasks, executor)
    return _table(outcomes, grid, stressed=bool(stressors))


def _table(outcomes: Sequence[Outcome], grid: Grid, *, stressed: bool) -> pd.DataFrame:
    """One row for each outcome with figures and each setting."""
    import pandas as pd

    failed = {each.task: each.reason for each in outcomes if each.figures is None}
    done = [each for each in outcomes if each.figures is not None]
    if not done:
        raise ConfigError(f"nothing could be listened to: {_reasons(failed)}")
    for task, reason in failed.items():
        log.warning("sweep.failed", extra={"rtnb.file": task, "rtnb.reason": reason})
    settings = np.array(list(grid.settings()))
    each_row = np.repeat(np.arange(len(done)), len(settings))
    names: list[tuple[str, list[Any]]] = [("file", [each.name for each in done])]
    if stressed:
        names.append(("stressor", [each.stressor for each in done]))
    columns = {name: pd.Series(values).take(each_row) for name, values in names}
    columns |= dict(zip(SETTINGS, np.tile(settings, (len(done), 1)).T, strict=True))
    figures = np.concatenate(
        [each.figures for each in done if each.figures is not None]
    )
    columns |= dict(zip(FIGURES, figures.T, strict=True))
    for name in WHOLE:
        columns[name] = columns[name].astype(np.int64)
    frame = pd.DataFrame({name: np.asarray(each) for name, each in columns.items()})
    frame.attrs["failed"] = failed
    frame.attrs["summary"] = _summary(len(outcomes), failed)
    return frame


def _summary(tried: int, failed: Mapping[str, str]) -> str:
    if not failed:
        return f"{tried} of {tried} could be used."
    used = tried - len(failed)
    return f"{used} of {tried} could be used. Not used: {_reasons(failed)}"


def _reasons(failed: Mapping[str, str]) -> str:
    """Why each failed; most reasons begin with the name of the file."""
    return "; ".join(
        reason if reason.startswith(task) else f"{task}: {reason}"
        for task, reason in failed.items()
    )


def _check_stressors(
    pieces: Mapping[str, Any], stressors: Mapping[Hashable, Stressor | None] | None
) -> None:
    for name, change in (stressors or {}).items():
        if change is None:
            continue
        if not callable(change):
            raise ConfigError(
                f"stressor {name!r} is {change!r}: give a function that takes a Clip "
                "and gives one, or None for the clip as it is"
            )
        if any(isinstance(sound, SpeechProbability) for sound in pieces.values()):
            raise ConfigError(
                f"stressor {name!r} changes sound, but a SpeechProbability holds none: "
                "give the clip or its file"
            )


def _is_one(clips: object) -> bool:
    single = (str, os.PathLike, Clip, SpeechProbability)
    return isinstance(clips, single) or hasattr(clips, "microphone")


def _named(clips: Any, *, alone: bool) -> dict[str, Any]:
    """Sounds by name: by the given one, by the path, or by number."""
    if isinstance(clips, Mapping):
        pairs = [(str(name), sound) for name, sound in clips.items()]
    elif alone or isinstance(clips, Iterable):
        listed = [clips] if alone else list(clips)
        pairs = [
            (_name_of(sound, number), sound) for number, sound in enumerate(listed, 1)
        ]
    else:
        raise ConfigError(
            f"{clips!r} is no sound: give a Clip, a path, a recording, a "
            "SpeechProbability, or many of them"
        )
    if not pairs:
        raise ConfigError("there are no clips: give at least one")
    names = [name for name, _ in pairs]
    if doubles := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ConfigError(f"{doubles[0]} is given twice: give each sound once")
    return {name: _portable(sound) for name, sound in pairs}


def _name_of(sound: object, number: int) -> str:
    if isinstance(sound, Clip | SpeechProbability):
        return f"clip {number}"
    return str(getattr(sound, "microphone", sound))


def _portable(sound: Any) -> Any:
    """A sound as it can be sent to another process: a path is made absolute."""
    if isinstance(sound, Clip | SpeechProbability):
        return sound
    path = getattr(sound, "microphone", sound)
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(
            f"{sound!r} is no sound: give a Clip, a path, a recording or a "
            "SpeechProbability"
        )
    return Path(path).absolute()


def _labels_of(
    pieces: Mapping[str, Any], reference: Any, *, alone: bool
) -> dict[str, tuple[Any, ...] | None]:
    """Labels of each sound; None where it has none."""
    if reference is None:
        return dict.fromkeys(pieces)
    if isinstance(reference, Mapping):
        return _labels_by_name(pieces, reference)
    listed = [reference] if alone else list(reference)
    if len(listed) != len(pieces):
        raise ConfigError(
            f"there are labels for {len(listed)} clips, but {len(pieces)} clips: give "
            "the labels of each in order, or a mapping from name to labels"
        )
    return {
        name: _checked(name, labels)
        for name, labels in zip(pieces, listed, strict=True)
    }


def _labels_by_name(
    pieces: Mapping[str, Any], reference: Mapping[Any, Any]
) -> dict[str, tuple[Any, ...] | None]:
    given = {str(name): labels for name, labels in reference.items()}
    keys = {name: name if name in given else Path(name).name for name in pieces}
    if strangers := given.keys() - set(keys.values()):
        raise ConfigError(
            f"there are labels for {sorted(strangers)[0]!r}, but no such clip: the "
            f"first is {next(iter(pieces))!r}"
        )
    return {
        name: _checked(name, given[key]) if key in given else None
        for name, key in keys.items()
    }


def _checked(name: str, labels: Any) -> tuple[Any, ...] | None:
    """Labels that can be used, before any work is done; plain, to be sent anywhere."""
    if labels is None:
        return None
    try:
        return plain_labels(labels)
    except ConfigError as error:
        raise ConfigError(f"the labels of {name}: {error}") from error
