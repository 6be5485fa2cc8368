"""Speech probabilities kept on disk, so that a sound is listened to once.

An entry is a file named after its key: a hash of what was heard and of everything that
decides what comes out. It carries that key and a checksum; whatever is not exactly what
was written (cut off, changed, somebody else's) counts as not there. Files are written
beside and moved into place, so that two processes never see half of one.

All entries together take at most `LIMIT_BYTES`; the least recently used go first. A
cache that cannot be read or written is as good as none: nothing fails because of it.

The folder is ``speech-probability`` in the user's cache folder of the system, or in the
folder that the environment variable ``RTNB_CACHE_DIR`` names.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import struct
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.audio.resampling import HALF_WIDTH, KAISER_BETA, PASSBAND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rtnb.vad.models import SpeechModel

LIMIT_BYTES: Final = 256 * 2**20
"""What all entries may take: about 600 hours of sound, at 450 kB an hour."""

SHARES: Final = 16
"""A process looks at the whole folder at its first write, and after each such part of
the limit; it then leaves so much free.
"""

FOLDER_VARIABLE: Final = "RTNB_CACHE_DIR"
ABANDONED_S: Final = 3600.0
"""A file that was never moved into place is removed after this."""

_ENTRY: Final = re.compile(r"[0-9a-f]{64}\.p")
_BESIDE: Final = re.compile(r"[0-9a-f]{64}\w*\.tmp")
_MAGIC: Final = b"rtnb p 1"
_BODY: Final = struct.Struct("<32sIIQ")
"""Source, hop, sample rate, count of the float32 values that follow.

Before it stand magic, key and the SHA-256 of the body, values included.
"""

log = logging.getLogger("rtnb.vad")


@dataclass(frozen=True)
class Entry:
    """What is kept of one sound and one model.

    Parameters
    ----------
    p : float32 array, shape (n,)
        Probabilities.
    hop, sample_rate : int
        Samples that one stands for, and their rate in Hz.
    source : str
        SHA-256 of what was heard, 64 hexadecimal digits.
    """

    p: NDArray[np.float32]
    hop: int
    sample_rate: int
    source: str


@dataclass(frozen=True)
class CacheInfo:
    """What the cache on disk holds.

    Parameters
    ----------
    folder : Path
        Where it is.
    entries : int
        How many sounds and models it knows.
    size, limit : int
        Bytes taken, and bytes that may be taken.
    """

    folder: Path
    entries: int
    size: int
    limit: int


class ProbabilityCache:
    """A folder of entries.

    Parameters
    ----------
    folder : Path
        Made when it is first written to.
    limit : int, default 256 MiB
        Bytes that all entries may take; a sixteenth more for each further process that
        writes at the same time.

    Notes
    -----
    Safe for use from any number of threads and processes.
    """

    def __init__(self, folder: Path, *, limit: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self.limit = limit
        self._share = limit // SHARES
        self._untidied = limit  # look at the folder at the first write

    def load(self, key: bytes) -> Entry | None:
        """Look an entry up.

        Parameters
        ----------
        key : bytes of length 32
            From `cache_key`.

        Returns
        -------
        Entry or None
            None if it is not there, or not what was written.
        """
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        entry = _decoded(data, key)
        if entry is not None:
            with suppress(OSError):  # one that we may only read
                os.utime(path)  # used just now
        return entry

    def store(self, key: bytes, entry: Entry) -> None:
        """Keep an entry, if the folder lets us.

        Parameters
        ----------
        key : bytes of length 32
            From `cache_key`.
        entry : Entry
            What to keep.
        """
        data = _encoded(entry, key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write(self._path(key), data)
            self._untidied += len(data)
            if self._untidied > self._share:
                self._untidied = 0
                self._tidy()
        except OSError as error:
            log.info("cache.unwritable", extra={"rtnb.reason": str(error)})

    def info(self) -> CacheInfo:
        """Count what is there."""
        sizes = [status.st_size for _, status in self._files(_ENTRY)]
        return CacheInfo(self.folder, len(sizes), sum(sizes), self.limit)

    def clear(self) -> None:
        """Remove every entry; nothing else that may be in the folder."""
        for pattern in (_ENTRY, _BESIDE):
            for path, _ in self._files(pattern):
                path.unlink(missing_ok=True)

    def _path(self, key: bytes) -> Path:
        return self.folder / f"{key.hex()}.p"

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file beside, and move it into place."""
        number, name = tempfile.mkstemp(".tmp", path.stem, self.folder)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _tidy(self) -> None:
        """Remove the least recently used entries, so far that a share is free."""
        files = sorted(self._files(_ENTRY), key=lambda file: file[1].st_mtime_ns)
        excess = sum(status.st_size for _, status in files) - self.limit + self._share
        for path, status in files:
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= status.st_size
        for path, status in self._files(_BESIDE):
            if time.time() - status.st_mtime > ABANDONED_S:
                path.unlink(missing_ok=True)

    def _files(self, pattern: re.Pattern[str]) -> Iterator[tuple[Path, os.stat_result]]:
        """Our files, and what the system says about them."""
        try:
            files = os.scandir(self.folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        with files:
            for found in files:
                if pattern.fullmatch(found.name):
                    with suppress(FileNotFoundError):  # another process was faster
                        yield Path(found.path), found.stat()


def cache_key(kind: str, content: bytes, *, ears: SpeechModel) -> bytes:
    """Name of an entry: what was heard, and all that decides what comes out.

    Parameters
    ----------
    kind : str
        What was hashed: ``"file"``, its bytes; ``"clip"``, its rate and samples.
    content : bytes
        That hash.
    ears : SpeechModel
        Which model listens.

    Returns
    -------
    bytes of length 32
        Another one for another model, version, hop or rate, and for another resampler.
    """
    resampler = (HALF_WIDTH, PASSBAND, KAISER_BETA)
    model = (ears.name, ears.version, ears.hop, ears.sample_rate)
    facts = (_MAGIC, kind, content, model, resampler)
    return hashlib.sha256(repr(facts).encode()).digest()


def probability_cache() -> ProbabilityCache:
    """The cache in use: in the user's cache folder, or where the variable says.

    Returns
    -------
    ProbabilityCache
        The same one for the same folder.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return _at(Path(named).expanduser() / "speech-probability")
    from platformdirs import user_cache_path

    return _at(user_cache_path("rtnb", appauthor=False) / "speech-probability")


@lru_cache
def _at(folder: Path) -> ProbabilityCache:
    return ProbabilityCache(folder)


def cache_info() -> CacheInfo:
    """Where the cache of speech probabilities is and how much it holds.

    Returns
    -------
    CacheInfo
        Folder, entries, bytes taken, and bytes that may be taken.

    Raises
    ------
    OSError
        If the folder cannot be read.
    """
    return probability_cache().info()


def clear_cache() -> None:
    """Remove all speech probabilities that are kept on disk.

    Raises
    ------
    OSError
        If a file cannot be removed.
    """
    probability_cache().clear()


def _encoded(entry: Entry, key: bytes) -> bytes:
    values = entry.p.astype("<f4")
    body = _BODY.pack(
        bytes.fromhex(entry.source), entry.hop, entry.sample_rate, len(values)
    )
    body += values.tobytes()
    return _MAGIC + key + hashlib.sha256(body).digest() + body


def _decoded(data: bytes, key: bytes) -> Entry | None:
    head = _MAGIC + key
    checksum, body = data[len(head) : len(head) + 32], data[len(head) + 32 :]
    if not data.startswith(head) or hashlib.sha256(body).digest() != checksum:
        return None
    source, hop, sample_rate, count = _BODY.unpack_from(body)
    values = np.frombuffer(body, "<f4", count, _BODY.size)
    return Entry(values.astype(np.float32), hop, sample_rate, source.hex())
