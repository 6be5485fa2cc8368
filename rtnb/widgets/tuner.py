"""The tuner: turn detection settings, chosen by looking at what they would have done.

The page holds an outline of the sound and its speech probability, and finds the turns
itself, so that they follow a slider within a frame. The kernel has the sound: it gives
detail where somebody looks and pieces where somebody listens, and it has the words:
why a turn ended, code, files, the session.

Settings, the view and nothing else are synced traits; sound, probability and labels
travel as custom messages when a page asks for them, so that they are in no saved
notebook. Messages of a page carry its id, and questions a number that the answer
repeats.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import anywidget
import traitlets as t
from typing_extensions import override

from rtnb.audio import Clip
from rtnb.errors import ConfigError, RtnbError
from rtnb.vad import SERVER_VAD_DEFAULTS, SemanticVad, ServerVad, segment
from rtnb.vad.dialects import DIALECTS, as_code
from rtnb.vad.explanation import explain
from rtnb.vad.labels import Labels
from rtnb.widgets.comm_routing import let_in_while_busy
from rtnb.widgets.loader import bundle, stylesheet
from rtnb.widgets.tuner_feed import LiveSound
from rtnb.widgets.tuner_sound import RecordedSound
from rtnb.widgets.tuner_wire import (
    SHOWN,
    checked_settings,
    checked_view,
    labels_from_page,
    labels_to_page,
    settings_from_page,
    settings_to_page,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtnb.session import Session
    from rtnb.vad import Segment, SpeechProbability
    from rtnb.vad.labels import Label
    from rtnb.vad.probability import HasMicrophone
    from rtnb.widgets.tuner_sound import Sound

log = logging.getLogger("rtnb.widgets")

END_SECONDS: Final = 5.0
"""How long `close` waits for what goes on."""

DEFAULTS: Final = ServerVad(
    **{name: getattr(SERVER_VAD_DEFAULTS, name) for name in SHOWN["server_vad"]}
)
"""The service's, as far as they are shown: nothing else is copied or applied."""

Settings: TypeAlias = ServerVad | SemanticVad
View: TypeAlias = tuple[float, float]

Answer: TypeAlias = tuple[dict[str, Any], list[bytes]]
"""Facts and buffers of an answer to a page."""


class _Closed(Exception):  # noqa: N818 - no error: nobody waits for it any more
    """The tuner was closed while something was computed for it."""


class _Found(NamedTuple):
    """Turns, counted from the first hop of the probability that is kept."""

    turns: list[Segment]
    probability: SpeechProbability
    first_hop: int


_SETTINGS: Final = {
    "to_json": lambda settings, _: settings_to_page(settings),
    "from_json": lambda wire, tuner: settings_from_page(wire, before=tuner.settings),
}
"""How settings travel as a trait."""


class VadTuner(anywidget.AnyWidget):
    """See what the turn detector saw, drag the threshold, know what would have happened.

    Parameters
    ----------
    sound : Clip, path, recording or Session
        What is tuned on. A session is heard live, its last ten minutes.
    settings : ServerVad or SemanticVad, optional
        By default those of the recording or of the session, else the service's.
    labels : Labels or iterable of Label, optional
        Where there was speech, for the counters to be true.
    session : Session, optional
        Where *Apply to session* goes; by default the one that is heard.
    probability : SpeechProbability, optional
        Of this sound; by default Silero's, found in the background.

    Attributes
    ----------
    settings : ServerVad or SemanticVad
        What the page shows as A; may be set.
    compared : ServerVad, SemanticVad or None
        What the page shows as B.
    labels : Labels
        As they are drawn; may be set.
    labels_path : str
        Where *Save* writes; the suffix says the format.
    view : tuple of float, or None
        Start and end of what is seen, in seconds; may be set. None: a live sound is
        followed.

    Raises
    ------
    AudioFormatError
        If there is no sound in it, or none that can be used.
    ConfigError
        If the settings, the labels or the probability cannot be.
    OSError
        If a file cannot be read.

    Notes
    -----
    `settings`, `compared` and `labels` may be observed. All works without a page.

    The sound is kept in memory as it is in a `Clip`; a page holds an outline of it and
    its probability, half a megabyte an hour.

    Examples
    --------
    >>> from rtnb import Clip, ServerVad, VadTuner
    >>> clip = Clip.example("austen-0880") + Clip.silence(1.0, 16_000)
    >>> tuner = VadTuner(clip, settings=ServerVad(threshold=0.6))
    >>> [(turn.audio_start_ms, turn.audio_end_ms) for turn in tuner.segments]
    [(0, 3072)]
    >>> tuner.close()
    """

    _esm = bundle("tuner.js")
    _css = stylesheet("theme.css", "tuner.css")

    tuner_id = t.Unicode(read_only=True).tag(sync=True)
    settings: t.TraitType[Settings, Settings] = t.TraitType(DEFAULTS).tag(
        sync=True, **_SETTINGS
    )
    compared: t.TraitType[Settings | None, Settings | None] = t.Any(None).tag(
        sync=True, **_SETTINGS
    )
    view: t.TraitType[View | None, View | None] = t.TraitType(None).tag(sync=True)
    labels: t.TraitType[Labels, Iterable[Label]] = t.TraitType(Labels())
    labels_path = t.Unicode("")

    def __init__(
        self,
        sound: Clip | str | os.PathLike[str] | HasMicrophone | Session,
        *,
        settings: Settings | None = None,
        labels: Labels | Iterable[Label] | None = None,
        session: Session | None = None,
        probability: SpeechProbability | None = None,
        **traits: Any,
    ) -> None:
        self._closed, self._watched = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._drawn_by: str | None = None
        self._finding: threading.Thread | None = None
        if settings is None:
            settings = _detection_of(sound) or DEFAULTS
        chosen = checked_settings(settings)
        labels = Labels(() if labels is None else labels)
        self._sound, heard = _sound_of(sound, probability)
        self._session = session if session is not None else heard
        super().__init__(
            settings=chosen,
            labels=labels,
            view=None if self._sound.live else (self._sound.start, self._sound.end),
            **traits,
        )
        self.on_msg(self._receive)
        self._sound.begin(self._tell)

    @t.default("tuner_id")
    def _new_id(self) -> str:
        return uuid.uuid4().hex

    @t.validate("settings")
    def _check_settings(self, proposal: Any) -> Settings:
        return checked_settings(proposal["value"])

    @t.validate("compared")
    def _check_compared(self, proposal: Any) -> Settings | None:
        value = proposal["value"]
        return None if value is None else checked_settings(value)

    @t.validate("view")
    def _check_view(self, proposal: Any) -> tuple[float, float] | None:
        sound = self._sound
        return checked_view(
            proposal["value"], start=sound.start, end=sound.end, live=sound.live
        )

    @t.validate("labels")
    def _check_labels(self, proposal: Any) -> Labels:
        value = proposal["value"]
        return value if isinstance(value, Labels) else Labels(value)

    @t.observe("labels")
    def _labels_changed(self, _: object) -> None:
        self._tell(self._labels_message())

    # -- in Python -------------------------------------------------------------------

    @property
    def session(self) -> Session | None:
        """Where *Apply to session* goes."""
        return self._session

    @property
    def probability(self) -> SpeechProbability:
        """How likely each hop is speech; waits until it is found."""
        return self._sound.probability()

    @property
    def segments(self) -> list[Segment]:
        """Turns that `settings` would have found; what the page shows as A.

        Raises
        ------
        MissingExtra
            If these are of ``semantic_vad`` and there is no recogniser.
        """
        found = self._find(self.settings)
        return [_later(turn, found.first_hop) for turn in found.turns]

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write the labels to a file.

        Parameters
        ----------
        path : str or path, optional
            The suffix says the format: ``.txt`` (Audacity), ``.csv``, ``.rttm``,
            ``.vtt`` or ``.TextGrid``. By default `labels_path`.

        Raises
        ------
        ConfigError
            If there is no path, or the format is not known.
        OSError
            If the file cannot be written.
        """
        if path is not None:
            self.labels_path = str(path)
        if not self.labels_path.strip():
            raise ConfigError(
                "the labels have no file yet: name one, such as labels.txt"
            )
        folder = Path(self.labels_path).resolve().parent
        if not folder.is_dir():
            raise ConfigError(
                f"there is no folder {folder}: make it first, or save elsewhere"
            )
        self.labels.write(self.labels_path)

    @override
    def close(self) -> None:
        """Take the tuner off the page, and end what it does; labels are kept."""
        if not self._closed.is_set():
            self._closed.set()
            if hasattr(self, "_sound"):  # one that was refused is closed too
                self._sound.close()
            for thread in self._threads:
                if thread is not threading.current_thread():
                    thread.join(END_SECONDS)
        super().close()

    @override
    def __repr__(self) -> str:
        kind = "live sound" if self._sound.live else f"{self._sound.end:.2f} s of sound"
        labels = f", {len(self.labels)} labels" if self.labels else ""
        return f"VadTuner({kind}, {self.settings}{labels})"

    @override
    def open(self) -> None:
        """Open the comm, and let its messages in while a cell runs where that can be."""
        super().open()
        let_in_while_busy(self.comm)

    # -- what the page asks ----------------------------------------------------------

    def _receive(self, _: object, content: dict[str, Any], __: list[Any]) -> None:
        match content.get("type"):
            case "ready":
                self._watched.set()
                self._answer(content, self._welcome)
                self._tell(self._labels_message())
                self._find_probability()
            case "detail":
                self._answer(content, self._give_detail)
            case "audio":
                self._answer(content, self._give_audio)
            case "explain":
                self._answer(content, self._explain)
            case "code":
                self._answer(content, self._code)
            case "save":
                self._answer(content, self._save)
            case "labels":
                self._take_labels(content)
            case "apply":
                self._start(self._answer, content, self._apply)
            case "sentences":
                self._start(self._answer, content, self._give_sentences)
            case unknown:
                log.warning("message.unknown", extra={"rtnb.type": unknown})

    def _answer(
        self,
        content: dict[str, Any],
        work: Callable[[dict[str, Any]], Answer],
    ) -> None:
        """Answer a question; what went wrong is a sentence in the page."""
        address = {key: content.get(key) for key in ("type", "page", "request")}
        try:
            facts, buffers = work(content)
        except (RtnbError, OSError, TimeoutError) as error:
            self._tell({**address, "error": str(error)})
        except Exception as error:
            self._tell({**address, "error": repr(error)})
            raise
        else:
            self._tell({**address, **facts}, buffers)

    def _tell(
        self, content: dict[str, Any], buffers: list[bytes] | None = None
    ) -> None:
        if self._watched.is_set() and not self._closed.is_set():
            self.send(content, buffers)

    def _start(
        self, target: Callable[..., None], *arguments: object
    ) -> threading.Thread:
        thread = threading.Thread(
            target=target, args=arguments, name="rtnb.tuner", daemon=True
        )
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)
        thread.start()
        return thread

    # -- sound -----------------------------------------------------------------------

    def _welcome(self, _: object) -> Answer:
        outline = self._sound.overview()
        facts = {
            "rate": self._sound.sample_rate,
            "session": self._session is not None,
            "dialects": list(DIALECTS),
            "path": self.labels_path,
        }
        place = {"start": outline.start, "end": outline.stop, "live": self._sound.live}
        return {**place, "facts": facts}, outline.buffers

    def _give_detail(self, content: dict[str, Any]) -> Answer:
        outline = self._sound.detail(
            float(content["start"]), float(content["stop"]), int(content["bins"])
        )
        return {"start": outline.start, "stop": outline.stop}, outline.buffers

    def _give_audio(self, content: dict[str, Any]) -> Answer:
        return {}, [self._sound.pcm(float(content["start"]), float(content["end"]))]

    def _find_probability(self) -> None:
        """Send the probability to whoever listens, once it is found."""
        with self._lock:
            if self._finding is not None and self._finding.is_alive():
                return
        self._finding = self._start(self._send_probability)

    def _send_probability(self) -> None:
        try:
            self._sound.probability(self._tell_progress)
            found, first_hop = self._sound.judged()
        except _Closed:
            return
        except (RtnbError, OSError) as error:
            self._tell({"type": "trouble", "message": str(error)})
            return
        facts = {"hop_ms": found.hop_ms, "first_hop": first_hop}
        self._tell({"type": "probability", **facts}, [found.p.astype("<f4").tobytes()])

    def _tell_progress(self, done: float, total: float) -> None:
        if self._closed.is_set():
            raise _Closed
        if done < total:
            self._tell({"type": "progress", "done": done, "total": total})

    def _give_sentences(self, _: object) -> Answer:
        found = self._sound.sentences()
        if found is None:
            raise ConfigError("the pauses of live sound are not judged by the words")
        return {}, [found.hops.astype("<i4").tobytes(), found.p.astype("<f4").tobytes()]

    # -- turns -----------------------------------------------------------------------

    def _find(self, settings: Settings) -> _Found:
        probability, first_hop = self._sound.judged()
        if isinstance(settings, ServerVad):
            turns = segment(probability, settings)
        else:
            sentences = self._sound.sentences()
            turns = segment(probability, settings, sentences=sentences)
        return _Found(turns, probability, first_hop)

    def _chosen(self, content: dict[str, Any]) -> Settings:
        """Settings of a page, as they are when it asks."""
        return checked_settings(
            settings_from_page(content["settings"], before=self.settings)
        )

    def _explain(self, content: dict[str, Any]) -> Answer:
        settings = self._chosen(content)
        found = self._find(settings)
        started = int(content["started"]) - found.first_hop
        starts = [turn.started_hop for turn in found.turns]
        if started not in starts:
            return {"text": "it is gone by now"}, []
        index = starts.index(started)
        text = explain(
            found.turns[index],
            clip=self._sound.clip_from(found.first_hop),
            probability=found.probability,
            settings=settings,
            following=next(iter(found.turns[index + 1 :]), None),
        )
        return {"text": text}, []

    def _code(self, content: dict[str, Any]) -> Answer:
        settings = self._chosen(content)
        return {"text": as_code(settings, content["dialect"])}, []

    # -- labels ----------------------------------------------------------------------

    def _labels_message(self) -> dict[str, Any]:
        rows = labels_to_page(self.labels)
        return {"type": "labels", "labels": rows, "drawn_by": self._drawn_by}

    def _take_labels(self, content: dict[str, Any]) -> None:
        """Labels of a page; the others are told."""
        self._drawn_by = content.get("page")
        try:
            self.labels = labels_from_page(content["labels"])
        except RtnbError as error:
            self._tell({"type": "trouble", "message": f"Labels not taken: {error}"})
        finally:
            self._drawn_by = None

    def _save(self, content: dict[str, Any]) -> Answer:
        self.save(str(content["path"]))
        count = len(self.labels)
        path = Path(self.labels_path).resolve()
        return {
            "text": f"{count} label{'' if count == 1 else 's'} saved in {path}."
        }, []

    # -- the session -----------------------------------------------------------------

    def _apply(self, content: dict[str, Any]) -> Answer:
        settings = self._chosen(content)
        if self._session is None:
            raise ConfigError(
                "no session is attached: write rtnb.VadTuner(clip, session=session)"
            )
        self._session.configure(turn_detection=settings)
        return {"text": _in_force(settings, _detection_of(self._session))}, []


def _in_force(wanted: Settings, effective: Settings | None) -> str:
    """What a session made of settings, in words."""
    asked, got = settings_to_page(wanted), settings_to_page(effective)
    if asked == got:
        return f"In force in the session: {_in_words(asked)}."
    return f"The session was asked for {_in_words(asked)}, but has {_in_words(got)}."


def _in_words(settings: dict[str, Any] | None) -> str:
    if settings is None:
        return "no turn detection"
    facts = [f"{name} {value}" for name, value in settings.items() if name != "type"]
    return f"{settings['type']} with {', '.join(facts)}"


def _sound_of(
    sound: Any, probability: SpeechProbability | None
) -> tuple[Sound, Session | None]:
    """What is tuned on, and the session that it comes from."""
    if isinstance(sound, Clip):
        return RecordedSound(sound, probability=probability), None
    if hasattr(sound, "tap_input"):
        if probability is not None:
            raise ConfigError(
                "a session is heard live, so its probability is not known beforehand: "
                "leave probability out"
            )
        return LiveSound(sound), sound
    path = getattr(sound, "microphone", sound)
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(
            f"{sound!r} is nothing to tune on: give a Clip, the path of a sound file, a "
            "recording or a Session"
        )
    if Path(path).is_dir():
        raise ConfigError(f"{path} is a folder: give one of its sound files")
    return RecordedSound(Clip.from_file(Path(path)), probability=probability), None


def _detection_of(sound: Any) -> Settings | None:
    """Turn detection of a session, or what a recording ended with."""
    found = getattr(sound, "settings", None)
    if isinstance(found, tuple):
        found = found[-1].turn_detection if found else None
    for name in ("audio", "input", "turn_detection"):
        found = getattr(found, name, found)
    return found if isinstance(found, Settings) else None


def _later(turn: Segment, hops: int) -> Segment:
    """A turn of a sound whose first hops are forgotten, in the sound's own time."""
    stopped = turn.stopped_hop
    return replace(
        turn,
        audio_start_ms=turn.audio_start_ms + hops * turn.hop_ms,
        audio_end_ms=turn.audio_end_ms + hops * turn.hop_ms,
        started_hop=turn.started_hop + hops,
        stopped_hop=None if stopped is None else stopped + hops,
    )
