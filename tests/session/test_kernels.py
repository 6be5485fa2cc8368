"""Sessions in real kernels: the one that is installed, and ipykernel 6.31."""

from __future__ import annotations

import os
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

pytestmark = pytest.mark.notebook

OLD_KERNEL = "RTNB_OLD_KERNEL_PYTHON"
PATIENCE_S = 90
ROOT = Path(__file__).parents[2]
CONNECT = """
    import asyncio, rtnb
    session = rtnb.connect(responder="tests.session.answers:answer")
    session.configure(output_modalities="text")
"""


@dataclass
class Cell:
    """What a cell gave: its output, and the name of its error."""

    out: str = ""
    error: str | None = None


class Kernel:
    """A kernel process that runs cells one after the other."""

    def __init__(self, python, log):
        self._path, self._log = log, log.open("w")
        self.manager = KernelManager(transport="tcp")
        launcher = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.manager._kernel_spec = KernelSpec(
            argv=[python, *launcher], language="python", display_name="test"
        )
        self.manager.start_kernel(cwd=str(ROOT), stderr=self._log)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE_S)

    @property
    def process(self):
        return psutil.Process(self.manager.provisioner.pid)

    def start(self, code):
        return self.client.execute(textwrap.dedent(code))

    def finish(self, message_id):
        """Collect the output of a cell until it is idle."""
        cell = Cell()
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE_S)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    cell.out += content["text"]
                case "execute_result":
                    cell.out += content["data"]["text/plain"]
                case "error":
                    cell.error = content["ename"]
                    cell.out += "\n".join(content["traceback"])
                case "status" if content["execution_state"] == "idle":
                    return cell

    def run(self, code):
        cell = self.finish(self.start(code))
        assert cell.error is None, cell.out
        return cell.out.strip()

    def until(self, message_id, text):
        """Wait for a line of a running cell."""
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE_S)
            ours = message["parent_header"].get("msg_id") == message_id
            if ours and text in message["content"].get("text", ""):
                return

    def shut_down(self):
        """End it as a front end does; what it wrote to standard error."""
        if self.manager.has_kernel:
            self.client.stop_channels()
            self.manager.shutdown_kernel()
            self.manager.cleanup_resources()
            self._log.close()
        return self._path.read_text()


def python_of(name):
    if name == "installed":
        return sys.executable
    python = os.environ.get(OLD_KERNEL)
    if python:
        return python
    sentence = f"{OLD_KERNEL} names no interpreter that has rtnb and ipykernel 6.31"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    return pytest.skip(sentence)


@pytest.fixture(params=["installed", "old"], scope="module")
def python(request):
    return python_of(request.param)


@pytest.fixture(scope="module")
def kernel(python, tmp_path_factory):
    """A kernel with a session."""
    started = Kernel(python, tmp_path_factory.mktemp("kernel") / "stderr.txt")
    started.run(CONNECT)
    yield started
    started.shut_down()


@pytest.fixture
def own_kernel(python, tmp_path):
    """A kernel of one's own."""
    started = Kernel(python, tmp_path / "stderr.txt")
    yield started
    started.shut_down()


def test_without_await(kernel):
    assert kernel.run("session.say('hello').wait(30).text") == "'I heard you.'"


def test_with_await_at_the_top_level(kernel):
    assert kernel.run("(await session.say('hello')).text") == "'I heard you.'"


def test_events_in_a_cell(kernel):
    code = """
        turn = session.say("hello")
        async for event in session:
            if type(event).__name__ == "ResponseDone":
                break
        print(turn.wait(30).text)
    """
    assert kernel.run(code) == "I heard you."


def test_a_turn_goes_on_while_a_cell_is_busy(kernel):
    code = """
        import threading
        turn, done = session.say("hello"), threading.Event()
        while not turn.done:
            sum(range(1000))
        print(turn.text)
    """
    assert kernel.run(code) == "I heard you."


def test_asynchronous_tools_in_a_cell(kernel):
    code = """
        async def weather(city: str) -> str:
            await asyncio.sleep(0)
            return f"foggy in {city}"

        session.configure(tools=[weather])
        print((await session.say("the weather?")).text)
    """
    assert kernel.run(code) == "The tool says foggy in Oslo."


def test_a_clip_is_sent_while_the_cell_awaits(kernel):
    code = """
        clip = rtnb.Clip.example().slice(0, 1.5)
        turn = await session.send_audio(clip)
        print(turn.kind, turn.done)
    """
    assert kernel.run(code) == "clip True"


def test_an_interrupt_stops_the_cell_and_nothing_else(kernel):
    running = kernel.start(
        "turn = session.say('wait'); print('begun', flush=True); turn.wait()"
    )
    kernel.until(running, "begun")
    kernel.manager.interrupt_kernel()
    assert kernel.finish(running).error == "KeyboardInterrupt"
    code = """
        session.cancel()
        print(session.turns[-1].wait(30).status, session.say("hello").wait(30).text)
    """
    assert kernel.run(code) == "cancelled I heard you."


def test_a_turn_shows_itself(kernel):
    kernel.run("turn = session.say('hello').wait(30)")
    message_id = kernel.start("turn")
    seen = []
    while True:
        message = kernel.client.get_iopub_msg(timeout=PATIENCE_S)
        if message["parent_header"].get("msg_id") != message_id:
            continue
        if message["msg_type"] in ("display_data", "execute_result"):
            seen.append(message["content"]["data"])
        if message["content"].get("execution_state") == "idle":
            break
    assert any("I heard you." in data.get("text/html", "") for data in seen)


def test_where_nest_asyncio_was_applied_before(own_kernel):
    own_kernel.run("import nest_asyncio; nest_asyncio.apply()")
    own_kernel.run(CONNECT)
    code = """
        first = session.say("hello").wait(30).text
        async def ask():
            return (await session.say("hello")).text
        second = asyncio.get_event_loop().run_until_complete(ask())
        print(first, second, (await session.say("hello")).text)
    """
    assert own_kernel.run(code) == " ".join(["I heard you."] * 3)


def test_where_nest_asyncio_is_applied_to_a_session_that_runs(own_kernel):
    own_kernel.run(CONNECT)
    code = """
        import nest_asyncio
        nest_asyncio.apply()
        async def ask():
            return (await session.say("hello")).text
        first = asyncio.get_event_loop().run_until_complete(ask())
        print(first, session.say("hello").wait(30).text)
    """
    assert own_kernel.run(code) == "I heard you. I heard you."


def test_the_end_of_the_kernel_ends_the_gateway_without_a_word(own_kernel):
    own_kernel.run(CONNECT)
    own_kernel.run("turn = session.say('wait')")
    (gateway,) = own_kernel.process.children()
    written = own_kernel.shut_down()
    gateway.wait(timeout=10)
    assert "Task was destroyed" not in written
    assert "Traceback" not in written
