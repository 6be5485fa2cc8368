"""A conversation with a hand-made mind and mouth, on a clock that does not wait."""

import asyncio
import json

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.clock import InstantClock
from rtnb.errors import EngineError
from rtnb.gateway.conversation import DELTA_SAMPLES, Conversation, Engine
from rtnb.gateway.recogniser import Transcript
from rtnb.gateway.responder import (
    Failure,
    Pace,
    Pause,
    StopShort,
    Told,
    ToolCall,
)
from rtnb.gateway.voice import Spoken, Word
from rtnb.protocol.codec import to_dict
from rtnb.protocol.server import SAMPLE_RATE, ServerMachine, Tokens


class Metronome:
    """A voice that takes half a second for each word."""

    def speak(self, text, *, voice, speed):
        position = 0
        for number, word in enumerate(text.split()):
            start = text.index(word, position)
            position = start + len(word)
            samples = np.full(SAMPLE_RATE // 2, 0.1, np.float32)
            yield Spoken(samples, (Word(word, start, position, 500.0 * number),))


class Scribe:
    """A recogniser that writes down what it was told to."""

    def __init__(self, outcome="hello there", *, judgement=None):
        self.outcome = outcome
        self.judgement = judgement
        self.fed = 0

    def utterance(self):
        return self

    def feed(self, samples):
        self.fed += len(samples)

    async def judge(self):
        if isinstance(self.judgement, EngineError):
            raise self.judgement
        if isinstance(self.judgement, asyncio.Event):
            await self.judgement.wait()
            return 1.0
        return self.judgement

    async def finish(self):
        if isinstance(self.outcome, EngineError):
            raise self.outcome
        return Transcript(self.outcome, 1.0)

    def cancel(self):
        self.outcome = "cancelled"


def hold(responder, scenario, *, recogniser=None, rate=4.0):
    """Run a scenario over a conversation; returns its events and the time it took."""

    async def run():
        clock = InstantClock(1_785_214_048.0)
        engine = Engine(
            responder=responder,
            recogniser=recogniser or Scribe(),
            voice=Metronome(),
            clock=clock,
            rate=rate,
        )
        machine = ServerMachine(model="gpt-realtime", now=clock.now(), seed=1)
        conversation = Conversation(machine, engine)
        events = asyncio.Queue()
        conversation.observers.append(lambda event: events.put_nowait(to_dict(event)))
        conversation.pump()
        start = clock.now()
        seen = await scenario(conversation, events)
        await conversation.close()
        return seen, clock.now() - start

    return asyncio.run(run())


async def until(events, kind):
    seen = []
    while not seen or seen[-1]["type"] != kind:
        seen.append(await asyncio.wait_for(events.get(), 20))
    return seen


def send(conversation, kind, **fields):
    conversation.receive(json.dumps({"type": kind, **fields}))


def answered(**response):
    async def scenario(conversation, events):
        send(conversation, "response.create", response=response)
        return await until(events, "response.done")

    return scenario


def only(events, kind):
    return [event for event in events if event["type"] == kind]


def test_words_run_ahead_of_their_sound():
    seen, _ = hold(lambda _: "one two three", answered())
    heard_s = 0.0
    words = []
    for event in seen:
        if event["type"] == "response.output_audio_transcript.delta":
            words.append(event["delta"])
            assert heard_s <= 0.5 * (len(words) - 1)
        elif event["type"] == "response.output_audio.delta":
            heard_s += len(event["delta"]) * 3 / 4 / 48_000
    assert "".join(words) == "one two three"
    assert heard_s == pytest.approx(1.5, abs=0.01)


def test_audio_leaves_in_quarters_of_a_second():
    seen, _ = hold(lambda _: "one two three", answered())
    sizes = {len(e["delta"]) for e in only(seen, "response.output_audio.delta")}
    assert sizes == {DELTA_SAMPLES * 2 * 4 // 3}


@pytest.mark.parametrize(("rate", "seconds"), [(4.0, 2.25), (1.0, 9.0)])
def test_audio_is_sent_ahead_of_real_time(rate, seconds):
    story = " ".join(["word"] * 20)
    _, took = hold(lambda _: story, answered(), rate=rate)
    assert took == pytest.approx(seconds, abs=0.3)


def test_clauses_are_joined_by_spaces():
    seen, _ = hold(lambda _: iter(["One. ", "Two! Three", " four."]), answered())
    [done] = only(seen, "response.output_audio_transcript.done")
    assert done["transcript"] == "One. Two! Three four."


def test_a_text_answer_makes_no_sound():
    seen, took = hold(lambda _: "one two", answered(output_modalities=["text"]))
    assert only(seen, "response.output_text.done")[0]["text"] == "one two"
    assert not only(seen, "response.output_audio.delta")
    assert took == 0.0


def test_words_a_call_and_a_pause():
    def responder(_):
        yield "Let me look."
        yield Pause(2.0)
        yield ToolCall("look", {"where": "there"})

    seen, took = hold(responder, answered())
    response = seen[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]
    assert took >= 2.0


@pytest.mark.parametrize(("rate", "seconds"), [(float("inf"), 0.0), (1.0, 4.25)])
def test_a_mind_may_set_the_pace(rate, seconds):
    _, took = hold(lambda _: [Pace(rate), " ".join(["word"] * 11)], answered())
    assert took == pytest.approx(seconds, abs=0.01)


def test_a_mind_may_fail_stop_short_and_say_what_it_costs():
    failure = Failure("Too many.", "rate_limit_exceeded")
    seen, _ = hold(lambda _: ["one", failure, "two"], answered())
    response = seen[-1]["response"]
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["code"] == "rate_limit_exceeded"
    pieces = [Tokens(output_text=77), "one", StopShort("content_filter"), "two"]
    seen, _ = hold(lambda _: pieces, answered(output_modalities=["text"]))
    response = seen[-1]["response"]
    assert response["status_details"]["reason"] == "content_filter"
    assert response["output"][0]["content"][0]["text"] == "one"
    assert response["usage"]["output_tokens"] == 77


def test_what_waits_for_ever_can_be_cancelled():
    async def scenario(conversation, events):
        send(conversation, "response.create")
        await until(events, "response.output_audio.delta")
        await asyncio.sleep(0)
        send(conversation, "response.cancel")
        return await until(events, "response.done")

    seen, _ = hold(lambda _: ["one", Pause(float("inf")), "two"], scenario)
    assert seen[-1]["response"]["status"] == "cancelled"


class Slow:
    """Answers at once, and has the transcript told late or not at all."""

    def __init__(self, told):
        self._told = told

    def told(self, words):
        return self._told

    def __call__(self, request):
        return f"You said {request.user_text}."


@pytest.mark.parametrize(
    ("told", "kind"), [(Told(30.0), "completed"), (Told(30.0, "too noisy"), "failed")]
)
def test_an_answer_does_not_wait_for_a_late_transcript(told, kind):
    async def scenario(conversation, events):
        heard = {"input": {"transcription": {"model": "whisper-1"}}}
        send(
            conversation, "session.update", session={"type": "realtime", "audio": heard}
        )
        spoken_turn(conversation)
        last = f"conversation.item.input_audio_transcription.{kind}"
        seen = []
        while {"response.done", last} - {event["type"] for event in seen}:
            seen.append(await asyncio.wait_for(events.get(), 20))
        return seen

    seen, took = hold(Slow(told), scenario, recogniser=Scribe("good morning"))
    done = next(event for event in seen if event["type"] == "response.done")
    answer = done["response"]["output"][0]["content"][0]["transcript"]
    assert answer == "You said good morning."
    assert took >= 30.0


def test_a_mind_that_fails_fails_the_answer():
    def responder(_):
        raise KeyError("lost")

    seen, _ = hold(responder, answered())
    response = seen[-1]["response"]
    assert response["status"] == "failed"
    assert "lost" in response["status_details"]["error"]["message"]


def test_cancelling_ends_the_mind():
    ended = []

    async def responder(_):
        try:
            while True:
                yield "on and on. "
                await asyncio.sleep(0)
        finally:
            ended.append(True)

    async def scenario(conversation, events):
        send(conversation, "response.create")
        await until(events, "response.output_audio.delta")
        send(conversation, "response.cancel")
        return await until(events, "response.done")

    seen, _ = hold(responder, scenario)
    assert seen[-1]["response"]["status"] == "cancelled"
    assert ended == [True]


def spoken_turn(conversation):
    off = {"audio": {"input": {"turn_detection": None}}, "type": "realtime"}
    send(conversation, "session.update", session=off)
    conversation.append_audio(Clip.silence(1.0).samples)
    conversation.end_turn()


def test_the_mind_is_told_what_was_heard():
    requests = []

    def responder(request):
        requests.append(request)
        return "yes"

    async def scenario(conversation, events):
        spoken_turn(conversation)
        return await until(events, "response.done")

    ears = Scribe("good morning")
    hold(responder, scenario, recogniser=ears)
    [request] = requests
    assert request.user_text == "good morning"
    assert request.heard_ms == 1000.0
    assert request.items[0].content[0].transcript == "good morning"
    assert ears.fed == pytest.approx(16_000, abs=200)


def test_the_mind_is_told_why_nothing_was_heard():
    requests = []

    def responder(request):
        requests.append(request)
        return "pardon?"

    async def scenario(conversation, events):
        spoken_turn(conversation)
        return await until(events, "response.done")

    hold(responder, scenario, recogniser=Scribe(EngineError("too quiet")))
    assert requests[0].user_text is None
    assert requests[0].transcription_failed == "too quiet"


SPOKEN = Clip.silence(0.5) + Clip.example("austen-0880").resample(SAMPLE_RATE)
JUDGED_AT_MS = 3616
"""Where its pause is judged."""


def speak_by_words(conversation, seconds=5.0):
    """Say a sentence and be silent, with ``semantic_vad``."""
    semantic = {"type": "semantic_vad", "create_response": False}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": semantic}}}
    send(conversation, "session.update", session=session)
    conversation.append_audio((SPOKEN + Clip.silence(seconds)).samples)


async def end_of_speech(events):
    seen = await until(events, "input_audio_buffer.speech_stopped")
    return seen[-1]["audio_end_ms"]


@pytest.mark.parametrize(
    ("judgement", "hops"), [(1.0, 1), (0.0, 125 - 8), (None, 38 - 8)]
)
def test_a_pause_is_judged_by_the_recogniser(judgement, hops):
    async def scenario(conversation, events):
        speak_by_words(conversation)
        return await end_of_speech(events)

    end_ms, _ = hold(None, scenario, recogniser=Scribe(judgement=judgement))
    assert end_ms == JUDGED_AT_MS + 32 * hops


def test_a_failed_judgement_is_told_once_and_is_no_error(caplog):
    async def scenario(conversation, events):
        for _ in range(2):
            speak_by_words(conversation)
            await end_of_speech(events)
        return [to_dict(event) for event in conversation.machine.take_events()]

    ears = Scribe(judgement=EngineError("no ears"))
    seen, _ = hold(None, scenario, recogniser=ears)
    assert not only(seen, "error")
    told = [r for r in caplog.records if r.message == "pause.unjudged"]
    assert [getattr(record, "rtnb.reason") for record in told] == ["no ears"]


def test_a_judgement_that_takes_too_long_is_done_without(caplog):
    async def scenario(conversation, events):
        answer = conversation.engine.recogniser.judgement
        speak_by_words(conversation)
        await until(events, "input_audio_buffer.speech_started")
        await asyncio.sleep(0)  # the recogniser is asked
        await conversation.engine.clock.sleep(10.0)
        conversation.machine.tick(conversation.now)
        conversation.pump()
        end_ms = await end_of_speech(events)
        answer.set()
        await asyncio.gather(*conversation._questions)
        return end_ms

    end_ms, _ = hold(None, scenario, recogniser=Scribe(judgement=asyncio.Event()))
    assert end_ms == JUDGED_AT_MS + 32 * 30
    [record] = caplog.records
    assert getattr(record, "rtnb.reason") == "recognition took 10.0 s"


def test_a_turn_that_is_ended_while_it_is_judged_tells_nothing(caplog):
    async def scenario(conversation, events):
        speak_by_words(conversation, seconds=0.5)
        await asyncio.sleep(0)
        send(conversation, "input_audio_buffer.clear")
        conversation.engine.recogniser.judgement.set()
        return await until(events, "input_audio_buffer.cleared")

    seen, _ = hold(None, scenario, recogniser=Scribe(judgement=asyncio.Event()))
    assert not only(seen, "input_audio_buffer.speech_stopped")
    assert not caplog.records
