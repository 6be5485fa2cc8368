"""Speech models: what tells speech from the rest, behind one small protocol.

A model hears samples at its own rate and gives one probability a hop. Those that a name
stands for:

===================== ============================================================
``silero``            Silero 6.2, the network that comes with the package: default
``energy``            level over an adaptive noise floor, see `rtnb.vad.energy`
``webrtc``            share of WebRTC's four modes that say speech (`webrtc-vad`)
``webrtc-0`` to ``3`` one of these modes: 0 or 1
``silero-onnx``       the file of the installed package ``silero-vad``
``silero-onnx:PATH``  an ONNX file of any release with the same inputs (5 and 6)
===================== ============================================================

Besides, a model is any object with the attributes of `SpeechModel`, and any function
that takes 512 samples at 16 kHz and gives a number from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeAlias, TypeGuard

import numpy as np

from rtnb.errors import ConfigError
from rtnb.vad.energy import EnergyVad
from rtnb.vad.foreign import WEBRTC_MODES, OnnxVad, WebrtcVad
from rtnb.vad.hops import HopCutter
from rtnb.vad.silero import HOP, SAMPLE_RATE, SileroVad

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rtnb.audio import Samples

    SpeechFunction: TypeAlias = Callable[[Samples], float]


class SpeechStream(Protocol):
    """A stream that a model listens to."""

    def push(self, samples: Samples, /) -> NDArray[np.float32]:
        """Listen to the next samples.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            At the model's rate, in [-1, 1]; n may be 0.

        Returns
        -------
        float32 array, shape (m,)
            Probability of the hops that are now whole, 0 to 1.
        """


class SpeechModel(Protocol):
    """What tells speech from the rest.

    Its probabilities must not hang on how the samples are cut into chunks.
    """

    @property
    def name(self) -> str:
        """What it is called, such as ``"silero"``."""

    @property
    def version(self) -> str:
        """Two models of one name and version give the same figures; "" if unknown."""

    @property
    def hop(self) -> int:
        """Samples that a probability stands for; whole milliseconds."""

    @property
    def sample_rate(self) -> int:
        """Hz that it listens at."""

    def stream(self) -> SpeechStream:
        """Begin to listen to a stream."""


def speech_model(model: str | SpeechModel | SpeechFunction = "silero") -> SpeechModel:
    """Find a speech model.

    Parameters
    ----------
    model : str, SpeechModel or callable
        A name of this module's table; or a model; or a function that takes the
        samples of a hop (float32, shape (512,), 16 kHz) and gives a number 0 to 1.

    Returns
    -------
    SpeechModel
        A model is given back as it is.

    Raises
    ------
    ConfigError
        If there is no model of that name, or the object is none.
    MissingExtra
        If the model's package is not installed.

    Examples
    --------
    >>> speech_model("silero").version
    '6.2'
    """
    if isinstance(model, str):
        return _named(model)
    if _is_model(model):
        return model
    if callable(model) and not isinstance(model, type):
        return FunctionVad(model)
    raise ConfigError(
        f"{model!r} is no speech model: give a name ({_NAMES}), an object with name, "
        "version, hop, sample_rate and stream(), or a function"
    )


def _named(name: str) -> SpeechModel:
    if name.startswith(_ONNX_PREFIX):
        return OnnxVad(name.removeprefix(_ONNX_PREFIX))
    if name not in _NAMED:
        raise ConfigError(
            f"there is no speech model {name!r}: choose {_NAMES}, or give a function "
            f"of {HOP} samples"
        )
    return _NAMED[name]()


def _is_model(model: object) -> TypeGuard[SpeechModel]:
    wanted = ("name", "version", "hop", "sample_rate", "stream")
    return not isinstance(model, type) and all(hasattr(model, name) for name in wanted)


@dataclass(frozen=True)
class FunctionVad:
    """A model made of a function that looks at one hop at a time.

    Parameters
    ----------
    function : callable
        Takes float32 samples of shape (512,) at 16 kHz, gives a number 0 to 1.
    """

    function: SpeechFunction
    hop: ClassVar[int] = HOP
    sample_rate: ClassVar[int] = SAMPLE_RATE

    @property
    def name(self) -> str:
        """Name of the function."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def version(self) -> str:
        """Unknown: what a function does may change without its name."""
        return ""

    def stream(self) -> SpeechStream:
        """Begin to listen to a stream."""
        return _FunctionStream(self)


class _FunctionStream:
    def __init__(self, model: FunctionVad) -> None:
        self._model = model
        self._cut = HopCutter(model.hop)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        found = [self._ask(hop) for hop in self._cut(samples)]
        return np.array(found, np.float32)

    def _ask(self, hop: Samples) -> float:
        answer = self._model.function(hop)
        try:
            probability = float(answer)
        except (TypeError, ValueError):
            probability = math.nan
        if not 0.0 <= probability <= 1.0:
            raise ConfigError(
                f"{self._model.name} gave {answer!r} for a hop: a speech model gives "
                "one number from 0 to 1"
            )
        return probability


_NAMED: Final[dict[str, Callable[[], SpeechModel]]] = {
    "silero": SileroVad,
    "energy": EnergyVad,
    "webrtc": WebrtcVad,
    **{f"webrtc-{mode}": partial(WebrtcVad, (mode,)) for mode in WEBRTC_MODES},
    "silero-onnx": OnnxVad.installed,
}
_ONNX_PREFIX: Final = "silero-onnx:"
_NAMES: Final = f"{', '.join(_NAMED)} or {_ONNX_PREFIX}PATH"
