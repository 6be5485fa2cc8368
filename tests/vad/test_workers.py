"""Threads, processes, a Dask cluster: the figures are the same, and nothing is left."""

import os
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import psutil
import pytest

from rtnb.audio import EXAMPLES, Clip
from rtnb.errors import EngineError
from rtnb.vad import add_noise, sweep
from rtnb.vad.workers import POOL_FROM_S

SETTINGS = {"threshold": [0.4, 0.6], "silence_duration_ms": [200, 500]}

LISTEN_SLOWLY = """
import os, sys, threading
from rtnb.audio import Clip
from rtnb.vad import sweep

def slow(hop):
    if not os.path.exists(sys.argv[2]):
        open(sys.argv[2], "w").close()
        os.write(1, b"listening\\n")
    threading.Event().wait(0.005)
    return 0.5

if __name__ == "__main__":
    try:
        sweep([sys.argv[1], sys.argv[1] + ".2.wav"], model=slow)
    except KeyboardInterrupt:
        os.write(1, b"interrupted\\n")
"""


@pytest.fixture(scope="module")
def lasting_threads(lasting_threads):
    """Dask keeps a thread to offload work to for as long as the process lives."""
    return lasting_threads | {"Dask-Offload_0"}


@pytest.fixture
def files(tmp_path):
    """The examples, and in their midst one that is no sound."""
    paths = [tmp_path / f"{name}.wav" for name in EXAMPLES]
    for path in paths:
        (Clip.example(path.stem) + Clip.silence(1.0, 16_000)).save(path)
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    return [paths[0], bad, *paths[1:]]


@pytest.fixture
def expected(files):
    return sweep(files, **SETTINGS)


def test_threads_find_the_same(files, expected):
    with ThreadPoolExecutor(3) as executor:
        frame = sweep(files, **SETTINGS, executor=executor)
        assert executor.submit(int).result() == 0  # it is left open
    assert frame.equals(expected)
    assert frame.attrs == expected.attrs


def test_a_single_clip_may_have_an_executor(files, expected):
    with ThreadPoolExecutor(1) as executor:
        frame = sweep(files[0], **SETTINGS, executor=executor)
    assert frame.equals(expected[expected["file"] == str(files[0])])


def test_processes_of_our_own_find_the_same(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr("rtnb.vad.workers.POOL_FROM_S", 1.0)
    stressors = {"as it is": None, "10 dB": partial(add_noise, snr_db=10, seed=0)}
    here = sweep(files, **SETTINGS, executor=InThisThread(), stressors=stressors)
    frame = sweep(files, **SETTINGS, stressors=stressors)
    assert frame.equals(here)
    assert frame.attrs == here.attrs
    assert frame.attrs["failed"].keys() == {f"{files[1]}", f"{files[1]} (10 dB)"}
    plain = frame[frame["stressor"] == "as it is"].drop(columns="stressor")
    assert plain.reset_index(drop=True).equals(expected)


def test_small_work_starts_no_process(files):
    before = psutil.Process().children()
    sweep(files, **SETTINGS, model=lambda hop: 0.5)  # a lambda cannot be sent
    assert psutil.Process().children() == before


class InThisThread(Executor):
    """An executor of the plainest kind."""

    def submit(self, function, /, *arguments, **named):
        future = Future()
        future.set_result(function(*arguments, **named))
        return future


class Interrupted(InThisThread):
    """One that is interrupted at the second task."""

    def __init__(self):
        self.futures = []

    def submit(self, function, /, *arguments, **named):
        if self.futures:
            raise KeyboardInterrupt
        self.futures.append(Future())
        return self.futures[0]


def test_an_interrupt_cancels_what_was_asked_for(files):
    executor = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        sweep(files, executor=executor)
    assert [each.cancelled() for each in executor.futures] == [True]


class Lost(InThisThread):
    """One whose workers fail in the way that the exception says."""

    def __init__(self, error):
        self.error = error

    def submit(self, function, /, *arguments, **named):
        future = super().submit(function, *arguments, **named)
        if arguments[0].sound.stem == "austen-0880":
            future = Future()
            future.set_exception(self.error)
        return future


def test_a_task_that_is_lost_has_failed(files):
    frame = sweep(files, executor=Lost(MemoryError("the worker was killed")))
    assert frame.attrs["failed"][str(files[2])] == "the worker was killed"
    assert frame["file"].tolist() == [str(files[0]), str(files[3])]


def test_lost_processes_are_an_error(files):
    from concurrent.futures.process import BrokenProcessPool

    with pytest.raises(EngineError, match="below `if __name__"):
        sweep(files, executor=Lost(BrokenProcessPool("gone")))


@pytest.mark.skipif(os.cpu_count() == 1, reason="one processor, one process")
def test_an_interrupt_ends_the_processes(tmp_path):
    script, sound = tmp_path / "script.py", tmp_path / "long.wav"
    script.write_text(LISTEN_SLOWLY)
    second = Clip(np.zeros(8_000, np.float32), 8_000)
    long = Clip(np.tile(second.samples, int(POOL_FROM_S)), 8_000)
    long.save(sound)
    long.save(tmp_path / "long.wav.2.wav")
    command = [sys.executable, script, sound, tmp_path / "begun"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "listening\n"
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        for each in [*workers, process]:  # as a terminal does
            each.send_signal(signal.SIGINT)
        told, complaints = process.communicate(timeout=60)
    assert (told, complaints, process.returncode) == ("interrupted\n", "", 0)
    assert psutil.wait_procs(workers, timeout=5)[1] == []


def test_a_dask_cluster_reads_the_files_itself(files, expected):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
        client.get_executor() as executor,
    ):
        assert len(client.scheduler_info()["workers"]) == 2
        frame = sweep(files, **SETTINGS, executor=executor)
        assert sweep(files, **SETTINGS, executor=executor).equals(frame)
    assert frame.equals(expected)
    assert frame.attrs == expected.attrs
    assert list(frame.attrs["failed"]) == [str(files[1])]
