"""Ears that are asked how it stands: pocketsphinx on recorded people."""

import math

import pytest

from rtnb.audio import Clip, pcm16_encode
from rtnb.errors import MissingExtra
from rtnb.vad.listener import OPEN, OPEN_WORDS, OVER, Listener, end_probability

RATE = 16_000


@pytest.fixture(scope="module")
def listener():
    return Listener()


def audio(start=0.0, stop=None, *, name="austen-0880"):
    """Part of a packaged sentence, with the silence around it that a pause has."""
    clip = Clip.example(name)
    part = clip.slice(start, clip.duration if stop is None else stop)
    whole = Clip.silence(0.3, RATE) + part + Clip.silence(0.256, RATE)
    return pcm16_encode(whole.samples)


class Model:
    """A language model that says what it is told to, and what it was asked."""

    def __init__(self, ln_p=0.0):
        self._ln_p = ln_p
        self.asked = []

    def prob(self, words):
        self.asked.append(words)
        return self._ln_p / math.log(1.0001)


@pytest.mark.parametrize(
    ("ln_p", "probability"),
    [(-0.5, 1.0), (OVER, 1.0), (-2.0, 0.75), (-2.5, 0.5), (OPEN, 0.0), (-9.0, 0.0)],
)
def test_the_score_is_a_straight_line_between_certain_and_impossible(ln_p, probability):
    assert end_probability(["home"], Model(ln_p)) == pytest.approx(probability)


def test_the_model_is_asked_for_the_end_after_the_last_two_words():
    model = Model()
    end_probability(["i", "went", "home"], model)
    end_probability(["home"], model)
    assert model.asked == [["</s>", "home", "went"], ["</s>", "home", "<s>"]]


def test_no_words_have_no_score():
    assert end_probability([], Model()) is None


@pytest.mark.parametrize("word", sorted(OPEN_WORDS))
def test_some_words_leave_a_sentence_open_whatever_the_model_says(word):
    assert end_probability(["home", word], Model(0.0)) == 0.0


@pytest.mark.parametrize(
    ("finished", "unfinished"),
    [
        ("turn on the kitchen light", "turn on the"),
        ("what time is it in tokyo", "what time is it in"),
        ("i would like a cup of coffee please", "i would like a cup of"),
        ("thank you very much", "thank you very"),
        ("he was not an ill disposed young man", "he was not"),
        ("i want to go home", "i want to"),
    ],
)
def test_finished_sentences_score_above_unfinished_ones(listener, finished, unfinished):
    model = listener.open.get_lm("_default")
    over, still_open = (
        end_probability(text.split(), model) for text in (finished, unfinished)
    )
    assert over > 0.5 > still_open


def test_a_finished_sentence_is_told_from_one_that_was_cut(listener):
    listener.hear(audio())
    finished = listener.judge()
    listener.forget()
    listener.hear(audio(stop=1.0))
    cut = listener.judge()
    listener.forget()
    assert finished > 0.9
    assert cut == 0.0


@pytest.mark.parametrize("every", [32_000, 40_000])
def test_asking_changes_nothing(every):
    asked, unasked = Listener(), Listener()
    data = audio()
    for start in range(0, len(data), every):  # the first second in one piece
        for ears in (asked, unasked):
            ears.hear(data[start : start + every])
        asked.judge()
    assert asked.end() == unasked.end()
    assert asked.open.get_cmn(update=False) == unasked.open.get_cmn(update=False)


def test_less_than_a_second_can_be_judged(listener):
    data = audio(2.15)  # the last two words
    assert len(data) < 2 * RATE * 1.6
    short = data[-2 * RATE + 2 :]
    listener.hear(short)
    judged = listener.judge()
    assert judged is not None
    assert listener.judge() == judged
    listener.forget()


def test_silence_and_nothing_have_no_score(listener):
    assert listener.judge() is None
    listener.hear(bytes(2 * RATE // 2))
    assert listener.judge() is None
    listener.forget()
    assert listener.judge() is None
    assert listener.end() == [[]]


def test_without_the_extra_it_says_how_to_add_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install \"rtnb\[local\]\""):
        Listener()
