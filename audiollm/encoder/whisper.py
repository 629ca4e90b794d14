"""The whisper kind: the first layers of the encoder of OpenAI's Whisper, batched.

Whisper (arXiv 2212.04356): log-mel spectrogram (100 frames a second) -> two convolutions, the
second halves the rate -> + sinusoidal positions -> transformer layers. A frame is the outputs of
the chosen layers, concatenated; there is no layer norm behind them.

Whisper itself pads every clip to 30 s. Here a clip keeps its length, and clips of different
lengths share a batch: what pads is set to zero before each convolution, as a convolution's own
padding would be, and attention does not see it.

Shapes: B pieces, M mel bins, L mel frames, T frames, W channels of a layer, D = W x layers.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from audiollm.contracts.manifest import Statistics
from audiollm.encoder.base import Encoder
from audiollm.encoder.files import WEIGHTS_NAME, as_float32, check_tensors, write_weights
from audiollm.encoder.whisper_config import (
    MEL_RATE,
    SPECTROGRAM,
    WhisperConf,
    check_layers,
    read_conf,
    write_conf,
)
from audiollm.errors import ModelError

_SCOPES = ("", "encoder.", "model.encoder.")  # before the encoder's names in a weights file

DEFAULT_STATISTICS: Statistics = "mean_std"  # better than the mean on unseen corpora


class WhisperNetwork(nn.Module):
    """Stem and first layers of transformers' `WhisperEncoder`; gives the outputs of `layers`."""

    positions: Tensor  # [T, W]

    def __init__(self, conf: WhisperConf, layers: Sequence[int]) -> None:
        """`layers`: numbered from 1; those behind the last of them are not built."""
        super().__init__()
        from transformers import WhisperConfig
        from transformers.models.whisper.modeling_whisper import WhisperEncoder, sinusoids

        config = WhisperConfig(**asdict(replace(conf, encoder_layers=max(layers))))
        config._attn_implementation = "sdpa"
        encoder = WhisperEncoder(config)
        self.conv1, self.conv2, self.layers = encoder.conv1, encoder.conv2, encoder.layers
        self.layer_numbers = tuple(layers)
        with torch.device("cpu"):  # the rest may be on the meta device, waiting for its weights
            positions = sinusoids(conf.max_source_positions, conf.d_model)
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, mel: Tensor, lengths: Sequence[int]) -> Tensor:
        """Frames of a batch of spectrograms, each as if it were alone; differentiable.

        Args:
            mel: [B, M, L], padded with zeros.
            lengths: how many of the L mel frames belong to each.

        Returns:
            [B, T, D]; what stands behind a clip's own frames has no meaning.
        """
        size = mel.size(2)
        padded = min(lengths) < size
        keep = torch.arange(size, device=mel.device) < torch.tensor(lengths).to(mel.device)[:, None]
        x = F.gelu(self.conv1(mel))  # [B, M, L] -> [B, W, L]
        if padded:
            x = x * keep[:, None]  # the bias has made padding non-zero
        x = F.gelu(self.conv2(x)).transpose(1, 2)  # [B, W, L] -> [B, T, W]
        x = x + self.positions[: x.size(1)]
        # a frame belongs to its clip when the mel frame in its middle does: [B, 1, 1, T]
        mask = keep[:, None, None, ::2] if padded else None
        outputs = []
        for layer in self.layers:
            x = layer(x, mask)
            outputs.append(x)
        return torch.cat([outputs[n - 1] for n in self.layer_numbers], dim=-1)


class WhisperEncoder(Encoder):
    """The first layers of a Whisper encoder, frozen."""

    kind = "whisper"
    rate = MEL_RATE

    def __init__(
        self,
        network: WhisperNetwork,
        conf: WhisperConf,
        id: str,
        *,
        statistics: Statistics = DEFAULT_STATISTICS,
        precision: torch.dtype = torch.float32,
    ) -> None:
        from transformers import WhisperFeatureExtractor

        width, layers = conf.d_model * len(network.layer_numbers), network.layer_numbers
        super().__init__(
            network, id, width, layers=layers, statistics=statistics, precision=precision
        )
        # what lies behind the last layer is neither built nor saved
        self.conf = replace(conf, encoder_layers=max(layers))
        self.longest = conf.max_source_positions
        self._spectrogram = WhisperFeatureExtractor(feature_size=conf.num_mel_bins, **SPECTROGRAM)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the weights in float32, the shape, the layers and the statistics, however a
        file stores them."""
        essence = {**asdict(self.conf), "layers": self.layers, "statistics": self.statistics}
        digest = hashlib.sha256(json.dumps(essence, sort_keys=True).encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.float().cpu().contiguous().numpy())
        return digest.hexdigest()

    def save(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the weights that are used, and a config.json that names layers and statistics."""
        folder.mkdir(parents=True, exist_ok=True)
        write_weights(folder / WEIGHTS_NAME, self.network.state_dict(), dtype)
        write_conf(folder, self.conf, self.layers, self.statistics)

    def _input(self, samples: Tensor) -> Tensor:
        """[N] -> log-mel spectrogram [M, L], its range that of the whole clip."""
        samples = F.pad(samples, (0, max(0, SPECTROGRAM["n_fft"] - samples.numel())))
        features: Any = self._spectrogram(
            samples.numpy(),
            sampling_rate=SPECTROGRAM["sampling_rate"],
            padding="do_not_pad",
            truncation=False,  # else at 30 s
            return_tensors="np",
        )
        return torch.from_numpy(features["input_features"][0])

    def _count(self, length: int) -> int:
        return (length + 1) // 2

    def _cut(self, x: Tensor, first: int, last: int) -> Tensor:
        return x[:, 2 * first : 2 * last]

    def _frames(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        frames: Tensor = self.network(x, lengths)
        return frames


def build_network(conf: WhisperConf, layers: Sequence[int]) -> WhisperNetwork:
    """A network with random weights.

    Raises:
        ModelError: there are no such layers.
    """
    return WhisperNetwork(conf, check_layers(tuple(layers), conf.encoder_layers))


def load(
    folder: Path,
    id: str,
    *,
    layers: Sequence[int] = (),
    statistics: Statistics | Literal[""] = "",
    precision: torch.dtype = torch.float32,
) -> WhisperEncoder:
    """The encoder in `folder`, on the CPU.

    Args:
        layers: whose outputs make a frame, numbered from 1; by default those that the folder
            names (`save`), else the one at half the depth.
        statistics: by default those that the folder names, else mean and standard deviation.

    Raises:
        ModelError: damaged, not a Whisper model, or without these layers.
    """
    conf, folder_layers, stored_statistics = read_conf(folder)
    chosen = tuple(layers) or folder_layers or ((conf.encoder_layers + 1) // 2,)
    check_layers(chosen, conf.encoder_layers, id)
    with torch.device("meta"):  # shapes only: memory is taken by the weights that are there
        network = WhisperNetwork(conf, chosen)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    network.load_state_dict(_read_weights(folder / WEIGHTS_NAME, shapes), assign=True)
    return WhisperEncoder(
        network,
        conf,
        id,
        statistics=statistics or stored_statistics or DEFAULT_STATISTICS,
        precision=precision,
    )


def _read_weights(path: Path, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The tensors named in `shapes`, float32; the file's others are not looked at.

    A folder of our own holds the tensors under the names of transformers' `WhisperEncoder`; the
    hub's hold the whole model, under `model.encoder.`. Positions are not read: they are computed.

    Raises:
        ModelError: damaged, not a safetensors file, or a tensor is missing, of another shape, no
            floating-point numbers, or not finite.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            scopes = [scope for scope in _SCOPES if f"{scope}conv1.weight" in names]
            if len(scopes) != 1:
                raise ModelError("encoder_several" if scopes else "encoder_none", path=path)
            expected = {scopes[0] + name: shape for name, shape in shapes.items()}
            stored = {n: file.get_slice(n).get_shape() for n in expected.keys() & names}
            check_tensors(path, stored, expected)
            return {
                name: as_float32(path, scopes[0] + name, file.get_tensor(scopes[0] + name))
                for name in shapes
            }
    except (SafetensorError, OSError) as error:
        raise ModelError("encoder_damaged", path=path) from error
