"""A recording on disk: which files there are, and what stands in them.

.. code-block:: text

    take-1/
      manifest.json   what was recorded, and in which format
      events.jsonl    one `Line` of JSON for each event, in the order of its recording
      mic.wav         PCM16, 24 kHz: the session's input audio from `first_sample` on
      answer.wav      PCM16, 24 kHz: the audio of the answers, one after the other

Sample n of ``mic.wav`` is sample `first_sample` + n of the session's input audio, which
is what ``audio_start_ms`` counts in. Audio in an event is replaced by an `AudioRef`.
The files can be read however the recording ended: each line and each chunk is written
at once, and both WAV headers are always true of what is on disk.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from rtnb.errors import ConfigError
from rtnb.protocol.codec import server_event
from rtnb.protocol.formats import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtnb.protocol.events import ServerEvent, UnknownEvent

FORMAT: Final = 1
"""Version of what is described here; a reader refuses a later one."""

MANIFEST: Final = "manifest.json"
EVENTS: Final = "events.jsonl"
MICROPHONE: Final = "mic.wav"
ANSWERS: Final = "answer.wav"
FILES: Final = (MANIFEST, EVENTS, MICROPHONE, ANSWERS)

Direction = Literal["sent", "received", "noted"]
"""Whose event a line holds: the client's, the server's, or the recorder's own."""

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]|[. ]$|^\s*$')
"""What a folder's name may not have, here or on another system that gets a copy."""

LONGEST_NAME: Final = 120
"""Characters of a folder's name; file systems take 255 bytes."""


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """Which prices were known: those of which model, from where, of which day."""

    model: str
    source: str
    date: str | None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded.

    Parameters
    ----------
    format : int
        Version of the recording's own format.
    rtnb : str
        Version of the package that wrote it.
    began : str
        Wall time of the beginning, ISO 8601, UTC; times of lines count from there.
    session_id, provider, model, url : str
        Who answered, and where; the address without its query.
    settings : dict
        The session object in force at the beginning, as on the wire, without secrets.
    appended : int
        Samples that the client had sent before the beginning.
    first_sample : int or None
        Position in the session's input audio of the first sample of ``mic.wav``; None
        as long as there is none.
    sample_rate : int
        Hz, of both sound files and of every position.
    prices : Prices or None
        The price card of the model on that day; None where there is none.
    note : str
        What was written down by whoever recorded: a purpose, a consent.
    ended : str or None
        Wall time of the end; None while it lasts, and if it was cut off.
    ending : str
        Why it ended, in words.
    """

    format: int = FORMAT
    rtnb: str = ""
    began: str = ""
    session_id: str = ""
    provider: str = ""
    model: str = ""
    url: str = ""
    settings: dict[str, Any] = {}
    appended: int = 0
    first_sample: int | None = None
    sample_rate: int = SAMPLE_RATE
    prices: Prices | None = None
    note: str = ""
    ended: str | None = None
    ending: str = ""


class AudioRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where the audio of an event is.

    Parameters
    ----------
    file : str
        ``mic.wav`` or ``answer.wav``.
    start : int
        Position of the first sample: in the session's input audio for the microphone,
        in the file for an answer.
    samples : int
        How many, at 24 kHz.
    """

    file: str
    start: int
    samples: int


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of ``events.jsonl``.

    Parameters
    ----------
    t : float
        Seconds since the recording began, on a clock that does not jump.
    direction : {"sent", "received", "noted"}
        Whose event.
    appended : int
        Samples of input audio that the client itself had sent before.
    heard : int
        End of the input audio that had been recorded by then.
    event : raw JSON
        The event, its audio left out.
    audio : AudioRef or None
        Where that audio is.
    """

    t: float
    direction: Direction
    appended: int = 0
    heard: int = 0
    event: msgspec.Raw
    audio: AudioRef | None = None


def new_folder(path: str | os.PathLike[str]) -> Path:
    """Make the folder of a new recording, for its owner alone.

    Parameters
    ----------
    path : path
        Of the folder; the one that it lies in must exist.

    Returns
    -------
    Path
        The folder, empty.

    Raises
    ------
    ConfigError
        If its name is one that some system cannot keep.
    FileExistsError
        If there is something of that name already.
    FileNotFoundError
        If the folder that it should lie in does not exist.
    """
    folder = Path(path)
    _check_name(folder.name, path)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise FileExistsError(
            f"{folder} is there already and nothing is overwritten: "
            "choose another name for this recording"
        ) from None
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder.parent} does not exist: make that folder first"
        ) from None
    return folder


def _check_name(name: str, path: object) -> None:
    if name in ("", ".", "..") or _UNSAFE.search(name):
        raise ConfigError(
            f"{str(path)!r} does not end in a name for a folder: use letters, digits, "
            "spaces, - and _, such as 'take-1'"
        )
    if len(name) > LONGEST_NAME:
        raise ConfigError(
            f"the name of a recording has {len(name)} characters, the most is "
            f"{LONGEST_NAME}: choose a shorter one"
        )


def opening(settings: Mapping[str, Any]) -> ServerEvent | UnknownEvent:
    """The ``session.created`` that would have told these settings."""
    session = {"type": "realtime", **settings}
    return server_event(
        {"type": "session.created", "event_id": "recording", "session": session}
    )


def create(path: Path) -> int:
    """File descriptor of a new file that only its owner may read."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o600)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest whole or not at all."""
    new = folder / f"{MANIFEST}.new"
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(create(new), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """Manifest of a recording.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ConfigError
        If it is no recording, is damaged, or was written by a later version.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{folder} does not exist: give a recording's folder")
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is a file: give the folder that session.record() made"
        )
    missing = [name for name in (MANIFEST, EVENTS) if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} is no recording, it has no {' and no '.join(missing)}: give a "
            "folder that session.record() made"
        )
    data = (folder / MANIFEST).read_bytes()
    try:
        version = msgspec.json.decode(data, type=_Version).format
        if version > FORMAT:
            raise ConfigError(
                f"{folder} is a recording of format {version}, and this version reads "
                f"up to {FORMAT}: upgrade rtnb"
            )
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"{folder / MANIFEST} is damaged or no recording's: {error}"
        ) from error


class _Version(msgspec.Struct):
    format: int
