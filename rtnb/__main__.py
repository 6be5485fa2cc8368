"""``python -m rtnb`` is the ``rtnb`` command."""

from __future__ import annotations

import sys

from rtnb.cli import main

if __name__ == "__main__":
    sys.exit(main())
