"""silero-vad's own loop over probabilities, out of the release next to its network."""

import importlib.util
import sys
import types


def load_loop(onnx):
    """Load ``get_speech_timestamps_from_probs``.

    The file that holds it wants torch, of which the loop uses nothing.
    """
    torch = types.ModuleType("torch")
    torch.no_grad = lambda: lambda function: function
    torch.device = lambda name: name
    torch.Tensor = object
    source = onnx.parent.parent / "utils_vad.py"
    spec = importlib.util.spec_from_file_location("silero_utils_vad", source)
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get("torch")
    sys.modules["torch"] = torch
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["torch"]
        if before is not None:
            sys.modules["torch"] = before
    return module.get_speech_timestamps_from_probs
