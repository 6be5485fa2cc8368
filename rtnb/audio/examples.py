"""Recorded human speech that comes with the package; sources in ``data/NOTICE.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rtnb.errors import AudioFormatError

_TRANSCRIPTS: Final = {
    "austen-0870": "and mister john dashwood had then leisure to consider how much "
    "there might be prudently in his power to do for them",
    "austen-0880": "he was not an ill disposed young man",
    "austen-0890": "unless to be rather cold hearted and rather selfish is to be "
    "ill disposed",
}

EXAMPLES: Final = tuple(_TRANSCRIPTS)
"""Names of the example recordings."""


def transcript_of(name: str) -> str:
    """What is said in an example recording.

    Parameters
    ----------
    name : str
        One of `EXAMPLES`.

    Returns
    -------
    str
        The words, in lower case, without punctuation.

    Raises
    ------
    AudioFormatError
        If there is no such example.

    Examples
    --------
    >>> transcript_of("austen-0880")
    'he was not an ill disposed young man'
    """
    _check(name)
    return _TRANSCRIPTS[name]


def path_of(name: str) -> Path:
    """File of an example recording: 16 kHz, mono, 16-bit WAV."""
    _check(name)
    return Path(__file__).parent.parent / "data" / "speech" / f"{name}.wav"


def _check(name: str) -> None:
    if name not in _TRANSCRIPTS:
        raise AudioFormatError(
            f"there is no example {name!r}: choose one of {', '.join(EXAMPLES)}"
        )
