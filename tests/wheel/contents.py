"""What a built wheel must hold: every data file of the tree, and nothing of the machine.

``python tests/wheel/contents.py rtnb-….whl`` says what is wrong and exits with 1.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

INDISPENSABLE = (
    "rtnb/data/NOTICE.md",
    "rtnb/data/notebooks/00-quick-start.ipynb",
    "rtnb/data/notebooks/10-see-what-the-detector-saw.ipynb",
    "rtnb/data/speech/austen-0880.wav",
    "rtnb/gateway/scripts/",
    "rtnb/py.typed",
    "rtnb/static/",
    "rtnb/usage/prices.json",
    "rtnb/vad/silero_vad_6.2.npz",
)
"""Files, and folders with at least one file, without which nothing works."""


def expected(root: Path = ROOT) -> set[str]:
    """Names, in a wheel, of what git knows beneath rtnb/ and notebooks/."""
    listed = subprocess.run(
        ["git", "ls-files", "rtnb", "notebooks"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        name if name.startswith("rtnb/") else f"rtnb/data/{name}"
        for name in listed.stdout.splitlines()
    }


def faults(wheel: Path, root: Path = ROOT) -> list[str]:
    """Return what is wrong with a wheel, in sentences."""
    names = {
        name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name
    }
    wanted = expected(root)
    return [
        *(f"missing: {name}" for name in sorted(wanted - names)),
        *(f"does not belong: {name}" for name in sorted(names - wanted)),
        *(
            f"indispensable and missing: {start}"
            for start in INDISPENSABLE
            if not any(name.startswith(start) for name in names)
        ),
    ]


def main() -> int:
    wheel = Path(sys.argv[1])
    found = faults(wheel)
    print("\n".join(found) or f"{wheel.name} holds what it must")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
