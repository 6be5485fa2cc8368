"""The frames of ``/rtnb/tap``: a session's input audio, for whoever records or draws it.

Each binary message is the position of its first sample (u64 little-endian, samples at
24 kHz since the session began, which is what ``audio_start_ms`` counts in), then PCM16
little-endian. The text message ``end`` of the client asks for what is still on its way,
after which the gateway closes the connection.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from rtnb.audio import pcm16_decode, pcm16_encode
from rtnb.errors import ProtocolError

if TYPE_CHECKING:
    from rtnb.audio import Samples

PATH: Final = "/rtnb/tap"
"""Where the gateway serves it: ``?session_id=``, with the token in the header."""

END: Final = "end"
"""What the client says when it has heard enough."""

_POSITION = struct.Struct("<Q")


def pack(position: int, samples: Samples) -> bytes:
    """The message that carries some samples.

    Parameters
    ----------
    position : int
        Of the first sample.
    samples : float32 array, shape (n,)
        Mono, 24 kHz, in [-1, 1].

    Examples
    --------
    >>> import numpy as np
    >>> pack(768, np.array([0.5], np.float32)).hex()
    '00030000000000000040'
    """
    return _POSITION.pack(position) + pcm16_encode(samples)


def unpack(message: bytes) -> tuple[int, Samples]:
    """Position and samples of a message.

    Raises
    ------
    ProtocolError
        If it is too short to hold a position.
    AudioFormatError
        If the audio has an odd number of bytes.
    """
    if len(message) < _POSITION.size:
        raise ProtocolError(
            f"a tap message has {len(message)} bytes, its position alone "
            f"{_POSITION.size}",
            message.hex(),
        )
    (position,) = _POSITION.unpack_from(message)
    return position, pcm16_decode(message[_POSITION.size :])
