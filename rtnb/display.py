"""What a turn and a session show in a notebook: text, static HTML and a picture.

The HTML needs no script and no kernel. Everything that was said is escaped, control and
direction characters are made visible, and the colours follow the page's own.
"""

from __future__ import annotations

import atexit
import base64
import functools
import logging
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rtnb.markup import plain, safe
from rtnb.notebook import show_questions_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtnb.audio import Clip
    from rtnb.protocol.images import Image
    from rtnb.session.approval import Approvals
    from rtnb.session.session import Session
    from rtnb.session.turn import Latency, Segment, ToolCall, Turn
    from rtnb.usage import Cost, Usage

log = logging.getLogger("rtnb.display")

FOLLOW_INTERVAL_S: Final = 0.25
"""Four times a second at most: text does not move faster than one can read."""

FOLLOW_LIMIT_S: Final = 600.0
"""After ten minutes a turn that is still not done is left as it stands."""

PLAYER_LIMIT_S: Final = 60.0
"""Longest clip that gets a player: a minute adds 3.8 MB to the notebook."""

THUMBNAIL_SIDE: Final = 240
"""Pixels of a shown image in a notebook: the model was shown it whole."""

TURN: Final = ("rtnb.session", "Turn")
SESSION: Final = ("rtnb.session", "Session")
"""Module and name of what shows itself, so that neither need be loaded before."""

FITTING_MS: Final = 40.0
"""Segments make up a sound whose length is theirs but for so much: two chunks."""

STYLE: Final = """<style>
.rtnb-turn, .rtnb-session { color: inherit; max-width: 52rem; line-height: 1.45; }
.rtnb-turn img { display: block; width: 100%; height: auto; background: none; }
.rtnb-turn img.rtnb-shown { display: inline-block; width: auto; max-width: 100%;
  margin: 0 0.4rem 0.2rem 0; vertical-align: top; }
.rtnb-turn dl { display: grid; grid-template-columns: max-content 1fr; margin: 0;
  gap: 0.2rem 1rem; }
.rtnb-turn dt { font-weight: 600; text-align: left; width: auto; opacity: 0.75; }
.rtnb-turn dd { margin: 0; overflow-wrap: anywhere; }
.rtnb-turn audio { display: block; height: 2rem; max-width: 22rem; width: 100%;
  margin: 0.2rem 0; }
.rtnb-turn ul { margin: 0; padding-left: 1.2rem; }
.rtnb-unheard { opacity: 0.6; text-decoration: line-through; }
.rtnb-trouble { color: var(--jp-error-color1, #dc4c4c); font-weight: 600; }
.rtnb-session table { border-collapse: collapse; color: inherit; width: 100%;
  font-size: inherit; margin: 0; table-layout: auto; }
.rtnb-session th, .rtnb-session td { color: inherit; background: none; border: 0;
  border-bottom: 1px solid var(--jp-border-color2, rgba(128, 128, 128, 0.4));
  padding: 0.25rem 0.8rem 0.25rem 0; text-align: left; vertical-align: top;
  white-space: normal; overflow-wrap: break-word; }
.rtnb-session .rtnb-n { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
</style>"""


# -- a turn ------------------------------------------------------------------------------


def turn_html(turn: Turn) -> str:
    """Static HTML of a turn.

    Parameters
    ----------
    turn : Turn
        Done or still going on.

    Returns
    -------
    str
        Both waveforms with the speech segments, what either side said, players, tokens,
        cost, latency, notes and the error, without any script.
    """
    return _turn_html(turn, turn_png(turn), players=True)


def turn_png(turn: Turn) -> bytes | None:
    """Picture of a turn: both waveforms, with the segments in which speech was heard.

    Parameters
    ----------
    turn : Turn
        Done or still going on.

    Returns
    -------
    bytes or None
        Transparent PNG; None as long as there is no sound to draw.
    """
    sounds = _sounds(turn)
    if not sounds:
        return None
    from rtnb.plots import plot_waveform
    from rtnb.plots.figure import new_axes, png
    from rtnb.plots.palette import ASSISTANT, INK, USER

    figure, panes = new_axes(8, 1.35 * len(sounds) + 0.1, ratios=[1] * len(sounds))
    for (name, clip), ax in zip(sounds.items(), panes, strict=True):
        mine = name == "You"
        marks = _placed(turn.segments, clip) if mine else []
        plot_waveform(clip, ax, color=USER if mine else ASSISTANT, segments=marks)
        title = f"{name}, {clip.duration:.2f} s"
        ax.set_title(title, loc="left", color=INK, size=9)
        ax.set_ylabel("")
    for ax in panes[:-1]:
        ax.set_xlabel("")
    return png(figure)


def turn_text(turn: Turn) -> str:
    """A turn in a few lines of plain text.

    Parameters
    ----------
    turn : Turn
        Done or still going on.

    Returns
    -------
    str
        Lines without control characters of what was said.
    """
    lines = [f"{_heading(turn)}"]
    lines += [f"  {name:<8} {value}" for name, value in _facts(turn).items()]
    lines += [f"  {'note':<8} {plain(note)}" for note in turn.notes]
    if turn.error is not None:
        lines.append(f"  {'error':<8} {plain(turn.error)}")
    return "\n".join(lines)


def _turn_html(turn: Turn, picture: bytes | None, *, players: bool) -> str:
    sounds = _sounds(turn)
    rows = [
        (name, value + (_player(sounds[sound]) if players and sound in sounds else ""))
        for name, value, sound in (
            ("You", _shown(turn.images) + _said(_you(turn)), "You"),
            ("Answer", heard_html(turn), "Answer"),
        )
        if value or sound in sounds
    ]
    rows += [
        (name.capitalize(), safe(value))
        for name, value in _facts(turn).items()
        if name not in ("image", "you", "answer")
    ]
    if turn.notes:
        items = "".join(f"<li>{safe(note)}</li>" for note in turn.notes)
        rows.append(("Notes", f"<ul>{items}</ul>"))
    if turn.error is not None:
        trouble = f'<span class="rtnb-trouble" role="alert">{safe(turn.error)}</span>'
        rows.append(("Error", trouble))
    body = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return (
        f'{STYLE}<div class="rtnb-turn"><strong>{safe(_heading(turn))}</strong>'
        f"{_picture(turn, picture)}<dl>{body}</dl></div>"
    )


def _heading(turn: Turn) -> str:
    match turn.status:
        case "done":
            return f"Turn {turn.index}"
        case "cancelled" | "failed":
            return f"Turn {turn.index}, {turn.status}"
        case going_on:
            return f"Turn {turn.index}, {going_on} …"


def _facts(turn: Turn) -> dict[str, str]:
    """What there is to say about a turn, name by name, in plain text."""
    facts = {
        "image": ", ".join(f"{one.width} x {one.height}" for one in turn.images),
        "you": plain(_you(turn)),
        "answer": plain(turn.text),
        "called": plain(", ".join(map(_call, turn.tool_calls))),
        "tokens": _tokens(turn.usage),
        "cost": "" if turn.cost is None else _priced(turn.cost),
        "latency": _waits(turn.latency),
    }
    return {name: value for name, value in facts.items() if value}


def _call(call: ToolCall) -> str:
    known = call.arguments
    given = (
        ", ".join(f"{name}={value!r}" for name, value in known.items())
        if isinstance(known, dict)
        else known
    )
    output = "" if call.output is None else f" → {call.output}"
    return _shortened(f"{call.name}({given}){output}")


def _priced(cost: Cost) -> str:
    return str(cost) if cost.usd is None else f"{cost} at the prices of {cost.model}"


def _waits(latency: Latency) -> str:
    from rtnb.plots.turns import latencies

    return ", ".join(f"{name} {ms:.0f} ms" for name, ms in latencies(latency).items())


def _shown(images: Iterable[Image]) -> str:
    """Images that were shown, small."""
    return "".join(
        f'<img class="rtnb-shown" alt="Image, {one.width} x {one.height} pixels" '
        f'src="{_data_uri("image/png", one.thumbnail(THUMBNAIL_SIDE))}">'
        for one in images
    )


def _you(turn: Turn) -> str:
    if turn.user_text:
        return turn.user_text
    return "(speech)" if turn.input_audio is not None or turn.segments else ""


def heard_html(turn: Turn) -> str:
    """What the model said, escaped; what was not heard is marked ``rtnb-unheard``."""
    text, heard = turn.text, turn.heard
    if heard == text or not text.startswith(heard):
        return _said(text)
    rest = text[len(heard) :]
    return f'{_said(heard)}<span class="rtnb-unheard" title="not heard">{safe(rest)}</span>'


def _tokens(usage: Usage | None) -> str:
    if usage is None:
        return ""
    read, written = usage.input_token_details, usage.output_token_details
    inwards = _kinds(
        text=read.text_tokens,
        audio=read.audio_tokens,
        image=read.image_tokens,
        cached=read.cached_tokens,
    )
    outwards = _kinds(text=written.text_tokens, audio=written.audio_tokens)
    return f"{usage.input_tokens:,} in{inwards}, {usage.output_tokens:,} out{outwards}"


def _kinds(**counts: int) -> str:
    named = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    return f" ({named})" if named else ""


def _sounds(turn: Turn) -> dict[str, Clip]:
    both = {"You": turn.input_audio, "Answer": turn.audio}
    return {name: clip for name, clip in both.items() if clip is not None and len(clip)}


@dataclass(frozen=True)
class _Mark:
    """Where a segment lies in its turn's own sound, milliseconds."""

    audio_start_ms: float
    audio_end_ms: float


def _placed(segments: Iterable[Segment], clip: Clip) -> list[_Mark]:
    """Segments of session time in the user's sound, which they make up one by one.

    A sound that is not made up of them, such as one that was cut elsewhere by a commit,
    gets none rather than wrong ones.
    """
    marks: list[_Mark] = []
    length = 1000 * clip.duration
    at = 0.0
    for stretch in segments:
        end = stretch.audio_end_ms
        until = length if end is None else at + end - stretch.audio_start_ms
        marks.append(_Mark(at, until))
        at = until
    return marks if abs(at - length) <= FITTING_MS else []


def _picture(turn: Turn, picture: bytes | None) -> str:
    if picture is None:
        return ""
    described = " and ".join(
        f"{name.lower()}, {clip.duration:.1f} s" for name, clip in _sounds(turn).items()
    )
    return f'<img alt="Waveforms: {safe(described)}" src="{_data_uri("image/png", picture)}">'


def _player(clip: Clip) -> str:
    if clip.duration > PLAYER_LIMIT_S:
        return f"<br><em>{clip.duration:.0f} s: too long to keep a player in the notebook</em>"
    source = _data_uri("audio/wav", clip.to_wav_bytes())
    return f'<audio controls preload="metadata" src="{source}"></audio>'


def _data_uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


# -- a session ---------------------------------------------------------------------------


def session_html(session: Session) -> str:
    """Static HTML of a session: its turns so far and their sums.

    Parameters
    ----------
    session : Session
        Open or closed.

    Returns
    -------
    str
        A table without any script.
    """
    turns = list(session.turns)
    head = "".join(
        f'<th{_aligned(column)} scope="col">{column}</th>' for column in _COLUMNS
    )
    rows = "".join(_row(cells) for cells in map(_turn_cells, turns))
    foot = _row(("", "All turns", "", *_sums(session), ""), tag="th")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody><tfoot>{foot}</tfoot></table>"
    return (
        f'{STYLE}<div class="rtnb-session"><strong>{safe(_session_heading(session))}'
        f"</strong>{table if turns else '<p>Nothing has been said yet.</p>'}</div>"
    )


def session_text(session: Session) -> str:
    """A session in plain text, a line for every turn.

    Parameters
    ----------
    session : Session
        Open or closed.

    Returns
    -------
    str
        Lines without control characters of what was said.
    """
    lines = [_session_heading(session)]
    for turn in list(session.turns):
        said = " → ".join(filter(None, (_you(turn), turn.text)))
        lines.append(f"  {turn.index:>3}  {_shortened(plain(said))}")
    return "\n".join(lines)


_COLUMNS: Final = ("turn", "you", "answer", "in", "out", "cost", "first sound")


def _turn_cells(turn: Turn) -> tuple[str, ...]:
    answer = heard_html(turn)
    if turn.error is not None:
        answer += f' <span class="rtnb-trouble">{safe(turn.error)}</span>'
    usage, first_sound = turn.usage, turn.latency.stopped_to_first_audio_ms
    return (
        str(turn.index),
        _said(_you(turn)),
        answer if turn.done else f"{answer} …",
        "" if usage is None else f"{usage.input_tokens:,}",
        "" if usage is None else f"{usage.output_tokens:,}",
        "" if turn.cost is None else str(turn.cost),
        "" if first_sound is None else f"{first_sound:.0f} ms",
    )


def _sums(session: Session) -> tuple[str, str, str]:
    usage = session.usage
    return f"{usage.input_tokens:,}", f"{usage.output_tokens:,}", str(session.cost)


def _row(cells: Iterable[str], *, tag: str = "td") -> str:
    return (
        "<tr>"
        + "".join(
            f"<{tag}{_aligned(column)}>{cell}</{tag}>"
            for column, cell in zip(_COLUMNS, cells, strict=True)
        )
        + "</tr>"
    )


def _aligned(column: str) -> str:
    """Attributes of a cell; words in a style of its own, which outlasts a sanitizer."""
    if column in ("you", "answer"):
        return ' style="text-align: left; width: 38%"'
    return ' class="rtnb-n"'


def _session_heading(session: Session) -> str:
    turns = len(session.turns)
    count = "1 turn" if turns == 1 else f"{turns} turns"
    billed = "" if session.billed else ", which here is not billed"
    tokens = f"{session.usage.total_tokens:,} tokens"
    model = plain(session.model)
    return f"Session with {model}: {count}, {tokens}, {session.cost}{billed}"


# -- text that was said ------------------------------------------------------------------


def _said(text: str) -> str:
    return f"<span>{safe(text)}</span>" if text else ""


def _shortened(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


# -- in a notebook -----------------------------------------------------------------------


def register(ipython: Any) -> None:
    """Let turns and sessions show themselves at the end of a cell.

    Parameters
    ----------
    ipython : InteractiveShell
        The running IPython. In a kernel a turn follows what happens until it is done; a
        terminal shows the text.

    Notes
    -----
    May be called twice. Following runs on a daemon thread, at most four times a second
    and ten minutes long, and ends with the process.
    """
    formatter = ipython.display_formatter
    formatters = formatter.formatters
    for kind, as_text, as_html in (
        (TURN, turn_text, turn_html),
        (SESSION, session_text, session_html),
    ):
        formatters["text/plain"].for_type_by_name(*kind, _printer(as_text))
        formatters["text/html"].for_type_by_name(*kind, as_html)
    formatters["image/png"].for_type_by_name(*TURN, turn_png)
    if getattr(ipython, "kernel", None) is not None:
        show = functools.partial(_show, ipython.display_pub)
        formatter.ipython_display_formatter.for_type_by_name(*TURN, show)
        show_questions_by(_show_approvals)


def _show_approvals(approvals: Approvals) -> None:
    """Ask in the running cell whether what the model wants may be called."""
    from IPython.display import display

    from rtnb.widgets.approvals import PassingApprovalBox

    display(PassingApprovalBox(approvals))  # type: ignore[no-untyped-call]


def _show(publisher: Any, turn: Turn) -> None:
    """Publish a turn in the running cell and follow it there until it is done."""
    follower = Follower(turn, publisher.publish)
    follower.refresh()
    if not turn.done:
        threading.Thread(
            target=_run_quietly, args=(follower,), name="rtnb-display", daemon=True
        ).start()


class Follower:
    """Shows a turn, and shows it again in the same place when it has changed.

    Parameters
    ----------
    turn : Turn
        What is followed.
    publish : callable
        `publish` of IPython's display publisher.
    """

    def __init__(self, turn: Turn, publish: Callable[..., None]) -> None:
        self._turn = turn
        self._publish = publish
        self._transient = {"display_id": uuid.uuid4().hex}
        self._shown: tuple[object, ...] = ()
        self._drawn: tuple[object, ...] = ()
        self._picture: bytes | None = None

    def refresh(self) -> None:
        """Publish the turn if it is another than the one that is shown."""
        turn = self._turn
        sounds = _sound_state(turn)
        words = (
            turn.done,
            turn.status,
            _facts(turn),
            turn.heard,
            turn.notes,
            turn.error,
        )
        if self._shown == (sounds, *words):
            return
        if self._drawn != sounds:
            self._drawn, self._picture = sounds, turn_png(turn)
        again = bool(self._shown)
        self._shown = (sounds, *words)
        bundle = _bundle(turn, self._picture, players=words[0])
        self._publish(bundle, transient=self._transient, update=again)

    def run(
        self,
        *,
        wait: Callable[[float], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Refresh until the turn is done.

        Parameters
        ----------
        wait : callable
            Lets so many seconds pass; true when it is time to end.
        now : callable
            Seconds on a clock that does not jump.
        """
        deadline = now() + FOLLOW_LIMIT_S
        done = False
        while not done and now() < deadline and not wait(FOLLOW_INTERVAL_S):
            done = self._turn.done
            self.refresh()


def _run_quietly(follower: Follower) -> None:
    try:
        follower.run(wait=_process_ends.wait)
    except Exception:  # a thread of ours must not write into somebody's cell
        log.exception("display.failed")


_process_ends = threading.Event()
atexit.register(_process_ends.set)


def _sound_state(turn: Turn) -> tuple[object, ...]:
    lengths = tuple((name, len(clip)) for name, clip in _sounds(turn).items())
    marks = tuple((s.audio_start_ms, s.audio_end_ms) for s in turn.segments)
    return lengths, marks


def _bundle(turn: Turn, picture: bytes | None, *, players: bool) -> dict[str, Any]:
    """MIME bundle of a turn; players only when it is done, for they are heavy."""
    bundle = {
        "text/plain": turn_text(turn),
        "text/html": _turn_html(turn, picture, players=players),
    }
    if picture is not None:
        bundle["image/png"] = base64.b64encode(picture).decode()
    return bundle


def _printer(as_text: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
    def printer(value: Any, page: Any, _cycle: bool) -> None:  # noqa: FBT001 - IPython's call
        page.text(as_text(value))

    return printer
