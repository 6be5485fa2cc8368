"""The panel: an ordinary box of widgets on one session.

Everything in it is an attribute that can be taken out, linked and put elsewhere:
``panel.threshold``, ``panel.timeline``, ``panel.transcript`` … Only what the browser
must do itself (a gesture, audio, a canvas) is a widget with code of its own; the rest
are plain ipywidgets.

Session events arrive on the session's thread and only mark the panel as dirty; one
worker paints what changed, at most ten times a second, and sends changed settings, so
that neither a cell nor a slider waits.
"""

from __future__ import annotations

import logging
import threading
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from rtnb.display import heard_html
from rtnb.errors import RtnbError
from rtnb.protocol.rules import VOICES
from rtnb.vad import SERVER_VAD_DEFAULTS, ServerVad
from rtnb.widgets import AudioPort, Calibrator, LiveTimeline
from rtnb.widgets.approvals import ApprovalBox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtnb.session import Session, Turn
    from rtnb.session.settings import SettingRow

log = logging.getLogger("rtnb.panel")

PAINT_INTERVAL_S = 0.1
"""Ten repaints a second at most: text does not move faster than one can read."""

TURNS_SHOWN = 30
"""The transcript shows the latest turns; all of them are in ``session.turns``."""

CONTROLS = {
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "instructions": "instructions",
}
"""Controls of the answer, and the settings in the table that they are for."""

ALWAYS_SHOWN = ("audio.input.turn_detection", "audio.output.voice")
"""Settings that the table shows even when nobody asked for them."""

CELL_LENGTH = 60
"""Characters of a value in the settings table."""

STYLE = """<style>
.rtnb-panel .widget-html-content { line-height: 1.45; }
.rtnb-panel .rtnb-lines { max-height: 15em; overflow-y: auto;
  overflow-wrap: anywhere; }
.rtnb-panel .rtnb-who { font-size: 0.8em; opacity: 0.75; margin-top: 0.4em; }
.rtnb-panel .rtnb-unheard { opacity: 0.6; text-decoration: line-through; }
.rtnb-panel table.rtnb { border-collapse: collapse; font-size: 0.92em; }
.rtnb-panel table.rtnb :is(td, th) { padding: 2px 14px 2px 0; text-align: left;
  border: 0; background: none; color: inherit; line-height: 1.3; }
.rtnb-panel table.rtnb td.n { text-align: right; font-variant-numeric: tabular-nums; }
.rtnb-panel { --rtnb-differs: #8a5200; --rtnb-trouble: #b3261e; }
[data-jp-theme-light="false"] .rtnb-panel { --rtnb-differs: #f0c04a;
  --rtnb-trouble: #ff8a80; }
.rtnb-panel table.rtnb td.rtnb-differs { color: var(--rtnb-differs); font-weight: 600; }
.rtnb-panel table.rtnb td.rtnb-refused { color: var(--rtnb-trouble); font-weight: 600; }
.rtnb-panel .rtnb-trouble { color: var(--rtnb-trouble); }
</style>"""


class Panel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Microphone, speaker, timeline, settings, transcript and meters of a session.

    Parameters
    ----------
    session : Session
        Whose panel this is. Closing the panel leaves the session open.
    source : ipywebrtc MediaStream, optional
        What is heard instead of the microphone, such as
        ``ipywebrtc.AudioStream.from_file("question.wav")``.

    Attributes
    ----------
    port : AudioPort
        Microphone and speaker: Talk, Mute, Interrupt, level.
    timeline : LiveTimeline
        The live drawing.
    calibrator : Calibrator
        The guided half-minute that finds settings for this microphone.
    mode, microphone, echo_cancellation, noise_suppression : ipywidgets
        How the page listens.
    threshold, prefix_padding, silence_duration, create_response, interrupt_response
        Turn detection; a change takes effect at once.
    voice, speed, instructions : ipywidgets
        How the model answers.
    transcript, meters, settings_table, message : ipywidgets.HTML
        What was said, what it cost, what was asked for and what is in force, and the
        sentence that says what to do about trouble.
    approvals : ApprovalBox
        Calls of functions that wait to be allowed.

    Notes
    -----
    Works without a browser page: nothing waits for one, and ``session.send_audio``
    speaks in the microphone's place.
    """

    def __init__(self, session: Session, *, source: Any = None) -> None:
        self.session = session
        self._make_audio(source)
        self._make_settings()
        self._make_readings()
        super().__init__(children=self._layout())
        self.add_class("rtnb-panel")
        self._link()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._wanted: dict[str, Any] = {}
        self._measured: ServerVad | None = None
        self._lock = threading.Lock()
        self._worker = threading.Thread(
            target=self._work, name="rtnb-panel", daemon=True
        )
        self._unsubscribe = session.on("*", lambda _: self._wake.set())
        self._unwatch = session.approvals.watch(self._wake.set)
        self._paint()
        self._worker.start()

    # -- parts -----------------------------------------------------------------------

    def _make_audio(self, source: Any) -> None:
        self.port = AudioPort(source=source, open_media=self.session.media_endpoint)
        self.timeline = LiveTimeline(port_id=self.port.port_id)
        self.calibrator = Calibrator(self.port, self.session)
        self.mode = widgets.ToggleButtons(
            options=[("Hands-free", "hands-free"), ("Push to talk", "push-to-talk")],
            tooltips=[
                "The server hears when a turn begins and ends.",
                "Hold Talk, or the space bar, while you speak.",
            ],
            style={"button_width": "8.5em"},
        )
        self.microphone = widgets.Dropdown(
            options=[("Default microphone", "")], layout={"width": "16em"}
        )
        self.echo_cancellation = widgets.Checkbox(
            value=True,
            description="Echo cancellation",
            indent=False,
            layout={"width": "auto"},
        )
        self.noise_suppression = widgets.Checkbox(
            value=True,
            description="Noise suppression",
            indent=False,
            layout={"width": "auto"},
        )

    def _make_settings(self) -> None:
        detection = self._effective_vad()
        wide = {"layout": {"width": "auto"}, "style": {"description_width": "13em"}}
        self.threshold = widgets.FloatSlider(
            value=detection.threshold,
            min=0.0,
            max=1.0,
            step=0.01,
            description="Threshold",
            **wide,
        )
        self.silence_duration = widgets.IntSlider(
            value=detection.silence_duration_ms,
            min=0,
            max=2000,
            step=20,
            description="Silence that ends (ms)",
            **wide,
        )
        self.prefix_padding = widgets.IntSlider(
            value=detection.prefix_padding_ms,
            min=0,
            max=1000,
            step=20,
            description="Kept before speech (ms)",
            **wide,
        )
        self.create_response = widgets.Checkbox(
            value=detection.create_response,
            description="Answer at the end of a turn",
            indent=False,
        )
        self.interrupt_response = widgets.Checkbox(
            value=detection.interrupt_response,
            description="Speech interrupts",
            indent=False,
        )
        effective = self._effective()
        voice = effective.get("audio.output.voice")
        voice = voice if voice in VOICES else VOICES[0]
        self.voice = widgets.Dropdown(
            options=VOICES, value=voice, description="Voice", **wide
        )
        self.speed = widgets.FloatSlider(
            value=effective.get("audio.output.speed", 1.0),
            min=0.25,
            max=1.5,
            step=0.05,
            description="Speed",
            continuous_update=False,
            **wide,
        )
        self.instructions = widgets.Textarea(
            value=str(effective.get("instructions", "")),
            description="Instructions",
            rows=3,
            continuous_update=False,
            **wide,
        )

    def _make_readings(self) -> None:
        self.transcript = widgets.HTML()
        self.meters = widgets.HTML()
        self.settings_table = widgets.HTML()
        self.message = widgets.HTML()
        self.approvals = ApprovalBox(self.session.approvals)

    def _layout(self) -> list[widgets.Widget]:
        row = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 14px"}
        half = {"flex": "1 1 28em"}
        listening = widgets.Box(
            [
                self.mode,
                self.microphone,
                self.echo_cancellation,
                self.noise_suppression,
            ],
            layout=row,
        )
        reading = widgets.Box(
            [
                widgets.Box([self.transcript], layout={"flex": "3 1 22em"}),
                widgets.Box([self.meters], layout={"flex": "1 1 14em"}),
            ],
            layout={"flex_flow": "row wrap", "grid_gap": "4px 20px"},
        )
        switches = widgets.Box(
            [self.create_response, self.interrupt_response], layout=row
        )
        detector = widgets.VBox(
            [self.threshold, self.silence_duration, self.prefix_padding, switches],
            layout=half,
        )
        answer = widgets.VBox([self.voice, self.speed, self.instructions], layout=half)
        sliders = widgets.Box(
            [detector, answer], layout={"flex_flow": "row wrap", "grid_gap": "4px 24px"}
        )
        settings = widgets.Accordion(
            [widgets.VBox([sliders, self.settings_table]), self.calibrator],
            titles=[
                "Settings: turn detection, voice, instructions",
                "Calibrate microphone",
            ],
            selected_index=0,
        )
        return [
            widgets.HTML(STYLE, layout={"display": "none"}),
            self.port,
            self.message,
            self.approvals,
            listening,
            self.timeline,
            reading,
            settings,
        ]

    def _link(self) -> None:
        """Tie the controls to the page and to the session."""
        # A choice is known to the page only by its index, so it goes through the kernel.
        widgets.link((self.mode, "value"), (self.port, "mode"))
        widgets.link((self.microphone, "value"), (self.port, "device"))
        for control, trait in (
            (self.echo_cancellation, "echo_cancellation"),
            (self.noise_suppression, "noise_suppression"),
        ):
            widgets.jslink((control, "value"), (self.port, trait))
        self.timeline.threshold = self.threshold.value
        widgets.jslink((self.threshold, "value"), (self.timeline, "threshold"))
        self.port.observe(self._devices_changed, "devices")
        for control in self._detection_controls:
            control.observe(self._detection_changed, "value")
        self.calibrator.observe(self._calibrating, "step")
        self.calibrator.observe(self._calibrated, "applied")
        for name in CONTROLS:
            getattr(self, name).observe(self._setting_changed(name), "value")

    # -- what the person changes -----------------------------------------------------

    def _devices_changed(self, change: dict[str, Any]) -> None:
        known = [("Default microphone", "")]
        known += [
            (device["label"] or f"Microphone {number}", device["deviceId"])
            for number, device in enumerate(change["new"], 1)
            if device["deviceId"] not in ("", "default")
        ]
        chosen = self.microphone.value
        self.microphone.options = known
        if chosen in [value for _, value in known]:
            self.microphone.value = chosen

    def _detection_changed(self, _: object) -> None:
        hands_free = self.mode.value == "hands-free"
        self._want(turn_detection=self.turn_detection if hands_free else None)

    def _calibrating(self, _: object) -> None:
        """While somebody calibrates, turn detection is off and not ours to change."""
        for control in self._detection_controls:
            control.disabled = self.calibrator.running

    def _calibrated(self, change: dict[str, Any]) -> None:
        with self._lock:
            self._measured = change["new"]
        self._wake.set()

    def _setting_changed(self, name: str) -> Callable[[dict[str, Any]], None]:
        def changed(change: dict[str, Any]) -> None:
            self._want(**{name: change["new"]})

        return changed

    @property
    def _detection_controls(self) -> tuple[Any, ...]:
        return (
            self.mode,
            self.threshold,
            self.silence_duration,
            self.prefix_padding,
            self.create_response,
            self.interrupt_response,
        )

    @property
    def turn_detection(self) -> ServerVad:
        """The settings that the sliders show."""
        return ServerVad(
            threshold=round(self.threshold.value, 2),
            prefix_padding_ms=self.prefix_padding.value,
            silence_duration_ms=self.silence_duration.value,
            create_response=self.create_response.value,
            interrupt_response=self.interrupt_response.value,
        )

    def _want(self, **settings: Any) -> None:
        if threading.current_thread() is self._worker:
            return  # what the worker puts back is in force already
        with self._lock:
            self._wanted.update(settings)
        self._wake.set()

    # -- the worker ------------------------------------------------------------------

    def _work(self) -> None:
        while not self._ended.is_set():
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                wanted, self._wanted = self._wanted, {}
                measured, self._measured = self._measured, None
            if measured is not None:
                self._follow(measured)
            trouble = self._configure(wanted) if wanted else None
            self._paint(trouble=trouble, configured=bool(wanted))
            self._ended.wait(PAINT_INTERVAL_S)

    def _configure(self, wanted: dict[str, Any]) -> str | None:
        try:
            self.session.configure(**wanted)
        except RtnbError as error:
            self._put_back(wanted.keys() & CONTROLS.keys())
            return f"{', '.join(wanted)} not changed: {error}"
        return None

    def _follow(self, settings: ServerVad) -> None:
        """Let the sliders show what the calibrator has applied."""
        self.threshold.value = settings.threshold
        self.silence_duration.value = settings.silence_duration_ms
        self.prefix_padding.value = settings.prefix_padding_ms

    def _put_back(self, refused: Iterable[str]) -> None:
        """Let the controls of refused settings show again what is in force."""
        effective = self._effective()
        for name in refused:
            if CONTROLS[name] in effective:
                getattr(self, name).value = effective[CONTROLS[name]]

    def _paint(self, *, trouble: str | None = None, configured: bool = False) -> None:
        turns = list(self.session.turns)
        self.approvals.refresh()
        _show(self.transcript, transcript_html(turns[-TURNS_SHOWN:]))
        _show(self.meters, meters_html(self.session))
        _show(self.settings_table, settings_html(self.session.settings_table()))
        if configured:
            _show(self.message, trouble_html(trouble) if trouble else "")

    def _effective(self) -> dict[str, Any]:
        return {row.setting: row.effective for row in self.session.settings_table()}

    def _effective_vad(self) -> ServerVad:
        """The detector in force, or the defaults where another or none is."""
        prefix = "audio.input.turn_detection."
        effective = self._effective()
        known = {
            name: effective[prefix + name]
            for name in SERVER_VAD_DEFAULTS.__struct_fields__
            if name != "idle_timeout_ms" and prefix + name in effective
        }
        return ServerVad(**known).filled()

    def close(self) -> None:
        """Take the panel off the page; the session goes on."""
        self.calibrator.close()
        self.approvals.close()
        self._ended.set()
        self._wake.set()
        self._unsubscribe()
        self._unwatch()
        self._worker.join(timeout=5)
        super().close()


def _show(widget: widgets.HTML, html: str) -> None:
    """Set the text if it changed: an equal one would still travel to the page."""
    if widget.value != html:
        widget.value = html


def trouble_html(sentence: str) -> str:
    """A sentence about trouble, announced to screen readers."""
    return f'<span class="rtnb-trouble" role="alert">{escape(sentence)}</span>'


def transcript_html(turns: Iterable[Turn]) -> str:
    """Both sides of the conversation, what was not heard struck through; escaped."""
    lines = []
    for turn in turns:
        if turn.user_text:
            lines.append(_line("You", escape(turn.user_text)))
        elif turn.input_audio is not None or turn.segments:
            lines.append(_line("You", "<em>(speech)</em>"))
        if turn.text:
            lines.append(_line("Model", heard_html(turn)))
        if turn.error is not None:
            trouble = escape(str(turn.error))
            lines.append(f'<div class="rtnb-trouble">{trouble}</div>')
    body = "".join(lines) or "Nothing has been said yet: press Talk and speak."
    return f'<div class="rtnb-lines" role="log" aria-label="Transcript">{body}</div>'


def _line(who: str, html: str) -> str:
    return f'<div class="rtnb-who">{who}</div><div>{html}</div>'


def meters_html(session: Session) -> str:
    """Tokens by kind and what they cost, as a small table."""
    usage = session.usage
    read, written = usage.input_token_details, usage.output_token_details
    rows = [
        ("Turns", str(len(session.turns))),
        ("Text in", f"{read.text_tokens:,}"),
        ("Audio in", f"{read.audio_tokens:,}"),
        ("of these cached", f"{read.cached_tokens:,}"),
        ("Text out", f"{written.text_tokens:,}"),
        ("Audio out", f"{written.audio_tokens:,}"),
    ]
    body = "".join(f'<tr><td>{k}</td><td class="n">{v}</td></tr>' for k, v in rows)
    return (
        f'<table class="rtnb" aria-label="Tokens and cost">{body}'
        f'<tr><th>Cost</th><td class="n"><b>{_dollars(session)}</b></td></tr></table>'
        f"<div>{_price_note(session)}</div>"
    )


def _dollars(session: Session) -> str:
    usd = session.cost.usd
    return "unknown" if usd is None else f"${usd:.4f}"


def _price_note(session: Session) -> str:
    model = escape(session.model)
    if session.billed:
        return f"<small>prices of {model}</small>"
    return f"<small>what {model} would cost; here nothing is billed</small>"


def settings_html(rows: Iterable[SettingRow]) -> str:
    """What was asked for, what is in force and what is documented; differences marked."""
    body = "".join(
        f"<tr><td>{escape(row.setting.removeprefix('audio.'))}</td>"
        f"<td>{_cell(row.requested)}</td>{_effective_cell(row)}"
        f"<td>{_cell(row.default)}</td></tr>"
        for row in rows
        if row.requested is not None or row.setting.startswith(ALWAYS_SHOWN)
    )
    head = (
        "<tr><th>setting</th><th>requested</th><th>effective</th><th>default</th></tr>"
    )
    return f'<table class="rtnb">{head}{body}</table>'


def _effective_cell(row: SettingRow) -> str:
    """The value in force, coloured where it is not the one asked for, or documented."""
    text = _cell(row.effective)
    if row.requested is not None and _cell(row.requested) != text:
        return f'<td class="rtnb-refused" title="not what was asked for">{text} ≠</td>'
    if row.default is not None and _cell(row.default) != text:
        return (
            f'<td class="rtnb-differs" title="not the documented default">{text}</td>'
        )
    return f"<td>{text}</td>"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    text = str(value)
    return escape(text if len(text) <= CELL_LENGTH else text[: CELL_LENGTH - 1] + "…")
