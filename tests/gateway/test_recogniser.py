"""Recognition, for real: pocketsphinx in its own processes hears recorded people."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from rtnb.audio import Clip, pcm16_encode, transcript_of
from rtnb.errors import EngineError, MissingExtra
from rtnb.gateway.recogniser import Recogniser
from rtnb.gateway.recogniser_worker import Ears, edit_distance, pattern, plain
from rtnb.gateway.script import Script

RATE = 16_000
PATIENCE_S = 120.0
FLITE = shutil.which("flite")


def heard(name):
    """A packaged sentence with the silence around it that turn detection leaves."""
    clip = Clip.example(name)
    return Clip.silence(0.3, RATE) + clip + Clip.silence(0.2, RATE)


def spoken(text, path):
    """A sentence in flite's voice rms, with the same silence around it."""
    subprocess.run([FLITE, "-voice", "rms", "-t", text, "-o", path], check=True)
    return Clip.silence(0.3, RATE) + Clip.from_file(path) + Clip.silence(0.2, RATE)


async def listen(recogniser, clip, *, chunk=320, patience=PATIENCE_S):
    utterance = recogniser.utterance()
    for start in range(0, len(clip.samples), chunk):
        utterance.feed(clip.samples[start : start + chunk])
    return await utterance.finish(timeout=patience)


@pytest.fixture(scope="module")
def ears():
    """A function that runs a scenario with a recogniser of the tutorial's lines."""
    with asyncio.Runner() as runner:
        recogniser = Recogniser(Script.load().examples, workers=1)
        runner.run(recogniser.start())
        yield lambda scenario: runner.run(scenario(recogniser))
        runner.run(recogniser.close())


def understood(name, *phrases):
    """What the decoders, in this very process, make of a packaged sentence."""
    decoders = Ears(phrases)
    decoders.hear(pcm16_encode(heard(name).samples))
    return " ".join(word.text for word in decoders.understand())


def word_errors(name, text):
    truth = transcript_of(name).split()
    return edit_distance(truth, text.split()) / len(truth)


def test_people_are_understood_roughly(ears):
    async def scenario(recogniser):
        names = ("austen-0870", "austen-0880")
        return {name: (await listen(recogniser, heard(name))).text for name in names}

    for name, text in ears(scenario).items():
        assert word_errors(name, text) < 0.5, text


def test_the_cutting_of_the_audio_does_not_matter(ears):
    async def scenario(recogniser):
        clip = heard("austen-0880")
        whole = await listen(recogniser, clip, chunk=len(clip.samples))
        return whole, await listen(recogniser, clip, chunk=999)

    one, other = ears(scenario)
    assert one.text == other.text
    assert one.seconds == pytest.approx(3.49, abs=0.01)


SENTENCE = "he was not an ill disposed young man"


@pytest.mark.parametrize(
    "phrase",
    [
        SENTENCE,
        "(he | she) was [perhaps] not an (ill | well) disposed [young] (man | <number>)",
    ],
)
def test_a_phrase_of_the_script_is_heard_exactly(phrase):
    assert understood("austen-0880", "hello", phrase) == SENTENCE


def test_a_phrase_that_was_not_ended_does_not_count():
    assert understood("austen-0880", f"{SENTENCE} and", "he was <number>") != SENTENCE


def test_a_phrase_with_a_word_that_nobody_knows_is_left_out():
    assert understood("austen-0880", "xyzzyq", "hello xyzzyq", SENTENCE) == SENTENCE


@pytest.mark.skipif(FLITE is None, reason="no flite: apt-get install flite speaks more")
def test_lines_of_the_tutorial_are_heard_exactly(ears, tmp_path):
    lines = ("tell me a long story", "what is two plus three times four", "who are you")

    async def scenario(recogniser):
        clips = [spoken(line, tmp_path / "line.wav") for line in lines]
        return [(await listen(recogniser, clip)).text for clip in clips]

    assert ears(scenario) == list(lines)


def test_foreign_speech_is_not_forced_into_a_phrase(ears):
    async def scenario(recogniser):
        return (await listen(recogniser, heard("austen-0890"))).text

    assert word_errors("austen-0890", ears(scenario)) < 0.6


def test_silence_has_no_words(ears):
    async def scenario(recogniser):
        with pytest.raises(EngineError, match=r"no words recognised in 1\.5 s"):
            await listen(recogniser, Clip.silence(1.5, RATE))
        with pytest.raises(EngineError, match=r"no words recognised in 0\.0 s"):
            await recogniser.utterance().finish()

    ears(scenario)


def test_one_speaks_and_two_wait(ears):
    async def scenario(recogniser):
        clip = heard("austen-0880")
        return await asyncio.gather(*(listen(recogniser, clip) for _ in range(3)))

    assert len({transcript.text for transcript in ears(scenario)}) == 1


def test_a_cancelled_utterance_leaves_its_worker_to_others(ears):
    async def scenario(recogniser):
        worker = await the_worker(recogniser)
        given_up = recogniser.utterance()
        given_up.feed(heard("austen-0870").samples)
        await asyncio.sleep(0)
        given_up.cancel()
        transcript = await listen(recogniser, heard("austen-0880"))
        assert await the_worker(recogniser) == worker
        return transcript.text

    assert word_errors("austen-0880", ears(scenario)) < 0.5


def test_an_utterance_can_be_judged_while_it_goes_on(ears):
    clip = Clip.silence(0.3, RATE) + Clip.example("austen-0880")
    quiet = Clip.silence(0.256, RATE)

    async def scenario(recogniser):
        utterance = recogniser.utterance()
        utterance.feed(clip.slice(0, 1.3).samples)
        utterance.feed(quiet.samples)
        middle = await utterance.judge()
        utterance.feed(clip.slice(1.3, clip.duration).samples)
        utterance.feed(quiet.samples)
        return middle, await utterance.judge(), (await utterance.finish()).text

    middle, end, text = ears(scenario)
    assert middle < 0.5 < end
    assert text.endswith("young man")


def test_a_judgement_that_nobody_waits_for_is_not_taken_for_another(ears):
    async def scenario(recogniser):
        worker = await the_worker(recogniser)
        given_up = recogniser.utterance()
        given_up.feed(Clip.example("austen-0880").slice(0, 1.0).samples)
        judging = asyncio.create_task(given_up.judge())
        for _ in range(10):  # the worker is asked, and busy with a second of audio
            await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(EngineError, match="before it had judged"):
            await judging
        other = recogniser.utterance()
        other.feed(heard("austen-0880").samples)
        judgement = await other.judge()
        text = (await other.finish()).text
        assert await the_worker(recogniser) == worker
        return judgement, text

    judgement, text = ears(scenario)
    assert judgement > 0.5
    assert word_errors("austen-0880", text) < 0.5


def test_nothing_can_be_said_about_silence(ears):
    async def scenario(recogniser):
        utterance = recogniser.utterance()
        utterance.feed(Clip.silence(1.5, RATE).samples)
        judgement = await utterance.judge()
        utterance.cancel()
        return judgement

    assert ears(scenario) is None


def with_a_worker_of_ones_own(scenario):
    """Run a scenario that ends its only worker; another one has to be there after."""

    async def run():
        recogniser = Recogniser(workers=1)
        await recogniser.start()
        try:
            first = await the_worker(recogniser)
            await scenario(recogniser, first)
            assert await the_worker(recogniser) != first
            assert (await listen(recogniser, heard("austen-0880"))).text
        finally:
            await recogniser.close()

    asyncio.run(run())


async def the_worker(recogniser):
    """Process number of the worker, as soon as it is idle."""
    worker = await recogniser.take()
    recogniser.give_back(worker)
    return worker._process.pid


def test_a_worker_that_dies_fails_its_utterance_and_is_replaced():
    async def scenario(recogniser, worker):
        utterance = recogniser.utterance()
        os.kill(worker, signal.SIGKILL)
        utterance.feed(heard("austen-0880").samples)
        with pytest.raises(EngineError, match="before it had judged"):
            await utterance.judge()
        with pytest.raises(EngineError, match="process has ended"):
            await utterance.finish()

    with_a_worker_of_ones_own(scenario)


@pytest.mark.parametrize("seconds", [0.5, 30.0])
def test_finishing_never_hangs(seconds):
    async def scenario(recogniser, worker):
        os.kill(worker, signal.SIGSTOP)
        with pytest.raises(EngineError, match="did not answer"):
            await listen(recogniser, Clip.silence(seconds, RATE), patience=0.2)

    with_a_worker_of_ones_own(scenario)


def test_a_long_recording_has_more_time(monkeypatch):
    monkeypatch.setattr("rtnb.gateway.recogniser.FINISH_TIMEOUT_S", 0.1)

    async def scenario(recogniser, worker):
        os.kill(worker, signal.SIGSTOP)
        with pytest.raises(EngineError, match=r"no words after 0\.6 s"):
            await listen(recogniser, Clip.silence(0.5, RATE), patience=None)

    with_a_worker_of_ones_own(scenario)


def test_a_recogniser_may_be_closed_before_it_is_warm():
    async def run():
        recogniser = Recogniser()
        await recogniser.start()
        utterance = recogniser.utterance()
        await asyncio.sleep(0)
        await recogniser.close()
        utterance.cancel()

    asyncio.run(run())


def test_workers_end_with_their_standard_input():
    command = [sys.executable, "-m", "rtnb.gateway.recogniser_worker"]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=60)


def test_without_the_extra_it_says_how_to_add_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    async def run():
        recogniser = Recogniser()
        await recogniser.start()
        assert not recogniser.available
        with pytest.raises(MissingExtra, match="speech recognition"):
            await recogniser.utterance().judge()
        await listen(recogniser, Clip.silence(0.5, RATE))

    with pytest.raises(MissingExtra, match=r"pip install \"rtnb\[local\]\""):
        asyncio.run(run())


def test_phrases_are_spelled_as_the_dictionary_does():
    assert plain("What's 2 + 3, please?") == "what's please"
    assert plain("[the](a|<number>)") == "[ the ] ( a | <number> )"


@pytest.mark.parametrize(
    ("phrase", "text", "complete"),
    [
        ("good (morning | evening) [to you]", "good morning to you", True),
        ("good (morning | evening) [to you]", "good evening", True),
        ("good (morning | evening) [to you]", "good", False),
        ("good (morning | evening) [to you]", "good morning to", False),
        ("hi | hello there", "hi", True),
        ("hi | hello there", "hi there", False),
        ("count to <number>", "count to a hundred and twenty one", True),
        ("count to <number>", "count to twelve", True),
        ("count to <number>", "count to and", False),
        ("a", "ab", False),
    ],
)
def test_a_phrase_says_when_it_is_complete(phrase, text, complete):
    assert bool(re.fullmatch(pattern(phrase), f"{text} ")) is complete


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("abc", "axc", 1),
        ("", "ab", 2),
        ("abcd", "bd", 2),
    ],
)
def test_edit_distance(one, other, distance):
    assert edit_distance(list(one), list(other)) == distance
