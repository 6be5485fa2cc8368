"""Trying the user's own models before anybody talks to them.

A server is asked for its list of models (``GET /models``). That settles the name where
none was given and there is one model only. A name that is not in the list need not be
wrong, for some servers answer to any: a tiny request decides. A voice is always tried,
since no list tells whether it speaks a format that can be played.
"""

from __future__ import annotations

import difflib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from rtnb.audio.files import wav_bytes
from rtnb.errors import ConfigError, MissingExtra
from rtnb.gateway.adapters.settings import (
    ChatSettings,
    Models,
    Place,
    SttSettings,
    TtsSettings,
)
from rtnb.vad.listener import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from rtnb.gateway.adapters.server import ModelServer

TRIED_VOICE: Final = "alloy"
"""The voice with which a session begins."""

TRIED_S: Final = 0.5
"""Seconds of silence that a recogniser is tried with."""

MOST_NAMED: Final = 8
"""Models that a message names."""

NAMES: Final = {
    "chat": "the chat model",
    "stt": "the recogniser",
    "tts": "the voice",
}
"""Parts, for people."""

_OK = 200
_REFUSED = (401, 403)


@dataclass(frozen=True)
class Probe:
    """A part that answered.

    Parameters
    ----------
    part : {"chat", "stt", "tts"}
        Which.
    settings : Place
        With the name of its model.
    found : str
        What answered, in one line.
    """

    part: str
    settings: Place
    found: str


def probe(part: str, place: Place) -> Probe:
    """Try one part.

    Parameters
    ----------
    part : {"chat", "stt", "tts"}
        Which.
    place : Place
        Its settings.

    Returns
    -------
    Probe
        What answered.

    Raises
    ------
    MissingExtra
        If a package is missing.
    ConfigError
        If its key is not there, or which model is meant cannot be told.
    EngineError
        If nothing answers, or not as such a server would.

    Notes
    -----
    Blocks: for a part of a second where the models are loaded, at most for its timeout.
    """
    if isinstance(place, SttSettings) and place.whisper is not None:
        from rtnb.gateway.adapters.whisper import check

        found = check(place)
        return Probe(part, place, f"{NAMES[part]}: faster-whisper with {found}")
    if importlib.util.find_spec("httpx") is None:
        raise MissingExtra("a model of your own", "models")
    return _Attempt(part, place).run()


def probe_all(models: Models, *, say: Callable[[str], object]) -> Models:
    """Try every part.

    Parameters
    ----------
    models : Models
        What was chosen.
    say : callable
        Told before and after each, for who waits while a server loads a model.

    Returns
    -------
    Models
        The same, with the names of the models.

    Raises
    ------
    MissingExtra, ConfigError, EngineError
        See `probe`; of the first that does not answer.
    """
    settled: dict[str, Any] = {}
    for part, place in models.parts.items():
        say(f"trying {NAMES[part]}, {place.url}")
        tried = probe(part, place)
        say(tried.found)
        settled[part] = tried.settings
    return msgspec.structs.replace(models, **settled)


class _Attempt:
    """One part being tried."""

    def __init__(self, part: str, place: Place) -> None:
        from rtnb.gateway.adapters.server import ModelServer

        self._part = part
        self._place = place
        self._server: ModelServer = ModelServer(place, what=NAMES[part])

    def run(self) -> Probe:
        import httpx

        try:
            with httpx.Client(**self._server.options) as client:
                return self._run(client)
        except httpx.HTTPError as error:
            raise self._server.failure(error) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise self._server.wrong(f"has no such address: {error}") from error

    def _run(self, client: httpx.Client) -> Probe:
        listed = self._listed(client)
        place = self._named(listed)
        known = any(_same(place.model, name) for name in listed)
        if not known or isinstance(place, TtsSettings):
            self._try(client, place, listed)
        model = place.model or "its only model"
        others = f", of {len(listed)} there" if len(listed) > 1 else ""
        key = f", with the key in {place.key_env}" if place.key_env else ""
        found = f"{NAMES[self._part]}: {model}{others}, at {place.url}{key}"
        return Probe(self._part, place, found)

    def _listed(self, client: httpx.Client) -> list[str]:
        """Names of the server's models; none where it does not tell."""
        response = client.get(f"{self._place.url}/models")
        if response.status_code in _REFUSED or response.is_redirect:
            raise self._server.refusal(response, response.content)
        if response.status_code != _OK:
            return []
        try:
            listed = response.json()["data"]
            return [str(one["id"]) for one in listed]
        except (ValueError, KeyError, TypeError):
            return []

    def _named(self, listed: list[str]) -> Place:
        place = self._place
        if place.model or not listed:
            return place
        if len(listed) > 1:
            raise ConfigError(
                f"which model? the server at {place.url} has {_some(listed)}: name one "
                f"as model under [{self._part}], or as --{self._part}-model"
            )
        return msgspec.structs.replace(place, model=listed[0])

    def _try(self, client: httpx.Client, place: Place, listed: list[str]) -> None:
        """Ask for as little as can be asked for."""
        path, body, hint = _tiny_request(place)
        near = difflib.get_close_matches(place.model, listed, n=1)
        if listed and not any(_same(place.model, name) for name in listed):
            meant = f"did you mean {near[0]!r}? " if near else ""
            hint = f"{meant}It has {_some(listed)}"
        response = client.post(f"{place.url}{path}", **body)
        if response.status_code != _OK:
            raise self._server.refusal(response, response.content, hint=hint)
        if isinstance(place, TtsSettings):
            self._listen(response)

    def _listen(self, response: httpx.Response) -> None:
        from rtnb.gateway.adapters.speech import Decoder

        decoder = Decoder(response, self._server)
        if not len(decoder.feed(response.content)) + len(decoder.end()):
            raise self._server.wrong("made no sound of 'Hello.'")


def _tiny_request(place: Place) -> tuple[str, dict[str, Any], str]:
    """Path, body and hint."""
    from rtnb.gateway.adapters import chat, speech, transcription

    match place:
        case ChatSettings():
            hello = [{"role": "user", "content": "Hello."}]
            body = {"model": place.model, "messages": hello, "max_tokens": 1}
            return chat.PATH, {"json": {**body, **place.extra}}, ""
        case TtsSettings():
            voice = place.voice_for(TRIED_VOICE)
            said = speech.body_of("Hello.", place, voice=voice, speed=1.0)
            return speech.PATH, {"json": said}, speech.hint_of(voice)
        case SttSettings():
            silence = np.zeros(round(TRIED_S * SAMPLE_RATE), np.float32)
            wav = wav_bytes(silence, SAMPLE_RATE)
            form = {**transcription.form_of(place), "stream": "false"}
            files = {"file": ("silence.wav", wav, "audio/wav")}
            return transcription.PATH, {"data": form, "files": files}, ""
        case _:
            raise AssertionError(place)


def _same(model: str, listed: str) -> bool:
    """Whether a name is meant; a tag may be left out, as Ollama has it."""
    return bool(model) and listed in (model, f"{model}:latest")


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:MOST_NAMED]))
    return (
        f"{shown} and {len(names) - MOST_NAMED} more"
        if len(names) > MOST_NAMED
        else shown
    )
