"""Microphone and speaker of the page, and their way to the gateway.

The page owns devices, sound and, where it can, the media socket; this half gives out
endpoints and, where the page can reach no socket, tunnels it. Fast things never touch
the kernel; the traits are small and hold no secret: a ticket goes to the page in a
custom message, once for each attempt.

Messages of the page: ``hello`` (this page shows the port), ``open`` (an endpoint, please),
``tunnel.open``, ``tunnel.send``, ``tunnel.close``, ``probe.played``, ``probe.failed``,
``dropped``, ``bye``. Messages to it: ``endpoint``, ``refused``, ``lease`` (which page has
the sound), ``tunnel.frames``, ``tunnel.closed``, ``probe``. All carry the page's id. Handlers only enqueue: they may run on a
subshell's thread or while a cell waits.
"""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import uuid
from typing import TYPE_CHECKING, Any, Protocol

import anywidget
import ipywidgets
import traitlets as t
from typing_extensions import override

from rtnb.audio import pcm16_encode
from rtnb.errors import ConfigError, RtnbError, TransportError
from rtnb.portal import portal
from rtnb.widgets.comm_routing import let_in_while_busy
from rtnb.widgets.loader import bundle, stylesheet
from rtnb.widgets.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.audio import Samples

log = logging.getLogger("rtnb.widgets")

NO_PAGE = (
    "No browser page shows this panel yet: open the notebook in JupyterLab or "
    "Notebook 7, or send a recorded clip with session.send_audio(clip)."
)
"""What `AudioPort.message` says until a page has said hello."""


PAGE_GONE = "the page with the sound is gone"
"""Why a probe was not played."""


class MediaEndpoint(Protocol):
    """Where a page may open the media socket, once."""

    @property
    def port(self) -> int:
        """Port of the gateway on the kernel's 127.0.0.1."""
        ...

    @property
    def path(self) -> str:
        """Path of the socket, such as ``/rtnb/media``."""
        ...

    @property
    def ticket(self) -> str:
        """Single-use and short-lived; a secret until it is used."""
        ...


class AudioPort(anywidget.AnyWidget):
    """The microphone and the speaker of the page that shows it.

    Parameters
    ----------
    source : ipywebrtc MediaStream, optional
        What is heard instead of the microphone, such as
        ``ipywebrtc.AudioStream.from_file("question.wav")``.
    open_media : callable, optional
        ``open_media(origin)`` mints an endpoint for a page of that origin (such as
        ``"https://hub.example.org"``). Called on a thread of its own, for each attempt.

    Attributes
    ----------
    mode : {"hands-free", "push-to-talk"}
        Whether Talk is a switch, or held down while one speaks.
    talking, muted : bool
        Whether the page sends sound, and whether that is silence. Setting `talking`
        works once somebody has clicked on the page: browsers ask for that.
    devices : list of {"deviceId", "label"}
        Microphones of the page, known after permission was given.
    device : str
        ``deviceId`` of the chosen one; empty for the browser's own choice.
    echo_cancellation, noise_suppression, auto_gain_control : bool
        What the browser does to the microphone; all off for headsets and measurements.
    state : {"idle", "connecting", "live", "suspended", "error"}
        Written by the page: ``live`` means that answers can be heard.
    transport : {"", "direct", "proxy", "comm"}
        How the sound travels; ``comm`` is the reduced mode through the kernel.
    message : str
        A sentence for the person when something must be known or done.
    sample_rate : int
        Hz, of the page's audio context; what is sent and played is 24 kHz all the same.
    level : float
        Of the microphone, dBFS with a full-scale square wave at 0; five a second at most.
    playing_item : str
        Conversation item that sounds; empty when none does.
    played_ms : int
        How much of the latest item was heard, output latency taken off.
    page_alive : bool
        Whether a page shows the port.
    dropped : int
        Chunks and frames that were thrown away because something was too slow.
    port_id : str
        What a `LiveTimeline` on the same page finds it by.

    Notes
    -----
    Of several pages (browser tabs) the one where Talk was pressed last has the sound.
    """

    _esm = bundle("audio_port.js")
    _css = stylesheet("theme.css", "meter.css", "audio_port.css")

    port_id = t.Unicode(read_only=True).tag(sync=True)
    mode = t.Enum(["hands-free", "push-to-talk"], "hands-free").tag(sync=True)
    talking = t.Bool(default_value=False).tag(sync=True)
    muted = t.Bool(default_value=False).tag(sync=True)
    devices = t.List(t.Dict()).tag(sync=True)
    device = t.Unicode("").tag(sync=True)
    echo_cancellation = t.Bool(default_value=True).tag(sync=True)
    noise_suppression = t.Bool(default_value=True).tag(sync=True)
    auto_gain_control = t.Bool(default_value=True).tag(sync=True)
    source = t.Instance(ipywidgets.Widget, allow_none=True).tag(
        sync=True, **ipywidgets.widget_serialization
    )
    state = t.Enum(["idle", "connecting", "live", "suspended", "error"], "idle").tag(
        sync=True
    )
    transport = t.Enum(["", "direct", "proxy", "comm"], "").tag(sync=True)
    message = t.Unicode(NO_PAGE).tag(sync=True)
    sample_rate = t.Int(0).tag(sync=True)
    level = t.Float(-120.0).tag(sync=True)
    playing_item = t.Unicode("").tag(sync=True)
    played_ms = t.Int(0).tag(sync=True)
    page_alive = t.Bool(default_value=False).tag(sync=True)
    dropped = t.Int(0).tag(sync=True)

    def __init__(
        self,
        source: ipywidgets.Widget | None = None,
        *,
        open_media: Callable[[str | None], MediaEndpoint] | None = None,
        **traits: Any,
    ) -> None:
        self._open_media = open_media
        self._pages: set[str] = set()
        self._leased = ""
        self._lost: dict[str, int] = {}
        self._tunnel: Tunnel | None = None
        self._carrying: concurrent.futures.Future[None] | None = None
        self._probe = 0
        self._probes: dict[int, concurrent.futures.Future[int]] = {}
        self._lock = threading.Lock()
        super().__init__(source=source, **traits)
        self.on_msg(self._receive)

    @t.default("port_id")
    def _new_id(self) -> str:
        return uuid.uuid4().hex

    @override
    def open(self) -> None:
        """Open the comm, and let its messages in while a cell runs where that can be."""
        super().open()
        let_in_while_busy(self.comm)

    @override
    def close(self) -> None:
        """Take the port off the page and end its tunnel."""
        self._end_tunnel()
        self._fail_probes(PAGE_GONE)
        super().close()

    # -- what the page says ----------------------------------------------------------

    def _receive(self, _: object, content: dict[str, Any], buffers: list[Any]) -> None:
        match content:
            case {"type": "hello", "page": str(page)}:
                self._welcome(page)
            case {"type": "bye", "page": str(page)}:
                self._part(page)
            case {"type": "open", "page": str(page), "attempt": attempt}:
                self._lease(page)
                origin = content.get("origin")
                self._start(self._answer_open, page, attempt, origin)
            case {"type": "tunnel.open", "page": str(page), "tunnel": int(number)}:
                self._lease(page)
                self._open_tunnel(page, number)
            case {"type": "tunnel.send", "page": self._leased}:
                self._put(content.get("text"), buffers)
            case {"type": "tunnel.close", "page": self._leased}:
                self._end_tunnel()
            case {"type": "probe.played", "probe": int(number), "sample": int(sample)}:
                self._settle_probe(number, sample)
            case {"type": "probe.failed", "probe": int(number), "message": str(why)}:
                self._settle_probe(number, TransportError(why))
            case {"type": "dropped", "page": str(page), "total": int(total)}:
                self._count_lost(page, total)
            case _:
                log.warning("message.unknown", extra={"rtnb.type": content.get("type")})

    def _welcome(self, page: str) -> None:
        self._pages.add(page)
        self.page_alive = True
        if self.message == NO_PAGE:
            self.message = ""

    def _part(self, page: str) -> None:
        self._pages.discard(page)
        self.page_alive = bool(self._pages)
        if page == self._leased:
            self._end_tunnel()
            self._leased = ""
            self._fail_probes(PAGE_GONE)
            with self.hold_sync():
                self.state, self.transport, self.playing_item = "idle", "", ""
                self.talking = False

    def _lease(self, page: str) -> None:
        """That page has the sound now; the others let go of it."""
        if page != self._leased:
            self._leased = page
            self._fail_probes(PAGE_GONE)
            self.send({"type": "lease", "page": page})

    def _count_lost(self, source: str, total: int) -> None:
        with self._lock:
            self._lost[source] = total
            self.dropped = sum(self._lost.values())

    # -- probes ----------------------------------------------------------------------

    def play_probe(self, samples: Samples) -> concurrent.futures.Future[int]:
        """Play a short sound in the page that has the sound, beside any answer.

        Parameters
        ----------
        samples : float32 array, shape (n,), n >= 1
            24 kHz, in [-1, 1].

        Returns
        -------
        Future of int
            When the sound began: samples of the session's input audio before it, which
            is what `Session.tap_input` counts in. It is known once the microphone has
            sent as much. It fails with `TransportError` if the page cannot play it.

        Raises
        ------
        TransportError
            If no page has the sound: nobody has pressed Talk yet.

        Notes
        -----
        The page knows both positions on one clock, that of its audio context. The delay
        of the loudspeaker and of the microphone are not in it: they are the echo's.
        """
        if not self._leased:
            raise TransportError("no page has the sound: press Talk once")
        played: concurrent.futures.Future[int] = concurrent.futures.Future()
        with self._lock:
            self._probe += 1
            number = self._probe
            self._probes[number] = played
        content = {"type": "probe", "page": self._leased, "probe": number}
        self.send(content, buffers=[pcm16_encode(samples)])
        return played

    def _settle_probe(self, number: int, outcome: int | TransportError) -> None:
        with self._lock:
            played = self._probes.pop(number, None)
        if played is None:
            return
        if isinstance(outcome, TransportError):
            played.set_exception(outcome)
        else:
            played.set_result(outcome)

    def _fail_probes(self, reason: str) -> None:
        for number in list(self._probes):
            self._settle_probe(number, TransportError(reason))

    # -- endpoints -------------------------------------------------------------------

    def _answer_open(self, page: str, attempt: object, origin: str | None) -> None:
        address = {"page": page, "attempt": attempt}
        try:
            endpoint = self._mint(origin)
        except RtnbError as error:
            self.send({"type": "refused", **address, "message": str(error)})
        except Exception as error:
            self.send({"type": "refused", **address, "message": repr(error)})
            raise
        else:
            facts = {
                "port": endpoint.port,
                "path": endpoint.path,
                "ticket": endpoint.ticket,
            }
            self.send({"type": "endpoint", **address, **facts})

    def _mint(self, origin: str | None) -> MediaEndpoint:
        if self._open_media is None:
            raise ConfigError(
                "This AudioPort has no session: show rtnb.Panel(session) instead"
            )
        return self._open_media(origin)

    @staticmethod
    def _start(target: Callable[..., None], *arguments: object) -> None:
        threading.Thread(
            target=target, args=arguments, name="rtnb.audio_port", daemon=True
        ).start()

    # -- the tunnel ------------------------------------------------------------------

    def _open_tunnel(self, page: str, number: int) -> None:
        self._end_tunnel()
        source = f"tunnel {page} {number}"
        tunnel = Tunnel(
            number,
            page=page,
            send=self.send,
            call_soon=portal().call,
            on_drop=lambda total: self._count_lost(source, total),
        )
        self._tunnel = tunnel
        self._start(self._carry, tunnel, page, number)

    def _carry(self, tunnel: Tunnel, page: str, number: int) -> None:
        try:
            endpoint = self._mint(None)
        except RtnbError as error:
            closed = {"type": "tunnel.closed", "page": page, "tunnel": number}
            self.send({**closed, "reason": str(error)})
            return
        url = f"ws://127.0.0.1:{endpoint.port}{endpoint.path}?ticket={endpoint.ticket}"
        with self._lock:
            if self._tunnel is tunnel:
                self._carrying = portal().submit(tunnel.run(url))

    def _put(self, text: object, buffers: list[Any]) -> None:
        tunnel = self._tunnel
        if tunnel is None:
            return
        if isinstance(text, str):
            tunnel.put(text)
        for buffer in buffers:
            tunnel.put(bytes(buffer))

    def _end_tunnel(self) -> None:
        with self._lock:
            self._tunnel = None
            if self._carrying is not None:
                self._carrying.cancel()
            self._carrying = None
