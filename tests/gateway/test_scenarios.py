"""The scenarios over a real socket, with the official client, strictly validated.

The gateway is the real one, in a thread; only mind, mouth, ears and clock are the
scenario's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading

import pytest
import uvicorn
from openai import OpenAI
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed

from rtnb.clock import Clock
from rtnb.errors import EngineError
from rtnb.gateway.app import Gateway
from rtnb.gateway.conversation import Engine
from rtnb.gateway.recogniser import Transcript
from rtnb.gateway.responder import ToolCall
from rtnb.gateway.voice import Spoken, Word
from rtnb.protocol.client import ClientMachine
from tests.protocol.scenario import FILES, play, read
from tests.protocol.stage import CLAUSE, NOW, appends, sound

# The SDK's synchronous client opens websockets in a way that websockets 17 deprecates.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"
)

STRICT = TypeAdapter(RealtimeServerEvent)
PATIENCE_S = 20.0
TOKEN = "scenario"
SCENARIOS = [scenario for scenario in map(read, FILES) if scenario.over_a_socket]


class HandClock(Clock):
    """Moved by hand; whoever sleeps on it wakes at once."""

    def __init__(self):
        self.time = NOW

    def now(self):
        return self.time

    async def sleep(self, seconds):
        await asyncio.sleep(0)


class Prompter:
    """Mind, mouth and ears that wait for the scenario's lines."""

    def __init__(self, labels=()):
        self.lines = {label: asyncio.Queue() for label in {None, *labels}}
        self.heard = asyncio.Queue()

    async def answer(self, request):
        label = request.instructions
        queue = self.lines[label if label in self.lines else None]
        while True:
            match await queue.get():
                case ("say", text):
                    yield f"{text}\n"
                case ("call", name, arguments):
                    yield ToolCall(name, arguments)
                case ("fail", code, message):
                    raise EngineError(message, code=code)
                case ("finish",):
                    return

    async def speak(self, text, *, voice, speed):
        yield Spoken(CLAUSE, (Word(text, 0, len(text), 0.0),))

    async def start(self):
        pass

    def utterance(self):
        return self

    def feed(self, samples):
        pass

    async def judge(self):
        return None

    async def draft(self):
        return ()

    async def finish(self):
        return Transcript(await self.heard.get(), 1.0)

    def cancel(self):
        pass

    async def close(self):
        pass


class Stage:
    """A gateway in a thread; each scenario has a connection and a prompter of its own."""

    def __init__(self):
        self.clock = HandClock()
        self.prompter = Prompter()
        engine = Engine(
            responder=self._answer,
            recogniser=self,
            voice=self,
            clock=self.clock,
        )
        self.gateway = Gateway(engine, token=TOKEN)
        self._listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self.gateway.app,
            log_level="critical",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with asyncio.Runner() as runner:
            self.loop = runner.get_loop()
            runner.run(self._server.serve(sockets=[self._listener]))

    def _answer(self, request):
        return self.prompter.answer(request)

    def __getattr__(self, name):
        return getattr(self.prompter, name)

    def close(self):
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    @contextlib.contextmanager
    def connection(self, scenario):
        self.prompter = Prompter(scenario.labels)
        self.clock.time = NOW
        port = self._listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1"
        client = OpenAI(api_key=TOKEN, base_url=url, max_retries=0)
        options = {"model": scenario.model}
        if scenario.transcribes:
            options = {"extra_query": {"intent": "transcription"}}
        with client, client.realtime.connect(**options) as opened:
            yield Audience(self, opened)


class Audience:
    """The official client on one connection of a stage."""

    def __init__(self, stage, connection):
        self._stage = stage
        self._connection = connection
        self._appended = 0
        self.client = ClientMachine()

    def send(self, event):
        self._connection.send(event)

    def send_text(self, text):
        self._connection.send_raw(text)

    def append(self, *what):
        data = sound(*what)
        self._appended += len(data) // 2
        for event in appends(data):
            self.send(event)

    def engine(self, label, verb, arguments):
        prompter = self._stage.prompter
        match verb:
            case "hear":
                self._put(prompter.heard, json.loads(arguments))
                return
            case "say":
                line = (verb, json.loads(arguments))
            case "call":
                name, _, given = arguments.partition(" ")
                line = (verb, name, json.loads(given))
            case "fail":
                code, _, message = arguments.partition(" ")
                line = (verb, code, json.loads(message))
            case "finish":
                line = (verb,)
        self._put(prompter.lines[label], line)

    def _put(self, queue, line):
        self._stage.loop.call_soon_threadsafe(queue.put_nowait, line)

    def wait(self, seconds):
        self._call(self._take_in)
        self._stage.clock.time += seconds
        self._call(self._pump)

    def _call(self, coroutine):
        future = asyncio.run_coroutine_threadsafe(coroutine(), self._stage.loop)
        return future.result(PATIENCE_S)

    async def _take_in(self):
        """Let the gateway hear all that was appended."""
        [dialogue] = self._stage.gateway._dialogues
        while dialogue.samples_appended < self._appended:  # noqa: ASYNC110 - it takes no time
            await asyncio.sleep(0)

    async def _pump(self):
        for dialogue in self._stage.gateway._dialogues:
            dialogue.pump()

    def take(self, *, wait):
        timeout = PATIENCE_S if wait else 0.0
        try:
            data = self._connection._connection.recv(timeout=timeout, decode=False)
        except (TimeoutError, ConnectionClosed):
            return None
        raw = json.loads(data)
        STRICT.validate_python(raw, strict=True)
        assert self._connection.parse_event(data).type == raw["type"]
        self.client.receive(data, 0.0)
        return raw

    def hung_up(self):
        with contextlib.suppress(ConnectionClosed):
            data = self._connection._connection.recv(timeout=PATIENCE_S)
            pytest.fail(f"the server goes on: {data}")
        return self._connection._connection.close_code


@pytest.fixture(scope="module")
def stage():
    opened = Stage()
    yield opened
    opened.close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenario(stage, scenario):
    with stage.connection(scenario) as audience:
        play(scenario, audience)
        assert audience.client.ignored_count == 0
        assert not audience.client.unknown
