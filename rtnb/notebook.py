"""The way from a session up to the notebook that it was opened in.

What shows things stands above what is shown, and is loaded when there is something to
show: here it leaves word how to be reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_show_questions: Callable[[Any], object] | None = None


def show_questions_by(show: Callable[[Any], object] | None) -> None:
    """Say who shows questions that need a person's answer.

    Parameters
    ----------
    show : callable or None
        Takes a session's `rtnb.session.approval.Approvals`, shows those that wait and
        watches them from then on. None: nobody does.
    """
    global _show_questions  # noqa: PLW0603 - a process has one notebook
    _show_questions = show


def questions_are_shown_by() -> Callable[[Any], object] | None:
    """Who shows questions; None if nobody does."""
    return _show_questions
