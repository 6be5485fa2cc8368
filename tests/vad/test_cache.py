"""What is kept is what was found, or it is not there."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from rtnb.vad import CacheInfo, cache_info, clear_cache, speech_model
from rtnb.vad.cache import (
    ABANDONED_S,
    LIMIT_BYTES,
    Entry,
    ProbabilityCache,
    cache_key,
    probability_cache,
)

KEY = bytes(range(32))


def entry(count=5, seed=0):
    p = np.random.default_rng(seed).uniform(size=count).astype(np.float32)
    return Entry(p, 512, 16_000, "ab" * 32)


def key(number):
    return number.to_bytes(32, "big")


@pytest.fixture
def cache(tmp_path):
    return ProbabilityCache(tmp_path / "deep" / "folder")


def only_file(cache):
    (path,) = cache.folder.iterdir()
    return path


@pytest.mark.parametrize("count", [0, 1, 112_500])
def test_what_is_stored_is_loaded(cache, count):
    cache.store(KEY, entry(count))
    found = cache.load(KEY)
    assert np.array_equal(found.p, entry(count).p)
    assert found.p.dtype == np.float32
    assert (found.hop, found.sample_rate, found.source) == (512, 16_000, "ab" * 32)


def test_what_was_never_stored_is_not_there(cache):
    assert cache.load(KEY) is None
    cache.store(KEY, entry())
    assert cache.load(key(1)) is None


def test_a_file_cut_off_anywhere_is_not_there(cache):
    cache.store(KEY, entry())
    path = only_file(cache)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert cache.load(KEY) is None, length
    path.write_bytes(whole + b"\0")
    assert cache.load(KEY) is None
    path.write_bytes(whole)
    assert cache.load(KEY) is not None


def test_a_file_changed_anywhere_is_not_there(cache):
    cache.store(KEY, entry())
    path = only_file(cache)
    whole = path.read_bytes()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        path.write_bytes(changed)
        assert cache.load(KEY) is None, at


def test_an_entry_of_another_name_is_not_there(cache):
    cache.store(KEY, entry())
    only_file(cache).rename(cache.folder / f"{key(1).hex()}.p")
    assert cache.load(key(1)) is None


@pytest.mark.parametrize("foreign", [b"", b"rtnb p 1", b"\x80\x04.", b"\0" * 1000])
def test_somebody_elses_file_is_not_there_and_is_replaced(cache, foreign):
    cache.store(KEY, entry())
    only_file(cache).write_bytes(foreign)
    assert cache.load(KEY) is None
    cache.store(KEY, entry())
    assert cache.load(KEY) is not None


def test_a_folder_in_its_place_harms_nothing(cache):
    (cache.folder / f"{KEY.hex()}.p").mkdir(parents=True)
    assert cache.load(KEY) is None
    cache.store(KEY, entry())
    assert cache.load(KEY) is None
    assert len([*cache.folder.iterdir()]) == 1


def test_a_folder_that_cannot_be_made_harms_nothing(tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = ProbabilityCache(tmp_path / "file" / "cache")
    cache.store(KEY, entry())
    assert cache.load(KEY) is None
    assert cache.info().entries == 0
    cache.clear()


def test_the_least_recently_used_go_first(tmp_path):
    cache = ProbabilityCache(tmp_path, limit=16_000)
    for number in range(15):
        cache.store(key(number), entry(200))  # 912 bytes
        age(tmp_path, number, seconds=100 - number)
    assert cache.load(key(0)) is not None  # used just now
    for number in range(15, 20):
        cache.store(key(number), entry(200))
    there = [number for number in range(20) if cache.load(key(number))]
    assert 0 in there
    assert {15, 16, 17, 18, 19} <= set(there)
    assert 1 not in there
    assert there == [0, *range(there[1], 20)]


def age(folder, number, seconds):
    path = folder / f"{key(number).hex()}.p"
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_it_never_grows_beyond_its_limit(tmp_path):
    cache = ProbabilityCache(tmp_path, limit=20_000)
    for number in range(100):
        cache.store(key(number), entry(number * 3))
        assert cache.info().size <= 20_000
    assert cache.info().size > 15_000


def test_another_process_finds_the_limit_too(tmp_path):
    for number in range(50):  # each as if by a process of its own
        ProbabilityCache(tmp_path, limit=10_000).store(key(number), entry(100))
        assert ProbabilityCache(tmp_path).info().size <= 10_000


def test_an_entry_beyond_the_limit_is_not_kept(tmp_path):
    cache = ProbabilityCache(tmp_path, limit=1_000)
    cache.store(KEY, entry(1_000))
    assert cache.info().entries == 0


def test_what_was_never_moved_into_place_is_removed_later(cache):
    cache.store(KEY, entry())
    left = cache.folder / f"{KEY.hex()}abc_.tmp"
    fresh = cache.folder / f"{KEY.hex()}xyz_.tmp"
    left.write_bytes(b"half")
    fresh.write_bytes(b"half")
    then = left.stat().st_mtime - ABANDONED_S - 1
    os.utime(left, (then, then))
    ProbabilityCache(cache.folder).store(key(1), entry())
    assert not left.exists()
    assert fresh.exists()


def test_nothing_is_left_beside(cache):
    for _ in range(3):
        cache.store(KEY, entry())
    assert only_file(cache).name == f"{KEY.hex()}.p"


def test_clearing_removes_ours_and_nothing_else(cache):
    cache.store(KEY, entry())
    (cache.folder / f"{KEY.hex()}q.tmp").write_bytes(b"")
    other = cache.folder / "notes.p"
    other.write_text("mine")
    cache.clear()
    assert [*cache.folder.iterdir()] == [other]


def test_its_size_can_be_read(empty_cache):
    assert cache_info() == CacheInfo(empty_cache, 0, 0, LIMIT_BYTES)
    probability_cache().store(KEY, entry())
    info = cache_info()
    assert (info.entries, info.size) == (
        1,
        only_file(probability_cache()).stat().st_size,
    )
    clear_cache()
    assert cache_info().entries == 0


def test_the_variable_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("RTNB_CACHE_DIR", str(tmp_path / "here"))
    assert probability_cache().folder == tmp_path / "here" / "speech-probability"
    assert probability_cache() is probability_cache()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RTNB_CACHE_DIR", "~/there")
    assert probability_cache().folder.parent == tmp_path / "there"


def test_without_the_variable_it_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("RTNB_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = probability_cache().folder
    assert folder.name == "speech-probability"
    assert folder.parent.name == "rtnb"
    if sys.platform == "linux":
        assert folder.parent.parent == tmp_path


def test_the_key_hangs_on_all_that_matters():
    silero, energy = speech_model("silero"), speech_model("energy")
    keys = {
        cache_key("file", KEY, ears=silero),
        cache_key("clip", KEY, ears=silero),
        cache_key("clip", key(1), ears=silero),
        cache_key("clip", KEY, ears=energy),
        *(cache_key("clip", KEY, ears=other) for other in variants()),
    }
    assert len(keys) == 4 + 4
    assert {len(each) for each in keys} == {32}
    assert cache_key("clip", KEY, ears=silero) in keys


def variants():
    """Models that differ from Silero in one fact each."""
    facts = {"name": "silero", "version": "6.2", "hop": 512, "sample_rate": 16_000}
    changes = {"name": "other", "version": "5", "hop": 256, "sample_rate": 8_000}
    for fact, changed in changes.items():
        yield type("Other", (), facts | {fact: changed})


def test_who_reads_while_an_entry_is_replaced_reads_the_old_one(cache):
    cache.store(KEY, entry(1_000, seed=1))
    path = only_file(cache)
    before = path.read_bytes()
    with path.open("rb") as reader:
        cache.store(KEY, entry(1_000, seed=2))
        assert reader.read() == before
    assert path.read_bytes() != before


WRITER = """
import sys
from pathlib import Path
import numpy as np
from rtnb.vad.cache import Entry, ProbabilityCache
cache = ProbabilityCache(Path(sys.argv[1]), limit=200_000)
value = float(sys.argv[2])
for round in range(60):
    for number in range(8):
        key = number.to_bytes(32, "big")
        p = np.full(3_000 + number, value, np.float32)
        cache.store(key, Entry(p, 512, 16_000, "00" * 32))
        found = cache.load(key)
        if found is not None:
            assert len(found.p) == 3_000 + number
            assert found.p.min() == found.p.max()
"""


def test_two_processes_never_see_half_an_entry(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), value])
        for value in ("0.25", "0.75")
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert not [*tmp_path.glob("*.tmp")]


def test_threads_do_not_disturb_each_other(tmp_path):
    cache = ProbabilityCache(tmp_path, limit=50_000)
    wrong = []

    def work(seed):
        for number in range(50):
            cache.store(key(number % 5), entry(500, seed))
            found = cache.load(key(number % 5))
            if found is not None and len(found.p) != 500:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
