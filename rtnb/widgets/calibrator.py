"""The guided half-minute in which a microphone is calibrated.

The page draws the steps and forwards what is pressed; the audio comes from the session
as the server hears it, so its own count of samples is the clock: a step is over when so
much audio has come. One thread goes through the steps of a run. While it lasts turn
detection is off, so that the model answers nothing of what is said; it is put back
whatever happens.

Messages of the page: ``start`` (with ``started``: whether the page switched the
microphone on for it, and will switch it off), ``next``, ``again``, ``cancel``,
``apply``, ``discard``. Handlers only enqueue, or start the thread.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anywidget
import numpy as np
import traitlets as t
from msgspec import UNSET, UnsetType
from typing_extensions import override

from rtnb.audio import Clip
from rtnb.errors import RtnbError, SessionClosed, TransportError
from rtnb.protocol import events as ev
from rtnb.vad import (
    Calibration,
    EchoCheck,
    SemanticVad,
    ServerVad,
    calibrate,
    echo_probe,
    measure_echo,
)
from rtnb.widgets.comm_routing import let_in_while_busy
from rtnb.widgets.loader import bundle, stylesheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rtnb.audio import Samples
    from rtnb.session import Session
    from rtnb.widgets.audio_port import AudioPort

log = logging.getLogger("rtnb.widgets")

SAMPLE_RATE: Final = 24_000
"""Hz of the session's input audio."""

QUIET_S: Final = 5.0
"""Silence that is measured."""

LEAD_S: Final = 2.0
"""Silence before it that is not: the click of the button, a screen reader's words."""

SPEECH_S: Final = 8.0
"""Longest time for the sentence; "Done" ends it earlier."""

LEAST_S: Final = 1.0
"""No step ends with less: what `rtnb.vad.calibrate` asks for."""

BEFORE_PROBE_S: Final = 0.5
"""Silence before the probe, from which its echo is told."""

AFTER_PROBE_S: Final = 1.0
"""Silence after it, for the echo to die away."""

PATIENCE_S: Final = 4.0
"""A chunk comes every 100 ms at most, and the page tells of the probe with the next; a
kernel that is busy may keep either for longer. Our choice."""

STOP_S: Final = 2.0
"""How long the page may take to switch the microphone off."""

SENTENCE: Final = (
    "When the sunlight strikes raindrops in the air, they act as a prism and form a "
    "rainbow."
)
"""Read by the person. From the Rainbow Passage (G. Fairbanks, "Voice and Articulation
Drillbook", 1940), which speech laboratories use: all sounds, one pause."""

RECORDING: Final = ("preparing", "quiet", "speech", "loudspeaker", "measuring")
"""Steps of a run; in all others nothing is heard."""

NO_AUDIO: Final = (
    "No audio came from the microphone: see that Talk is on and the page still open, "
    "then start again."
)
STOPPED: Final = "The microphone was switched off: start again."
MUTED: Final = "The microphone is muted: press Unmute, then start again."
CANCELLED: Final = "Cancelled; nothing has changed."


class Calibrator(anywidget.AnyWidget):
    """Guides through a calibration, and applies what it recommends.

    Parameters
    ----------
    port : AudioPort
        Microphone and loudspeaker; it must be on the same page.
    session : Session
        Whose settings are changed, and which hears the microphone.
    patience : float
        How many seconds audio, or the page's word of the probe, may keep a run waiting.

    Attributes
    ----------
    step : str
        "idle", "preparing", "quiet", "speech", "loudspeaker", "measuring" or "done".
    seconds_left : int
        Until the step ends.
    message : str
        What the person should know: how a run ended, or what is wrong.
    result : dict
        What the page shows of `calibration`; empty without one.
    applied : ServerVad or None
        Turn detection that `apply` has put in force since the last run; observe it to
        follow.

    Notes
    -----
    While a run lasts, the session's turn detection is off; at its end the input buffer
    is cleared and turn detection put back, also after an error, `cancel` and `close`.
    Observers are called on a thread of the calibrator.
    """

    _esm = bundle("calibrator.js")
    _css = stylesheet("theme.css", "meter.css", "calibrator.css")

    calibrator_id = t.Unicode(read_only=True).tag(sync=True)
    port_id = t.Unicode("").tag(sync=True)
    step = t.Enum(["idle", *RECORDING, "done"], "idle").tag(sync=True)
    seconds_left = t.Int(0).tag(sync=True)
    sentence = t.Unicode(SENTENCE).tag(sync=True)
    message = t.Unicode("").tag(sync=True)
    result = t.Dict().tag(sync=True)
    applied = t.Instance(ServerVad, allow_none=True)

    def __init__(
        self, port: AudioPort, session: Session, *, patience: float = PATIENCE_S
    ) -> None:
        self.port = port
        self.session = session
        self._patience = patience
        self._calibration: Calibration | None = None
        self._inbox: queue.SimpleQueue[_Chunk | _Order] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._microphone_off = threading.Event()
        super().__init__(port_id=port.port_id)
        self.on_msg(self._receive)
        port.observe(self._talking_changed, "talking")

    @t.default("calibrator_id")
    def _new_id(self) -> str:
        return uuid.uuid4().hex

    @override
    def open(self) -> None:
        """Open the comm, and let its messages in while a cell runs where that can be."""
        super().open()
        let_in_while_busy(self.comm)

    @override
    def close(self) -> None:
        """Take the calibrator off the page; a run ends, with everything put back."""
        if self.comm is None:
            return  # closed before
        self.port.unobserve(self._talking_changed, "talking")
        self.cancel()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        super().close()

    @property
    def calibration(self) -> Calibration | None:
        """What the last run measured; None before, and after it was discarded."""
        return self._calibration

    @property
    def running(self) -> bool:
        """Whether a run lasts."""
        return self.step in RECORDING

    # -- what can be asked for ---------------------------------------------------------

    def start(self, *, started: bool = False) -> None:
        """Begin a run; the microphone must be on.

        Parameters
        ----------
        started : bool
            Whether the page has switched the microphone on for this, and will switch it
            off when the run ends.
        """
        self._begin(self._run, started, step="preparing")

    def cancel(self, reason: str = CANCELLED) -> None:
        """End a run without a result."""
        if self.running:
            self._inbox.put(_Order("cancel", reason))

    def apply(self) -> None:
        """Change the session's settings to those recommended."""
        if self._calibration is not None:
            self._begin(self._apply, self._calibration)

    def discard(self) -> None:
        """Forget the result."""
        if not self.running:
            self._show(None, "")

    def _begin(
        self, work: Callable[..., None], *arguments: object, step: str | None = None
    ) -> None:
        """Work on a thread of its own, unless one works already."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            if step is not None:
                self._inbox = queue.SimpleQueue()
                self._be(step, message="")
            self._thread = threading.Thread(
                target=work, args=arguments, name="rtnb.calibrator", daemon=True
            )
            self._thread.start()

    def _receive(self, _: object, content: dict[str, Any], __: list[Any]) -> None:
        match content:
            case {"type": "start", "started": bool(started)}:
                self.start(started=started)
            case {"type": "next" | "again" as order}:
                self._inbox.put(_Order(order))
            case {"type": "cancel"}:
                self.cancel()
            case {"type": "apply"}:
                self.apply()
            case {"type": "discard"}:
                self.discard()
            case _:
                log.warning("message.unknown", extra={"rtnb.type": content.get("type")})

    def _talking_changed(self, change: dict[str, Any]) -> None:
        if not change["new"]:
            self._microphone_off.set()
            self.cancel(self.port.message or STOPPED)

    # -- a run, on its own thread ------------------------------------------------------

    def _run(self, started: bool) -> None:  # noqa: FBT001 - the only argument of a thread
        self._microphone_off.clear()
        self.applied = None
        try:
            with self._undisturbed(started=started), self._tapped():
                quiet = self._record("quiet", QUIET_S, lead=LEAD_S)
                speech = self._record("speech", SPEECH_S)
                echo, note = self._check_echo()
            self._show(calibrate(quiet, speech, echo=echo), note)
        except _RunEnded as ended:
            self._be("idle", message=str(ended))
        except (RtnbError, TimeoutError) as error:
            log.warning("calibration.failed", extra={"rtnb.reason": str(error)})
            self._be("idle", message=f"Calibration failed: {error}")

    @contextmanager
    def _undisturbed(self, *, started: bool) -> Iterator[None]:
        """Let nobody take turns of what is said meanwhile."""
        if self.port.muted:
            raise _RunEnded(MUTED)
        before = self._detection()
        try:
            if before is not None:
                self.session.configure(turn_detection=None)
            yield
        finally:
            self._be("measuring")
            if started:
                self._microphone_off.wait(STOP_S)
            self._put_back(before)

    def _put_back(self, before: ServerVad | SemanticVad | None) -> None:
        """Clear what was heard, and let turns be taken again as before.

        Where somebody else has changed turn detection meanwhile, that stands.
        """
        with suppress(SessionClosed):
            self.session.send(ev.InputAudioBufferClear())
            if before is not None and self._detection() in (None, before):
                self.session.configure(turn_detection=before)

    def _detection(self) -> ServerVad | SemanticVad | None:
        """Turn detection in force; where the server did not tell, its default."""
        audio = self.session.settings.audio
        heard = UNSET if isinstance(audio, UnsetType) else audio.input
        detection = UNSET if isinstance(heard, UnsetType) else heard.turn_detection
        return ServerVad() if isinstance(detection, UnsetType) else detection

    @contextmanager
    def _tapped(self) -> Iterator[None]:
        end = self.session.tap_input(lambda *chunk: self._inbox.put(chunk))
        try:
            yield
        finally:
            end()

    def _next(self) -> _Chunk | _Order:
        """The next audio or order."""
        try:
            thing = self._inbox.get(timeout=self._patience)
        except queue.Empty:
            raise _RunEnded(NO_AUDIO) from None
        if isinstance(thing, _Order) and thing.name == "cancel":
            raise _RunEnded(thing.reason)
        return thing

    def _record(self, step: str, seconds: float, *, lead: float = 0.0) -> Clip:
        """So many seconds of audio, after a lead; fewer if the person goes on."""
        wanted, skipped = _samples(seconds), _samples(lead)
        chunks: list[Samples] = []
        heard = 0
        self._be(step, seconds_left=math.ceil(seconds + lead))
        while heard < skipped + wanted:
            match self._next():
                case _Order("again"):
                    chunks, heard = [], 0
                case _Order():
                    if heard >= skipped + _samples(LEAST_S):
                        break
                case (_, samples):
                    chunks.append(samples)
                    heard += len(samples)
            self._count_down((skipped + wanted - heard) / SAMPLE_RATE)
        return Clip(np.concatenate(chunks)[skipped:][:wanted], SAMPLE_RATE)

    def _check_echo(self) -> tuple[EchoCheck | None, str]:
        """What is heard of the loudspeaker, and what there is to say if nothing is."""
        try:
            return self._listen_for_probe(echo_probe(SAMPLE_RATE).samples), ""
        except RtnbError as error:
            return None, f"The echo was not checked: {error}"

    def _listen_for_probe(self, probe: Samples) -> EchoCheck | None:
        """Play the probe and look for it; None if the person skips that."""
        before, after = _samples(BEFORE_PROBE_S), len(probe) + _samples(AFTER_PROBE_S)
        self._be("loudspeaker", seconds_left=math.ceil((before + after) / SAMPLE_RATE))
        recorded = _Recorded()
        while recorded.length < before:
            if self._skipped(recorded):
                return None
        playing = self.port.play_probe(probe)
        while not playing.done() or recorded.end < playing.result() + after:
            if self._skipped(recorded):
                return None
            if recorded.length > before + after + _samples(self._patience):
                raise TransportError("the page did not say when it played the tone")
        began = playing.result() - recorded.start
        return measure_echo(
            recorded.samples, probe, sample_rate=SAMPLE_RATE, began=began
        )

    def _skipped(self, recorded: _Recorded) -> bool:
        """Take the next audio; whether the person skips instead."""
        match self._next():
            case _Order(name):
                return name == "next"
            case (position, samples):
                recorded.add(position, samples)
        return False

    # -- what the page shows -----------------------------------------------------------

    def _be(
        self, step: str, *, seconds_left: int = 0, message: str | None = None
    ) -> None:
        with self.hold_sync():
            self.step, self.seconds_left = step, seconds_left
            if message is not None:
                self.message = message

    def _count_down(self, seconds: float) -> None:
        self.seconds_left = max(0, math.ceil(seconds))

    def _show(self, calibration: Calibration | None, message: str) -> None:
        self._calibration = calibration
        with self.hold_sync():
            self.result = {} if calibration is None else shown(calibration)
            self.step = "idle" if calibration is None else "done"
            self.message = message

    def _apply(self, calibration: Calibration) -> None:
        """Configure the session; push-to-talk stays without turn detection."""
        settings = calibration.recommended
        held = self.port.mode == "push-to-talk"
        try:
            self.session.configure(
                turn_detection=UNSET if held else settings,
                noise_reduction=calibration.noise_reduction,
            )
        except (RtnbError, TimeoutError) as error:
            self.message = f"Not applied: {error}"
            return
        self.applied = settings
        when = "; turn detection waits for hands-free" if held else ""
        self._show(None, f"Applied{when}: {in_words(calibration)}.")


@dataclass(frozen=True)
class _Order:
    """What the person asked for while a run lasts."""

    name: str
    reason: str = ""


class _RunEnded(Exception):  # noqa: N818 - no error: the person may have wished it
    """The run ends without a result; says why."""


class _Recorded:
    """Audio with its position in the session's; a hole is filled with silence."""

    def __init__(self) -> None:
        self.start = 0
        self.length = 0
        self._chunks: list[Samples] = []

    def add(self, position: int, samples: Samples) -> None:
        if not self._chunks:
            self.start = position
        hole = max(0, position - self.end)
        self._chunks += [np.zeros(hole, np.float32), samples]
        self.length += hole + len(samples)

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self.start + self.length

    @property
    def samples(self) -> Samples:
        return np.concatenate(self._chunks)


_Chunk: TypeAlias = "tuple[int, Samples]"


def shown(calibration: Calibration) -> dict[str, Any]:
    """What the page draws of a calibration."""
    return {
        "usable": calibration.usable,
        "recommended": in_words(calibration),
        "reasons": list(calibration.reasons),
        "problems": list(calibration.problems),
        "figures": list(calibration.figures().items()),
        "centres": list(calibration.spectrum.centres),
        "levels": list(calibration.spectrum.levels),
        "noise": calibration.noise_dbfs,
        "speech": calibration.speech_dbfs,
        "hum": None if calibration.hum is None else calibration.hum.frequency,
    }


def in_words(calibration: Calibration) -> str:
    """The recommended settings, as a person reads them."""
    settings = calibration.recommended
    return (
        f"threshold {settings.threshold:.2f}, silence {settings.silence_duration_ms} ms, "
        f"prefix {settings.prefix_padding_ms} ms, noise reduction "
        f"{calibration.noise_reduction or 'none'}"
    )


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
