"""rtnb.toml and the flags: what they may say, and what they are told otherwise."""

import pytest

from rtnb.errors import ConfigError
from rtnb.gateway.adapters.settings import Models, Place, base_url

CHAT = '[chat]\nurl = "http://127.0.0.1:1"\n'


def refused(text):
    with pytest.raises(ConfigError) as caught:
        Models.parse(text)
    return str(caught.value)


def test_every_documented_key_is_known():
    models = Models.parse("""
    [chat]
    url = "http://127.0.0.1:11434/v1"
    model = "llama3.2"
    key_env = "MY_KEY"
    timeout = 60
    temperature = 0.7
    max_tokens = 400
    extra = { top_p = 0.9 }
    [stt]
    url = "http://127.0.0.1:8000/v1"
    model = "whisper-1"
    language = "en"
    prompt = "Names: Ada, Grace"
    stream = true
    device = "auto"
    compute_type = "default"
    download = false
    [tts]
    url = "http://127.0.0.1:8880/v1"
    model = "kokoro"
    voice = "af_heart"
    voices = { marin = "af_bella" }
    format = "wav"
    """)
    assert list(models.parts) == ["chat", "stt", "tts"]
    assert models.chat.extra == {"top_p": 0.9}
    assert models.stt.whisper is None
    assert [models.tts.voice_for(name) for name in ("marin", "ash")] == [
        "af_bella",
        "af_heart",
    ]


def test_an_empty_file_leaves_everything_embedded():
    assert not Models.parse("")
    assert Models.parse("").parts == {}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://h", "http://h/v1"),
        ("http://h:8080/", "http://h:8080/v1"),
        ("https://h/v1/", "https://h/v1"),
        ("http://h/api/v1/chat/completions", "http://h/api/v1"),
        ("http://h/v1/audio/speech", "http://h/v1"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
        (" http://h/v3 ", "http://h/v3"),
    ],
)
def test_addresses_are_taken_as_people_write_them(written, meant):
    assert base_url(written) == meant


@pytest.mark.parametrize(
    "url", ["", "h:80", "ftp://h", "http://", "http://h:99999", "http://[::1"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError, match="no address of a server"):
        base_url(url)


@pytest.mark.parametrize("url", ["http://me:sk-1@h/v1", "http://h/v1?key=sk-1"])
def test_a_key_in_an_address_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigError, match="key_env") as caught:
        base_url(url)
    assert "sk-1" not in str(caught.value)


MISTAKES = {
    "a table": ("[caht]\n", "rtnb.toml: has no table 'caht': did you mean 'chat'?"),
    "a far table": ("[zzz]\n", "there are chat, stt, tts"),
    "a key": (CHAT + 'modle = "m"', "[chat] has no key 'modle': did you mean 'model'?"),
    "a key by value": (CHAT + 'api_key = "sk-1"', "[chat] has no key 'api_key'"),
    "no address": ('[chat]\nmodel = "m"', "missing required field url"),
    "a type": (CHAT + "model = 3", "[chat]: Expected str, got int - at model"),
    "a range": (CHAT + "temperature = 3.0", "<= 2.0"),
    "a timeout": (CHAT + "timeout = 0", "> 0"),
    "a choice": ('[tts]\nurl = "http://h"\nformat = "mp3"', "Invalid enum value 'mp3'"),
    "no table": ("chat = 3", "[chat] must be a table, not 3"),
    "no TOML": ("[chat", "rtnb.toml is not TOML"),
    "no model": ('[stt]\nurl = "faster-whisper:"', "names no model"),
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(text, words):
    said = refused(text)
    assert words in said
    assert "sk-1" not in said


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        Models.load(tmp_path / "none.toml")


# -- keys ------------------------------------------------------------------------------


def test_a_well_known_key_is_not_sent_to_another_host():
    said = refused(CHAT + 'key_env = "OPENAI_API_KEY"')
    assert "OPENAI_API_KEY holds the key for api.openai.com" in said
    assert "not sent to '127.0.0.1'" in said


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.openai.com", "OPENAI_API_KEY"),
        ("mine.openai.azure.com", "AZURE_OPENAI_API_KEY"),
    ],
)
def test_a_well_known_key_is_sent_home(host, name):
    text = f'[chat]\nurl = "https://{host}/v1"\nkey_env = "{name}"'
    assert Models.parse(text).chat.key({name: "sk-1"}) == "sk-1"


@pytest.mark.parametrize("host", ["api.openai.com.evil.example", "xapi.openai.com"])
def test_a_host_that_only_looks_like_home_is_not(host):
    text = f'[chat]\nurl = "https://{host}/v1"\nkey_env = "OPENAI_API_KEY"'
    assert "not sent to" in refused(text)


@pytest.mark.parametrize("value", ["sk\n1", "schlüssel"])
def test_a_key_that_no_header_may_have_is_refused_and_not_shown(value):
    with pytest.raises(ConfigError, match="cannot be a key") as caught:
        Place(url="http://h/v1", key_env="K").key({"K": value})
    assert value not in str(caught.value)


# -- flags and files -------------------------------------------------------------------

FLAGS = {"chat": None, "chat_model": None, "chat_key_env": None, "tts_voice": None}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rtnb.toml").write_text(
        '[chat]\nurl = "http://a"\nmodel = "m"\nkey_env = "K"\n'
        '[stt]\nurl = "http://b"\n'
    )
    return tmp_path


def test_the_file_of_the_folder_is_found(folder):
    assert Models.choose(FLAGS, folder=folder).chat.model == "m"


def test_no_file_is_looked_for_where_none_is_wanted(folder):
    assert not Models.choose(FLAGS, folder=None)


def test_a_file_by_name_goes_first(folder, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text('[tts]\nurl = "http://c"')
    assert list(Models.choose(FLAGS, config=str(other), folder=folder).parts) == ["tts"]


def test_a_flag_replaces_the_whole_part(folder):
    models = Models.choose({**FLAGS, "chat": "http://z"}, folder=folder)
    assert (models.chat.url, models.chat.model, models.chat.key_env) == (
        "http://z/v1",
        "",
        "",
    )
    assert models.stt.url == "http://b/v1"


def test_a_flag_without_its_address_is_refused(folder):
    with pytest.raises(ConfigError, match=r"--chat-key-env .* give --chat URL"):
        Models.choose({**FLAGS, "chat_key_env": "K"}, folder=folder)
