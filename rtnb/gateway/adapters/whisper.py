"""faster-whisper as the gateway's recogniser, in a thread of its process.

The package (extra ``whisper``) is imported and the model loaded when the gateway starts;
goes that end before that wait for it. CTranslate2, which does the work, lets go of the
interpreter's lock. As with a server, a go is written down when it is over and pauses are
not judged by words: see `rtnb.gateway.adapters.transcription`.

References
----------
.. [1] faster-whisper 1.2, ``WhisperModel`` and ``WhisperModel.transcribe``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from rtnb.errors import ConfigError, EngineError, MissingExtra
from rtnb.gateway.adapters.transcription import WholeListening

if TYPE_CHECKING:
    from rtnb.audio import Samples
    from rtnb.gateway.adapters.settings import SttSettings

log = logging.getLogger("rtnb.gateway")


class WhisperRecogniser:
    """Writes down what is said, by faster-whisper.

    Parameters
    ----------
    settings : SttSettings
        Model, device and language.
    """

    def __init__(self, settings: SttSettings) -> None:
        self._settings = settings
        self._model: asyncio.Task[Any] | None = None
        self._one_at_a_time = threading.Lock()

    async def start(self) -> None:
        """Begin to load the model; returns at once."""
        self._model = asyncio.create_task(asyncio.to_thread(load, self._settings))
        self._model.add_done_callback(_tell)

    def utterance(self) -> WhisperListening:
        """Begin to listen.

        Returns
        -------
        WhisperListening
            To be fed.
        """
        return WhisperListening(self)

    async def transcribe(self, samples: Samples, given_up: threading.Event) -> str:
        """Write down a recording.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            At 16 kHz.
        given_up : threading.Event
            Set, it ends the work at the next segment.

        Returns
        -------
        str
            The words; perhaps none.

        Raises
        ------
        EngineError
            If the model cannot be loaded, or fails.
        """
        if self._model is None:
            await self.start()
        assert self._model is not None
        model = await asyncio.shield(self._model)
        return await asyncio.to_thread(self._work, model, samples, given_up)

    async def close(self) -> None:
        """Let go of the model."""
        model, self._model = self._model, None
        if model is not None:
            model.cancel()
            with contextlib.suppress(asyncio.CancelledError, EngineError, ConfigError):
                await model

    def _work(self, model: Any, samples: Samples, given_up: threading.Event) -> str:
        with self._one_at_a_time:
            try:
                segments, _ = model.transcribe(
                    samples,
                    language=self._settings.language or None,
                    initial_prompt=self._settings.prompt or None,
                )
                words = []
                for segment in segments:  # decoded as they are asked for
                    words.append(segment.text)
                    if given_up.is_set():
                        break
            except Exception as error:
                raise EngineError(
                    f"faster-whisper failed ({type(error).__name__}: {error})"
                ) from error
        return "".join(words).strip()


def _tell(loading: asyncio.Task[Any]) -> None:
    """Log why there is no model, before anybody has spoken."""
    if not loading.cancelled() and (error := loading.exception()) is not None:
        log.warning("recogniser.unready", extra={"rtnb.reason": str(error)})


class WhisperListening(WholeListening):
    """One go of the user, that the model writes down.

    Parameters
    ----------
    recogniser : WhisperRecogniser
        Who writes it down.
    """

    def __init__(self, recogniser: WhisperRecogniser) -> None:
        super().__init__()
        self._recogniser = recogniser
        self._given_up = threading.Event()

    @override
    async def _write(self, samples: Samples) -> str:
        try:
            return await self._recogniser.transcribe(samples, self._given_up)
        finally:
            self._given_up.set()

    @override
    def cancel(self) -> None:
        """Forget it, and let the model stop."""
        self._given_up.set()
        super().cancel()


def check(settings: SttSettings) -> str:
    """See whether a model can be had, without loading it.

    Parameters
    ----------
    settings : SttSettings
        With a path or a size.

    Returns
    -------
    str
        What there is, for people.

    Raises
    ------
    MissingExtra
        If faster-whisper is not installed.
    ConfigError
        If there is no such directory, or no model in it.
    """
    if importlib.util.find_spec("faster_whisper") is None:
        raise MissingExtra("faster-whisper", "whisper")
    name = settings.whisper or ""
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "model.bin").is_file():
            raise ConfigError(
                f"{path} has no model.bin: give the directory of a model in "
                "CTranslate2's form (ct2-transformers-converter makes one)"
            )
        return f"the model in {path}"
    if name.startswith((".", "/", "~")) or name.count("/") > 1:  # no hub has such names
        raise ConfigError(f"there is no directory {path} with a faster-whisper model")
    fetched = "fetched if need be" if settings.download else "if it was fetched before"
    return f"the model {name!r}, {fetched}"


def load(settings: SttSettings) -> Any:
    """Load a model; takes seconds.

    Parameters
    ----------
    settings : SttSettings
        Which.

    Returns
    -------
    faster_whisper.WhisperModel
        Ready.

    Raises
    ------
    MissingExtra
        If faster-whisper is not installed.
    EngineError
        If the model cannot be loaded, or is not on this machine and may not be fetched.
    """
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise MissingExtra("faster-whisper", "whisper") from error
    path = Path(settings.whisper or "").expanduser()
    name = str(path) if path.is_dir() else settings.whisper
    try:
        return WhisperModel(
            name,
            device=settings.device,
            compute_type=settings.compute_type,
            local_files_only=not settings.download,
        )
    except Exception as error:
        hint = (
            ""
            if settings.download
            else "; if it is to be fetched, set download = true under [stt]"
        )
        raise EngineError(
            f"faster-whisper cannot load {name!r} ({type(error).__name__}: {error}){hint}"
        ) from error
