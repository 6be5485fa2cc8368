import msgspec
import pytest

from rtnb.errors import ConfigError
from rtnb.vad import SERVER_VAD_DEFAULTS, SemanticVad, ServerVad

TurnDetection = ServerVad | SemanticVad | None


def decode(text):
    return msgspec.json.decode(text, type=TurnDetection)


def test_what_is_not_set_is_not_sent():
    assert msgspec.json.encode(ServerVad()) == b'{"type":"server_vad"}'
    assert msgspec.to_builtins(SemanticVad(eagerness="low")) == {
        "type": "semantic_vad",
        "eagerness": "low",
    }


def test_no_idle_timeout_is_sent_as_null():
    sent = msgspec.json.encode(ServerVad(idle_timeout_ms=None))
    assert sent == b'{"type":"server_vad","idle_timeout_ms":null}'


@pytest.mark.parametrize(
    "settings", [ServerVad(threshold=0.25), SERVER_VAD_DEFAULTS, SemanticVad(), None]
)
def test_settings_come_back_from_the_wire(settings):
    assert decode(msgspec.json.encode(settings)) == settings


def test_the_service_s_defaults_fill_what_is_missing():
    assert ServerVad().filled() == ServerVad(
        threshold=0.5,
        prefix_padding_ms=300,
        silence_duration_ms=200,
        idle_timeout_ms=None,
        create_response=True,
        interrupt_response=True,
    )
    assert SemanticVad().filled() == SemanticVad(
        eagerness="auto", create_response=True, interrupt_response=True
    )


def test_filling_leaves_what_is_set():
    filled = ServerVad(
        threshold=0, create_response=False, idle_timeout_ms=6000
    ).filled()
    assert (filled.threshold, filled.create_response) == (0, False)
    assert filled.idle_timeout_ms == 6000
    assert SemanticVad(eagerness="high").filled().eagerness == "high"


def test_their_repr_is_how_one_writes_them():
    assert repr(ServerVad(threshold=0.6)) == "ServerVad(threshold=0.6)"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"threshold": 1.5}, "threshold is 1.5, .* between 0 and 1: choose"),
        ({"threshold": -0.1}, "threshold is -0.1, .* between 0 and 1"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": "0.5"}, "threshold is '0.5': give a number"),
        ({"threshold": True}, "threshold is True: give a number"),
        ({"prefix_padding_ms": -1}, "prefix_padding_ms is -1 ms, .* 0 or more"),
        ({"prefix_padding_ms": 0.5}, "prefix_padding_ms is 0.5: give whole milli"),
        ({"silence_duration_ms": -200}, "silence_duration_ms is -200 ms"),
        ({"silence_duration_ms": None}, "silence_duration_ms is None: give whole"),
        ({"silence_duration_ms": True}, "silence_duration_ms is True"),
        ({"idle_timeout_ms": 4999}, "idle_timeout_ms is 4999, .* 5000 to 30000"),
        ({"idle_timeout_ms": 30001}, "idle_timeout_ms is 30001, .* or None to wait"),
        ({"idle_timeout_ms": 6e3}, "idle_timeout_ms is 6000.0: give whole"),
        ({"create_response": "yes"}, "create_response is 'yes': give True or False"),
        ({"interrupt_response": 1}, "interrupt_response is 1: give True or False"),
    ],
)
def test_what_cannot_be_is_refused(setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        ServerVad(**setting)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"eagerness": "eager"}, "eagerness is 'eager', .* low, medium, high, auto"),
        ({"create_response": 0}, "create_response is 0"),
        ({"interrupt_response": None}, "interrupt_response is None"),
    ],
)
def test_what_cannot_be_is_refused_for_semantic_vad(setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        SemanticVad(**setting)


@pytest.mark.parametrize(
    "setting",
    [
        {"threshold": 0},
        {"threshold": 1.0},
        {"prefix_padding_ms": 0},
        {"silence_duration_ms": 0},
        {"idle_timeout_ms": 5000},
        {"idle_timeout_ms": 30000},
    ],
)
def test_limits_are_inside(setting):
    for name, value in setting.items():
        assert getattr(ServerVad(**setting), name) == value


def test_a_copy_is_checked_too():
    with pytest.raises(ConfigError, match="threshold is 3"):
        msgspec.structs.replace(ServerVad(), threshold=3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"type":"server_vad","threshold":1.5}', r"threshold is 1\.5, .*: choose one"),
        ('{"type":"server_vad","idle_timeout_ms":1}', "the API takes 5000 to 30000"),
        ('{"type":"server_vad","threshold":null}', r"got `null` - at `\$\.threshold`"),
        ('{"type":"semantic_vad","eagerness":"x"}', r"'x' - at `\$\.eagerness`"),
    ],
)
def test_the_wire_s_refusal_keeps_the_reason(text, sentence):
    with pytest.raises(msgspec.ValidationError, match=sentence):
        decode(text)
