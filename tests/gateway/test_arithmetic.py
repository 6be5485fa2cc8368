"""Sums in words and digits, and everything that only looks like one."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.gateway.arithmetic import find_sum, numbers_in, spoken_number


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("what is two plus three times four?", "2 plus 3 times 4 is 14"),
        ("What's 2+3*4", "2 plus 3 times 4 is 14"),
        ("(two plus three) times four", "(2 plus 3) times 4 is 20"),
        ("how much is twenty-one minus fourteen", "21 minus 14 is 7"),
        ("a hundred and five plus one", "105 plus 1 is 106"),
        ("3,200,000 + 5", "3200000 plus 5 is 3200005"),
        (
            "three million two hundred thousand and five minus five",
            "3200005 minus 5 is 3200000",
        ),
        ("two point five plus two point two five", "2.5 plus 2.25 is 4.75"),
        ("minus five times minus 2", "minus 5 times minus 2 is 10"),
        ("zero minus one", "0 minus 1 is minus 1"),
        ("10 ÷ 4 − 1", "10 divided by 4 minus 1 is 1.5"),  # noqa: RUF001
        ("ten divided by three", "10 divided by 3 is about 3.3333"),
        ("two to the power of ten", "2 to the power of 10 is 1024"),
        ("2 ^ 3 ^ 2", "2 to the power of 3 to the power of 2 is 512"),
        ("-2^2", "minus 2 to the power of 2 is minus 4"),
        ("seven squared", "7 squared is 49"),
        ("add two and three", "2 plus 3 is 5"),
        ("the sum of two and three", "2 plus 3 is 5"),
        ("subtract five from twelve", "12 minus 5 is 7"),
        ("multiply six by seven", "6 times 7 is 42"),
        ("divide forty by eight", "40 divided by 8 is 5"),
        ("what is two plus three plus, and so on", "2 plus 3 is 5"),
        ("7 / 0", "7 divided by 0 has no answer: nothing can be divided by zero"),
        (
            "9 ^ 99",
            "9 to the power of 99 has no answer: the number is too large to say",
        ),
        (
            "9 ^ 60",
            "9 to the power of 60 has no answer: the number is too large to say",
        ),
    ],
)
def test_a_sum_is_found_and_worked_out(said, sentence):
    assert find_sum(said).sentence == sentence


@pytest.mark.parametrize(
    "said",
    [
        "",
        "what is the time",
        "call 5 people",
        "two plus",
        "plus two",
        "nineteen eighty four plus one",
        "one two three plus four",
        "(2 + 3",
        "the fox jumps over the dog",
        "__import__('os').system('true')",
    ],
)
def test_what_is_no_sum_is_none(said):
    assert find_sum(said) is None


@pytest.mark.parametrize(
    "said", ["(" * 5000, "1" + "^1" * 5000, "-" * 5000 + "1", "9 " * 5000, "9" * 9000]
)
def test_a_malicious_text_is_survived(said):
    numbers_in(said)
    find_sum(said)
    find_sum(f"1 + {said}")


@given(st.integers(-999, 999), st.integers(-999, 999), st.integers(1, 99))
def test_values_are_exact(one, two, three):
    found = find_sum(f"{one} - {two} / {three}")
    assert found.value == one - Fraction(two, three)


@given(st.integers(0, 999_999_999))
def test_number_words_are_read(number):
    assert numbers_in(in_words(number)) == [number]


def in_words(number):
    """English, by the book: an independent writer for the reader under test."""
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {in_words(number % size)}" if number % size else ""
            return f"{in_words(number // size)} {name}{rest}"
    if number < 20:
        return SMALL[number]
    rest = f"-{SMALL[number % 10]}" if number % 10 else ""
    return TENS[number // 10 - 2] + rest


SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen
fourteen fifteen sixteen seventeen eighteen nineteen""".split()  # noqa: SIM905
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905


def test_numbers_keep_their_order_and_sign():
    said = "roll 2 dice with twenty one sides, minus five, 3 - 2 and 1.5"
    assert [float(n) for n in numbers_in(said)] == [2, 21, -5, 3, 2, 1.5]


@pytest.mark.parametrize(
    ("value", "spoken"),
    [
        (Fraction(14), "14"),
        (Fraction(-7, 2), "minus 3.5"),
        (Fraction(1, 3), "0.3333"),
        (Fraction(100), "100"),
        (Fraction(1, 100_000), "0"),
    ],
)
def test_numbers_are_spoken(value, spoken):
    assert spoken_number(value) == spoken
