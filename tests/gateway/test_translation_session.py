"""Translation sessions of a real gateway process, and the translators.

Every event is validated strictly against the official SDK's own types.
"""

import asyncio
import base64
import json

import pytest
from openai import BadRequestError, OpenAI
from openai.types.realtime import RealtimeTranslationClientSecretCreateResponse
from openai.types.realtime.realtime_translation_server_event import (
    RealtimeTranslationServerEvent,
)
from pydantic import TypeAdapter
from websockets.sync.client import connect

from rtnb.audio import Clip
from rtnb.clock import InstantClock
from rtnb.errors import EngineError
from rtnb.gateway.conversation import Engine
from rtnb.gateway.interpretation import Interpretation
from rtnb.gateway.parts import in_language
from rtnb.gateway.recogniser import Transcript
from rtnb.gateway.script import Script
from rtnb.gateway.translators import INSTRUCTIONS, ModelTranslator, PhraseBook
from rtnb.gateway.voice import LANGUAGES, Voice
from rtnb.protocol.codec import to_dict
from rtnb.protocol.server import SAMPLE_RATE, TranslationMachine
from tests.gateway.test_conversation import Metronome

STRICT = TypeAdapter(RealtimeTranslationServerEvent)
SECRET = TypeAdapter(RealtimeTranslationClientSecretCreateResponse)
SPOKEN = Clip.example("austen-0880") + Clip.silence(2.5, 16_000)
SENTENCE = "he was not an ill disposed young man"
BOOK = PhraseBook()


class Line:
    """A connection that speaks JSON."""

    def __init__(self, socket):
        self._socket = socket

    def send(self, kind, **fields):
        self._socket.send(json.dumps({"type": kind, **fields}))

    def receive(self):
        event = json.loads(self._socket.recv(timeout=30))
        STRICT.validate_python(event, strict=True)
        return event

    def until(self, last):
        events = [self.receive()]
        while events[-1]["type"] != last:
            events.append(self.receive())
        return events

    def say(self, clip):
        data = clip.resample(SAMPLE_RATE).to_pcm16()
        for start in range(0, len(data), 9600):
            audio = base64.b64encode(data[start : start + 9600]).decode()
            self.send("session.input_audio_buffer.append", audio=audio)


@pytest.fixture
def dial(gateway):
    def opened(query="?model=gpt-realtime-translate", key=gateway.token):
        return connect(
            f"{gateway.url}/translations{query}",
            additional_headers={"Authorization": f"Bearer {key}"},
            compression=None,
        )

    return opened


@pytest.fixture
def client(gateway):
    with OpenAI(
        api_key=gateway.token, base_url=gateway.http, max_retries=0
    ) as official:
        yield official


def joined(events, kind):
    return "".join(event["delta"] for event in events if event["type"] == kind)


def test_a_sentence_is_said_in_another_language(dial):
    with dial() as socket:
        line = Line(socket)
        created = line.receive()
        assert created["session"]["model"] == "gpt-realtime-translate"
        assert created["session"]["audio"]["output"] == {"language": "es"}
        audio = {
            "input": {"transcription": {"model": "gpt-realtime-whisper"}},
            "output": {"language": "de"},
        }
        line.send("session.update", session={"audio": audio})
        assert line.receive()["session"]["audio"]["output"] == {"language": "de"}
        line.say(SPOKEN)
        line.send("session.close")
        events = line.until("session.closed")
    assert joined(events, "session.input_transcript.delta") == SENTENCE
    said = joined(events, "session.output_transcript.delta")
    assert said == BOOK.phrases("de")[SENTENCE]
    sound = [e for e in events if e["type"] == "session.output_audio.delta"]
    seconds = sum(len(base64.b64decode(e["delta"])) for e in sound) / 2 / SAMPLE_RATE
    assert 1.0 < seconds < 6.0
    elapsed = [e["elapsed_ms"] for e in events[:-1]]
    assert elapsed == sorted(elapsed)
    assert {ms % 200 for ms in elapsed} == {0}


def test_a_mistake_is_refused_and_it_goes_on(dial):
    with dial() as socket:
        line = Line(socket)
        line.receive()
        line.send("input_audio_buffer.commit", event_id="mine")
        refused = line.receive()
        assert refused["error"]["event_id"] == "mine"
        assert refused["error"]["code"] == "invalid_value"
        line.send(
            "session.update", session={"audio": {"output": {"language": "klingon"}}}
        )
        message = line.receive()["error"]["message"]
        assert message.endswith("Supported values are: 'es', 'fr', and 'de'.")
        line.send("session.close")
        assert line.receive()["type"] == "session.closed"


def test_a_client_secret_for_translations(dial, client):
    secrets = client.realtime.translations.client_secrets
    made = secrets.create(
        session={
            "model": "gpt-realtime-translate",
            "audio": {"output": {"language": "fr"}},
        },
        expires_after={"anchor": "created_at", "seconds": 60},
    )
    SECRET.validate_python(made.to_dict(mode="json"), strict=True)
    assert made.session.audio.output.language == "fr"
    with dial("", made.value) as socket:
        session = Line(socket).receive()["session"]
    assert session["model"] == "gpt-realtime-translate"
    assert session["audio"]["output"] == {"language": "fr"}
    with pytest.raises(BadRequestError) as refused:
        secrets.create(session={"model": "x", "audio": {"output": {"language": "xx"}}})
    assert refused.value.param == "session.audio.output.language"
    with pytest.raises(BadRequestError) as refused:
        secrets.create(session={"audio": {}})
    assert refused.value.param == "session.model"


# -- the phrase book ---------------------------------------------------------------------


def translated(translator, text, language="es"):
    async def run():
        pieces = translator.translate(text, language=language)
        return "".join([piece async for piece in pieces])

    return asyncio.run(run())


@pytest.mark.parametrize("language", BOOK.languages)
def test_every_language_of_the_book_has_the_same_sentences(language):
    assert set(BOOK.phrases(language)) == set(BOOK.phrases("es"))
    assert language in LANGUAGES


def test_the_book_has_sentences_that_the_tutorial_teaches():
    known = " ".join(Script.load().examples)
    assert {"hello", "thank you", "how are you"} <= set(BOOK.phrases("es"))
    assert sum(phrase in known for phrase in BOOK.phrases("es")) > 15


@pytest.mark.parametrize("text", ["good morning", "Good morning!", " good  morning "])
def test_a_phrase_of_the_book(text):
    assert translated(BOOK, text) == "Buenos días."


def test_a_phrase_with_a_wrong_word():
    heard = "he was not an ill disposed young men"
    assert translated(BOOK, heard) == BOOK.phrases("es")[SENTENCE]


@pytest.mark.parametrize("language", BOOK.languages)
def test_what_is_not_in_the_book_is_said_to_be_so(language):
    said = translated(BOOK, "the train leaves at noon", language)
    assert "the train leaves at noon" in said
    assert said != "the train leaves at noon"


# -- a model -----------------------------------------------------------------------------


def test_a_model_is_told_to_interpret():
    requests = []

    async def model(request):
        requests.append(request)
        yield "Buenos "
        yield "días."

    assert translated(ModelTranslator(model), "good morning") == "Buenos días."
    [request] = requests
    assert request.instructions == INSTRUCTIONS.format(language="es")
    assert request.user_text == request.items[0].content[0].text == "good morning"
    assert request.tools == ()


# -- the session, with hand-made parts ---------------------------------------------------


class Broken:
    """Ears that hear one thing, and a translator that fails at it."""

    languages = None

    def __init__(self, error):
        self._error = error

    def utterance(self):
        return self

    def feed(self, samples):
        pass

    def cancel(self):
        pass

    async def judge(self):
        return 1.0

    async def finish(self):
        return Transcript("one", 1.0)

    async def translate(self, text, *, language):
        yield "U"
        raise self._error


@pytest.mark.parametrize(
    ("error", "message"),
    [(EngineError("no dictionary"), "no dictionary"), (KeyError("x"), "KeyError: 'x'")],
)
def test_a_translator_that_fails_is_told_of(error, message):
    async def run():
        broken, clock = Broken(error), InstantClock(1_785_214_048.0)
        engine = Engine(
            responder=lambda _: None,
            recogniser=broken,
            voice=Metronome(),
            translator=broken,
            clock=clock,
        )
        machine = TranslationMachine(model="m", now=clock.now(), seed=1)
        session = Interpretation(machine, engine)
        events = asyncio.Queue()
        session.observers.append(lambda event: events.put_nowait(to_dict(event)))
        session.append_audio(SPOKEN.resample(SAMPLE_RATE).samples)
        session.receive('{"type": "session.close"}')
        seen = []
        while not seen or seen[-1]["type"] != "session.closed":
            seen.append(await asyncio.wait_for(events.get(), 20))
        await session.close()
        return seen

    seen = asyncio.run(run())
    assert [event["type"] for event in seen] == [
        "session.created",
        "session.output_transcript.delta",
        "error",
        "session.closed",
    ]
    said = f"A sentence could not be translated: {message}"
    assert seen[2]["error"]["message"] == said


# -- voices ------------------------------------------------------------------------------


def test_languages_sound_different():
    def length(mouth):
        pieces = mouth.speak("Guten Morgen, mein Herr.", voice="alloy", speed=1.0)
        return sum(len(piece.samples) for piece in pieces)

    lengths = {language: length(Voice(language)) for language in ("", *LANGUAGES)}
    assert len(set(lengths.values())) == len(lengths)
    assert length(Voice().in_language("xx")) == lengths[""]


def test_a_mouth_of_one_language_speaks_as_it_can():
    mouth = Metronome()
    assert in_language(mouth, "es") is mouth
    assert in_language(Voice(), "es") is not None
