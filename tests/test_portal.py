"""The threads that own our event loops."""

from __future__ import annotations

import asyncio
import concurrent.futures
import subprocess
import sys
import threading

import pytest

from rtnb.portal import Portal, portal, settled, user_portal


@pytest.fixture
def own():
    made = Portal("rtnb.test")
    yield made
    made.close()


async def thread_name():
    return threading.current_thread().name


async def forever():
    await asyncio.Event().wait()


def test_coroutines_run_on_its_thread_and_give_their_result(own):
    assert own.run(thread_name()) == "rtnb.test"
    assert own.submit(thread_name()).result() == "rtnb.test"


def test_it_starts_on_first_use_and_may_be_used_again_after_its_end(own):
    assert not own.running
    own.run(thread_name())
    assert own.running
    own.close()
    assert not own.running
    assert own.run(thread_name()) == "rtnb.test"


def test_waiting_for_itself_is_refused_at_once(own):
    async def nested():
        own.run(thread_name())

    with pytest.raises(RuntimeError, match="would wait for itself"):
        own.run(nested())


def test_a_wait_that_times_out_cancels_the_task(own):
    cancelled = threading.Event()

    async def hang():
        try:
            await forever()
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        own.run(hang(), timeout=0.01)
    assert cancelled.wait(5)


def test_its_end_cancels_what_still_runs(own):
    future = own.submit(forever())
    own.run(thread_name())
    own.close()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(5)


def test_call_hands_a_plain_function_to_the_loop(own):
    seen = concurrent.futures.Future()
    own.call(lambda: seen.set_result(threading.current_thread().name))
    assert seen.result(5) == "rtnb.test"


def test_any_loop_can_await_a_future_and_cancelling_the_wait_leaves_it():
    future = concurrent.futures.Future()

    async def both():
        impatient = asyncio.ensure_future(settled(future))
        await asyncio.sleep(0)
        impatient.cancel()
        patient = asyncio.ensure_future(settled(future))
        await asyncio.sleep(0)
        future.set_result("done")
        return await patient, impatient.cancelled()

    assert asyncio.run(both()) == ("done", True)


def test_a_future_may_outlive_the_loop_that_awaited_it():
    future = concurrent.futures.Future()

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(settled(future), 0.001)

    asyncio.run(give_up())
    future.set_result(None)


def test_the_process_has_one_for_sockets_and_one_for_users():
    assert portal() is portal()
    assert user_portal() is user_portal()
    assert portal() is not user_portal()


def test_a_forked_child_gets_its_own():
    script = (
        "import os\n"
        "from rtnb.portal import portal\n"
        "async def one(): return 1\n"
        "portal().run(one())\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(0 if portal().run(one()) == 1 else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    assert run_script(script) == ("0\n", "")


def test_the_end_of_the_interpreter_is_quiet_with_tasks_still_running():
    script = (
        "import asyncio\n"
        "from rtnb.portal import portal\n"
        "async def hang():\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        print('ended')\n"
        "async def none(): pass\n"
        "portal().submit(hang())\n"
        "portal().run(none())\n"
    )
    assert run_script(script) == ("ended\n", "")


def run_script(script):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout, done.stderr
