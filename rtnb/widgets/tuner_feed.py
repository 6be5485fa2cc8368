"""Live sound for a tuner: the latest ten minutes of what a session hears.

Chunks come on the session's thread and are judged there; a worker tells the pages what
is new, ten times a second at most. Positions count samples of 24 kHz since the session
began, as ``audio_start_ms`` does in milliseconds; hops lie on that grid too, so a turn
has the same marks here as at the server.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np

from rtnb.audio import Clip, envelope
from rtnb.audio.pcm import to_int16
from rtnb.vad import SpeechProbability, StreamingVad
from rtnb.vad.silero import HOP_MS
from rtnb.widgets.tuner_sound import FULL_SCALE, LONGEST_PIECE_S, PLAYED_RATE, Outline

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rtnb.audio import Samples
    from rtnb.session import Session

KEPT_S: Final = 600
"""Ten minutes: 29 MB here, 1.3 MB in a page. What is older is forgotten."""

BIN_MS: Final = 2
"""What the outline of a live sound is fine to: 500 pairs a second, 20 kbit/s."""

TELL_S: Final = 0.1
"""Ten messages a second at most."""

END_SECONDS: Final = 5.0
"""How long `LiveSound.close` waits for its worker."""

HOP: Final = PLAYED_RATE * HOP_MS // 1000
BIN: Final = PLAYED_RATE * BIN_MS // 1000

_Kind = TypeVar("_Kind", bound=np.generic)


class Ring(Generic[_Kind]):
    """The latest figures of an endless row, each with its number.

    Parameters
    ----------
    size : int
        So many are kept.
    dtype : type
        Of the figures.
    first : int
        Number of the first one.
    """

    def __init__(self, size: int, dtype: type[_Kind], first: int) -> None:
        self._kept: NDArray[_Kind] = np.zeros(size, dtype)
        self._begin = first
        self.end = first

    @property
    def first(self) -> int:
        """Number of the oldest that is kept."""
        return max(self._begin, self.end - len(self._kept))

    def append(self, values: NDArray[Any]) -> None:
        """Take the next ones."""
        size = len(self._kept)
        self.end += len(values)
        values = values[-size:]
        at = (self.end - len(values)) % size
        split = min(len(values), size - at)
        self._kept[at : at + split] = values[:split]
        self._kept[: len(values) - split] = values[split:]

    def read(self, start: int, stop: int) -> NDArray[_Kind]:
        """Copy those from number `start` up to `stop`, as far as they are kept."""
        start, stop = max(start, self.first), min(stop, self.end)
        if start >= stop:
            return self._kept[:0].copy()
        size = len(self._kept)
        first, count = start % size, stop - start
        split = min(count, size - first)
        return np.concatenate(
            (self._kept[first : first + split], self._kept[: count - split])
        )


class LiveSound:
    """What a session hears, from now on.

    Parameters
    ----------
    session : Session
        Its input audio is tapped.

    Raises
    ------
    ConnectError
        If the gateway does not let us hear.
    SessionClosed
        If the session has ended.

    Notes
    -----
    Silence stands where chunks were lost.
    """

    live = True
    sample_rate = PLAYED_RATE

    def __init__(self, session: Session) -> None:
        self._lock = threading.RLock()
        self._samples: Ring[np.int16] | None = None
        self._p: Ring[np.float32] = Ring(KEPT_S * 1000 // HOP_MS, np.float32, 0)
        self._vad = StreamingVad(sample_rate=PLAYED_RATE)
        self._send: Callable[[dict[str, Any], list[bytes]], object] | None = None
        self._told_bin = self._told_hop = 0
        self._news, self._ended = threading.Event(), threading.Event()
        self._worker = threading.Thread(
            target=self._work, name="rtnb.tuner", daemon=True
        )
        self._untap = session.tap_input(self.hear)

    def begin(self, send: Callable[[dict[str, Any], list[bytes]], object]) -> None:
        """Tell the pages what is new."""
        self._send = send
        self._worker.start()

    def close(self) -> None:
        """Hear and tell no more."""
        self._untap()
        self._ended.set()
        self._news.set()
        if self._worker.is_alive():
            self._worker.join(END_SECONDS)

    # -- what comes in -----------------------------------------------------------------

    def hear(self, position: int, samples: Samples) -> None:
        """Take the next samples.

        Parameters
        ----------
        position : int
            Number of the first of them.
        samples : float32 array, shape (n,)
            24 kHz, in [-1, 1].
        """
        with self._lock:
            kept = self._samples
            if kept is None:
                kept = self._samples = self._rings(-(-position // HOP))
            if position > kept.end + HOP:
                self._skip(kept, -(-position // HOP))
            fresh = samples[max(0, kept.end - position) :]
            if not len(fresh):
                return
            kept.append(to_int16(fresh))
            self._vad.push(fresh)
            self._p.append(self._vad.take_probabilities())
        self._news.set()

    def _rings(self, hop: int) -> Ring[np.int16]:
        """Begin with that hop; what came before its beginning is not heard."""
        self._p = Ring(KEPT_S * 1000 // HOP_MS, np.float32, hop)
        self._told_hop, self._told_bin = hop, hop * HOP // BIN
        return Ring(KEPT_S * PLAYED_RATE, np.int16, hop * HOP)

    def _skip(self, kept: Ring[np.int16], hop: int) -> None:
        """Go on with that hop; silence stands where nothing came."""
        kept.append(np.zeros(hop * HOP - kept.end, np.int16))
        self._p.append(np.zeros(hop - self._p.end, np.float32))
        self._vad = StreamingVad(sample_rate=PLAYED_RATE)

    # -- what goes out -----------------------------------------------------------------

    def _work(self) -> None:
        while not self._ended.is_set():
            self._news.wait()
            self._news.clear()
            self.tell()
            self._ended.wait(TELL_S)

    def tell(self) -> None:
        """Tell the pages what is new."""
        with self._lock:
            kept = self._samples
            if kept is None or self._send is None:
                return
            outline = self._outline(max(self._told_bin * BIN, kept.first), kept.end)
            hop = max(self._told_hop, self._p.first)
            p = self._p.read(hop, self._p.end)
            facts = {
                "first_bin": round(outline.start * 1000) // BIN_MS,
                "first_hop": hop,
                **GRID,
            }
            self._told_bin = round(outline.stop * 1000) // BIN_MS
            self._told_hop = self._p.end
        buffers = [*outline.buffers, p.astype("<f4").tobytes()]
        self._send({"type": "feed", **facts}, buffers)

    def _outline(self, start: int, stop: int) -> Outline:
        """Whole bins from sample `start`, which lies on their grid, up to `stop`."""
        assert self._samples is not None
        start = -(-start // BIN) * BIN
        bins = max(0, (stop - start) // BIN)
        samples = self._samples.read(start, start + bins * BIN)
        scaled = samples.astype(np.float32) / np.float32(FULL_SCALE)
        low, high = envelope(scaled, bins) if bins else (scaled, scaled)
        rate = PLAYED_RATE
        return Outline.of(start / rate, (start + bins * BIN) / rate, low, high)

    # -- what is asked -----------------------------------------------------------------

    @property
    def start(self) -> float:
        """Where what is kept begins, in seconds of the session's input."""
        kept = self._samples
        return 0.0 if kept is None else -(-kept.first // BIN) * BIN / PLAYED_RATE

    @property
    def end(self) -> float:
        """Where it ends, so far."""
        kept = self._samples
        return 0.0 if kept is None else kept.end / PLAYED_RATE

    def overview(self) -> Outline:
        """All that is kept, in bins of 2 ms."""
        with self._lock:
            kept = self._samples
            if kept is None:
                empty = np.zeros(0, np.float32)
                return Outline.of(0.0, 0.0, empty, empty)
            return self._outline(kept.first, kept.end)

    def detail(self, start: float, stop: float, bins: int) -> Outline:  # noqa: ARG002 - as `Sound` has it
        """All there is: a page has it already."""
        return self.overview()

    def pcm(self, start: float, stop: float) -> bytes:
        """A part of it as PCM16 at 24 kHz, as far as it is kept."""
        stop = min(stop, start + LONGEST_PIECE_S)
        with self._lock:
            if self._samples is None:
                return b""
            first, last = round(start * PLAYED_RATE), round(stop * PLAYED_RATE)
            return self._samples.read(first, last).astype("<i2").tobytes()

    def probability(
        self, on_progress: Callable[[float, float], object] | None = None
    ) -> SpeechProbability:
        """How likely each hop is speech that is kept."""
        if on_progress is not None:
            on_progress(self.end, self.end)
        return self.judged()[0]

    def judged(self) -> tuple[SpeechProbability, int]:
        """The probability, and the number of its first hop."""
        with self._lock:
            first = self._p.first
            return SpeechProbability(self._p.read(first, self._p.end)), first

    def clip_from(self, hop: int) -> Clip:
        """What is kept from the start of a hop on."""
        with self._lock:
            if self._samples is None:
                return Clip.silence(0.0, PLAYED_RATE)
            samples = self._samples.read(hop * HOP, self._samples.end)
        return Clip.from_array(samples, PLAYED_RATE)

    def sentences(self) -> None:
        """Live pauses are not judged here: each counts as halfway."""


GRID: Final = {"bin_ms": BIN_MS, "hop_ms": HOP_MS, "kept_ms": 1000 * KEPT_S}
"""How fine the news is, and how much of it a page shall keep."""
