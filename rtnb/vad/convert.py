r"""Turn Silero's ONNX file into the weights that the package ships.

.. code-block:: text

    pip download --no-deps silero-vad==6.2.3
    unzip silero_vad-6.2.3-py3-none-any.whl silero_vad/data/silero_vad_16k_op15.onnx
    python -m rtnb.vad.convert --release 6.2.3 \\
        silero_vad/data/silero_vad_16k_op15.onnx silero_vad_6.2.npz

The weights are the graph's initialisers, under the names they have there. The STFT
basis is not among them: it is a windowed sine, checked here and made again on loading.
Only this file of the release will do: the safetensors and the "half" file next to it
hold other weights.

An ONNX file is a protocol buffer, of which only three messages are needed; the few
lines that read them spare us a package.

References
----------
onnx/onnx.proto of the ONNX project: ModelProto.graph = 7, GraphProto.initializer = 5,
TensorProto.dims = 1, data_type = 2, name = 8, raw_data = 9.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rtnb.errors import ConfigError
from rtnb.vad.silero import SHAPES, stft_basis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

BASIS_NAME: Final = "model.stft.forward_basis_buffer"
BASIS_TOLERANCE: Final = 1e-6

_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9
_FLOAT = 1


def convert(source: Path, target: Path, *, release: str) -> None:
    """Read the weights of an ONNX file and write them with their provenance.

    Parameters
    ----------
    source : Path
        ``silero_vad_16k_op15.onnx`` of a silero-vad release.
    target : Path
        The ``.npz`` to write.
    release : str
        Release of silero-vad that `source` comes from.

    Raises
    ------
    ConfigError
        If the file is not ONNX, or the network in it is not the one we run.
    """
    data = source.read_bytes()
    try:
        tensors = dict(read_initialisers(data))
    except (IndexError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{source} is not an ONNX file: give silero_vad_16k_op15.onnx"
        ) from error
    _check(tensors, source)
    provenance = {
        "source": source.name,
        "release": f"silero-vad {release}",
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "MIT, Copyright (c) 2020-present Silero Team",
        "command": f"python -m rtnb.vad.convert --release {release} "
        f"{source.name} {target.name}",
    }
    arrays: dict[str, Any] = {name: tensors[name] for name in SHAPES}
    np.savez(target, provenance=np.array(json.dumps(provenance)), **arrays)


def read_initialisers(data: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Give name and value of each float32 tensor that an ONNX graph starts with.

    Parameters
    ----------
    data : bytes
        The file.

    Yields
    ------
    name : str
    value : float32 array

    Raises
    ------
    ValueError, IndexError, KeyError
        If the bytes are not what they should be.
    """
    for graph in _values(memoryview(data), _GRAPH):
        for tensor in _values(_message(graph), _INITIALIZER):
            fields = list(_fields(_message(tensor)))
            dims = [int(value) for number, value in fields if number == _DIMS]
            single = dict(fields)
            if single[_DATA_TYPE] == _FLOAT:
                raw = np.frombuffer(_message(single[_RAW_DATA]), "<f4")
                name = bytes(_message(single[_NAME])).decode()
                yield name, raw.reshape(dims).astype(np.float32)


def _values(message: memoryview, wanted: int) -> Iterator[int | memoryview]:
    return (value for number, value in _fields(message) if number == wanted)


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where bytes were expected")  # noqa: TRY004 - bad data
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of a protocol buffer message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        match key & 7:
            case 0:
                value, at = _varint(message, at)
                yield key >> 3, value
                continue
            case 1:
                size = 8
            case 2:
                size, at = _varint(message, at)
            case 5:
                size = 4
            case other:
                raise ValueError(f"wire type {other}")
        if at + size > len(message):
            raise ValueError("a field longer than its message")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Read a number, seven bits a byte, lowest first; also where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def _check(tensors: dict[str, NDArray[np.float32]], source: Path) -> None:
    for name, shape in SHAPES.items():
        found = tensors[name].shape if name in tensors else None
        if found != shape:
            raise ConfigError(
                f"{name} in {source.name} has shape {found}, not {shape}: the network "
                "is another one; give silero_vad_16k_op15.onnx of a 6.2 release"
            )
    basis = tensors.get(BASIS_NAME, np.zeros((258, 1, 256), np.float32))
    error = float(np.abs(basis[:, 0, :].T - stft_basis()).max())
    if error > BASIS_TOLERANCE:
        raise ConfigError(
            f"the STFT basis in {source.name} is {error:g} off a Hann-windowed sine, "
            f"more than {BASIS_TOLERANCE:g}: the network's front end is another one"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see the module's first lines."""
    parser = argparse.ArgumentParser(
        prog="python -m rtnb.vad.convert",
        description="Turn Silero's ONNX file into the weights that rtnb ships.",
    )
    parser.add_argument("source", type=Path, help="silero_vad_16k_op15.onnx")
    parser.add_argument("target", type=Path, help="the .npz to write")
    parser.add_argument("--release", required=True, help="such as 6.2.3")
    options = parser.parse_args(arguments)
    try:
        convert(options.source, options.target, release=options.release)
    except (ConfigError, OSError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
