"""Speech models of others, run by their own packages: WebRTC's, and ONNX files.

The packages load when a model is made.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rtnb.audio import pcm16_encode
from rtnb.errors import ConfigError, MissingExtra
from rtnb.vad.hops import HopCutter
from rtnb.vad.silero import CONTEXT, HOP, SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Samples

WEBRTC_HOP: Final = 160
"""Samples of WebRTC's shortest frame: 10 ms at 16 kHz."""

WEBRTC_MODES: Final = (0, 1, 2, 3)
"""From the one that says speech most readily to the one that does least."""

_STATE_SHAPE: Final = (2, 1, 128)


class WebrtcVad:
    """The voice activity detector of WebRTC: sub-band levels in a Gaussian mixture.

    Parameters
    ----------
    modes : tuple of int, default (0, 1, 2, 3)
        Which of its modes are asked. The probability is the share of them that say
        speech: of one mode, 0 or 1.

    Attributes
    ----------
    name, version : str
        ``"webrtc"`` or ``"webrtc-2"``, and the package's version.
    hop, sample_rate : int
        160 samples at 16000 Hz.

    Raises
    ------
    MissingExtra
        If the package is not installed.
    """

    hop: Final = WEBRTC_HOP
    sample_rate: Final = SAMPLE_RATE

    def __init__(self, modes: tuple[int, ...] = WEBRTC_MODES) -> None:
        try:
            import webrtcvad
        except ImportError as error:
            raise MissingExtra("WebRTC's speech model", "webrtc-vad") from error
        self._vad = webrtcvad.Vad
        self._modes = modes
        self.name = "webrtc" if modes == WEBRTC_MODES else f"webrtc-{modes[0]}"
        self.version = _version_of("webrtcvad-wheels", "webrtcvad")

    def stream(self) -> WebrtcStream:
        """Begin to listen to a stream."""
        return WebrtcStream([self._vad(mode) for mode in self._modes])


class WebrtcStream:
    """A stream that WebRTC's detectors listen to; `WebrtcVad.stream` begins one.

    Notes
    -----
    Not safe for use from two threads at once.
    """

    def __init__(self, detectors: list[Any]) -> None:
        self._cut = HopCutter(WEBRTC_HOP)
        self._detectors = detectors

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Listen to the next samples.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            16 kHz, in [-1, 1]; n may be 0.

        Returns
        -------
        float32 array, shape (m,)
            Share of the modes that say speech, for the hops that are now whole.
        """
        frames = [pcm16_encode(hop) for hop in self._cut(samples)]
        votes = [
            [detector.is_speech(frame, SAMPLE_RATE) for detector in self._detectors]
            for frame in frames
        ]
        shares: NDArray[np.float32] = (
            np.array(votes, np.float32)
            .reshape(len(frames), len(self._detectors))
            .mean(axis=1)
        )
        return shares


class OnnxVad:
    """A release of Silero VAD, 5 or 6, run from its ONNX file by onnxruntime.

    Parameters
    ----------
    path : str or Path
        The file, such as ``silero_vad.onnx`` of the package silero-vad.
    release : str, default ""
        Of the package; "" where it is unknown.

    Attributes
    ----------
    name, version : str
        ``"silero-onnx"``, and the release with the first digits of the file's SHA-256.
    hop, sample_rate : int
        512 samples at 16000 Hz.

    Raises
    ------
    MissingExtra
        If onnxruntime is not installed.
    ConfigError
        If the file is no network with Silero's inputs.
    """

    name: Final = "silero-onnx"
    hop: Final = HOP
    sample_rate: Final = SAMPLE_RATE

    def __init__(self, path: str | Path, *, release: str = "") -> None:
        data = _read(Path(path))
        digest = hashlib.sha256(data).hexdigest()[:12]
        self.version = f"{release}+{digest}" if release else digest
        self._session = _session(data, Path(path))

    @classmethod
    def installed(cls) -> OnnxVad:
        """The file that the installed package silero-vad brings.

        Returns
        -------
        OnnxVad
            Of the package's release; neither the package nor torch is imported.

        Raises
        ------
        ConfigError
            If the package is not installed.
        """
        package = find_spec("silero_vad")
        if package is None or package.origin is None:
            raise ConfigError(
                'the model "silero-onnx" is a file of the package silero-vad, which is '
                "not installed: pip install --no-deps silero-vad, or name a file: "
                '"silero-onnx:PATH"'
            )
        path = Path(package.origin).with_name("data") / "silero_vad.onnx"
        return cls(path, release=_version_of("silero-vad"))

    def stream(self) -> OnnxStream:
        """Begin to listen to a stream."""
        return OnnxStream(self._session)


class OnnxStream:
    """A stream that an ONNX file listens to; `OnnxVad.stream` begins one.

    Notes
    -----
    Not safe for use from two threads at once.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._constants = (
            {"sr": np.array(SAMPLE_RATE)} if "sr" in _inputs(session) else {}
        )
        self._cut = HopCutter(HOP)
        self._state = np.zeros(_STATE_SHAPE, np.float32)
        self._context = np.zeros(CONTEXT, np.float32)

    def push(self, samples: Samples) -> NDArray[np.float32]:
        """Listen to the next samples.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            16 kHz, in [-1, 1]; n may be 0.

        Returns
        -------
        float32 array, shape (m,)
            Speech probability of the hops that are now whole, 0 to 1.
        """
        found = [self._listen(hop) for hop in self._cut(samples)]
        return np.array(found, np.float32)

    def _listen(self, hop: Samples) -> float:
        frame = np.concatenate((self._context, hop))[np.newaxis]
        self._context = hop[-CONTEXT:]
        output, self._state = self._session.run(
            None, {"input": frame, "state": self._state, **self._constants}
        )
        return float(output[0, 0])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): name the ONNX file of a "
            "release of Silero VAD, such as silero_vad.onnx"
        ) from error


def _session(data: bytes, path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("running an ONNX file", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(data, options)
    except Exception as error:  # onnxruntime's errors share no base of their own
        raise ConfigError(
            f"{path} is not an ONNX file that onnxruntime can run ({error}): give "
            "silero_vad.onnx of release 5 or 6"
        ) from error
    if _inputs(session) - {"sr"} != {"input", "state"}:
        raise ConfigError(
            f"the network in {path} takes {', '.join(sorted(_inputs(session)))}, not "
            "input, state and sr: give silero_vad.onnx of release 5 or 6"
        )
    return session


def _inputs(session: Any) -> set[str]:
    return {given.name for given in session.get_inputs()}


def _version_of(*packages: str) -> str:
    """Version of the first of these packages that is installed."""
    for package in packages:
        try:
            return package_version(package)
        except PackageNotFoundError:
            continue
    return ""
