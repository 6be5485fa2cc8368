"""Tables for a notebook page: static, escaped, in the page's own colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rtnb.markup import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STYLE: Final = """<style>
.rtnb-recording { color: inherit; max-width: 60rem; line-height: 1.45; }
.rtnb-recording table { border-collapse: collapse; color: inherit; width: 100%;
  font-size: inherit; margin: 0; }
.rtnb-recording th, .rtnb-recording td { color: inherit; background: none; border: 0;
  border-bottom: 1px solid var(--jp-border-color2, rgba(128, 128, 128, 0.4));
  padding: 0.25rem 0.8rem 0.25rem 0; text-align: right; vertical-align: top;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.rtnb-recording .rtnb-words { text-align: left; white-space: normal;
  overflow-wrap: break-word; }
.rtnb-recording ul { margin: 0; padding-left: 1.2rem; }
</style>"""


MOST_ROWS: Final = 100
"""Rows that are shown; the rest is counted."""


def table(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: Sequence[str],
    notes: Iterable[str] = (),
) -> str:
    """HTML of a table under a title, with notes below it.

    Parameters
    ----------
    title : str
        One line.
    head : sequence of str
        Names of the columns.
    rows : sequence of sequences of str
        Cells in plain text; of more than `MOST_ROWS` the first are shown.
    words : sequence of str
        Columns that hold words; the others hold figures.
    notes : iterable of str
        What else is to be known.

    Returns
    -------
    str
        Without any script; everything is escaped.
    """
    lines = [_row(head, head, words, tag="th")]
    lines += [_row(head, row, words, tag="td") for row in rows[:MOST_ROWS]]
    more = [f"{len(rows) - MOST_ROWS:,} more"] if len(rows) > MOST_ROWS else []
    listed = "".join(f"<li>{safe(note)}</li>" for note in (*more, *notes))
    return (
        f'{STYLE}<div class="rtnb-recording"><strong>{safe(title)}</strong>'
        f"<table>{''.join(lines)}</table>"
        f"{f'<ul>{listed}</ul>' if listed else ''}</div>"
    )


def _row(
    head: Sequence[str], cells: Sequence[str], words: Sequence[str], *, tag: str
) -> str:
    inner = "".join(
        f"<{tag}{_aligned(name, words)}>{safe(cell)}</{tag}>"
        for name, cell in zip(head, cells, strict=True)
    )
    return f"<tr>{inner}</tr>"


def _aligned(name: str, words: Sequence[str]) -> str:
    """Attributes of a cell; words in a style of their own, which outlasts a sanitizer."""
    if name in words:
        return ' class="rtnb-words" style="text-align: left"'
    return ""
