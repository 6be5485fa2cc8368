"""A script's rules answer; a wrong one is refused by its name and a way out."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from rtnb.errors import ConfigError, MissingExtra
from rtnb.gateway.responder import (
    Failure,
    NextMessage,
    Pace,
    Pause,
    Request,
    StopShort,
    Told,
    ToolCall,
)
from rtnb.gateway.script import Script
from rtnb.protocol.events import (
    FunctionCallItem,
    FunctionCallOutputItem,
    FunctionTool,
    InputAudio,
    InputText,
    McpApprovalRequestItem,
    McpApprovalResponseItem,
    McpCallItem,
    McpToolExecutionError,
    MessageItem,
    OutputAudio,
    OutputText,
    ToolChoiceFunction,
    ToolChoiceMcp,
)
from rtnb.protocol.server import Tokens

WEATHER = FunctionTool(
    name="get_weather",
    description="Get the weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)
DICE = FunctionTool(
    name="roll_dice",
    parameters={"type": "object", "properties": {"sides": {"type": "integer"}}},
)
TUTORIAL = Script.load()


def request(text=None, **facts):
    defaults = {
        "instructions": "",
        "items": (),
        "tools": (),
        "tool_choice": "auto",
        "heard_ms": None,
        "transcription_failed": None,
        "now": datetime(2026, 11, 20, 14, 5, tzinfo=UTC),
    }
    return Request(user_text=text, **{**defaults, **facts})


def answer(script, text=None, **facts):
    return list(script(request(text, **facts)))


def said(script, text=None, **facts):
    return "".join(p for p in answer(script, text, **facts) if isinstance(p, str))


def user(text):
    return MessageItem(role="user", content=[InputText(text=text)])


# -- the language ----------------------------------------------------------------------


def rules(*tables):
    return Script.parse("".join(f"[[rule]]\n{table}\n" for table in tables))


def test_the_first_rule_that_fits_answers():
    script = rules(
        "match = '^hello'\nthen = 'one'",
        "match = 'hello|there'\nthen = 'two'",
        "then = 'three'",
    )
    assert [said(script, text) for text in ("Hello!", "hi there", "what?")] == [
        "one",
        "two",
        "three",
    ]


def test_when_nothing_applies_there_is_silence():
    assert answer(rules("match = 'hello'\nthen = 'yes'"), "goodbye") == []


def test_actions_are_done_in_order():
    script = rules(
        """
        match = 'weather in (?P<city>\\w+)'
        then = ["Let me look.", { wait = 1.5 }, { say = "In {city}?" },
                { call = "get_weather", arguments = { city = "{city}" } },
                { call = "roll_dice", arguments = { sides = "six 20", n = [1, "{city}"] } }]
        """
    )
    assert answer(script, "weather in Paris", tools=(WEATHER, DICE)) == [
        "Let me look.",
        Pause(1.5),
        " In Paris?",
        ToolCall("get_weather", {"city": "Paris"}),
        ToolCall("roll_dice", {"sides": 6, "n": [1, "Paris"]}),
    ]


def test_an_empty_list_is_silence():
    script = rules("match = 'quiet'\nthen = []", "then = 'what?'")
    assert answer(script, "be quiet") == []


def test_a_brace_is_written_twice():
    assert said(rules("then = '{{heard}}'"), "x") == "{heard}"


def test_braces_in_the_users_words_are_only_words():
    assert (
        said(rules("then = '{heard}'"), "{why} {0.__class__}") == "{why} {0.__class__}"
    )


def test_words_are_normalised():
    script = rules("match = '''^\"what's this\"$'''\nthen = 'yes'")
    assert said(script, " “What’s   this” ?! ") == "yes"


@pytest.mark.parametrize(
    ("name", "facts", "value"),
    [
        ("heard", {}, "one plus two"),
        ("heard_seconds", {"heard_ms": 2890.0}, "2.9"),
        ("time", {}, "2:05 PM"),
        ("date", {}, "20 November 2026"),
        ("day", {}, "Friday"),
        ("sum", {}, "1 plus 2 is 3"),
        ("instructions", {"instructions": "Be kind."}, "Be kind"),
        ("tools", {"tools": (WEATHER, DICE)}, "get_weather and roll_dice"),
        ("previous", {"items": (MessageItem(role="assistant", content=[OutputAudio(transcript="So it is.")]),)}, "So it is"),
        ("previous", {"items": (MessageItem(role="assistant", content=[OutputText(text="a"), OutputText(text="b")]),)}, "a b"),
        ("earlier", {"items": (user("hi"), MessageItem(role="user", content=[InputAudio(transcript="x")]))}, "hi"),
        ("examples", {}, '"hello you"'),
    ],
)  # fmt: skip
def test_every_name_has_its_value(name, facts, value):
    examples = "examples = ['[a] b', 'hello you', 'z']"
    script = rules(f"then = '<{{{name}}}>'\n{examples}", "then = 'unknown'")
    assert said(script, "one plus two", **facts) == f"<{value}>"


@pytest.mark.parametrize(
    "name",
    [
        "heard_seconds",
        "sum",
        "instructions",
        "tools",
        "tool",
        "previous",
        "earlier",
        "why",
    ],
)
def test_a_rule_whose_name_has_no_value_is_passed_over(name):
    script = rules(f"then = '<{{{name}}}>'", "then = 'unknown'")
    assert said(script, "hello") == "unknown"


def test_a_group_that_took_no_part_has_no_value():
    script = rules("match = 'a(?P<b>b)?'\nthen = 'with {b}'", "then = 'without'")
    assert [said(script, text) for text in ("ab", "a")] == ["with b", "without"]


@pytest.mark.parametrize(
    ("text", "expected"), [("weather?", {"city": "weather"}), ("weather in Rome", {"city": "Rome"})]
)  # fmt: skip
def test_arguments_are_guessed_where_none_are_given(text, expected):
    script = rules("then = { call = 'get_weather' }")
    [call] = answer(script, text, tools=(WEATHER,))
    assert call.arguments in (expected, {"city": text.rstrip("?")})


def test_a_call_of_an_unknown_function_is_passed_over():
    script = rules("then = { call = 'get_weather' }", "then = 'no such thing'")
    assert said(script, "weather", tools=(DICE,)) == "no such thing"


def test_every_function_that_is_named_is_called():
    script = rules("then = { call = '{tool}' }")
    calls = answer(script, "roll dice and the weather in Rome", tools=(WEATHER, DICE))
    assert {call.name for call in calls} == {"roll_dice", "get_weather"}


SITUATIONS = rules(
    "on = 'words'\nthen = 'words'",
    "on = 'no_words'\nmatch = 'rtnb\\[local\\]'\nthen = 'install'",
    "on = 'no_words'\nthen = '{why}'",
    "on = 'nothing'\nthen = 'nothing'",
)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"text": "x", "heard_ms": 500.0}, "words"),
        ({}, "nothing"),
        ({"text": " . "}, "nothing"),
        ({"heard_ms": 500.0}, "there were no words in it"),
        ({"text": "", "heard_ms": 500.0}, "there were no words in it"),
        ({"transcription_failed": "too noisy."}, "too noisy"),
        ({"transcription_failed": str(MissingExtra("it", "local"))}, "install"),
    ],
)
def test_the_situation_chooses_among_the_rules(facts, expected):
    assert said(SITUATIONS, **facts) == expected


def call(name, number):
    return FunctionCallItem(name=name, call_id=f"call_{number}", arguments="{}")


def output(number, text):
    return FunctionCallOutputItem(call_id=f"call_{number}", output=text)


RESULTS = rules(
    "on = 'tool_result'\nmatch = '^roll'\nthen = 'rolled {result}.'",
    "on = 'tool_result'\nthen = '{tool}: {result}.'",
    "then = 'words'",
)


def test_every_result_since_the_last_words_is_answered():
    items = (
        user("one"),
        call("get_weather", 1),
        output(1, "old"),
        MessageItem(role="assistant", content=[OutputText(text="old")]),
        user("two"),
        call("get_weather", 2),
        call("roll_dice", 3),
        output(3, "4"),
        output(2, '{"sky": "clear", "wind_speed": [1, 2.5], "rain": false}'),
        output(9, ""),
    )
    assert said(RESULTS, "two", items=items) == (
        "rolled 4. get_weather: sky: clear, wind_speed: 1, 2.5, rain: no. "
        "function: nothing."
    )


@pytest.mark.parametrize(
    ("text", "spoken"),
    [("It rains.", "It rains."), ("null", "nothing"), ('"so"', "so"), ("true", "yes")],
)
def test_results_are_read_without_the_signs_of_json(text, spoken):
    items = (user("x"), call("f", 1), output(1, text))
    assert said(RESULTS, "x", items=items) == f"f: {spoken}."


def test_mcp_tools_give_results_too():
    common = {"server_label": "s", "arguments": "{}"}
    error = McpToolExecutionError(message="it broke")
    items = (
        user("one"),
        McpCallItem(id="a", name="roll", output="4", **common),
        McpCallItem(id="b", name="break", output=None, error=error, **common),
        McpCallItem(id="c", name="lose", output=None, **common),
        McpApprovalRequestItem(id="d", name="send", **common),
        McpApprovalResponseItem(approval_request_id="d", approve=False),
        McpApprovalRequestItem(id="e", name="read", **common),
        McpApprovalResponseItem(approval_request_id="e", approve=True),
    )
    assert said(RESULTS, "one", items=items) == (
        "rolled 4. break: it failed: it broke. lose: it failed: there is no result. "
        "send: it was not allowed."
    )
    assert said(RESULTS, "two", items=(*items, user("two"))) == "words"


def test_after_the_next_words_results_are_past():
    items = (user("x"), call("f", 1), output(1, "y"), user("z"))
    assert said(RESULTS, "z", items=items) == "words"


TOLD = (
    user("weather in Rome"),
    McpCallItem(
        id="a", name="get_weather", output="sun", server_label="s", arguments="{}"
    ),
    MessageItem(role="assistant", content=[OutputText(text="sun")]),
)


def test_another_answer_calls_nothing_again():
    [answered] = answer(TUTORIAL, "weather in Rome", items=TOLD, tools=(WEATHER,))
    assert answered == "The tool get_weather says: sun."


def test_another_answer_obeys_its_instructions():
    obeyed = said(
        TUTORIAL,
        "weather in Rome",
        items=TOLD,
        tools=(WEATHER,),
        instructions="Reply exactly: good night",
    )
    assert obeyed == "good night"


def test_the_next_words_call_again():
    items = (*TOLD, user("weather in Rome"))
    [called] = answer(TUTORIAL, "weather in Rome", items=items, tools=(WEATHER,))
    assert called == ToolCall("get_weather", {"city": "Rome"})


# -- tool_choice -----------------------------------------------------------------------

CALLS = rules("match = 'weather'\nthen = { call = 'get_weather' }", "then = 'no call'")


@pytest.mark.parametrize(
    ("choice", "text", "expected"),
    [
        ("auto", "weather in Rome", ToolCall("get_weather", {"city": "Rome"})),
        ("auto", "hello", "no call"),
        ("none", "weather in Rome", "no call"),
        ("required", "weather in Rome", ToolCall("get_weather", {"city": "Rome"})),
        ("required", "seven dice", ToolCall("roll_dice", {"sides": 7})),
        ("required", "hello in Rome", ToolCall("get_weather", {"city": "Rome"})),
        (ToolChoiceFunction(name="roll_dice"), "the weather", ToolCall("roll_dice", {})),
        ({"type": "function", "name": "roll_dice"}, "a 6", ToolCall("roll_dice", {"sides": 6})),
        (ToolChoiceFunction(name="unknown"), "hello", "no call"),
        (ToolChoiceMcp(server_label="x"), "hello", "no call"),
    ],
)  # fmt: skip
def test_tool_choice_is_obeyed(choice, text, expected):
    pieces = answer(CALLS, text, tools=(WEATHER, DICE), tool_choice=choice)
    assert pieces == [expected]


def test_a_demand_that_cannot_be_met_is_left():
    assert said(CALLS, "hello", tool_choice="required") == "no call"


ALLOWED = {
    "type": "allowed_tools",
    "tools": [{"type": "function", "name": "roll_dice"}],
}


@pytest.mark.parametrize(
    ("mode", "text", "expected"),
    [
        ("auto", "the weather", "no call"),
        ("required", "the weather", ToolCall("roll_dice", {})),
    ],
)
def test_tool_choice_may_allow_some(mode, text, expected):
    allowed = {**ALLOWED, "mode": mode}
    assert answer(CALLS, text, tools=(WEATHER, DICE), tool_choice=allowed) == [expected]


def test_days_of_arguments_are_counted_from_the_request():
    book = FunctionTool(
        name="book", parameters={"properties": {"day": {"format": "date"}}}
    )
    [call] = answer(rules("then = { call = 'book' }"), "book tomorrow", tools=(book,))
    assert call.arguments == {"day": "2026-11-21"}


# -- for test suites -------------------------------------------------------------------


def test_a_rule_may_ask_for_instructions():
    script = rules(
        "match = 'hi'\ninstructions = 'be (?P<how>\\w+)'\nthen = '{how}'",
        "then = 'else'",
    )
    assert said(script, "hi", instructions="Be kind.") == "kind"
    assert said(script, "hi", instructions="Do well.") == "else"
    assert said(script, "ho", instructions="Be kind.") == "else"


def test_a_rule_may_be_for_several_situations():
    script = rules("on = ['words', 'nothing']\nthen = 'yes'")
    assert [said(script, "x"), said(script), said(script, heard_ms=1.0)] == [
        "yes",
        "yes",
        "",
    ]


def test_every_ending_and_its_price():
    script = rules(
        """
        usage = { output_text = 7 }
        rate = "instant"
        then = [{ commentary = "One." }, "Two.", { wait = inf },
                { stop = "content_filter" }, { fail = "insufficient_quota" },
                { fail = "server_error", message = "Oh." }]
        """
    )
    assert answer(script, "x") == [
        Tokens(output_text=7),
        Pace(math.inf),
        "One.",
        NextMessage(),
        " Two.",
        Pause(math.inf),
        StopShort("content_filter"),
        Failure(
            "You exceeded your current quota, please check your plan.",
            "insufficient_quota",
        ),
        Failure("Oh.", None),
    ]


def test_transcripts_may_be_late_or_never_come():
    script = Script.parse(
        """
        [[rule]]
        then = "x"
        [[transcript]]
        match = "^slow"
        delay = 2
        [[transcript]]
        match = "^never"
        delay = inf
        [[transcript]]
        match = "^noise"
        fail = "too noisy"
        """
    )
    assert script.told("Slow one.") == Told(2.0)
    assert script.told("never") == Told(math.inf)
    assert script.told("noise") == Told(0.0, "too noisy")
    assert script.told("hello").at_once


@pytest.mark.parametrize(
    ("name", "text", "facts", "value"),
    [
        ("exactly", "Say exactly: A b!", {}, "A b!"),
        ("exactly", "x", {"instructions": "Say exactly: y"}, "y"),
        ("choice", "Answer yes or no", {}, "yes"),
        ("json", 'Answer in JSON {"a": 1}', {}, '{"a": 1}'),
        ("counting", "count to 2", {}, "1, 2"),
        ("noted", "my name is al", {}, "your name is Al"),
        ("remembered", "what is my name", {"items": (user("call me al"),)}, "your name is Al"),
        ("language", "x", {"instructions": "Speak German."}, "German"),
        ("greeting", "x", {"instructions": "Speak German."}, "Guten Tag"),
        ("pending", "x", {"items": (FunctionCallItem(name="f", call_id="c", arguments="{}"),)}, "f"),
    ],
)  # fmt: skip
def test_orders_have_their_values(name, text, facts, value):
    script = rules(f"then = '{{{name}}}'", "then = 'unknown'")
    assert said(script, text, **facts) == value
    assert said(script, "hello") == "unknown"


# -- wrong scripts ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rule = ", r"bot.toml is not TOML.*between single quotes"),
        ("", r"bot.toml has no rules: begin one with \[\[rule\]\]"),
        ("rule = 7", r"has no rules"),
        ("[[rules]]", r"'rules' at its top"),
        ("[[rule]]", r"bot.toml, line 1, rule 1: there is no \"then\""),
        ("[[rule]]\nname = 'hi'", r"bot.toml, line 1, hi: there is no"),
        ("[[rule]]\nthen = ''\n[[rule]]\nthan = ''", r"line 3, rule 2: 'than' means nothing: did you mean 'then'\? There are.*then"),
        ("[[rule]]\nthen = 7", r"7 is no action: write a string to say"),
        ("[[rule]]\nthen = {}", r"\{\} is no action"),
        ("[[rule]]\nthen = { say = 'a', wait = 1 }", r"is no action"),
        ("[[rule]]\nthen = { wait = '1' }", r"'1' is no number of seconds: write 2.5, or inf"),
        ("[[rule]]\nthen = { wait = true }", r"True is no number of seconds"),
        ("[[rule]]\nthen = { wait = -1 }", r"a pause of -1.0 s cannot be"),
        ("[[rule]]\nthen = { wait = nan }", r"a pause of nan s cannot be"),
        ("[[rule]]\nthen = { call = 'f', arguments = 1 }", r"is no action"),
        ("[[rule]]\nthen = '{hurt}'", r"\{hurt\} in '\{hurt\}' is not known here: choose one of.*heard"),
        ("[[rule]]\nthen = '{heard.x}'", r"\{heard.x\}.*not known"),
        ("[[rule]]\nthen = '{heard!r}'", r"not known"),
        ("[[rule]]\nthen = '{heard:>9}'", r"not known"),
        ("[[rule]]\nthen = '{}'", r"not known"),
        ("[[rule]]\nthen = '{'", r"the braces in '\{' do not match.*\{\{"),
        ("[[rule]]\nthen = { call = 'f', arguments = { a = ['{x}'] } }", r"\{x\} in"),
        ("[[rule]]\nthen = { call = 'f', arguments = { a = { b = '{x}' } } }", r"\{x\} in"),
        ("[[rule]]\nmatch = '('\nthen = ''", r"the pattern '\(' is no regular expression"),
        ("[[rule]]\nmatch = 7\nthen = ''", r"'match' must be a string or a list"),
        ("[[rule]]\nmatch = [7]\nthen = ''", r"'match' must be a string or a list"),
        ("[[rule]]\nmatch = '(?P<heard>x)'\nthen = ''", r"the group 'heard' hides the name \{heard\}"),
        ("[[rule]]\non = 'monday'\nthen = ''", r"'monday' is no situation: choose one of no_words"),
        ("[[rule]]\non = ['words', 'nothin']\nthen = ''", r"'nothin' is no situation: did you mean 'nothing'"),
        ("[[rule]]\nthen = { cal = 'f' }", r"is no action.*one of call, commentary, fail, say, stop, wait"),
        ("[[rule]]\nthen = { call = 'f', argument = {} }", r"'argument' means nothing beside 'call': did you mean 'arguments'"),
        ("[[rule]]\nthen = { say = 'f', wait = 1 }", r"is no action"),
        ("[[rule]]\nthen = { fail = 'rate_limit' }", r"fail = 'rate_limit' is not documented: did you mean 'rate_limit_exceeded'"),
        ("[[rule]]\nthen = { fail = 'server_error', message = 1 }", r"is no action"),
        ("[[rule]]\nthen = { stop = 'x' }", r"stop = 'x' is not documented: choose one of content_filter, max_output_tokens"),
        ("[[rule]]\nthen = ''\nusage = 7", r"'usage' must be a table"),
        ("[[rule]]\nthen = ''\nusage = { output = 7 }", r"'output' means nothing in usage: did you mean"),
        ("[[rule]]\nthen = ''\nusage = { cached = -1 }", r"usage.cached = -1 is no number of tokens"),
        ("[[rule]]\nthen = ''\nusage = { cached = true }", r"usage.cached = True is no number"),
        ("[[rule]]\nthen = ''\nrate = 'slow'", r"rate = 'slow' is no rate: write 1.0, or \"instant\""),
        ("[[rule]]\nthen = ''\nrate = 0", r"a rate of 0.0 cannot be"),
        ("[[rule]]\nthen = ''\ninstructions = '('", r"the pattern '\(' is no regular expression"),
        ("[[rule]]\nthen = ''\n\n[[transcript]]\ndelay = -1", r"line 4, transcript 1: a pause of -1.0 s cannot be"),
        ("[[rule]]\nthen = ''\n[[transcript]]\nlate = 1", r"transcript 1: 'late' means nothing"),
        ("[[rule]]\nthen = ''\n[[transcript]]\nfail = 1", r"fail = 1 is no message"),
        ("[[rule]]\nname = \"\"\"\n[[rule]]\n\"\"\"\nthen = 7", r"bot.toml, \[\[rule\]\]\n: 7 is no action"),
        ("[[rule]]\non = 1\nthen = ''", r"1 is no situation"),
        ("[[rule]]\non = []\nthen = ''", r"\[\] is no situation"),
        ("[[rule]]\nthen = ''\nexamples = ['Hello!']", r"the example 'Hello!' cannot be spoken"),
        ("[[rule]]\nthen = ''\nexamples = ['(a']", r"cannot be spoken"),
        ("[[rule]]\nthen = ''\nexamples = ['a)(']", r"cannot be spoken"),
        ("[[rule]]\nthen = ''\nexamples = ['[a)']", r"cannot be spoken"),
        ("[[rule]]\nthen = ''\nexamples = ['']", r"cannot be spoken"),
        ("[[rule]]\nthen = ''\nexamples = ['a (b |)']", r"cannot be spoken"),
        ("[[rule]]\nthen = ''\nexamples = ['a []']", r"cannot be spoken"),
    ],
)  # fmt: skip
def test_a_wrong_script_is_refused(tmp_path, text, complaint):
    path = tmp_path / "bot.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        Script.load(path)
    assert "bot.toml" in str(caught.value)


def test_a_script_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    for name in ("missing.toml", "latin.toml", "."):
        with pytest.raises(ConfigError, match=r"cannot be read.*give the path"):
            Script.load(tmp_path / name)


# -- the tutorial ----------------------------------------------------------------------

SPOKEN = {"heard_ms": 2300.0}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("hello", "That was 2.3 seconds of speech"),
        ("what did you hear?", "2.3 seconds of audio, and in them the words: what did you hear"),
        ("say after me: the quick brown fox", "the quick brown fox."),
        ("please repeat one two three", "one two three."),
        ("what time is it", "It is 2:05 PM."),
        ("what day is it today", "Today is Friday, 20 November 2026."),
        ("what is two plus three times four", "2 plus 3 times 4 is 14."),
        ("who are you", "There is no model in me"),
        ("he was not an ill disposed young man", "2.3 seconds of speech and understood: he was not"),
        ("he was not an ill disposed young man", "follows a script, without a model"),
        ("help", '"hello"'),
        ("what can I say?", '"tell me a long story"'),
        ("what are your instructions", "This session has no instructions."),
        ("thank you very much", "welcome"),
        ("my name is marcelo", "I will remember that your name is Marcelo."),
        ("what is my name", "you have not told me your name."),
        ("count to five", "One. Two. Three. Four. Five."),
    ],
)  # fmt: skip
def test_the_tutorial_converses(text, part):
    assert part in said(TUTORIAL, text, **SPOKEN)


def test_the_tutorial_obeys_and_remembers():
    items = (user("my name is Marcelo"), user("what is my name?"))
    assert "your name is Marcelo" in said(TUTORIAL, "what is my name?", items=items)
    pong = {"instructions": 'Reply exactly "PONG".', "tools": (WEATHER, DICE)}
    assert said(TUTORIAL, "the weather", **pong) == "PONG"
    assert said(TUTORIAL, **pong) == "PONG"
    assert said(TUTORIAL, "hello", instructions="Speak French.").startswith("Bonjour!")
    results = (user("x"), call("f", 1), call("f", 2), output(1, "a"), output(2, "b"))
    assert said(TUTORIAL, "x", items=results, **pong) == "PONG"
    waiting = (user("roll"), call("roll_dice", 1), user("is it ready?"))
    assert "waiting for roll_dice" in said(TUTORIAL, "is it ready?", items=waiting)


def test_the_tutorial_repeats_what_was_said():
    items = (
        user("tell me a joke"),
        MessageItem(role="assistant", content=[OutputText(text="It had arrived.")]),
        user("say that again"),
    )
    assert said(TUTORIAL, "say that again", items=items) == "It had arrived."
    assert said(TUTORIAL, "what did I say", items=items) == "You said: tell me a joke."


def test_the_tutorial_knows_that_one_typed():
    assert "You wrote: hello" in said(TUTORIAL, "hello")
    assert "you typed" in said(TUTORIAL, "what did you hear")
    assert "You wrote: xyzzy" in said(TUTORIAL, "xyzzy")


def test_the_story_is_long_enough_to_interrupt():
    pieces = answer(TUTORIAL, "tell me a long story")
    words = sum(len(piece.split()) for piece in pieces)
    assert words / 175 * 60 > 40  # seconds, at the pace of the fastest voice
    assert len(pieces) > 5  # so that the first is spoken while the rest is to come


def test_the_tutorial_waits_and_is_silent_when_asked():
    assert Pause(2.0) in answer(TUTORIAL, "wait a moment")
    assert answer(TUTORIAL, "be quiet") == []


def test_the_tutorial_uses_tools_and_answers_their_results():
    tools = (WEATHER, DICE)
    assert answer(TUTORIAL, "What's the weather in Paris?", tools=tools) == [
        ToolCall("get_weather", {"city": "Paris"})
    ]
    assert "your tools: get_weather and roll_dice" in said(
        TUTORIAL, "help", tools=tools
    )
    items = (user("x"), call("get_weather", 1), output(1, '{"sky": "clear"}'))
    assert said(TUTORIAL, "x", items=items) == "The tool get_weather says: sky: clear."


def test_the_tutorial_does_not_call_what_it_is_told_to_repeat():
    assert said(TUTORIAL, "say weather", tools=(WEATHER,)) == "weather."


def test_without_a_recogniser_the_tutorial_says_how_to_add_one():
    why = str(MissingExtra("speech recognition", "local"))
    told = said(TUTORIAL, heard_ms=1500.0, transcription_failed=why)
    assert "1.5 seconds" in told
    assert 'pip install "rtnb[local]"' in told


def test_without_words_the_tutorial_says_why():
    told = said(TUTORIAL, heard_ms=1500.0, transcription_failed="too noisy")
    assert told == "I heard 1.5 seconds of audio but cannot tell the words: too noisy."


def test_the_tutorial_greets_when_there_is_nothing_to_answer():
    assert said(TUTORIAL).startswith("Hello!")


def test_every_plain_example_of_the_tutorial_reaches_its_own_rule():
    items = (
        user("a"),
        MessageItem(role="assistant", content=[OutputText(text="b")]),
        user("c"),
    )
    fallback = said(TUTORIAL, "xyzzy", **SPOKEN).removeprefix("I heard")[-60:]
    for example in TUTORIAL.examples:
        if set(example) <= set("abcdefghijklmnopqrstuvwxyz' "):
            told = said(TUTORIAL, example, items=items, tools=(DICE,), **SPOKEN)
            assert fallback not in told, example
