"""Allow or refuse: the questions of a session to the person at the notebook."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets
from typing_extensions import override

from rtnb.markup import safe
from rtnb.widgets.comm_routing import let_in_while_busy

if TYPE_CHECKING:
    from rtnb.session.approval import Approval, Approvals

LONGEST: Final = 10_000
"""Characters of a value that are shown; of a longer one it is said that it goes on."""

STYLE: Final = """<style>
.rtnb-question { border-left: 3px solid currentColor; padding: 2px 0 4px 10px; }
.rtnb-question dl { display: grid; grid-template-columns: max-content 1fr; margin: 4px 0;
  gap: 2px 12px; max-height: 16em; overflow-y: auto; }
.rtnb-question dt { font-weight: 600; width: auto; text-align: left; }
.rtnb-question dd { margin: 0; overflow-wrap: anywhere; font-family: monospace; }
</style>"""


class ApprovalBox(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A row with Allow and Refuse for every call that waits for permission.

    Parameters
    ----------
    approvals : Approvals
        Of a session.

    Notes
    -----
    `refresh` may be called on any thread. Where the kernel allows it, a click is heard
    while a cell runs; elsewhere it is heard when the cell has ended.
    """

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals
        self._rows: dict[Approval, widgets.VBox] = {}
        self._refreshing = threading.Lock()
        super().__init__()
        self.refresh()

    def refresh(self) -> None:
        """Show the questions that wait, and no others."""
        with self._refreshing:
            waiting = self._approvals.waiting
            gone = [
                self._rows.pop(one) for one in list(self._rows) if one not in waiting
            ]
            for approval in waiting:
                if approval not in self._rows:
                    self._rows[approval] = _row(approval)
            self.children = tuple(self._rows.values())
        for row in gone:
            _close(row)

    @override
    def close(self) -> None:
        """Take the box off the page; the questions stay open."""
        with self._refreshing:
            for row in self._rows.values():
                _close(row)
            self._rows.clear()
        super().close()


class PassingApprovalBox(ApprovalBox):
    """A box that looks after itself and goes when all its questions have answers."""

    def __init__(self, approvals: Approvals) -> None:
        super().__init__(approvals)
        self._unwatch = approvals.watch(self._changed)

    def _changed(self) -> None:
        if not self._approvals.waiting:
            self._unwatch()
        threading.Thread(
            target=self._follow, name="rtnb-approvals", daemon=True
        ).start()

    def _follow(self) -> None:
        self.refresh()
        if not self.children:
            self.close()


def question_html(approval: Approval) -> str:
    """What would be called, and with what; escaped."""
    given = approval.arguments
    pairs = given if isinstance(given, dict) else {"arguments": given}
    rows = "".join(
        f"<dt>{safe(name)}</dt><dd>{_value(value)}</dd>"
        for name, value in pairs.items()
    )
    return (
        f'{STYLE}<div class="rtnb-question" role="alert">The model wants to call '
        f"<b>{safe(approval.name)}</b><dl>{rows}</dl></div>"
    )


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= LONGEST:
        return safe(text)
    return (
        f"{safe(text[:LONGEST])}<em> … and {len(text) - LONGEST} characters more</em>"
    )


def _row(approval: Approval) -> widgets.VBox:
    allow = widgets.Button(description="Allow", icon="check")
    refuse = widgets.Button(description="Refuse", icon="times", button_style="warning")
    buttons = (allow, refuse)

    def answer(clicked: widgets.Button) -> None:
        for button in buttons:
            button.disabled = True
        if clicked is allow:
            approval.allow()
        else:
            approval.refuse()

    for button in buttons:
        button.on_click(answer)
        let_in_while_busy(button.comm)
    return widgets.VBox([widgets.HTML(question_html(approval)), widgets.HBox(buttons)])


def _close(row: widgets.VBox) -> None:
    question, buttons = row.children
    for widget in (*buttons.children, buttons, question, row):
        widget.close()
