"""The makers' own network file, which the package's weights are checked against."""

import os
from pathlib import Path

import numpy as np
import pytest

from rtnb.vad.silero import CONTEXT, HOP, SAMPLE_RATE

NO_ONNX = (
    "RTNB_SILERO_ONNX does not name silero_vad_16k_op15.onnx. To get the file: "
    "pip download --no-deps silero-vad==6.2.3 && "
    "python -m zipfile -e silero_vad-6.2.3-py3-none-any.whl silero; "
    "it is in silero/silero_vad/data"
)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch) -> Path:
    """Every test finds the cache empty; where it will be."""
    monkeypatch.setenv("RTNB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "speech-probability"


@pytest.fixture(scope="session")
def silero_onnx() -> Path:
    """Path of the file; its absence is a failure where CI=true, else a skip."""
    path = Path(os.environ.get("RTNB_SILERO_ONNX") or "unset")
    if not path.is_file() and os.environ.get("CI") == "true":
        pytest.fail(NO_ONNX)
    if not path.is_file():
        pytest.skip(NO_ONNX)
    return path


@pytest.fixture(scope="session")
def oracle(silero_onnx):
    """Probabilities by the makers' own file: samples in, one for each whole hop out."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(silero_onnx, options)

    def probabilities(samples):
        state = np.zeros((2, 1, 128), np.float32)
        context = np.zeros(CONTEXT, np.float32)
        found = []
        for hop in samples[: len(samples) // HOP * HOP].reshape(-1, HOP):
            given = {"input": np.concatenate((context, hop))[np.newaxis]}
            rest = {"state": state, "sr": np.array(SAMPLE_RATE)}
            output, state = session.run(None, given | rest)
            context = hop[-CONTEXT:]
            found.append(output[0, 0])
        return np.array(found, np.float32)

    return probabilities
