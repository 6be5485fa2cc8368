"""Letting a widget's messages in while a cell runs."""

from __future__ import annotations

from typing import Any


def let_in_while_busy(comm: Any) -> None:
    """Have the messages of a comm handled where the front end asked for it.

    Parameters
    ----------
    comm : comm.base_comm.BaseComm
        Of an open widget.

    Notes
    -----
    ipykernel 7.4 routes the messages of a widget to the main shell, which a running
    cell keeps busy. This undoes it, as far as the kernel has that door.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = _as_it_came  # noqa: SLF001


def _as_it_came(data: object, default: object) -> object:  # noqa: ARG001
    """Route a comm message to the subshell that the front end asked for."""
    return default
