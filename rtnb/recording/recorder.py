"""Writing down a session while it goes on.

The session hands over events and input audio and waits for nothing: events are put
into a queue with a bound and written by a thread of the recorder; audio is written by
the session's own tap thread. What cannot be written ends the recording and is said.

Log levels: WARNING the recording could not go on, or events were dropped.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar

import msgspec
from typing_extensions import override

from rtnb.protocol import events as ev
from rtnb.protocol.codec import encode, parse_json
from rtnb.protocol.formats import SAMPLE_RATE, InputDecoder
from rtnb.recording import folder as on_disk
from rtnb.recording.folder import AudioRef, Line, Manifest, Prices
from rtnb.recording.wave_file import WaveFile
from rtnb.usage import PriceTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from rtnb.audio import Samples
    from rtnb.protocol.formats import AudioFormat

log = logging.getLogger("rtnb.recording")

WAITING_BYTES: Final = 8 * 2**20
"""Events that may wait for a slow disk, by their size; newer ones are dropped."""

END_SECONDS: Final = 15.0
"""How long `Recorder.stop` waits for what is on its way to be written."""

SECRETS: Final = frozenset({"authorization", "headers", "api_key", "client_secret"})
"""Fields whose values are never written down."""

HIDDEN: Final = "***"
"""What is written in their place."""

_Event: TypeAlias = ev.ClientEvent | ev.ServerEvent | ev.UnknownEvent
_Audio = TypeVar("_Audio", ev.InputAudioBufferAppend, ev.ResponseOutputAudioDelta)


class Recorder:
    """Writes down a session until it is stopped. Made by ``session.record``.

    Parameters
    ----------
    path : path
        Folder to make; see `rtnb.recording.folder.new_folder`.
    manifest : Manifest
        What is recorded; version, wall time, prices and secrets are seen to here.
    now : callable
        Seconds since the epoch, on a clock that does not jump.
    forget : callable
        Called once all is written: nothing more need be handed over.

    Attributes
    ----------
    path : Path
        The folder.
    error : OSError or None
        Why the recording could not go on.
    dropped : int
        Events that are missing because the disk was too slow for them.

    Raises
    ------
    ConfigError, FileExistsError, FileNotFoundError
        See `new_folder`.

    Notes
    -----
    A context manager; it ends with the session too. Its methods may be called from any
    thread.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        manifest: Manifest,
        now: Callable[[], float],
        forget: Callable[[], None],
    ) -> None:
        self.path: Path = on_disk.new_folder(path)
        self.error: OSError | None = None
        self.dropped = 0
        self._now = now
        self._forget = forget
        self._began = now()
        self._manifest = msgspec.structs.replace(
            manifest,
            rtnb=metadata.version("rtnb"),
            began=wall_time(self._began),
            prices=_prices(manifest.model),
            settings=without_secrets(manifest.settings),
        )
        on_disk.write_manifest(self.path, self._manifest)
        self._lines = os.fdopen(
            on_disk.create(self.path / on_disk.EVENTS), "wb", buffering=0
        )
        self._microphone = WaveFile(self.path / on_disk.MICROPHONE)
        self._answers = _Answers(self.path / on_disk.ANSWERS, manifest.settings)
        self._sound = threading.Lock()
        self._expected: int | None = None
        self._noted = 0
        self._appended = manifest.appended
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._ending: str | None = None
        self._untap: Callable[[], None] | None = None
        self._thread = threading.Thread(
            target=self._run, name="rtnb.recorder", daemon=True
        )
        self._thread.start()

    # -- for the session ---------------------------------------------------------------

    def listen(
        self, tap: Callable[[Callable[[int, Samples], None]], Callable[[], None]]
    ) -> None:
        """Hear the input audio that `tap` gives, which is ``session.tap_input``."""
        self._untap = untap = tap(self.hear)
        if not self._thread.is_alive():
            untap()

    def observe(
        self, direction: on_disk.Direction, event: _Event, now: float, *, appended: int
    ) -> None:
        """Take an event; with it, `appended` samples were sent by the client."""
        before, self._appended = self._appended, appended
        self._put(
            _Waiting(
                now, direction, before, appended, self.heard, quiet_text(event), event
            )
        )

    def hear(self, position: int, samples: Samples) -> None:
        """Take input audio that begins at `position` of the session's."""
        with self._sound:
            if self._microphone.closed:
                return
            try:
                self._hear(position, samples)
            except OSError as error:
                self._fail(error)

    def end(self, reason: str) -> None:
        """End soon; waits for nothing."""
        with self._changed:
            if self._ending is None:
                self._ending = reason
            self._changed.notify_all()

    # -- for everybody -----------------------------------------------------------------

    @property
    def recording(self) -> bool:
        """Whether it goes on."""
        return self._ending is None

    @property
    def heard(self) -> int:
        """End of the input audio that is on disk, samples since the session began."""
        return self._expected or 0

    def stop(self) -> None:
        """End the recording and wait until all of it is on disk.

        Raises
        ------
        OSError
            If it could not be written to its end; what there is can be loaded.
        """
        self.end("stopped")
        if not self.join():
            raise TimeoutError(f"{self.path} is not written after {END_SECONDS:g} s")
        if self.error is not None:
            raise OSError(
                f"the recording in {self.path} ended early: {self.error}"
            ) from self.error

    def join(self) -> bool:
        """Wait until all is on disk, once it is to end; whether it is."""
        self._thread.join(END_SECONDS)
        return not self._thread.is_alive()

    def discard(self) -> None:
        """End the recording and take away what was written."""
        self.end("discarded")
        self.join()
        for name in on_disk.FILES:
            (self.path / name).unlink(missing_ok=True)
        self.path.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @override
    def __repr__(self) -> str:
        state = "recording" if self.recording else self._ending
        seconds = self._microphone.samples / SAMPLE_RATE
        return f"<Recorder {str(self.path)!r}: {state}, {seconds:.1f} s heard>"

    # -- audio, on the tap's thread ----------------------------------------------------

    def _hear(self, position: int, samples: Samples) -> None:
        if self._expected is None:
            self._expected = position
            self._manifest = msgspec.structs.replace(
                self._manifest, first_sample=position
            )
            on_disk.write_manifest(self.path, self._manifest)
        missing = position - self._expected
        if missing > 0:
            self.note("audio.missing", start=self._expected, samples=missing)
            self._microphone.append_silence(missing)
        self._microphone.append(samples[max(0, -missing) :])
        self._expected = max(self._expected, position + len(samples))
        if self._microphone.samples - self._noted >= SAMPLE_RATE:
            self._noted = self._microphone.samples
            self.note("audio.captured")

    # -- lines, on a thread of the recorder --------------------------------------------

    def note(self, kind: str, **facts: Any) -> None:
        """Write a line of the recorder's own."""
        event = ev.UnknownEvent(kind, {"type": kind, **facts})
        so_far = self._appended
        self._put(
            _Waiting(
                self._now(), "noted", so_far, so_far, self.heard, encode(event), event
            )
        )

    def _put(self, waiting: _Waiting) -> None:
        with self._changed:
            if self._ending is not None and waiting.direction != "noted":
                return
            if self._queued_bytes + waiting.size > WAITING_BYTES:
                self.dropped += 1
                log.warning("queue.dropped", extra={"rtnb.queue": "recording"})
                return
            self._queue.append(waiting)
            self._queued_bytes += waiting.size
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._ending is not None)
                ending = self._ending
                batch, self._queue = self._queue, deque()
                self._queued_bytes = 0
            self._write(batch)
            if ending is not None:
                break
        if self._untap is not None:
            self._untap()
        self._finish(ending)

    def _write(self, batch: deque[_Waiting]) -> None:
        if self.error is not None:
            return
        try:
            for waiting in batch:
                self._write_line(waiting)
        except OSError as error:
            self._fail(error)

    def _write_line(self, waiting: _Waiting) -> None:
        line = Line(
            t=round(waiting.at - self._began, 6),
            direction=waiting.direction,
            appended=waiting.appended,
            heard=waiting.heard,
            event=msgspec.Raw(waiting.text.encode()),
            audio=self._place(waiting),
        )
        view = memoryview(msgspec.json.encode(line) + b"\n")
        while view:
            view = view[self._lines.write(view) :]

    def _place(self, waiting: _Waiting) -> AudioRef | None:
        """Where the audio of an event is, once it is there."""
        if waiting.direction == "received":
            return self._answers.take(waiting.event)
        if isinstance(waiting.event, ev.InputAudioBufferAppend):
            return AudioRef(
                file=on_disk.MICROPHONE,
                start=waiting.before,
                samples=waiting.appended - waiting.before,
            )
        return None

    def _fail(self, error: OSError) -> None:
        log.warning("recording.failed", extra={"rtnb.reason": str(error)})
        self.error = self.error or error
        self.end(f"could not be written: {error}")

    def _finish(self, ending: str) -> None:
        if self.dropped:
            self.note("queue.dropped", events=self.dropped)
        with self._changed:
            rest, self._queue = self._queue, deque()
        self._write(rest)
        with self._sound:
            self._microphone.close()
        self._answers.close()
        self._lines.close()
        ended = msgspec.structs.replace(
            self._manifest, ended=wall_time(self._now()), ending=ending
        )
        try:
            on_disk.write_manifest(self.path, ended)
        except OSError as error:
            self._fail(error)
        self._forget()


@dataclass(frozen=True)
class _Waiting:
    """An event that is to be written; its text is without audio, the event with it."""

    at: float
    direction: on_disk.Direction
    before: int
    appended: int
    heard: int
    text: str
    event: _Event

    @property
    def size(self) -> int:
        """Bytes that it holds, about."""
        match self.event:
            case (
                ev.InputAudioBufferAppend(audio=audio)
                | ev.ResponseOutputAudioDelta(delta=audio)
            ):
                return len(self.text) + len(audio)
            case _:
                return 2 * len(self.text)


class _Answers:
    """The audio of answers, put one after the other into one file."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._file = WaveFile(path)
        self._session: object = on_disk.opening(settings)
        self._responses: dict[str, object] = {}
        self._item = ""
        self._decoder = InputDecoder(ev.AudioPcm())

    def take(self, event: _Event) -> AudioRef | None:
        """Note the formats that an event tells, and keep its audio."""
        match event:
            case ev.SessionCreated() | ev.SessionUpdated():
                self._session = event
            case ev.ResponseCreated(response=response):
                self._responses[str(response.id)] = response
            case ev.ResponseDone(response=response):
                self._responses.pop(str(response.id), None)
            case ev.ResponseOutputAudioDelta():
                return self._keep(event)
        return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _keep(self, event: ev.ResponseOutputAudioDelta) -> AudioRef:
        if event.item_id != self._item:
            self._item = event.item_id
            self._decoder = InputDecoder(self._format(event.response_id))
        whole = event.delta[: len(event.delta) & ~1]
        start = self._file.samples
        self._file.append(self._decoder(whole))
        return AudioRef(
            file=on_disk.ANSWERS, start=start, samples=self._file.samples - start
        )

    def _format(self, response_id: str) -> AudioFormat:
        session = getattr(self._session, "session", None)
        for told in (self._responses.get(response_id), session):
            output = getattr(getattr(told, "audio", None), "output", None)
            wire_format = getattr(output, "format", None)
            if isinstance(wire_format, ev.AudioPcm | ev.AudioPcmu | ev.AudioPcma):
                return wire_format
        return ev.AudioPcm()


def _prices(model: str) -> Prices | None:
    card = PriceTable.load().card(model)
    if card is None:
        return None
    return Prices(model=card.model, source=card.source, date=card.date)


def quiet_text(event: _Event) -> str:
    """JSON of an event without its audio and without secrets."""
    match event:
        case ev.InputAudioBufferAppend():
            return encode(_with(event, audio=b""))
        case ev.ResponseOutputAudioDelta():
            return encode(_with(event, delta=b""))
    text = encode(event)
    if any(f'"{name}"' in text for name in SECRETS):
        return msgspec.json.encode(without_secrets(parse_json(text))).decode()
    return text


def _with(event: _Audio, **fields: bytes) -> _Audio:
    """The event with other fields, and with what it came with beside them."""
    replaced = msgspec.structs.replace(event, **fields)
    vars(replaced).update(vars(event))
    return replaced


def without_secrets(value: Any) -> Any:
    """A JSON value in which keys and headers are masked.

    Examples
    --------
    >>> without_secrets({"tools": [{"type": "mcp", "authorization": "sk-1"}]})
    {'tools': [{'type': 'mcp', 'authorization': '***'}]}
    """
    if isinstance(value, dict):
        return {
            key: HIDDEN if key in SECRETS and inner else without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return value


def wall_time(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601, UTC.

    Examples
    --------
    >>> wall_time(0.25)
    '1970-01-01T00:00:00.250+00:00'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
