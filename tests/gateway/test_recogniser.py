"""Recognition, for real: pocketsphinx in its own processes hears recorded people."""

import asyncio
import os
import re
import shutil
import signal
import subprocess

import psutil
import pytest

from rtnb.audio import Clip, transcript_of
from rtnb.errors import EngineError, MissingExtra
from rtnb.gateway import recogniser as module
from rtnb.gateway.recogniser import Recogniser
from rtnb.gateway.recogniser_worker import edit_distance, pattern, plain
from rtnb.gateway.script import Script

RATE = 16_000
FLITE = shutil.which("flite")


def heard(name):
    """A packaged sentence with the silence around it that turn detection leaves."""
    clip = Clip.example(name)
    return Clip.silence(0.3, RATE) + clip + Clip.silence(0.2, RATE)


def spoken(text, path):
    """A sentence in flite's voice rms, with the same silence around it."""
    subprocess.run([FLITE, "-voice", "rms", "-t", text, "-o", path], check=True)
    return Clip.silence(0.3, RATE) + Clip.from_file(path) + Clip.silence(0.2, RATE)


async def listen(recogniser, clip, *, chunk=320, **options):
    utterance = recogniser.utterance()
    for start in range(0, len(clip.samples), chunk):
        utterance.feed(clip.samples[start : start + chunk])
    return await utterance.finish(**options)


def with_recogniser(scenario, **options):
    async def run():
        recogniser = Recogniser(**{"workers": 1, **options})
        await recogniser.start()
        try:
            return await scenario(recogniser)
        finally:
            await recogniser.close()

    return asyncio.run(run())


def word_errors(name, text):
    truth = transcript_of(name).split()
    return edit_distance(truth, text.split()) / len(truth)


def test_people_are_understood_roughly():
    async def scenario(recogniser):
        names = ("austen-0870", "austen-0880")
        return {name: (await listen(recogniser, heard(name))).text for name in names}

    for name, text in with_recogniser(scenario).items():
        assert word_errors(name, text) < 0.5, text


def test_the_cutting_of_the_audio_does_not_matter():
    async def scenario(recogniser):
        clip = heard("austen-0880")
        whole = await listen(recogniser, clip, chunk=len(clip.samples))
        return whole, await listen(recogniser, clip, chunk=999)

    one, other = with_recogniser(scenario)
    assert one.text == other.text
    assert one.seconds == pytest.approx(3.49, abs=0.01)


def test_a_phrase_of_the_script_is_heard_exactly():
    async def scenario(recogniser):
        return await listen(recogniser, heard("austen-0880"))

    phrases = ["hello", "he was not an ill disposed young man"]
    assert with_recogniser(scenario, phrases=phrases).text == phrases[1]


def test_a_phrase_may_have_alternatives():
    async def scenario(recogniser):
        return await listen(recogniser, heard("austen-0880"))

    phrases = ["(he | she) was [perhaps] not an (ill | well) disposed young <number>"]
    phrases.append(phrases[0].replace("<number>", "man"))
    understood = with_recogniser(scenario, phrases=phrases).text
    assert understood == "he was not an ill disposed young man"


def test_a_phrase_that_was_not_ended_does_not_count():
    async def scenario(recogniser):
        return await listen(recogniser, heard("austen-0880"))

    phrases = ["he was not an ill disposed young man of great wealth and few friends"]
    understood = with_recogniser(scenario, phrases=phrases).text
    assert not phrases[0].startswith(understood)


@pytest.mark.skipif(FLITE is None, reason="no flite: apt-get install flite speaks more")
def test_lines_of_the_tutorial_are_heard_exactly(tmp_path):
    lines = ("tell me a long story", "what is two plus three times four", "who are you")

    async def scenario(recogniser):
        clips = [spoken(line, tmp_path / "line.wav") for line in lines]
        return [(await listen(recogniser, clip)).text for clip in clips]

    examples = Script.load().examples
    assert with_recogniser(scenario, phrases=examples) == list(lines)


def test_foreign_speech_is_not_forced_into_a_phrase():
    async def scenario(recogniser):
        return await listen(recogniser, heard("austen-0870"))

    phrases = ["hello", "what is two plus three", "tell me a long story"]
    assert with_recogniser(scenario, phrases=phrases).text not in phrases


def test_silence_has_no_words():
    async def scenario(recogniser):
        with pytest.raises(EngineError, match=r"no words recognised in 1\.5 s"):
            await listen(recogniser, Clip.silence(1.5, RATE))
        return await listen(recogniser, heard("austen-0880"))

    assert with_recogniser(scenario).text


def test_two_speak_and_one_waits():
    async def scenario(recogniser):
        clip = heard("austen-0880")
        return await asyncio.gather(*(listen(recogniser, clip) for _ in range(3)))

    texts = {t.text for t in with_recogniser(scenario, workers=2)}
    assert len(texts) == 1


def test_a_cancelled_utterance_leaves_its_worker_to_others():
    async def scenario(recogniser):
        given_up = recogniser.utterance()
        given_up.feed(heard("austen-0870").samples)
        await asyncio.sleep(0)
        given_up.cancel()
        return await listen(recogniser, heard("austen-0880"))

    assert word_errors("austen-0880", with_recogniser(scenario).text) < 0.5


def test_a_worker_that_dies_fails_its_utterance_and_is_replaced():
    async def scenario(recogniser):
        await listen(recogniser, heard("austen-0880"))
        utterance = recogniser.utterance()
        [worker] = psutil.Process().children()
        os.kill(worker.pid, signal.SIGKILL)
        utterance.feed(heard("austen-0880").samples)
        with pytest.raises(EngineError, match="process has ended"):
            await utterance.finish()
        return await listen(recogniser, heard("austen-0880"))

    assert with_recogniser(scenario).text


def test_finishing_never_hangs():
    async def scenario(recogniser):
        await listen(recogniser, heard("austen-0880"))
        [worker] = psutil.Process().children()
        os.kill(worker.pid, signal.SIGSTOP)
        with pytest.raises(EngineError, match="did not answer"):
            await listen(recogniser, heard("austen-0880"), timeout=0.2)
        return await listen(recogniser, heard("austen-0880"))

    assert with_recogniser(scenario).text


def test_without_the_extra_it_says_how_to_add_it(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)

    async def scenario(recogniser):
        assert not recogniser.available
        await listen(recogniser, Clip.silence(0.5, RATE))

    with pytest.raises(MissingExtra, match=r"pip install \"rtnb\[local\]\""):
        with_recogniser(scenario)


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
