"""What a script can obey without understanding: orders of a few known forms.

Each function looks for one kind of order, in the user's words or in the instructions, and
gives what must be said, or None where there is no such order. All of them are tables and
patterns: the same words always make the same answer.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from rtnb.gateway.arithmetic import TENS, UNITS, numbers_in
from rtnb.gateway.tool_guess import STOP_WORDS, guess_object, stems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

MOST_COUNTED: Final = 100
"""Numbers that are counted at most; nobody listens to more."""

LONGEST: Final = 4000
"""Characters of instructions or words in which orders are looked for."""

_SAY: Final = r"\b(?:reply|respond|answer|say|output|return|write|speak)\b"
_QUOTED: Final = (
    r"[\"“](?P<quoted>[^\"“”]+)[\"”]|'(?P<single>[^'\n]+)'(?!\w)|`(?P<tick>[^`]+)`"
)
_EXACTLY: Final = re.compile(
    rf"{_SAY}(?:\s+(?:to (?:me|the user|it|them|everything|this)|with|only|just|back|me))*\s+"
    r"(?:exactly(?:\s+(?:this|these words|the following|the words?|the phrase|the sentence|"
    r"the text))?|(?P<noun>(?:only |just )?the\s+(?:single |exact |one )?"
    r"(?:words?|phrase|sentence|text|string|letter|number|token)))"
    rf"\s*(?:(?P<colon>:)|,)?\s*(?:{_QUOTED}|(?P<plain>[^\n]+))",
    re.IGNORECASE,
)
_WITH_QUOTED: Final = re.compile(
    rf"{_SAY}(?:\s+\w+){{0,4}}?\s+(?:with|only|just)(?:\s+only)?\s*:?\s*(?:{_QUOTED})",
    re.IGNORECASE,
)
_REFERENCE: Final = re.compile(
    r"(?:the|of|that|which|from|your|their|his|her|for|you|to|in|i|we)\b", re.IGNORECASE
)
"""What follows "the word" where it is not the word itself."""
_NEGATION: Final = re.compile(
    r"\b(?:never|not|don't|avoid|without|cannot|can't)\b[^.!?\n]{0,30}$", re.IGNORECASE
)
_NOTHING_ELSE: Final = re.compile(
    r"[\s,;.]*\b(?:and (?:say |add )?nothing (?:else|more)|nothing else|and no other words?|"
    r"without anything else|(?:do not|don't|never) (?:say|add|use|write|include)\b.*|"
    r"only|please|no matter\b.*|regardless\b.*|whatever\b.*|to (?:every|any|all)\b.*|"
    r"when(?:ever)?\b.*|if\b.*)[.!\s]*$",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"(?<=\w)[.](?:\s|$)|(?<=[!?])\s")
_CONDITION: Final = re.compile(
    r"\b(?:if|when|whenever|once|after|unless)\b(?P<what>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION_WORDS: Final = STOP_WORDS | frozenset(
    """answer anything asked asks ask caller hear hears mention mentioned mentions
    question respond reply said say says someone something speak talk talks tells user
    word words""".split()  # noqa: SIM905 - to be read, not to be counted
)


def exact_reply(words: str, instructions: str) -> str | None:
    """What must be said letter for letter: "reply exactly …", "say the word …".

    Parameters
    ----------
    words : str
        What the user said, as it was said. Its order goes before that of instructions.
    instructions : str
        Those of the response or the session; an order with a condition ("when the user
        says hello, reply exactly …") holds where its words are in `words`.

    Returns
    -------
    str or None
        The answer, without its quotes; None without such an order.

    Examples
    --------
    >>> exact_reply("", 'Whatever happens, reply exactly "PONG!" and nothing else.')
    'PONG!'
    """
    for text, given in ((words, None), (instructions, words)):
        for pattern in (_EXACTLY, _WITH_QUOTED):
            for found in pattern.finditer(text[:LONGEST]):
                if not _holds(text, found.start(), given):
                    continue
                if reply := _ordered(found):
                    return reply
    return None


def _ordered(found: re.Match[str]) -> str:
    groups = {"colon": None, "noun": None, **found.groupdict()}
    quoted = groups["quoted"] or groups["single"] or groups["tick"]
    if quoted:
        return quoted.strip()
    plain = groups["plain"] or ""
    if groups["noun"] and not groups["colon"] and _REFERENCE.match(plain):
        return ""
    if not groups["colon"]:
        plain = _SENTENCE_END.split(plain, maxsplit=1)[0]
    shorter = _NOTHING_ELSE.sub("", plain).strip()
    return (shorter if groups["colon"] else shorter.rstrip(".")) or plain.strip()


def _holds(text: str, order: int, words: str | None) -> bool:
    """Whether an order is one, and its condition, if it has one, is met by words."""
    if _NEGATION.search(text[max(0, order - 60) : order]):
        return False
    if words is None:
        return True
    begin = max(text.rfind(sign, 0, order) for sign in ".!?\n;")
    found = _CONDITION.search(text[begin + 1 : order])
    if found is None:
        return True
    what = found["what"]
    said = words.lower()
    quotes = [next(filter(None, one)) for one in re.findall(_QUOTED, what)]
    if quotes:
        return any(one.lower().strip() in said for one in quotes)
    wanted = {
        word
        for word in re.findall(r"[^\W_]+", what.lower())
        if word not in _CONDITION_WORDS
    }
    return bool(wanted) and stems(" ".join(wanted)) <= stems(words)


# -- choosing ------------------------------------------------------------------------

_ASKS: Final = (
    r"(?:\b(?:answer|reply|respond|say|output|return|write|print|with|question|only|word)"
    r"\b[^.\n]{0,40}?)"
)
_YES_NO: Final = re.compile(
    rf"{_ASKS}[\"'“`]?\b(?P<a>yes|true)\b[\"'”`]?\s*(?:or|/|\|)\s*(?:with\s+)?"
    r"[\"'“`]?\b(?P<b>no|false)\b[\"'”`]?",
    re.IGNORECASE,
)
_LIST: Final = re.compile(
    r"(?:\b(?:choose|pick|select)(?: exactly)?(?: one| a \w+)?(?: (?:from|between|among|of))?"
    rf"|{_ASKS}\b(?:one of|either)"
    r"|\b(?:classify|categori[sz]e|label)\b[^:\n]{0,200}?\b(?:as|into)"
    r"|\b(?:labels?|categories|options?|choices)(?: are)?(?=\s*:))"
    r"(?:\s+(?:either|of|from|these|the following|the|single|labels?|words?|categories|"
    r"options?|values?|are|one of))*\s*:?\s*(?P<list>[^\n]+)",
    re.IGNORECASE,
)
_OPTION_END: Final = re.compile(r"[.;!?](?:\s|$)|:\s")
_BETWEEN: Final = re.compile(r"\s*(?:,\s*(?:or|and)\s+|,|/|\||\s+or\s+|\s+and\s+)\s*")
_LONGEST_OPTION: Final = 5
"""Words of an option; what is longer is a sentence."""
_REST: Final = ("other", "none", "unknown", "neutral", "general", "unclear")
_HINTS: Final[dict[str, frozenset[str]]] = {
    "positive": frozenset(
        "love great good happy excellent thank wonderful like nice amazing best".split()  # noqa: SIM905
    ),
    "negative": frozenset(
        "hate bad terrible angry awful worst broken sad annoy slow poor problem".split()  # noqa: SIM905
    ),
    "billing": frozenset("invoice charge pay payment refund bill money card".split()),  # noqa: SIM905
    "support": frozenset("help broken error crash problem work fix issue".split()),  # noqa: SIM905
    "technical": frozenset("broken error crash install problem work bug issue".split()),  # noqa: SIM905
    "sales": frozenset("buy price cost order purchase offer quote".split()),  # noqa: SIM905
    "question": frozenset("what when where who why how".split()),  # noqa: SIM905
    "greeting": frozenset("hello hi hey morning evening".split()),  # noqa: SIM905
}
"""Words that speak for an option which often stands in such a list."""


def choice(words: str, instructions: str, said: Sequence[str] = ()) -> str | None:
    """One of the answers that a prompt allows: "answer yes or no", "one of: a, b, c".

    Parameters
    ----------
    words : str
        The user's last words.
    instructions : str
        Those of the response or the session.
    said : sequence of str
        All that the user said, which is what is judged.

    Returns
    -------
    str or None
        The option as the prompt writes it; None if it allows no such choice.

    Notes
    -----
    An option whose own words were said is taken, then one that a small table of words
    speaks for, then "other" or its like, then the first. "Yes" is said where a word of
    the question was said, or nothing was.

    Examples
    --------
    >>> choice("I hate waiting.", "Classify as one of: positive, negative, neutral.")
    'negative'
    """
    for prompt in (words[:LONGEST], instructions[:LONGEST]):
        if found := _YES_NO.search(prompt):
            yes, no = found["a"], found["b"]
            material = _material(prompt, found, words, said)
            about = stems(_YES_NO.sub("", prompt)) - _FRAME
            return yes if not material or about & stems(material) else no
        for found in _LIST.finditer(prompt):
            if options := _options(found["list"]):
                return _likeliest(options, _material(prompt, found, words, said))
    return None


_FRAME: Final = stems(
    "answer reply respond say only just with one word exactly question user question "
    "mention said says following text message conversation whether"
)


def _material(
    prompt: str, found: re.Match[str], words: str, said: Sequence[str]
) -> str:
    """What is to be judged: everything that was said but the prompt itself."""
    if prompt == words[:LONGEST]:
        outside = prompt[: found.start()] + prompt[found.end() :]
        quotes = [next(filter(None, one)) for one in re.findall(_QUOTED, found[0])]
        return " ".join([outside, *quotes, *[one for one in said if one != words]])
    return " ".join(said) or words


def _options(text: str) -> list[str]:
    text = _OPTION_END.split(text, maxsplit=1)[0]
    quoted = [next(filter(None, one)) for one in re.findall(_QUOTED, text)]
    options = quoted or [
        one.strip(" \"'`“”[](){}.").removeprefix("either ")
        for one in _BETWEEN.split(text)
    ]
    options = [one for one in options if one]
    short = all(len(one.split()) <= _LONGEST_OPTION for one in options)
    return options if len(options) > 1 and short else []


def _likeliest(options: Sequence[str], material: str) -> str:
    heard = stems(material)
    for option in options:
        own = stems(option.replace("_", " "))
        if own and own <= heard:
            return option
    hinted = [
        (len(_HINTS.get(option.lower(), frozenset()) & _words_of(material)), option)
        for option in options
    ]
    score, best = max(hinted, key=lambda one: one[0])
    if score:
        return best
    return next((one for one in options if one.lower() in _REST), options[0])


def _words_of(text: str) -> set[str]:
    words = set(re.findall(r"[^\W_]+", text.lower()))
    return words | stems(text) | {word.rstrip("sd") for word in words}


# -- counting ------------------------------------------------------------------------

_COUNT: Final = re.compile(
    r"\bcount(?:ing)?\b(?! (?:on|me|him|her|us|them|as|for)\b)(?P<down>\s+down|\s+backwards?)?(?P<range>[^.!?]*)",
    re.IGNORECASE,
)
_NUMERALS: Final = {
    value: word for table in (UNITS, TENS) for word, value in table.items()
}


def counting(words: str) -> str | None:
    """Numbers in a row, where the user asks to count.

    Parameters
    ----------
    words : str
        What the user said: "count to five", "count from 3 to 7", "count down from ten".

    Returns
    -------
    str or None
        ``"3, 4, 5, 6, 7"``, or in words where the user says them in words; up to
        `MOST_COUNTED` numbers.

    Examples
    --------
    >>> counting("please count down from three")
    'Three. Two. One'
    """
    found = _COUNT.search(words)
    if found is None:
        return None
    numbers = [int(number) for number in numbers_in(found["range"])][:2]
    if found["down"]:
        first, last = (*(numbers or [10]), 1)[:2]
    elif len(numbers) > 1:
        first, last = numbers
    else:
        first, last = 1, (*numbers, 10)[0]
    step = 1 if last >= first else -1
    row = range(first, last + step, step)[:MOST_COUNTED]
    in_words = not re.search(r"\d", found["range"])
    if in_words and all(number in _NUMERALS for number in row):
        return ". ".join(_NUMERALS[number].capitalize() for number in row)
    return ", ".join(map(str, row))


# -- JSON ----------------------------------------------------------------------------

_JSON: Final = re.compile(
    r"(?:^|[.!?:;,\n]\s*|\b(?:please|must|should|always|only|and|to|you)\s+)"
    r"(?:respond|reply|answer|output|return|write|produce|give)\b[^.\n]{0,60}?\bjson\b",
    re.IGNORECASE,
)
_VAGUE: Final = re.compile(
    r"^(?:\.\.\.|…|<.*>|string|str|text|number|int(?:eger)?|float|bool(?:ean)?|value)?$",
    re.IGNORECASE,
)
_KINDS: Final = {"number": "number", "float": "number", "int": "integer"} | {
    "integer": "integer",
    "bool": "boolean",
    "boolean": "boolean",
}


def json_reply(words: str, instructions: str, today: date | None = None) -> str | None:
    """A JSON object where one is asked for.

    Parameters
    ----------
    words : str
        What the user said.
    instructions : str
        Those of the response or the session.
    today : datetime.date, optional
        From which "tomorrow" is counted.

    Returns
    -------
    str or None
        The object in braces of the prompt, what it leaves open (``"..."``,
        ``"string"``, ``"yes|no"``, bare names) filled from the words as the arguments
        of a function would be; ``{"answer": words}`` where there is none. None if the
        prompt has no word of JSON.

    Examples
    --------
    >>> json_reply("in Rome", 'Respond in JSON {"city": "string", "ok": true}')
    '{"city": "Rome", "ok": true}'
    """
    for prompt in (words, instructions):
        if not _JSON.search(prompt[:LONGEST]):
            continue
        template = _template_in(prompt[:LONGEST])
        material = words if prompt is not words else re.sub(r"\{.*\}", " ", words)
        if template is None:
            return json.dumps({"answer": material.strip()}, ensure_ascii=False)
        guesses = guess_object(material.strip(), _schema_of(template), today=today)
        return json.dumps(guesses, ensure_ascii=False)
    return None


def _template_in(prompt: str) -> dict[str, Any] | None:
    start = prompt.find("{")
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(prompt, start)
    except ValueError:
        inside = prompt[start + 1 :].split("}", 1)[0]
        names = re.findall(r"[\"']?([A-Za-z_]\w*)[\"']?\s*(?::[^,}]*)?(?:,|$)", inside)
        return dict.fromkeys(names, "...") or None
    return value if isinstance(value, dict) and value else None


def _schema_of(value: Any) -> dict[str, Any]:
    """A schema whose only object is the example, but for what that leaves open."""
    match value:
        case dict():
            inner = {str(name): _schema_of(one) for name, one in value.items()}
            return {"type": "object", "properties": inner, "required": list(inner)}
        case list() if value:
            return {"type": "array", "items": _schema_of(value[0]), "minItems": 1}
        case str() if "|" in value:
            return {"enum": [one.strip() for one in value.split("|")]}
        case str() if _VAGUE.match(value):
            return {"type": _KINDS.get(value.lower(), "string")}
        case _:
            return {"const": value}


# -- languages -----------------------------------------------------------------------

GREETINGS: Final = {
    "arabic": "Marhaban",
    "chinese": "Nǐ hǎo",
    "czech": "Dobrý den",
    "danish": "Hej",
    "dutch": "Hallo",
    "finnish": "Hei",
    "french": "Bonjour",
    "german": "Guten Tag",
    "greek": "Yia sas",
    "hebrew": "Shalom",
    "hindi": "Namaste",
    "hungarian": "Jó napot",
    "italian": "Buongiorno",
    "japanese": "Konnichiwa",
    "korean": "Annyeonghaseyo",
    "norwegian": "Hei",
    "polish": "Dzień dobry",
    "portuguese": "Olá",
    "romanian": "Bună ziua",
    "russian": "Zdravstvuyte",
    "spanish": "Hola",
    "swedish": "Hej",
    "turkish": "Merhaba",
    "ukrainian": "Dobryi den",
    "vietnamese": "Xin chào",
}
"""Good day in languages that instructions may name, in Latin letters."""

_IN_LANGUAGE: Final = re.compile(
    rf"(?:\bin|\bspeak(?:s|ing)?|\blanguage(?: is|:)?|\buse)\s+(?:only\s+)?"
    rf"(?P<language>{'|'.join(GREETINGS)})\b",
    re.IGNORECASE,
)


def language(instructions: str) -> str | None:
    """The language that instructions ask for, where it is not English.

    Parameters
    ----------
    instructions : str
        Those of the response or the session.

    Returns
    -------
    str or None
        A key of `GREETINGS` with a capital, such as ``"French"``.
    """
    found = _IN_LANGUAGE.search(instructions[:LONGEST])
    return found["language"].capitalize() if found else None


# -- memory --------------------------------------------------------------------------

_TEXT: Final = r"[^.,;!?\n]+"
_VALUE: Final = rf"(?P<value>{_TEXT})"
_FACTS: Final = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (rf"\bmy (?P<what>(?:\w+'s )?\w+(?: \w+)?) (?:is|are|was) (?:called )?{_VALUE}", re.I),
        (rf"\b(?:i am called|i'm called|call me) (?P<name>{_TEXT})", re.I),
        (r"\bI(?:'m| am) (?P<name>(?!Sorry|Happy|Fine|Good|Sure|Here|Done|Ok)[A-Z][\w'-]+)(?=$|[.,;!?\n]| and\b)", re.NOFLAG),
        (rf"\bi live in (?P<home>{_TEXT})", re.I),
        (r"\bi(?:'m| am) (?P<age>[\w-]+(?: [\w-]+)?) years old", re.I),
        (rf"\bthe user'?s? (?P<what>\w+(?: \w+)?) is (?:called )?{_VALUE}", re.I),
        (rf"\b(?:remember|note)(?: that)?:? (?:the|our) (?P<thing>\w+(?: \w+)?) is {_VALUE}", re.I),
        (rf"\bthe (?P<thing>(?:secret|magic|pass)\s?(?:word|code|number)|code|password) is {_VALUE}", re.I),
    )
)  # fmt: skip
_ASKED: Final = re.compile(
    r"\b(?:what(?:'s| is| was| are| were)|who(?:'s| is)|remember|know|tell me|recall)"
    r"(?: again)? my (?P<what>(?:\w+'s )?\w+(?: \w+)?)(?= again| now| please|[.,;!?]|$)"
    r"|\b(?P<name>who am i|what am i called)\b|\b(?P<home>where do i live)\b"
    r"|\b(?P<age>how old am i)\b"
    r"|\b(?:what(?:'s| is| was)|remember|recall|tell me) the (?P<thing>\w+(?: \w+)?)"
    r"(?= again| please|[.,;!?]|$)",
    re.IGNORECASE,
)
_SENTENCES: Final = {
    "name": "your name is {}",
    "home": "you live in {}",
    "age": "you are {} years old",
}
_UNKNOWN: Final = {
    "name": "your name",
    "home": "where you live",
    "age": "how old you are",
}
_SPELLING: Final = str.maketrans({"u": ""})


def noted(words: str) -> str | None:
    """A fact that the user tells, as one says it back.

    Parameters
    ----------
    words : str
        What the user said.

    Returns
    -------
    str or None
        ``"your name is Marcelo"``; None if nothing is told, or something is asked too.

    Examples
    --------
    >>> noted("My favourite colour is blue.")
    'your favourite colour is blue'
    """
    if _ASKED.search(words):
        return None
    return next((sentence for _, sentence in _facts(words)), None)


def remembered(words: str, told: Sequence[str]) -> str | None:
    """What the user told of what is asked now.

    Parameters
    ----------
    words : str
        What the user said: "what is my name?"
    told : sequence of str
        Instructions and all that was said before, oldest first.

    Returns
    -------
    str or None
        ``"your name is Marcelo"``, or that it was not told; None if nothing is asked.

    Examples
    --------
    >>> remembered("where do I live?", ["I live in Recife."])
    'you live in Recife'
    """
    asked = _ASKED.search(words)
    if asked is None:
        return None
    kind, what = next((k, v) for k, v in asked.groupdict().items() if v)
    key = _key(kind, what)
    known = {key: sentence for text in (*told, words) for key, sentence in _facts(text)}
    if key in known:
        return known[key]
    if kind == "thing":
        return None
    return f"you have not told me {_UNKNOWN.get(key, f'your {what.lower()}')}"


def _facts(text: str) -> Iterator[tuple[str, str]]:
    """Facts in a text: what each is of, and as a sentence."""
    for pattern in _FACTS:
        for found in pattern.finditer(text[:LONGEST]):
            groups = {name: value for name, value in found.groupdict().items() if value}
            value = groups.pop("value", "").strip()
            kind, what = next(iter(groups.items()))
            key = _key(kind, what)
            value = value or what.strip()
            if key == "name" and (value.split()[0].lower() in STOP_WORDS):
                continue
            if key in {"name", "home"} or "name" in key.split():
                value = value.title() if value.islower() else value
            of = "the" if kind == "thing" else "your"
            sentence = _SENTENCES.get(key, f"{of} {what.lower()} is {{}}")
            yield key, sentence.replace("{}", value)


def _key(kind: str, what: str) -> str:
    return kind if kind in _SENTENCES else what.lower().translate(_SPELLING)
