"""Which models of the user's own take part, as ``rtnb.toml`` or flags name them.

::

    [chat]                                     # answers, instead of the script
    url = "http://127.0.0.1:11434/v1"          # Ollama; llama.cpp :8080, vLLM :8000
    model = "llama3.2"                         # may be left out where there is only one
    key_env = "MY_KEY"                         # environment variable that holds the key
    timeout = 60                               # seconds of silence before it is given up
    temperature = 0.7
    max_tokens = 400
    extra = { top_p = 0.9 }                    # sent along as it is

    [stt]                                      # writes down what is said
    url = "http://127.0.0.1:8000/v1"
    model = "whisper-1"
    language = "en"
    prompt = "Names: Ada, Grace"
    stream = true                              # ask the server to stream its words

    [stt]                                      # or faster-whisper in the gateway itself
    url = "faster-whisper:/models/whisper-small"   # a directory, or a size
    device = "auto"                            # "cpu", "cuda"
    compute_type = "default"                   # "int8", "float16", …
    download = false                           # true: a size may be fetched

    [tts]                                      # speaks
    url = "http://127.0.0.1:8880/v1"
    model = "kokoro"
    voice = "af_heart"                         # instead of the session's voice …
    voices = { marin = "af_bella" }            # … except for these
    format = "pcm"                             # or "wav"

``url`` is the base of the API; where it is only an address, ``/v1`` is added.

A key is never written here: ``key_env`` names the environment variable. It is sent to
the host of its own ``url`` and to no other.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Meta

from rtnb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE: Final = "rtnb.toml"
"""Name of the file that `rtnb serve` looks for in the working directory."""

WHISPER: Final = "faster-whisper"
"""Scheme of an address that is no server's."""

ENDPOINTS: Final = ("/chat/completions", "/audio/transcriptions", "/audio/speech")
"""What people copy along with the base of an API."""

HOMES: Final = {
    "OPENAI_API_KEY": ("api.openai.com",),
    "AZURE_OPENAI_API_KEY": (".openai.azure.com", ".cognitiveservices.azure.com"),
}
"""Well-known keys, and the hosts that they belong to. A file found in some folder could
otherwise send them anywhere."""

Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=3600)]


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model is, and how it is spoken to.

    Parameters
    ----------
    url : str
        Base of the API, ``http`` or ``https``; as `settle` leaves it, without a slash
        at its end.
    model : str
        Its name there; empty: the only one there is.
    key_env : str
        Environment variable that holds the key; empty: none is sent.
    timeout : float, 0 to 3600
        Seconds without a byte after which an answer is given up.
    """

    url: str
    model: str = ""
    key_env: str = ""
    timeout: Seconds = 60.0

    @property
    def host(self) -> str:
        """Name or address of the server."""
        return urlsplit(self.url).hostname or ""

    def key(self, environ: Mapping[str, str] | None = None) -> str:
        """Key for this server; empty where none was named.

        Raises
        ------
        ConfigError
            If the variable is not set.
        """
        if not self.key_env:
            return ""
        key = (os.environ if environ is None else environ).get(self.key_env, "").strip()
        if not key:
            raise ConfigError(
                f"the environment variable {self.key_env}, which is to hold the key for "
                f"{self.host}, is not set: export it, or name another as key_env"
            )
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(
                f"what {self.key_env} holds cannot be a key: it has signs that no "
                "header may have"
            )
        return key


class ChatSettings(Place, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A chat model.

    Parameters
    ----------
    temperature : float, 0 to 2, or None
        None leaves it to the server.
    max_tokens : int >= 1, or None
        Longest answer.
    extra : dict
        Further fields of the request, sent as they are.
    """

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class SttSettings(Place, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recogniser.

    Parameters
    ----------
    language : str
        ISO 639-1; empty: the model finds out.
    prompt : str
        Names and words to expect.
    stream : bool
        Whether the server is asked to stream its words.
    device, compute_type : str
        Of faster-whisper.
    download : bool
        Whether faster-whisper may fetch a model that is not on this machine.
    """

    language: str = ""
    prompt: str = ""
    stream: bool = False
    device: str = "auto"
    compute_type: str = "default"
    download: bool = False

    @property
    def whisper(self) -> str | None:
        """Path or size of the faster-whisper model; None where a server is meant."""
        scheme, colon, rest = self.url.partition(":")
        return rest if colon and scheme == WHISPER else None


class TtsSettings(Place, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A voice.

    Parameters
    ----------
    voice : str
        What speaks for every voice of a session; empty: the session's own name.
    voices : dict of str to str
        What speaks for a session's voice in particular.
    format : {"pcm", "wav"}
        What is asked for. ``pcm`` means 16 bits, mono, 24 kHz, without a header.
    """

    voice: str = ""
    voices: dict[str, str] = msgspec.field(default_factory=dict)
    format: Literal["pcm", "wav"] = "pcm"

    def voice_for(self, voice: str) -> str:
        """Name that the server knows for a session's voice."""
        return self.voices.get(voice) or self.voice or voice


_AnyPlace = TypeVar("_AnyPlace", bound=Place)

_PARTS: Final[dict[str, type[Place]]] = {
    "chat": ChatSettings,
    "stt": SttSettings,
    "tts": TtsSettings,
}


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that are not the embedded ones.

    Parameters
    ----------
    chat, stt, tts : settings or None
        None leaves the embedded part in its place.
    """

    chat: ChatSettings | None = None
    stt: SttSettings | None = None
    tts: TtsSettings | None = None

    @property
    def parts(self) -> dict[str, Place]:
        """Those that were chosen, by name."""
        every = {"chat": self.chat, "stt": self.stt, "tts": self.tts}
        return {name: place for name, place in every.items() if place is not None}

    def __bool__(self) -> bool:
        return bool(self.parts)

    @classmethod
    def load(cls, path: str | Path) -> Models:
        """Read a file.

        Parameters
        ----------
        path : str or Path
            TOML, see the module.

        Returns
        -------
        Models
            Checked.

        Raises
        ------
        ConfigError
            If it cannot be read, is not TOML, or has something that cannot be: names
            the file, the key and the way out.
        """
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path} cannot be read ({error}): give the path of a TOML file, in UTF-8"
            ) from error
        return cls.parse(text, source=str(path))

    @classmethod
    def choose(
        cls,
        flags: Mapping[str, str | None],
        *,
        config: str | None = None,
        folder: str | Path | None = ".",
    ) -> Models:
        """Put together what a command line asks for.

        Parameters
        ----------
        flags : mapping of str to str or None
            By part and key: ``chat`` (which means its ``url``), ``chat_model``,
            ``chat_key_env``, …; None: not given. What flags say of a part stands in the
            place of the whole table, so that no key goes to another host.
        config : str, optional
            A file.
        folder : str, Path or None
            Where to look for `FILE` when none is given; None: nowhere.

        Returns
        -------
        Models
            Checked.

        Raises
        ------
        ConfigError
            If the file or a flag cannot be, or a part has flags but no address.
        """
        tables: dict[str, dict[str, str]] = {}
        for flag, value in flags.items():
            if value is not None:
                part, _, key = flag.partition("_")
                tables.setdefault(part, {})[key or "url"] = value
        for part, table in tables.items():
            if "url" not in table:
                key = next(iter(table)).replace("_", "-")
                raise ConfigError(
                    f"--{part}-{key} belongs to no address: give --{part} URL as well"
                )
        found = Path(folder) / FILE if folder is not None else None
        if config is None and found is not None and found.is_file():
            config = str(found)
        base = cls.load(config) if config is not None else cls()
        return msgspec.structs.replace(
            base, **cls.of(tables, source="the command line").parts
        )

    @classmethod
    def parse(cls, text: str, *, source: str = FILE) -> Models:
        """Read the text of a file.

        Parameters
        ----------
        text : str
            TOML, see the module.
        source : str
            What to call it in error messages.

        Returns
        -------
        Models
            Checked.

        Raises
        ------
        ConfigError
            See `load`.

        Examples
        --------
        >>> models = Models.parse('''
        ... [chat]
        ... url = "http://127.0.0.1:11434"
        ... model = "llama3.2"
        ... ''')
        >>> models.chat.url
        'http://127.0.0.1:11434/v1'
        """
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{source} is not TOML: {error}") from error
        for name in content:
            if name not in _PARTS:
                raise ConfigError(f"{source}: {_unknown(name, _PARTS, 'table')}")
        return cls.of(content, source=source)

    @classmethod
    def of(cls, tables: Mapping[str, Any], *, source: str) -> Models:
        """Check tables by the names of their parts.

        Parameters
        ----------
        tables : mapping
            ``chat``, ``stt``, ``tts``, or some of them.
        source : str
            Where they come from, for error messages.

        Returns
        -------
        Models
            Checked.

        Raises
        ------
        ConfigError
            If something in them cannot be.
        """
        settled: dict[str, Any] = {
            name: settle(table, _PARTS[name], source=f"{source}: [{name}]")
            for name, table in tables.items()
        }
        return cls(**settled)


def settle(table: Any, kind: type[_AnyPlace], *, source: str) -> _AnyPlace:
    """Check one part.

    Parameters
    ----------
    table : mapping
        As in the file.
    kind : type
        Of the part.
    source : str
        Where it comes from, for error messages.

    Returns
    -------
    settings
        With the base of the API as `url`.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, a value has the wrong type or is out of range,
        or the address is none.
    """
    if not isinstance(table, dict):
        raise ConfigError(f"{source} must be a table, not {table!r}")
    names = kind.__struct_fields__
    for name in table:
        if name not in names:
            raise ConfigError(f"{source} {_unknown(name, names, 'key')}")
    try:
        place = msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`", "").replace("$.", "")
        raise ConfigError(f"{source}: {reason}") from error
    if isinstance(place, SttSettings) and place.whisper is not None:
        if not place.whisper:
            raise ConfigError(
                f"{source}: {place.url!r} names no model: write {WHISPER}:DIRECTORY, or "
                f"a size such as {WHISPER}:small"
            )
        return place
    _check_home(place, source)
    return msgspec.structs.replace(place, url=base_url(place.url, source=source))


def base_url(url: str, *, source: str = "the address") -> str:
    """Base of an API, from what people write.

    Parameters
    ----------
    url : str
        ``http`` or ``https``.
    source : str
        Where it comes from, for error messages.

    Returns
    -------
    str
        Without an endpoint and without a slash at its end; ``/v1`` where there was no
        path.

    Raises
    ------
    ConfigError
        If it is no such address, or has a key or a query in it.

    Examples
    --------
    >>> base_url("http://127.0.0.1:8080"), base_url("http://h/api/v1/chat/completions")
    ('http://127.0.0.1:8080/v1', 'http://h/api/v1')
    """
    try:
        parts = urlsplit(url.strip())
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        whole = False
    if not whole:
        shown = url if "@" not in url else "…"
        raise ConfigError(
            f"{source}: {shown!r} is no address of a server: write one such as "
            "http://127.0.0.1:11434/v1"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"{source}: the address of {parts.hostname} has a key or a query in it, and "
            "addresses are logged in many places: name the key's environment variable "
            "as key_env"
        )
    path = parts.path.rstrip("/")
    for endpoint in ENDPOINTS:
        path = path.removesuffix(endpoint)
    return urlunsplit((parts.scheme, parts.netloc, path or "/v1", "", ""))


def _check_home(place: Place, source: str) -> None:
    """Refuse to send a well-known key to somebody else's host."""
    homes = HOMES.get(place.key_env)
    if homes is None or any(_at(place.host, home) for home in homes):
        return
    raise ConfigError(
        f"{source}: {place.key_env} holds the key for {homes[0].lstrip('.')} and is not "
        f"sent to {place.host!r}: put that server's own key into another variable"
    )


def _at(host: str, home: str) -> bool:
    return host.endswith(home) if home.startswith(".") else host == home


def _unknown(name: str, known: Iterable[str], what: str) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
    return f"has no {what} {name!r}: {hint}"
