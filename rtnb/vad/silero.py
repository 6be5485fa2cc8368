"""Speech probability: the Silero 6.2 network, run in NumPy.

The input is 16 kHz. Every hop of 512 samples (32 ms), together with the 64 samples
before it, gives one probability:

.. code-block:: text

    576 samples, 64 more mirrored at the end
    STFT         Hann window of 256, step 128        -> 4 x 129 magnitudes
    convolution  129 -> 128, kernel 3, ReLU          -> 4 x 128
    convolution  128 ->  64, kernel 3, step 2, ReLU  -> 2 x  64
    convolution   64 ->  64, kernel 3, step 2, ReLU  -> 1 x  64
    convolution   64 -> 128, kernel 3, ReLU          -> 1 x 128
    LSTM cell    128, its state goes on to the next hop
    ReLU, weighted sum, sigmoid                      -> 1

All up to the LSTM is the same for every hop, so many hops go through a layer in one
call; only the LSTM goes hop by hop.

The figures are the same, bit for bit, however the samples come in chunks: hops are
taken in pairs that lie at fixed places of the stream, and where one of a pair is
missing, zeros stand in for it. A matrix product then always has the same shape, and
each of its sums the same order. Pairs cost a live stream little and leave a file fast.

References
----------
Silero VAD, https://github.com/snakers4/silero-vad, release 6.2.3 (MIT). The weights
and where they come from: `WEIGHTS`, `rtnb.vad.convert`, ``data/NOTICE.md``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.lib.stride_tricks import as_strided

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Samples

SAMPLE_RATE: Final = 16_000
"""Hz that the network listens at."""

HOP: Final = 512
"""Samples a probability stands for."""

HOP_MS: Final = 1000 * HOP // SAMPLE_RATE
"""Milliseconds a probability stands for: 32."""

CONTEXT: Final = 64
"""Samples of the hop before that are looked at again."""

VERSION: Final = "6.2"
"""Release of silero-vad that the network is of."""

WEIGHTS: Final = Path(__file__).with_name(f"silero_vad_{VERSION}.npz")
"""Figures of the network, with their provenance."""

SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "model.encoder.0.reparam_conv.weight": (128, 129, 3),
    "model.encoder.0.reparam_conv.bias": (128,),
    "model.encoder.1.reparam_conv.weight": (64, 128, 3),
    "model.encoder.1.reparam_conv.bias": (64,),
    "model.encoder.2.reparam_conv.weight": (64, 64, 3),
    "model.encoder.2.reparam_conv.bias": (64,),
    "model.encoder.3.reparam_conv.weight": (128, 64, 3),
    "model.encoder.3.reparam_conv.bias": (128,),
    "model.decoder.rnn.weight_ih": (512, 128),
    "model.decoder.rnn.weight_hh": (512, 128),
    "model.decoder.rnn.bias_ih": (512,),
    "model.decoder.rnn.bias_hh": (512,),
    "model.decoder.decoder.2.weight": (1, 128, 1),
    "model.decoder.decoder.2.bias": (1,),
}
"""Tensors of the network, by their upstream names: (out, in, kernel), (gates, in)."""

_WINDOW, _STEP = 256, 128
_BINS = _WINDOW // 2 + 1
_MIRRORED = 64
_STATE = 128
_CONVOLUTION_STEPS = (1, 2, 2, 1)
_PAIR = 2
_HOPS_AT_ONCE = 256
"""Hops that go through the layers in one call; even."""


class SileroVad:
    """The network, ready to listen.

    Its weights are loaded once a process and shared; it holds no state, so one may
    serve any number of streams and threads.

    Attributes
    ----------
    name, version : str
        ``"silero"`` and the release.
    hop, sample_rate : int
        512 samples at 16000 Hz.

    Examples
    --------
    >>> import numpy as np
    >>> vad = SileroVad()
    >>> vad.probabilities(np.zeros(16_000, np.float32)).shape
    (31,)
    """

    name: Final = "silero"
    version: Final = VERSION
    hop: Final = HOP
    sample_rate: Final = SAMPLE_RATE

    def __init__(self) -> None:
        self._network = _network()

    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """Speech probability of each whole hop of a recording.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            16 kHz, in [-1, 1].

        Returns
        -------
        float32 array, shape (n // 512,)
            From 0 to 1; a last hop that is not whole has none.
        """
        return self.stream().push(samples)

    def stream(self) -> SileroStream:
        """Begin to listen to a stream."""
        return SileroStream(self._network)


class SileroStream:
    """A stream that is listened to; `SileroVad.stream` begins one.

    Notes
    -----
    Not safe for use from two threads at once.
    """

    def __init__(self, network: _Network) -> None:
        self._network = network
        self._hidden = np.zeros(_STATE, np.float32)
        self._cell = np.zeros(_STATE, np.float32)
        self._pending = np.zeros(CONTEXT, np.float32)
        self._hop = 0

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
        heard = np.concatenate((self._pending, samples))
        hops = (len(heard) - CONTEXT) // HOP
        self._pending = heard[hops * HOP :].copy()
        if hops == 0:
            return np.zeros(0, np.float32)
        stride = heard.itemsize
        frames = as_strided(
            heard, (hops, CONTEXT + HOP), (HOP * stride, stride), writeable=False
        )
        # the first part may be a hop short, so that the others begin with a pair
        cuts = range(_HOPS_AT_ONCE - self._hop % _PAIR, hops, _HOPS_AT_ONCE)
        return np.concatenate([self._listen(part) for part in np.split(frames, cuts)])

    def _listen(self, frames: Samples) -> NDArray[np.float32]:
        """Probabilities of consecutive frames, shape (n, 576) -> (n,)."""
        drives = self._network.encode(self._paired(frames))
        first = self._hop % _PAIR
        states = np.empty((len(frames), _STATE), np.float32)
        for hop, drive in enumerate(drives[first : first + len(frames)]):
            self._hidden, self._cell = self._network.step(
                drive, self._hidden, self._cell
            )
            states[hop] = self._hidden
        self._hop += len(frames)
        return self._network.decide(states)

    def _paired(self, frames: Samples) -> Samples:
        """Frames, and zeros for a first and a last one that miss their partner."""
        before = self._hop % _PAIR
        after = (self._hop + len(frames)) % _PAIR
        if not before and not after:
            return frames
        paired = np.zeros((before + len(frames) + after, CONTEXT + HOP), np.float32)
        paired[before : before + len(frames)] = frames
        return paired


class _Network:
    """The network's figures, arranged for products of a pair's rows with a matrix.

    The four gates of the LSTM (input, forget, candidate, output) are computed with one
    tanh: sigmoid(x) = tanh(x / 2) / 2 + 1/2, and the halves are put into the weights.
    """

    def __init__(self, weights: dict[str, NDArray[np.float32]]) -> None:
        self._basis = stft_basis()
        self._convolutions = [
            _arranged(
                weights[f"model.encoder.{layer}.reparam_conv.weight"],
                weights[f"model.encoder.{layer}.reparam_conv.bias"],
            )
            for layer in range(len(_CONVOLUTION_STEPS))
        ]
        rnn = "model.decoder.rnn"
        half = np.full(4 * _STATE, 0.5, np.float32)
        half[2 * _STATE : 3 * _STATE] = 1.0  # the candidate is a tanh itself
        self._from_input = np.ascontiguousarray(weights[f"{rnn}.weight_ih"].T * half)
        self._from_hidden = np.ascontiguousarray(weights[f"{rnn}.weight_hh"].T * half)
        self._bias = (weights[f"{rnn}.bias_ih"] + weights[f"{rnn}.bias_hh"]) * half
        self._decision = weights["model.decoder.decoder.2.weight"][0, :, 0]
        self._decision_bias = weights["model.decoder.decoder.2.bias"][0]

    def encode(self, frames: Samples) -> NDArray[np.float32]:
        """What each frame tells the LSTM's gates: (n, 576) -> (n, 512), n even."""
        layer = self._magnitudes(frames)
        for (matrix, bias), step in zip(
            self._convolutions, _CONVOLUTION_STEPS, strict=True
        ):
            layer = _convolve(layer, matrix, bias, step=step)
        drives = _product(layer, self._from_input)[:, 0]
        drives += self._bias
        return drives

    def step(
        self,
        drive: NDArray[np.float32],
        hidden: NDArray[np.float32],
        cell: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Take the LSTM one hop further: its new hidden and cell state."""
        gates = hidden @ self._from_hidden
        gates += drive
        np.tanh(gates, out=gates)
        take, keep, candidate, give = gates.reshape(4, _STATE)
        kept: NDArray[np.float32] = (1.0 + keep) * cell + (1.0 + take) * candidate
        kept *= 0.5
        return (0.5 + 0.5 * give) * np.tanh(kept), kept

    def decide(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of hidden states: shape (n, 128) -> (n,)."""
        votes = np.maximum(states, 0.0) * self._decision
        evidence = votes.sum(axis=1) + self._decision_bias
        probabilities: NDArray[np.float32] = 0.5 * np.tanh(0.5 * evidence) + 0.5
        return probabilities

    def _magnitudes(self, frames: Samples) -> NDArray[np.float32]:
        """Short-time spectrum: shape (n, 576) -> (n, 4, 129)."""
        mirrored = frames[:, -2 : -2 - _MIRRORED : -1]
        padded = np.concatenate((frames, mirrored), axis=1)
        steps = padded.reshape(len(frames), -1, _STEP)
        windows = np.concatenate((steps[:, :-1], steps[:, 1:]), axis=2)
        spectrum = _product(windows, self._basis)
        np.square(spectrum, out=spectrum)
        magnitudes: NDArray[np.float32] = np.sqrt(
            spectrum[..., :_BINS] + spectrum[..., _BINS:]
        )
        return magnitudes


def stft_basis() -> NDArray[np.float32]:
    """Windowed cosines and sines of the network's spectrum.

    Returns
    -------
    float32 array, shape (256, 258)
        Columns 0 to 128 the cosines, 129 to 257 the negative sines, of 0 to 128 cycles
        in 256 samples, times a periodic Hann window.
    """
    sample = np.arange(_WINDOW)[:, np.newaxis]
    angle = 2.0 * np.pi * (sample * np.arange(_BINS) % _WINDOW) / _WINDOW
    window = np.sin(np.pi * sample / _WINDOW) ** 2
    basis = np.concatenate((np.cos(angle), -np.sin(angle)), axis=1) * window
    single: NDArray[np.float32] = basis.astype(np.float32)
    return single


def provenance() -> dict[str, str]:
    """Where the weights come from: source, release, sha256, licence, command."""
    with np.load(WEIGHTS) as weights:
        record: dict[str, str] = json.loads(str(weights["provenance"]))
    return record


@cache
def _network() -> _Network:
    with np.load(WEIGHTS) as weights:
        return _Network({name: weights[name] for name in SHAPES})


def _arranged(
    weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel (out, in, 3) as a matrix (3 * in, out) for three frames in a row."""
    outputs = weight.shape[0]
    matrix = weight.transpose(2, 1, 0).reshape(-1, outputs)
    return np.ascontiguousarray(matrix), bias


def _convolve(
    layer: NDArray[np.float32],
    matrix: NDArray[np.float32],
    bias: NDArray[np.float32],
    *,
    step: int,
) -> NDArray[np.float32]:
    """Convolution over time, kernel 3, zeros around, ReLU: (n, t, in) -> (n, t', out)."""
    count, times, channels = layer.shape
    padded = np.zeros((count, times + 2, channels), np.float32)
    padded[:, 1:-1] = layer
    before, here, after = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    triples = np.concatenate(
        (before[:, ::step], here[:, ::step], after[:, ::step]), axis=2
    )
    results = _product(triples, matrix)
    results += bias
    np.maximum(results, 0.0, out=results)
    return results


def _product(
    rows: NDArray[np.float32], matrix: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Rows times a matrix, pair by pair of hops: (n, t, in) -> (n, t, out)."""
    count, times, inputs = rows.shape
    pairs = rows.reshape(-1, _PAIR * times, inputs)
    products: NDArray[np.float32] = np.matmul(pairs, matrix)
    return products.reshape(count, times, -1)
