"""The binary frames of the media socket, between the gateway and the page.

Byte 0 tells the kind. Integers and floats are little-endian; audio is PCM16 mono at
24 kHz. The page's half is ``rtnb/static/frames.js``; both read the same fixture.

.. code-block:: text

    microphone   u8 1, u8 0, u16 0, u32 seq, f64 browser_ms, PCM16
    answer       u8 2, u8 n, u16 0, u32 start_sample, item_id (n bytes UTF-8), PCM16
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from rtnb.errors import AudioFormatError, ProtocolError

MICROPHONE = 1
"""Kind of a frame that carries what the microphone heard."""

ANSWER = 2
"""Kind of a frame that carries a piece of an answer."""

_MICROPHONE_HEAD = struct.Struct("<BBHId")
_ANSWER_HEAD = struct.Struct("<BBHI")
_ID_LIMIT = 255
_SEQ_MODULO = 1 << 32


@dataclass(frozen=True)
class MicrophoneFrame:
    """A chunk of the microphone.

    Attributes
    ----------
    seq : int
        Counts the page's chunks from 0, modulo 2**32; a hole is a lost chunk.
    browser_ms : float
        The page's clock when the chunk was complete, milliseconds since the epoch.
    pcm : bytes
        PCM16 little-endian, mono, 24 kHz.
    """

    seq: int
    browser_ms: float
    pcm: bytes


@dataclass(frozen=True)
class AnswerFrame:
    """A piece of an answer's audio.

    Attributes
    ----------
    item_id : str
        The conversation item it belongs to.
    start_sample : int
        Position of the first sample within the item.
    pcm : bytes
        PCM16 little-endian, mono, 24 kHz.
    """

    item_id: str
    start_sample: int
    pcm: bytes


def pack_microphone(frame: MicrophoneFrame) -> bytes:
    """The bytes of a microphone frame.

    Parameters
    ----------
    frame : MicrophoneFrame
        What to send; `seq` is taken modulo 2**32.

    Returns
    -------
    bytes
        Sixteen bytes of head, then the audio.

    Raises
    ------
    AudioFormatError
        If the audio has an odd number of bytes.

    Examples
    --------
    >>> pack_microphone(MicrophoneFrame(7, 0.0, b"")).hex()
    '01000000070000000000000000000000'
    """
    _require_whole_samples(frame.pcm)
    head = _MICROPHONE_HEAD.pack(
        MICROPHONE, 0, 0, frame.seq % _SEQ_MODULO, frame.browser_ms
    )
    return head + frame.pcm


def unpack_microphone(data: bytes) -> MicrophoneFrame:
    """The microphone frame in some bytes.

    Parameters
    ----------
    data : bytes
        One binary message of the page.

    Returns
    -------
    MicrophoneFrame
        What it carries.

    Raises
    ------
    ProtocolError
        If it is too short or of another kind.
    AudioFormatError
        If the audio has an odd number of bytes.
    """
    _require_kind(data, MICROPHONE, _MICROPHONE_HEAD.size)
    _, _, _, seq, browser_ms = _MICROPHONE_HEAD.unpack_from(data)
    pcm = data[_MICROPHONE_HEAD.size :]
    _require_whole_samples(pcm)
    return MicrophoneFrame(seq, browser_ms, pcm)


def pack_answer(frame: AnswerFrame) -> bytes:
    """The bytes of an answer frame.

    Parameters
    ----------
    frame : AnswerFrame
        What to send.

    Returns
    -------
    bytes
        Eight bytes of head, the item's id, then the audio.

    Raises
    ------
    AudioFormatError
        If the audio has an odd number of bytes.
    ProtocolError
        If the item's id has more than 255 bytes.

    Examples
    --------
    >>> pack_answer(AnswerFrame("it", 480, b"")).hex()
    '02020000e00100006974'
    """
    _require_whole_samples(frame.pcm)
    item_id = frame.item_id.encode()
    if len(item_id) > _ID_LIMIT:
        raise ProtocolError("an item id has more than 255 bytes", frame.item_id)
    head = _ANSWER_HEAD.pack(ANSWER, len(item_id), 0, frame.start_sample)
    return head + item_id + frame.pcm


def unpack_answer(data: bytes) -> AnswerFrame:
    """The answer frame in some bytes.

    Parameters
    ----------
    data : bytes
        One binary message of the gateway.

    Returns
    -------
    AnswerFrame
        What it carries.

    Raises
    ------
    ProtocolError
        If it is too short, of another kind, or its item id is not UTF-8.
    AudioFormatError
        If the audio has an odd number of bytes.
    """
    _require_kind(data, ANSWER, _ANSWER_HEAD.size)
    _, length, _, start_sample = _ANSWER_HEAD.unpack_from(data)
    end = _ANSWER_HEAD.size + length
    if len(data) < end:
        raise ProtocolError("an answer frame ends within its item id", data[:16].hex())
    try:
        item_id = data[_ANSWER_HEAD.size : end].decode()
    except UnicodeDecodeError as error:
        raise ProtocolError("an item id is not UTF-8", data[:16].hex()) from error
    pcm = data[end:]
    _require_whole_samples(pcm)
    return AnswerFrame(item_id, start_sample, pcm)


def _require_kind(data: bytes, kind: int, size: int) -> None:
    if len(data) < size:
        raise ProtocolError(
            f"a media frame has {len(data)} bytes, its head alone {size}", data.hex()
        )
    if data[0] != kind:
        raise ProtocolError(
            f"a media frame is of kind {data[0]}, not {kind}", data[:16].hex()
        )


def _require_whole_samples(pcm: bytes) -> None:
    if len(pcm) % 2:
        raise AudioFormatError(
            f"PCM16 has two bytes per sample, so {len(pcm)} bytes cannot be; "
            "send whole samples"
        )
