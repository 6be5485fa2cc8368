import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from rtnb.errors import ConfigError
from rtnb.vad.convert import BASIS_NAME, convert, main, read_initialisers
from rtnb.vad.silero import SHAPES, WEIGHTS, stft_basis


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field, value):
    return varint(field << 3) + varint(value)


def message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(name, value, kind=1):
    dims = b"".join(number(1, size) for size in value.shape)
    data = dims + number(2, kind) + message(8, name.encode())
    return message(5, data + message(9, value.tobytes()))


def model(tensors):
    """An ONNX file with nothing in it but its first tensors."""
    graph = b"".join(tensor(name, value) for name, value in tensors.items())
    return number(1, 8) + message(2, b"pytorch") + message(7, graph)


@pytest.fixture(scope="module")
def tensors():
    """What the makers' file holds: our weights, and the basis we left out."""
    with np.load(WEIGHTS) as weights:
        found = {name: weights[name] for name in SHAPES}
    return found | {BASIS_NAME: stft_basis().T[:, np.newaxis]}


def test_what_is_converted_is_what_was_there(tmp_path, tensors):
    source, target = tmp_path / "model.onnx", tmp_path / "weights.npz"
    source.write_bytes(model(tensors))
    convert(source, target, release="7.0")
    with np.load(target) as weights:
        assert {*weights} == {*SHAPES, "provenance"}
        for name in SHAPES:
            assert np.array_equal(weights[name], tensors[name])
        record = json.loads(str(weights["provenance"]))
    assert record["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert record["release"] == "silero-vad 7.0"
    assert record["command"].endswith("--release 7.0 model.onnx weights.npz")


def test_fields_it_does_not_know_are_passed_over():
    fixed = varint(3 << 3 | 5) + bytes(4) + varint(4 << 3 | 1) + bytes(8)
    other = tensor("of int64", np.zeros(2, np.int64), kind=7)
    graph = fixed + other + tensor("ours", np.arange(6, dtype=np.float32).reshape(2, 3))
    found = dict(read_initialisers(fixed + message(7, graph)))
    assert list(found) == ["ours"]
    assert found["ours"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "data",
    [
        b"not an ONNX file",
        number(7, 1),
        message(7, message(5, b"")),
        message(7, b"x" * 100)[:-1],
        varint(7 << 3 | 2) + b"\x80",
        model({"a": np.zeros(3, np.float32)}).replace(b"\x08\x03", b"\x08\x04"),
    ],
    ids=["text", "number", "empty", "cut", "open", "size"],
)
def test_what_is_not_onnx_is_refused(tmp_path, data):
    source = tmp_path / "model.onnx"
    source.write_bytes(data)
    with pytest.raises(ConfigError, match=r"model\.onnx is not an ONNX file"):
        convert(source, tmp_path / "out.npz", release="6")


@pytest.mark.parametrize("change", ["missing", "shape"])
def test_another_network_is_refused(tmp_path, tensors, change):
    name = "model.decoder.rnn.bias_ih"
    other = {key: value for key, value in tensors.items() if key != name}
    if change == "shape":
        other[name] = np.zeros(256, np.float32)
    source = tmp_path / "model.onnx"
    source.write_bytes(model(other))
    with pytest.raises(
        ConfigError, match=rf"{name} .* not \(512,\): the network is an"
    ):
        convert(source, tmp_path / "out.npz", release="6")


@pytest.mark.parametrize("change", ["missing", "other"])
def test_another_front_end_is_refused(tmp_path, tensors, change):
    other = dict(tensors)
    if change == "missing":
        del other[BASIS_NAME]
    else:
        other[BASIS_NAME] = tensors[BASIS_NAME] * np.float32(1.00001)
    source = tmp_path / "model.onnx"
    source.write_bytes(model(other))
    with pytest.raises(ConfigError, match="front end is another one"):
        convert(source, tmp_path / "out.npz", release="6")


def test_the_command(tmp_path, tensors, capsys):
    source, target = tmp_path / "model.onnx", tmp_path / "weights.npz"
    source.write_bytes(model(tensors))
    assert main(["--release", "6", str(source), str(target)]) == 0
    assert target.exists()
    with pytest.raises(SystemExit):
        main(["--release", "6", str(tmp_path / "none.onnx"), str(target)])
    assert "none.onnx" in capsys.readouterr().err


def test_it_is_a_module_to_run():
    done = subprocess.run(
        [sys.executable, "-m", "rtnb.vad.convert", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "usage: python -m rtnb.vad.convert" in done.stdout


def test_the_shipped_weights_are_those_of_the_makers_file(tmp_path, silero_onnx):
    target = tmp_path / "silero_vad_6.2.npz"
    convert(silero_onnx, target, release="6.2.3")
    with np.load(target) as fresh, np.load(WEIGHTS) as shipped:
        assert {*fresh} == {*shipped}
        assert all(np.array_equal(fresh[name], shipped[name]) for name in fresh)
