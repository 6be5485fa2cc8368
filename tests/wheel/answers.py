"""``python answers.py URL SECONDS``: wait until a server answers, at most so long."""

from __future__ import annotations

import sys
import threading
import time
import urllib.error
import urllib.request


def answers(url: str, seconds: float) -> bool:
    """Return whether `url` was answered with success within `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, TimeoutError):
            pause.wait(0.2)
    return False


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1], float(sys.argv[2])) else 1)
