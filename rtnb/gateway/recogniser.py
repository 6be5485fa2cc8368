"""Speech to text, off the event loop and off its interpreter lock.

A small pool of worker processes (`rtnb.gateway.recogniser_worker`) keeps the decoders
loaded. An utterance takes a worker when it begins and hands it audio while it is spoken,
so little is left to do at its end; when all are busy it waits for one. Workers end when
their standard input does, so a killed gateway leaves none behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rtnb.audio import pcm16_encode
from rtnb.errors import EngineError, MissingExtra
from rtnb.gateway.recogniser_worker import (
    AUDIO,
    CANCEL,
    DRAFT,
    END,
    HEADER,
    JUDGE,
    NUMBER,
    PHRASES,
)
from rtnb.protocol.server import HeardWord
from rtnb.vad.listener import SAMPLE_RATE, available

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from typing import TypeAlias

    from rtnb.audio import Samples

    _Answer: TypeAlias = asyncio.Future[dict[str, Any]]

log = logging.getLogger("rtnb.gateway")

FINISH_TIMEOUT_S: Final = 15.0
"""Decoding takes an eighth of the audio's time; a worker that needs this long is lost."""

END_TIMEOUT_S: Final = 1.0
"""A worker that is busy for longer when it should end is killed; it has nothing to lose."""


@dataclass(frozen=True)
class Transcript:
    """What was understood.

    Parameters
    ----------
    text : str
        All of it.
    seconds : float
        Length of the audio.
    words : tuple of HeardWord
        One for each word of `text`, or none where nothing more is known of them.
    """

    text: str
    seconds: float
    words: tuple[HeardWord, ...] = ()


class NoWordsError(EngineError):
    """The recogniser works, but there were no words in what it heard."""


class Recogniser:
    """A pool of speech recognisers.

    Parameters
    ----------
    phrases : iterable of str
        What the script answers to; these are recognised best.
    workers : int, default 2
        Utterances that can be listened to at once; each takes about 120 MB.
    """

    def __init__(self, phrases: Iterable[str] = (), *, workers: int = 2) -> None:
        self._phrases = tuple(phrases)
        self._count = workers
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._workers: set[_Worker] = set()
        self._hiring: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def available(self) -> bool:
        """Whether the recogniser is installed."""
        return available()

    async def start(self) -> None:
        """Begin to start and warm the workers; returns at once."""
        if self.available:
            for _ in range(self._count):
                _keep(self._hiring, self._hire())

    def utterance(self) -> Utterance:
        """Begin an utterance."""
        return Utterance(self)

    async def close(self) -> None:
        """End the workers; utterances under way fail."""
        self._closed = True
        for task in self._hiring:
            task.cancel()
        await asyncio.gather(*self._hiring, *self._ending, return_exceptions=True)
        await asyncio.gather(*(worker.end() for worker in self._workers))
        self._workers.clear()

    async def take(self) -> _Worker:
        """A worker of one's own, as soon as one is idle."""
        return await self._idle.get()

    def give_back(self, worker: _Worker) -> None:
        """Let the worker serve others; one that died is replaced."""
        if self._closed:
            return
        if worker.alive:
            self._idle.put_nowait(worker)
            return
        log.warning("recogniser.restarted")
        self._workers.discard(worker)
        _keep(self._ending, worker.end())
        _keep(self._hiring, self._hire())

    async def _hire(self) -> None:
        """Start a worker; one that cannot serve fails who takes it, and is replaced."""
        worker = await _Worker.start()
        self._workers.add(worker)
        with contextlib.suppress(EngineError):
            await worker.prepare(self._phrases)
        self._idle.put_nowait(worker)


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Run something beside, and hold it until it is done."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


class Utterance:
    """One go of the user, recognised while it is spoken.

    Notes
    -----
    Belongs to the event loop. `feed` never waits; what no worker has taken yet is kept.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._frames: asyncio.Queue[tuple[bytes, bytes | _Answer]] = asyncio.Queue()
        self._samples = 0
        self._ended = False
        self._work: asyncio.Task[tuple[HeardWord, ...]] | None = None
        if recogniser.available:
            self._work = asyncio.create_task(self._run())

    def feed(self, samples: Samples) -> None:
        """Give audio, float32 at 16 kHz; returns at once."""
        self._samples += len(samples)
        if self._work is not None:
            self._frames.put_nowait((AUDIO, pcm16_encode(samples)))

    async def judge(self) -> float | None:
        """How likely the words so far end a sentence; the utterance goes on.

        Returns
        -------
        float or None
            From 0 to 1; None if there are no words.

        Raises
        ------
        MissingExtra
            If pocketsphinx is not installed.
        EngineError
            If the utterance was given up, or the worker failed.
        """
        line = await self._ask(JUDGE)
        if line is None:
            raise EngineError("the recogniser ended before it had judged a pause")
        probability = line["probability"]
        return probability if isinstance(probability, float) else None

    async def draft(self) -> tuple[HeardWord, ...]:
        """The words so far; the utterance goes on.

        Returns
        -------
        tuple of HeardWord
            Without probabilities; none in the first second.

        Raises
        ------
        MissingExtra
            If pocketsphinx is not installed.
        EngineError
            If the utterance was given up, or the worker failed.
        """
        line = await self._ask(DRAFT)
        if line is None:
            raise EngineError("the recogniser ended before it had written a draft")
        return tuple(HeardWord(*word[:3]) for word in line["words"])

    async def _ask(self, kind: bytes) -> dict[str, Any] | None:
        """Ask the worker something in between; None if it ended before it answered."""
        if self._work is None:
            raise MissingExtra("speech recognition", "local")
        answer: _Answer = asyncio.get_running_loop().create_future()
        self._frames.put_nowait((kind, answer))
        await asyncio.wait((answer, self._work), return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None

    async def finish(self, *, timeout: float | None = None) -> Transcript:  # noqa: ASYNC109
        """End the utterance and wait for its words.

        Parameters
        ----------
        timeout : float, optional
            Seconds after which the worker is given up; by default 15 and as many as the
            audio has, for a recording may come faster than it is understood.

        Raises
        ------
        MissingExtra
            If pocketsphinx is not installed.
        EngineError
            If the worker failed.
        NoWordsError
            If no words were recognised.
        """
        if self._work is None:
            raise MissingExtra("speech recognition", "local")
        seconds = self._samples / SAMPLE_RATE
        if timeout is None:
            timeout = FINISH_TIMEOUT_S + seconds
        self._ended = True
        self._frames.put_nowait((END, b""))
        try:
            words = await asyncio.wait_for(self._work, timeout)
        except TimeoutError:
            raise EngineError(
                f"no words after {timeout:g} s: the recogniser did not answer"
            ) from None
        if not words:
            raise NoWordsError(
                f"no words recognised in {seconds:.1f} s of audio: speak a whole "
                "sentence, close to the microphone"
            )
        return Transcript(" ".join(word.text for word in words), seconds, words)

    def cancel(self) -> None:
        """Forget the utterance."""
        if self._work is not None:
            self._work.cancel()

    async def _run(self) -> tuple[HeardWord, ...]:
        worker = await self._recogniser.take()
        finished = False
        try:
            while True:
                kind, body = await self._frames.get()
                if isinstance(body, asyncio.Future):
                    line = await worker.ask(kind)
                    if not body.done():
                        body.set_result(line)
                    continue
                await worker.send(kind, body)
                if kind == END:
                    words = await worker.answer()
                    finished = True
                    return words
        finally:
            if self._ended and not finished:
                worker.kill()  # it owes an answer, or does not even read
            elif not finished:
                worker.forget()
            self._recogniser.give_back(worker)


class _Worker:
    """One process with its decoders."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lost = False
        self._questions = 0

    @classmethod
    async def start(cls) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rtnb.gateway.recogniser_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the gateway, which ends its workers
        )
        return cls(process)

    async def prepare(self, phrases: Iterable[str]) -> None:
        """Have it load its decoders."""
        await self.send(PHRASES, json.dumps(list(phrases)).encode())
        await self.line()

    @property
    def alive(self) -> bool:
        """Whether it can serve; a process that was killed may take a while to end."""
        return not self._lost and self._process.returncode is None

    async def send(self, kind: bytes, body: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None or not self.alive:
            raise self._loss()
        try:
            stdin.write(HEADER.pack(kind, len(body)) + body)
            await stdin.drain()
        except ConnectionError as error:
            raise self._loss() from error

    async def answer(self) -> tuple[HeardWord, ...]:
        """Words of the utterance; an answer that nobody waited for is left out."""
        while "text" not in (line := await self.line()):
            pass
        return tuple(HeardWord(*word) for word in line["words"])

    async def ask(self, kind: bytes) -> dict[str, Any]:
        """Its answer to a question in between."""
        self._questions += 1
        await self.send(kind, NUMBER.pack(self._questions))
        while _number(line := await self.line()) != self._questions:
            pass
        return line

    async def line(self) -> dict[str, Any]:
        stdout = self._process.stdout
        line = await stdout.readline() if stdout is not None else b""
        if not line:
            raise self._loss()
        message: dict[str, Any] = json.loads(line)
        return message

    def _loss(self) -> EngineError:
        self._lost = True
        return EngineError("the recogniser's process has ended")

    def forget(self) -> None:
        """Free it of its utterance."""
        if self._process.stdin is not None and self.alive:
            self._process.stdin.write(HEADER.pack(CANCEL, 0))

    def kill(self) -> None:
        """End it at once."""
        self._lost = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Close its standard input, by which it ends, and wait for that."""
        if self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(ConnectionError):
                await self._process.stdin.wait_closed()
        try:
            await asyncio.wait_for(self._process.wait(), END_TIMEOUT_S)
        except TimeoutError:
            self.kill()
            await self._process.wait()


def _number(line: dict[str, Any]) -> Any:
    """Which question a line answers."""
    return line.get("judged", line.get("drafted"))
