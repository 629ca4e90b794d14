"""Voice activity detection: Silero's network in numpy, from the weights that its package carries.

Shapes: N samples, T frames of 32 ms. The package's own code looks at one frame at a time and sets
torch to one thread for the whole process when it is imported, so it never is: only its weights are
read. Here all but the recurrent layer takes many frames at once, with the same numbers as a result,
and nothing is kept between calls, so threads need no lock to share it.

The network takes up to a second of loud noise right after speech for speech, and some seconds of a
drone. It finds where speech begins to within 50 ms.
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from audiollm.errors import ModelError

FRAME = 512  # samples that one probability is for
CONTEXT = 64  # samples before the frame that the network sees too
BLOCK = 1875  # frames computed at once: a minute, about 25 MB

SPECTRUM, STRIDE = 256, 128  # samples of a short-time spectrum and between two
BINS = SPECTRUM // 2 + 1
STRIDES = (1, 2, 2, 1)  # of the four convolutions over time, kernel 3 each

Floats = NDArray[np.float32]


def probabilities(samples: NDArray[np.floating], gain: float = 1.0, block: int = BLOCK) -> Floats:
    """How sure the network is of speech in every 32 ms. [N] at 16 kHz -> [T], T = ceil(N / 512).

    Args:
        gain: what the samples are multiplied with first.
        block: frames at once; it bounds the memory and changes nothing else.

    Raises:
        ModelError: the package of the weights is missing.
    """
    network = _network()
    count = -(-len(samples) // FRAME)
    result = np.empty(count, np.float32)
    state = np.zeros((2, network.width), np.float32)
    for start in range(0, count, block):
        end = min(start + block, count)
        first, last = start * FRAME - CONTEXT, end * FRAME
        part = np.asarray(samples[max(first, 0) : last], np.float32) * np.float32(gain)
        before = max(-first, 0)
        part = np.pad(part, (before, last - first - before - len(part)))
        frames = np.lib.stride_tricks.sliding_window_view(part, CONTEXT + FRAME)[::FRAME]
        result[start:end], state = network.forward(frames, state)
    return result


@dataclass(frozen=True, eq=False)
class _Network:
    """Weights as matrices to multiply rows with."""

    fourier: Floats  # [SPECTRUM, 2 * BINS]: real parts, then imaginary
    convolutions: tuple[tuple[Floats, Floats], ...]  # ([3 * in, out], [out]) of each
    inward: Floats  # [width, 4 * width] of the LSTM: in, forget, cell and out gate
    again: Floats  # [width, 4 * width], of its own last output
    bias: Floats  # [4 * width]
    out: Floats  # [width]
    offset: float

    @property
    def width(self) -> int:
        return len(self.out)

    def forward(self, frames: Floats, state: Floats) -> tuple[Floats, Floats]:
        """[T, CONTEXT + FRAME] and (output, cell) [2, width] -> probabilities [T], the new state"""
        gates = self._encode(frames) @ self.inward + self.bias  # [T, 4 * width]
        w = self.width
        out, cell = state
        outs = np.empty((len(frames), w), np.float32)
        for t in range(len(frames)):
            gate = gates[t] + out @ self.again
            # sigmoid(x) by tanh(x / 2), which cannot overflow; the halves are in the weights
            np.tanh(gate, out=gate)
            into, forget, new, show = gate[:w], gate[w : 2 * w], gate[2 * w : 3 * w], gate[3 * w :]
            cell = (0.5 + 0.5 * forget) * cell + (0.5 + 0.5 * into) * new
            out = np.multiply(0.5 + 0.5 * show, np.tanh(cell), out=outs[t])
        logits = np.maximum(outs, 0) @ self.out + self.offset
        return 0.5 + 0.5 * np.tanh(0.5 * logits), np.stack([out, cell])

    def _encode(self, frames: Floats) -> Floats:
        """[T, CONTEXT + FRAME] -> [T, width]"""
        # the end mirrored, without its last sample, so that four spectra fit
        frames = np.concatenate([frames, frames[:, -2 : -2 - CONTEXT : -1]], 1)
        spans = np.lib.stride_tricks.sliding_window_view(frames, SPECTRUM, 1)[:, ::STRIDE]
        parts = spans @ self.fourier  # [T, 4, 2 * BINS]
        x = np.hypot(parts[..., :BINS], parts[..., BINS:])
        for (weight, bias), stride in zip(self.convolutions, STRIDES, strict=True):
            x = np.pad(x, ((0, 0), (1, 1), (0, 0)))
            count = (x.shape[1] - 3) // stride + 1
            # neighbours side by side -> [T, time, 3 * in]
            near = [x[:, k : k + stride * (count - 1) + 1 : stride] for k in range(3)]
            x = np.maximum(np.concatenate(near, 2) @ weight + bias, 0)
        return x[:, 0]


@cache
def _network() -> _Network:
    """Read once in a process; two threads that come first together read it twice, no harm."""
    weights = load_file(_file())
    gates = {name: weights[f"lstm_cell.{name}"] for name in ("weight_ih", "weight_hh")}
    bias = weights["lstm_cell.bias_ih"] + weights["lstm_cell.bias_hh"]
    width = len(bias) // 4
    half = np.repeat(np.array([0.5, 0.5, 1, 0.5], np.float32), width)
    return _Network(
        fourier=np.ascontiguousarray(weights["stft_conv.weight"][:, 0].T),
        convolutions=tuple(
            (
                # [out, in, 3] -> [3 * in, out]
                np.ascontiguousarray(weights[f"conv{i}.weight"].transpose(2, 1, 0)).reshape(
                    -1, len(weights[f"conv{i}.bias"])
                ),
                weights[f"conv{i}.bias"],
            )
            for i in range(1, len(STRIDES) + 1)
        ),
        inward=np.ascontiguousarray(gates["weight_ih"].T * half),
        again=np.ascontiguousarray(gates["weight_hh"].T * half),
        bias=bias * half,
        out=weights["final_conv.weight"][0, :, 0],
        offset=float(weights["final_conv.bias"][0]),
    )


def _file() -> Path:
    """Found without importing the package."""
    spec = importlib.util.find_spec("silero_vad")
    for folder in spec.submodule_search_locations or () if spec else ():
        path = Path(folder) / "data" / "silero_vad_16k.safetensors"
        if path.is_file():
            return path
    raise ModelError("audio_no_detector")
