"""Orders that a script can obey, and what only looks like one."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.gateway.orders import (
    choice,
    counting,
    exact_reply,
    json_reply,
    language,
    noted,
    remembered,
)


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("Reply exactly: PONG!", "PONG!"),
        ("please say exactly hello world.", "hello world"),
        ('Say the word "yes"', "yes"),
        ("Answer with the word banana.", "banana"),
        ("reply with only 'ok'", "ok"),
        ('say only "x y"', "x y"),
        ("Say exactly the following: 'It works'", "It works"),
        ("Please respond with exactly the text: blue moon", "blue moon"),
        ("Reply exactly: Hello. How are you? Do not add anything.", "Hello. How are you?"),
        ("respond with the single word PINEAPPLE no matter what I say", "PINEAPPLE"),
        ("Reply with exactly `a b`, and nothing else", "a b"),
        ("tell me what you said exactly", None),
        ("Never say the word sorry.", None),
        ("do not say exactly that", None),
        ("Say hello in one word", None),
        ("Say the word that I said", None),
        ("", None),
    ],
)  # fmt: skip
def test_replies_letter_for_letter(words, reply):
    assert exact_reply(words, "") == reply
    assert exact_reply("hi", words) == reply


@pytest.mark.parametrize(
    ("words", "instructions", "reply"),
    [
        ("hi", 'If the user says "hi", reply exactly "hello human".', "hello human"),
        ("bye", 'If the user says "hi", reply exactly "hello human".', None),
        ("how is the weather", "When asked about the weather, say exactly: sunny", "sunny"),
        ("how are you", "When asked about the weather, say exactly: sunny", None),
        ("x", 'Whatever happens, reply exactly "PONG!" and nothing else.', "PONG!"),
        ("say exactly a", "say exactly b", "a"),
        ("b", 'If asked for a, say exactly "A". If asked for b, say exactly "B".', "B"),
    ],
)  # fmt: skip
def test_orders_of_the_instructions_may_have_conditions(words, instructions, reply):
    assert exact_reply(words, instructions) == reply


@pytest.mark.parametrize(
    ("words", "instructions", "said", "answer"),
    [
        ("Is it raining? Answer yes or no", "", [], "yes"),
        ("", "Did the user mention the weather? Answer YES or NO.", ["how is the weather"], "YES"),
        ("", "Did the user mention the weather? Answer YES or NO.", ["play a song"], "NO"),
        ("", "Respond with true or false", [], "true"),
        ("I hate waiting", "Classify as one of: positive, negative, neutral.", [], "negative"),
        ("so it is", "Classify as one of: positive, negative, neutral.", [], "neutral"),
        ("choose one of: red, green or blue", "", [], "red"),
        ("Pick one: tea or coffee", "", [], "tea"),
        ("", "Choose one of: tea, coffee", ["a coffee, please"], "coffee"),
        ("", "Classify the topic as 'billing', 'support' or 'other'. Reply with one word.", ["my invoice is wrong"], "billing"),
        ('Classify the sentiment of "I love it" as positive or negative.', "", [], "positive"),
        ("Which is it?", "Labels: a, b, c", [], "a"),
        ("Reply with one of small_talk | help_me", "", ["help me"], "help_me"),
        ("tell me one of your stories", "", [], None),
        ("what are my options", "", [], None),
        ("hi", "You can either help or transfer them to a human operator when needed.", [], None),
        ("hi", "If the user says yes or no, thank them.", [], None),
    ],
)  # fmt: skip
def test_choices(words, instructions, said, answer):
    assert choice(words, instructions, said) == answer


@pytest.mark.parametrize(
    ("words", "row"),
    [
        ("count to five", "One. Two. Three. Four. Five"),
        ("count from 3 to 7", "3, 4, 5, 6, 7"),
        ("count backwards from 3", "3, 2, 1"),
        ("count down from three", "Three. Two. One"),
        ("please count", "One. Two. Three. Four. Five. Six. Seven. Eight. Nine. Ten"),
        ("count from twenty to twenty two", "20, 21, 22"),
        ("you can count on me", None),
        ("an account", None),
    ],
)
def test_counting(words, row):
    assert counting(words) == row


def test_nobody_counts_for_ever():
    assert counting("count to 1000000000").endswith(" 99, 100")


@pytest.mark.parametrize(
    ("words", "instructions", "value"),
    [
        ("in Rome", 'Respond in JSON {"city": "string", "ok": true}', {"city": "Rome", "ok": True}),
        ("I am angry", 'Output JSON: {"mood": "happy|angry", "score": "number", "tags": []}', {"mood": "angry", "score": 0, "tags": []}),
        ("to Bern tomorrow", 'Always answer as JSON {"date": "...", "to": "..."}', {"date": "2026-11-21", "to": "Bern"}),
        ("to Bern", "Reply as JSON with {to, n: 1}", {"to": "Bern", "n": "Bern"}),
        ("so what", "Please answer in JSON.", {"answer": "so what"}),
        ('Respond in JSON {"a": [1]}', "", {"a": [1]}),
    ],
)  # fmt: skip
def test_json(words, instructions, value):
    told = json_reply(words, instructions, date(2026, 11, 20))
    assert json.loads(told) == value


def test_a_word_about_json_is_no_order():
    assert json_reply("what is JSON?", "Tools return JSON.") is None


def test_languages():
    assert language("Always answer in French.") == "French"
    assert language("Speak english") is None


@pytest.mark.parametrize(
    ("words", "told", "answer"),
    [
        ("what is my name?", ["my name is Marcelo"], "your name is Marcelo"),
        ("what is my name?", ["my name is al", "no, my name is bo"], "your name is Bo"),
        ("do you remember my name?", ["I'm Marcelo, hi"], "your name is Marcelo"),
        ("who am I", ["call me al"], "your name is Al"),
        ("what is my name", ["The user's name is Ana."], "your name is Ana"),
        ("What's my name?", ["I'm Sorry.", "I am fine"], "you have not told me your name"),
        ("what's my favorite colour", ["My favourite color is blue. ok"], "your favourite color is blue"),
        ("where do I live", ["i live in new york"], "you live in New York"),
        ("how old am i", ["I am twenty one years old"], "you are twenty one years old"),
        ("what is my dog's name", ["my dog's name is rex"], "your dog's name is Rex"),
        ("what is the secret word", ["remember the secret word is banana"], "the secret word is banana"),
        ("where do I live", [], "you have not told me where you live"),
        ("what is the weather", ["the weather is fine"], None),
        ("hello", ["my name is Marcelo"], None),
    ],
)  # fmt: skip
def test_facts_are_remembered(words, told, answer):
    assert remembered(words, told) == answer


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        ("my name is marcelo", "your name is Marcelo"),
        ("My favourite colour is blue.", "your favourite colour is blue"),
        ("the code is 77", "the code is 77"),
        ("my name is Al. What is my name?", None),
        ("my name is what", None),
        ("i'm fine", None),
    ],
)
def test_facts_are_noted(words, fact):
    assert noted(words) == fact


@given(st.text(), st.text())
def test_any_words_will_do(words, instructions):
    exact_reply(words, f"say exactly {instructions}")
    choice(words, f"one of {instructions}", [words])
    json_reply(words, f"answer in json {{{instructions}")
    counting(f"count {words}")
    remembered(f"what is my {words}", [f"my {words} is {instructions}"])


@pytest.mark.parametrize("text", [" " * 50_000, "say only " * 9000, "my a " * 9000])
def test_long_texts_are_done_with_soon(text):
    exact_reply(f"say exactly {text}x", text)
    choice(text, f"one of {text}x", [text])
    remembered(text, [text])
