"""Plain Python functions that the model can call.

The schema of a function comes from its annotations, defaults and docstring. A call never
raises: what goes wrong is told to the model as ``{"error": …}``, which it can read and
answer. Synchronous functions run in a daemon thread of their own, asynchronous ones on
the users' portal; one that never returns is given up after its timeout.
"""

from __future__ import annotations

from rtnb.tools.functions import Confirm, Tool, tool
from rtnb.tools.pictures import Picture, picture
from rtnb.tools.results import MAX_OUTPUT_BYTES, Outcome, error_output

__all__ = [
    "MAX_OUTPUT_BYTES",
    "Confirm",
    "Outcome",
    "Picture",
    "Tool",
    "error_output",
    "picture",
    "tool",
]
