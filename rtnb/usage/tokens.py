"""How many tokens audio and text count for.

Audio rates are documented and checked against recorded sessions; the text count is an
estimate, because the service's tokenizer and hidden markers are not published.

References
----------
OpenAI Realtime API, "Managing costs": user audio is one token per 100 ms, assistant
audio one per 50 ms; ten tokens of text content are counted as twelve.
"""

from __future__ import annotations

import math
import re
from typing import Final

USER_AUDIO_TOKEN_MS: Final = 100
"""Milliseconds of user audio in a token: documented."""

ASSISTANT_AUDIO_TOKEN_MS: Final = 50
"""Milliseconds of assistant audio in a token: documented."""

TEXT_MARKERS: Final = 2
"""Hidden tokens around a text: ten documented tokens of content count as twelve."""

USER_AUDIO_MARKERS: Final = 6
"""Text tokens that come with a spoken user message.

Recorded: an instruction of seven tokens (nine with its markers) and one spoken message
were 15 text tokens.
"""

_PIECES = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # kana, ideographs, Hangul: one each
    r"|[^\W\d_]{1,8}"  # letters: one token per eight begun
    r"|\d{1,3}"  # digits: by threes
    r"|(?:[^\w\s]|_)+"  # a run of punctuation: one
)


def user_audio_tokens(ms: float) -> int:
    """Number of tokens that user audio counts for as input.

    Parameters
    ----------
    ms : float, >= 0
        Length of the committed audio, milliseconds.

    Returns
    -------
    int
        Whole tokens of 100 ms; a begun one does not count.

    Notes
    -----
    Recorded: 2796 ms of committed audio were 27 tokens.

    Examples
    --------
    >>> user_audio_tokens(2796)
    27
    """
    return math.floor(_steps(ms, USER_AUDIO_TOKEN_MS))


def assistant_audio_tokens(ms: float) -> int:
    """Number of tokens that assistant audio counts for, as output and as later input.

    Parameters
    ----------
    ms : float, >= 0
        Length of the generated audio, heard or not, milliseconds.

    Returns
    -------
    int
        Tokens of 50 ms; a begun one has been generated and counts.

    Examples
    --------
    >>> assistant_audio_tokens(2100)
    42
    """
    return math.ceil(_steps(ms, ASSISTANT_AUDIO_TOKEN_MS))


def estimate_text_tokens(text: str) -> int:
    """Estimate of the tokens that a text counts for.

    Parameters
    ----------
    text : str
        Instructions, a message, or a text answer.

    Returns
    -------
    int
        One token per eight begun letters of a word, three digits, run of punctuation
        or East Asian character, and two markers; 0 for an empty text.

    Notes
    -----
    This is an estimate. In the recorded sessions it gives 16 for a measured 16 and 11
    for a text answer of 13.

    Examples
    --------
    >>> instructions, message = "Answer in two or three words.", "Say a short greeting."
    >>> estimate_text_tokens(instructions) + estimate_text_tokens(message)
    16
    """
    pieces = _pieces(text)
    return pieces + TEXT_MARKERS if pieces else 0


def estimate_transcript_tokens(text: str) -> int:
    """Estimate of the text tokens of a spoken answer, which its audio tokens join.

    Parameters
    ----------
    text : str
        Transcript of the answer.

    Returns
    -------
    int
        Twice the content and two markers; 0 for an empty text.

    Notes
    -----
    This is an estimate: a spoken answer is billed for about twice the text one reads.
    The four recorded ones measured 9, 18, 18 and 17; this gives 8, 18, 18 and 16.

    Examples
    --------
    >>> estimate_transcript_tokens("Hi Marcelo! Nice to meet you.")
    18
    """
    pieces = _pieces(text)
    return 2 * pieces + TEXT_MARKERS if pieces else 0


def estimate_tools_tokens(tools_json: str) -> int:
    """Estimate of the tokens that function tools count for as part of the instructions.

    Parameters
    ----------
    tools_json : str
        The tools as on the wire, in JSON.

    Returns
    -------
    int
        Half of the content and two markers; 0 for an empty text.

    Notes
    -----
    This is an estimate: the model is shown something shorter than the JSON. Recorded: a
    tool with one parameter and one sentence was about 35 tokens; this gives 34.
    """
    pieces = _pieces(tools_json)
    return math.ceil(pieces / 2) + TEXT_MARKERS if pieces else 0


def _pieces(text: str) -> int:
    return sum(1 for _ in _PIECES.finditer(text))


def _steps(ms: float, step_ms: int) -> float:
    """Steps in `ms`, freed of the last bits in which a float may err."""
    return round(ms / step_ms, 6)
