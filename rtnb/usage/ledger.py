"""What a session has used and spent so far, response by response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from rtnb.usage.prices import Cost, cost
from rtnb.usage.wire import Usage

if TYPE_CHECKING:
    from rtnb.usage.prices import PriceTable
    from rtnb.usage.wire import TranscriptionUsage


@dataclass(frozen=True)
class LedgerRow:
    """One response or transcription: its id, model, usage and cost."""

    id: str
    model: str | None
    usage: Usage | TranscriptionUsage
    cost: Cost


class UsageLedger:
    """Usage and cost, each response counted once.

    Parameters
    ----------
    prices : PriceTable, optional
        The table; by default the package's own.

    Notes
    -----
    One thread adds, any thread reads.

    Examples
    --------
    >>> ledger = UsageLedger()
    >>> usage = Usage(total_tokens=40, input_tokens=16, output_tokens=24)
    >>> ledger.add("resp_1", usage, "gpt-realtime")
    True
    >>> ledger.add("resp_1", usage, "gpt-realtime")
    False
    >>> ledger.usage.total_tokens
    40
    """

    def __init__(self, prices: PriceTable | None = None) -> None:
        self._prices = prices
        self._rows: dict[str, LedgerRow] = {}
        self._usage = Usage()
        self._cost = Cost()

    def add(
        self,
        response_id: str,
        usage: Usage | TranscriptionUsage,
        model: str | None,
    ) -> bool:
        """Enter a response, or a transcription, unless its id is already here.

        Parameters
        ----------
        response_id : str
            Identifier of the response; of the item, for a transcription.
        usage : Usage, TranscriptionTokens or TranscriptionDuration
            What it used. A transcription adds to the cost, not to `usage`.
        model : str or None
            Whose prices count.

        Returns
        -------
        bool
            False if it was entered before; nothing is changed then.
        """
        if response_id in self._rows:
            return False
        row = LedgerRow(
            response_id, model, usage, cost(usage, model, prices=self._prices)
        )
        self._rows[response_id] = row
        self._cost += row.cost
        if isinstance(usage, Usage):
            self._usage += usage
        return True

    @property
    def usage(self) -> Usage:
        """Tokens of all responses."""
        return self._usage

    @property
    def cost(self) -> Cost:
        """Cost of all responses and transcriptions; `usd` None if one is not known."""
        return self._cost

    def rows(self) -> list[LedgerRow]:
        """Entries in the order in which they came."""
        return list(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    @override
    def __repr__(self) -> str:
        return f"UsageLedger({len(self)} entries, {self.usage.total_tokens} tokens, {self.cost})"
