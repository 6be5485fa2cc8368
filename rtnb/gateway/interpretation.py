"""A session that translates: each sentence is said again in another language."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from rtnb.errors import EngineError
from rtnb.gateway.conversation import CLAUSE, DELTA_SAMPLES
from rtnb.gateway.hearing import Hearing
from rtnb.gateway.parts import in_language, speech
from rtnb.protocol import server as effects

if TYPE_CHECKING:
    import asyncio

    from rtnb.audio import Samples
    from rtnb.gateway.conversation import Engine
    from rtnb.protocol.server import TranslationMachine

log = logging.getLogger("rtnb.gateway")

VOICE = "alloy"
"""Who speaks where the language has no voice of its own; a translation cannot choose."""


class Interpretation(Hearing):
    """A session that translates.

    Parameters
    ----------
    machine : TranslationMachine
        Fresh: its ``session.created`` is still to be taken.
    engine : Engine
        What hears, translates and speaks.

    Notes
    -----
    Words and sound leave as soon as they are made, faster than they are spoken.
    """

    machine: TranslationMachine

    def __init__(self, machine: TranslationMachine, engine: Engine) -> None:
        super().__init__(machine, engine)
        self._sentence: asyncio.Task[None] | None = None

    @override
    def tasks(self) -> list[asyncio.Task[Any]]:
        """Everything that is under way."""
        under_way = [] if self._sentence is None else [self._sentence]
        return [*super().tasks(), *under_way]

    @override
    def do(self, effect: effects.Effect) -> None:
        """Start what the machine asks for."""
        match effect:
            case effects.Translate():  # one at a time: the next waits for `finish`
                self._sentence = self.start(self._translate(effect))
            case _:
                super().do(effect)

    async def _translate(self, wanted: effects.Translate) -> None:
        try:
            text = ""
            translation = self.engine.translator.translate(
                wanted.text, language=wanted.language
            )
            async with aclosing(translation) as pieces:
                async for piece in pieces:
                    self.machine.write(wanted.item_id, piece, self.now)
                    self.pump()
                    *clauses, text = CLAUSE.split(text + piece)
                    for clause in clauses:
                        await self._speak(wanted, clause)
            await self._speak(wanted, text)
            self.machine.finish(wanted.item_id, self.now)
        except EngineError as error:
            log.warning("translation.failed", extra={"rtnb.reason": str(error)})
            self.machine.fail(wanted.item_id, str(error), self.now)
        except Exception as error:
            log.exception("translation.failed")
            reason = f"{type(error).__name__}: {error}"
            self.machine.fail(wanted.item_id, reason, self.now)
        finally:
            self.pump()

    async def _speak(self, wanted: effects.Translate, clause: str) -> None:
        """Say one clause in the language's voice."""
        if not clause.strip():
            return
        mouth = in_language(self.engine.voice, wanted.language)
        held = np.zeros(0, np.float32)
        spoken = speech(mouth, clause.strip(), voice=VOICE, speed=1.0)
        async with aclosing(spoken) as pieces:
            async for piece in pieces:
                held = np.concatenate([held, piece.samples])
                while len(held) >= DELTA_SAMPLES:
                    self._play(wanted, held[:DELTA_SAMPLES])
                    held = held[DELTA_SAMPLES:]
        if len(held):
            self._play(wanted, held)

    def _play(self, wanted: effects.Translate, samples: Samples) -> None:
        self.machine.play(wanted.item_id, samples, self.now)
        self.pump()
