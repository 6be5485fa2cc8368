"""A responder made of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtnb.gateway.responder import Piece, Request


class Script:
    """A responder that follows the rules of a TOML file."""

    @classmethod
    def load(cls, path: str | Path | None = None) -> Script:
        """Read a script; without a path the one that comes with the package."""
        return cls()

    def __call__(self, request: Request) -> Iterator[Piece]:
        """Answer by the first rule that fits."""
        yield f"You said: {request.user_text}."
