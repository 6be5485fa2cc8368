"""What tokens and minutes cost: a table with a source and a date, and the sum.

Figures are US dollars per million tokens, or per minute. A price that is not known is
None and makes the cost None, never zero. The table of the package is ``prices.json``
beside this module; a file of the same form replaces it.

References
----------
OpenAI, "Managing costs" of the Realtime API: cached tokens are part of the input
tokens and are billed at the cached price, the rest of the input at the full price.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from typing_extensions import override

from rtnb.errors import ConfigError
from rtnb.usage.wire import TranscriptionDuration, TranscriptionTokens, Usage

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

TOKENS_PER_PRICE: Final = 1_000_000
"""Tokens that a figure of the table is for."""

FIGURES: Final = (
    "text_input",
    "text_cached",
    "text_output",
    "audio_input",
    "audio_cached",
    "audio_output",
    "image_input",
    "image_cached",
    "per_minute",
)
"""Names of the prices on a card, and of the kinds in `Cost.by_kind`."""

_DATED = re.compile(r"(?P<family>.+)-\d{4}-\d{2}-\d{2}")


class Conflict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another source that says something else about a figure.

    Parameters
    ----------
    figure : str
        Name of the field of the card, or "all".
    says : str
        Who says what.
    usd : float or None
        The other figure, where it is a price.
    """

    figure: str
    says: str
    usd: float | None = None


class PriceCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices of one model, and where they come from.

    Parameters
    ----------
    model : str
        Name of the model family.
    snapshots : tuple of str
        Dated names with the same prices; empty: every dated name of the family.
    text_input, text_cached, text_output : float or None
        Dollars per million tokens; None is not known, or not sold.
    audio_input, audio_cached, audio_output : float or None
        Dollars per million tokens.
    image_input, image_cached : float or None
        Dollars per million tokens.
    per_minute : float or None
        Dollars per minute of audio, or of session.
    context_tokens, max_output_tokens : int or None
        Size of the context window and of the longest response.
    source : str
        Where the figures come from.
    date : str or None
        When they were seen there: a year, a month or a day, ISO 8601.
    shutdown : str or None
        Day on which the model is turned off, where one is announced.
    snapshot_shutdowns : dict
        The same for single snapshots.
    unverified : tuple of str
        Figures that no primary source confirms.
    conflicts : tuple of Conflict
        What other sources say.
    note : str
        What else one must know.
    """

    model: str
    snapshots: tuple[str, ...] = ()
    text_input: float | None = None
    text_cached: float | None = None
    text_output: float | None = None
    audio_input: float | None = None
    audio_cached: float | None = None
    audio_output: float | None = None
    image_input: float | None = None
    image_cached: float | None = None
    per_minute: float | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    source: str
    date: str | None
    shutdown: str | None = None
    snapshot_shutdowns: dict[str, str] = {}
    unverified: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        for figure in FIGURES:
            usd = self.price(figure)
            if usd is not None and not 0 <= usd < math.inf:
                raise ConfigError(
                    f"{figure} of {self.model} is {usd}, but a price is 0 or more: "
                    "give a number, or null where it is not known"
                )

    def price(self, figure: str) -> float | None:
        """Price of the kind `figure`, one of `FIGURES`; None where it is not known."""
        value: float | None = getattr(self, figure)
        return value


class _File(msgspec.Struct, forbid_unknown_fields=True):
    cards: tuple[PriceCard, ...]


class PriceTable:
    """Price cards by model.

    Parameters
    ----------
    cards : iterable of PriceCard
        At most one card for a name.

    Raises
    ------
    ConfigError
        If two cards claim the same name.

    Examples
    --------
    >>> PriceTable.load().card("gpt-realtime-2.1").audio_output
    64.0
    """

    def __init__(self, cards: tuple[PriceCard, ...]) -> None:
        self._cards = cards
        self._by_name: dict[str, PriceCard] = {}
        for card in cards:
            for name in (card.model, *card.snapshots):
                if name in self._by_name:
                    raise ConfigError(f"the price table has two cards for {name}")
                self._by_name[name] = card

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> PriceTable:
        """Read a table from a file.

        Parameters
        ----------
        path : path, optional
            JSON of the form of the package's own table, which is the default.

        Returns
        -------
        PriceTable
            The table.

        Raises
        ------
        ConfigError
            If the file is no such table: the place and the reason.
        FileNotFoundError
            If there is no such file.
        """
        return _packaged() if path is None else _parse(Path(path).read_bytes(), path)

    def card(self, model: str | None) -> PriceCard | None:
        """Card of `model`, a family or a dated snapshot; None where there is none."""
        if model is None:
            return None
        if (card := self._by_name.get(model)) is not None:
            return card
        dated = _DATED.fullmatch(model)
        family = self._by_name.get(dated["family"]) if dated is not None else None
        return family if family is not None and not family.snapshots else None

    def __iter__(self) -> Iterator[PriceCard]:
        return iter(self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    @override
    def __repr__(self) -> str:
        return f"PriceTable({', '.join(card.model for card in self._cards)})"


@dataclass(frozen=True)
class Cost:
    """Dollars, by kind; ``+`` adds, and an unknown part makes the sum unknown.

    Parameters
    ----------
    usd : float or None
        The whole; None where a price is not known.
    by_kind : mapping of str to float
        Dollars per kind, named as the figures of a card; known parts only.
    model : str
        The model, or several with commas.
    source : str
        Where the prices come from.
    date : str or None
        When they were seen there.

    Examples
    --------
    >>> print(Cost(usd=0.00192, model="gpt-realtime-2.1"))
    $0.00192
    >>> print(Cost(usd=None, model="home-made"))
    price unknown
    """

    usd: float | None = 0.0
    by_kind: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    source: str = ""
    date: str | None = None

    def __add__(self, other: Cost) -> Cost:
        kinds = dict(self.by_kind)
        for kind, usd in other.by_kind.items():
            kinds[kind] = kinds.get(kind, 0.0) + usd
        known = self.usd is not None and other.usd is not None
        return Cost(
            usd=(self.usd or 0.0) + (other.usd or 0.0) if known else None,
            by_kind=kinds,
            model=_joined(self.model, other.model, ", "),
            source=_joined(self.source, other.source, "; "),
            date=max(filter(None, (self.date, other.date)), default=None),
        )

    @override
    def __str__(self) -> str:
        return "price unknown" if self.usd is None else dollars(self.usd)


def dollars(usd: float) -> str:
    """Write dollars with cents, or three significant digits below a dollar.

    Examples
    --------
    >>> dollars(12.5), dollars(0.0192), dollars(0.00000421), dollars(0)
    ('$12.50', '$0.0192', '$0.00000421', '$0.00')
    """
    if usd == 0 or usd >= 1:
        return f"${usd:.2f}"
    places = max(3, 2 - math.floor(math.log10(usd)))
    return f"${usd:.{places}f}"


def cost(
    usage: Usage | TranscriptionTokens | TranscriptionDuration,
    model: str | None,
    *,
    prices: PriceTable | None = None,
) -> Cost:
    """Cost of a usage at the prices of a model.

    Parameters
    ----------
    usage : Usage, TranscriptionTokens or TranscriptionDuration
        What a response or a transcription used.
    model : str or None
        Whose prices; None is nobody's.
    prices : PriceTable, optional
        The table; by default the package's own.

    Returns
    -------
    Cost
        Per kind and in sum; `usd` is None if the model or one of the prices that are
        needed is not in the table, or if the service did not tell the tokens by kind.

    Notes
    -----
    Per kind (text, audio, image), (input - cached) at the input price plus cached at
    the cached price, plus the output at the output price. Cached tokens that the
    service did not tell by kind are priced as if they were not cached: an upper bound.

    Examples
    --------
    A minute of user audio, and one of assistant audio:

    >>> from rtnb.usage import InputTokenDetails, OutputTokenDetails
    >>> heard = InputTokenDetails(audio_tokens=600)
    >>> said = OutputTokenDetails(audio_tokens=1200)
    >>> both = Usage(input_token_details=heard, output_token_details=said)
    >>> kinds = cost(both, "gpt-realtime-2.1").by_kind
    >>> kinds["audio_input"], kinds["audio_output"]
    (0.0192, 0.0768)
    """
    table = PriceTable.load() if prices is None else prices
    card = table.card(model)
    if card is None:
        return Cost(usd=None, model=model or "")
    known, complete = {}, _told(usage)
    for kind, amount in _amounts(usage).items():
        price = card.price(kind)
        if price is not None:
            known[kind] = amount * price
        complete = complete and price is not None
    return Cost(
        usd=math.fsum(known.values()) if complete else None,
        by_kind=known,
        model=model or "",
        source=card.source,
        date=card.date,
    )


def _amounts(
    usage: Usage | TranscriptionTokens | TranscriptionDuration,
) -> dict[str, float]:
    """Millions of tokens, or minutes, per kind; kinds without any are left out."""
    if isinstance(usage, TranscriptionDuration):
        return {"per_minute": usage.seconds / 60} if usage.seconds else {}
    counts = (
        _transcription_counts(usage)
        if isinstance(usage, TranscriptionTokens)
        else _response_counts(usage)
    )
    return {kind: count / TOKENS_PER_PRICE for kind, count in counts.items() if count}


def _told(usage: Usage | TranscriptionTokens | TranscriptionDuration) -> bool:
    """Whether every token of a response has a kind, and so can have a price."""
    if not isinstance(usage, Usage):
        return True
    read, written = usage.input_token_details, usage.output_token_details
    return (
        read.text_tokens + read.audio_tokens + read.image_tokens >= usage.input_tokens
        and written.text_tokens + written.audio_tokens >= usage.output_tokens
    )


def _response_counts(usage: Usage) -> dict[str, int]:
    read, written = usage.input_token_details, usage.output_token_details
    cached = read.cached_tokens_details
    counts = {"text_output": written.text_tokens, "audio_output": written.audio_tokens}
    for kind in ("text", "audio", "image"):
        all_of_it = getattr(read, f"{kind}_tokens")
        from_cache = min(getattr(cached, f"{kind}_tokens"), all_of_it)
        counts[f"{kind}_input"] = all_of_it - from_cache
        counts[f"{kind}_cached"] = from_cache
    return counts


def _transcription_counts(usage: TranscriptionTokens) -> dict[str, int]:
    details = usage.input_token_details
    told = details.text_tokens + details.audio_tokens
    return {
        "text_input": details.text_tokens,
        "audio_input": details.audio_tokens + max(0, usage.input_tokens - told),
        "text_output": usage.output_tokens,
    }


def _joined(one: str, other: str, separator: str) -> str:
    names = dict.fromkeys((*one.split(separator), *other.split(separator)))
    return separator.join(filter(None, names))


@functools.cache
def _packaged() -> PriceTable:
    name = "prices.json"
    return _parse(resources.files("rtnb.usage").joinpath(name).read_bytes(), name)


def _parse(data: bytes, path: str | os.PathLike[str]) -> PriceTable:
    try:
        return PriceTable(msgspec.json.decode(data, type=_File).cards)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} is no price table: {error}") from error
