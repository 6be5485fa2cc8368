"""Which kind of session a client asks for, and the session itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rtnb.gateway.conversation import Conversation
from rtnb.gateway.hearing import Hearing
from rtnb.gateway.interpretation import Interpretation
from rtnb.gateway.models import DEFAULT_MODEL, TRANSLATION_MODEL
from rtnb.protocol.server import (
    ServerMachine,
    TranscriptionMachine,
    TranslationMachine,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtnb.gateway.client_secrets import Grant
    from rtnb.gateway.conversation import Engine

TRANSLATIONS: Final = "/v1/realtime/translations"
"""Where translation sessions are opened."""


def opened(
    path: str, query: Mapping[str, str], grant: Grant | None, engine: Engine
) -> Hearing:
    """Open the session that an address and a client secret ask for.

    Parameters
    ----------
    path : str
        Of the address.
    query : mapping
        Of the address. A ``model`` makes a conversation and ``intent=transcription`` a
        transcription session, as with the service; without either the secret decides.
        A conversation whose model neither names is the first update's to name.
    grant : Grant or None
        What was bound to the client secret. Settings of another kind of session than
        the one that is opened do not count.
    engine : Engine
        What hears and answers.

    Returns
    -------
    Hearing
        Fresh: its ``session.created`` is still to be taken.
    """
    bound = dict(grant.session) if grant is not None else {}
    kind = _kind(path, query, bound)
    if bound.get("type", "realtime") != kind:
        bound = {}
    model = query.get("model") or bound.get("model")
    now, seed = engine.clock.now(), engine.seed
    if kind == "transcription":
        machine = TranscriptionMachine(now=now, seed=seed, session=bound)
        return Hearing(machine, engine)
    if kind == "translation":
        return Interpretation(translation(bound, engine, model=model), engine)
    settings = {**bound, "model": model or DEFAULT_MODEL}
    conversing = ServerMachine(
        model=settings["model"],
        now=now,
        seed=seed,
        session=settings,
        model_open=not model,
    )
    return Conversation(conversing, engine)


def translation(
    settings: Mapping[str, Any], engine: Engine, *, model: str | None = None
) -> TranslationMachine:
    """A translation session with settings as a client secret is made with.

    Parameters
    ----------
    settings : mapping
        ``audio`` counts.
    engine : Engine
        Whose translator and whose clock.
    model : str, optional
        Echoed in the session.

    Returns
    -------
    TranslationMachine
        Fresh.

    Raises
    ------
    ServerError
        If the translator does not know the language.
    """
    return TranslationMachine(
        model=model or TRANSLATION_MODEL,
        now=engine.clock.now(),
        seed=engine.seed,
        session={key: settings[key] for key in ("audio",) if key in settings},
        languages=engine.translator.languages,
    )


def _kind(path: str, query: Mapping[str, str], bound: Mapping[str, Any]) -> str:
    if path == TRANSLATIONS:
        return "translation"
    if query.get("model"):
        return "realtime"
    if query.get("intent") == "transcription":
        return "transcription"
    return "transcription" if bound.get("type") == "transcription" else "realtime"
