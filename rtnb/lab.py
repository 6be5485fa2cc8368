"""``rtnb lab``: JupyterLab on a copy of the tutorial notebooks.

The originals stay as they were installed. What was copied is remembered in the working
folder (file name and sha256, in ``.rtnb-tutorials.json``), so a later version of rtnb
can tell a notebook that the user changed from one it may replace.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rtnb.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

QUICK_START = "00-quick-start.ipynb"
"""The notebook that JupyterLab opens."""

MANIFEST = ".rtnb-tutorials.json"
"""Remembers, in the working folder, what was copied there."""


def run(
    directory: str | Path,
    *,
    port: int | None = None,
    browser: bool = True,
    jupyter_arguments: Sequence[str] = (),
    say: Callable[[str], None],
) -> int:
    """Copy the tutorials and serve JupyterLab on the copy until it is ended.

    Parameters
    ----------
    directory : path
        The working folder; made when missing.
    port : int, optional
        Port of the server; Jupyter's own choice when left out.
    browser : bool, default True
        Whether a browser opens.
    jupyter_arguments : sequence of str
        Given to Jupyter after ours, so they win.
    say : callable
        Receives the sentences that the user should read.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    MissingExtra
        If JupyterLab is not installed.
    ConfigError
        If `directory` holds the originals or cannot be written.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise MissingExtra("rtnb lab", "lab")
    from jupyterlab.labapp import LabApp

    folder = Path(directory).expanduser().resolve()
    for sentence in copy_tutorials(folder):
        say(sentence)
    if _is_root():
        say("Running as root, so JupyterLab is started with --allow-root.")
    LabApp.launch_instance(
        [*_server_arguments(folder, port=port, browser=browser), *jupyter_arguments]
    )
    return 0


def copy_tutorials(
    directory: str | Path, *, source: str | Path | None = None
) -> list[str]:
    """Bring the tutorial notebooks of a folder up to date without touching the user's work.

    Parameters
    ----------
    directory : path
        The working folder; made when missing.
    source : path, optional
        Folder of the originals; those that came with rtnb when left out.

    Returns
    -------
    list of str
        What was done, in sentences; empty when everything was there already.

    Raises
    ------
    ConfigError
        If `directory` holds the originals or cannot be written.

    Notes
    -----
    A notebook is replaced only while it is byte for byte what was copied last. Beside a
    changed one, a newer tutorial is written as ``NAME-new.ipynb`` under the same rule.
    To have a tutorial back as it was, delete the copy.
    """
    originals = Path(source) if source is not None else tutorials()
    folder = Path(directory)
    if folder.exists() and folder.samefile(originals):
        raise ConfigError(
            f"{folder} holds the original tutorials; choose another folder with --dir"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        copied = _read_manifest(folder)
        sentences = [
            _place(original.read_bytes(), folder / original.name, copied)
            for original in sorted(originals.glob("*.ipynb"))
        ]
        _write_manifest(folder, copied)
    except OSError as error:
        raise ConfigError(
            f"cannot write the tutorials to {folder}: {error.strerror}; "
            "choose another folder with --dir"
        ) from error
    return [sentence for sentence in sentences if sentence]


def tutorials() -> Path:
    """Folder of the original tutorial notebooks.

    Returns
    -------
    Path
        Inside the package when it was installed, beside it in a checkout.
    """
    package = Path(__file__).parent
    installed = package / "data" / "notebooks"
    return installed if installed.is_dir() else package.parent / "notebooks"


def _place(tutorial: bytes, target: Path, copied: dict[str, str]) -> str | None:
    """Write `tutorial` to `target` or beside it; keep `copied` true; say what was done."""
    known = copied.get(target.name)
    newest = hashlib.sha256(tutorial).hexdigest()
    present = _sha256(target) if target.exists() else None
    if present is None or present in (known, newest):
        copied[target.name] = newest
        if present == newest:
            return None
        target.write_bytes(tutorial)
        verb = "Copied" if present is None else "Updated"
        return f"{verb} {target}."
    if known == newest:
        return None
    if target.stem.endswith("-new"):
        return f"Kept {target}, which you changed; the newer tutorial was not copied."
    beside = target.with_name(f"{target.stem}-new{target.suffix}")
    sentence = _place(tutorial, beside, copied)
    return sentence and f"Kept {target}, which you changed. {sentence}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_manifest(folder: Path) -> dict[str, str]:
    """What was copied, by name; an unreadable manifest protects every file."""
    try:
        remembered = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return dict(remembered) if isinstance(remembered, dict) else {}


def _write_manifest(folder: Path, copied: dict[str, str]) -> None:
    text = json.dumps(copied, indent=2, sort_keys=True)
    (folder / MANIFEST).write_text(f"{text}\n", "utf-8")


def _server_arguments(folder: Path, *, port: int | None, browser: bool) -> list[str]:
    arguments = [
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{QUICK_START}",
    ]
    if not browser:
        arguments.append("--no-browser")
    if port is not None:
        arguments.append(f"--ServerApp.port={port}")
    if _is_root():
        arguments.append("--allow-root")
    return arguments


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
