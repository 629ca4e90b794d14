"""One step of training of the small encoder: a batch, a loss, an update, an average.

Two phases share the step. `hear`: frames predict log-mel, energy, voicing and pitch around them
from distorted, partly hidden sounds. `feel`: the mean over frames predicts the emotion, and a
part of the first loss is kept. The clip-level head is all that FunASR's class has:
`proj(mean over frames)`.
"""

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from train.augment import distort, normalised
from train.tiny import augment, targets
from train.tiny.augment import Voice

Phase = Literal["hear", "feel"]
FILTERS = "modality_encoders.AUDIO.local_encoder.conv_layers.0.0.weight"
FILTERS_SCALE = "modality_encoders.AUDIO.local_encoder.conv_layers.0.2.1.weight"
PHASES = 3  # of each Gabor filter: 0, 120 and 240 degrees, so that rectified they give power
NORM_EPSILON = 1e-5  # of the layer norm behind the first convolution


@dataclass(frozen=True)
class Recipe:
    """How the encoder is trained. A step takes about a second of one processor core."""

    steps: int = 900
    seed: int = 0
    hear_share: float = 0.35  # of the steps
    hear_batch: int = 16  # crops
    feel_batch: int = 32
    dropout: float = 0.1  # in the second phase; data is scarce for emotions, not for frames
    crop_seconds: float = 1.8
    hear_rate: float = 1.5e-3  # peak learning rates
    feel_rate: float = 6e-4
    weight_decay: float = 0.05
    hear_masked: float = 0.35  # share of frames hidden
    feel_masked: float = 0.15
    keep_hearing: float = 0.3  # weight of the frame loss in the second phase
    smoothing: float = 0.1  # of labels
    averaging: float = 0.99  # of weights, a step

    def phase(self, step: int) -> tuple[Phase, float]:
        """Phase after so many steps, and how much of it is over (0 to 1)."""
        border = self.hear_share * self.steps
        if step < border:
            return "hear", step / border
        return "feel", min(1.0, (step - border) / max(self.steps - border, 1e-9))

    def rate(self, phase: Phase, progress: float) -> float:
        """Learning rate: linear warm-up over 6 % of the phase, then a cosine to 2 %."""
        peak = self.hear_rate if phase == "hear" else self.feel_rate
        if progress < 0.06:
            return peak * (0.05 + 0.95 * progress / 0.06)
        return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - 0.06) / 0.94)))


class Sampler:
    """Draws clips. A corpus counts by the square root of its size; in the second phase every
    class of a corpus counts the same, and within it every speaker."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        self.voices = list(voices)
        self.by_corpus: dict[str, list[int]] = defaultdict(list)
        self.tree: dict[str, dict[str, dict[str, list[int]]]] = {}
        for i, voice in enumerate(voices):
            self.by_corpus[voice.corpus].append(i)
            labels = self.tree.setdefault(voice.corpus, {})
            labels.setdefault(voice.label, {}).setdefault(voice.speaker, []).append(i)
        self.corpora = sorted(self.by_corpus)
        weights = np.sqrt([len(self.by_corpus[c]) for c in self.corpora])
        self.weights = weights / weights.sum()

    def draw(self, count: int, phase: Phase, rng: np.random.Generator) -> list[Voice]:
        return [self.voices[self._one(phase, rng)] for _ in range(count)]

    def _one(self, phase: Phase, rng: np.random.Generator) -> int:
        corpus = self.corpora[int(rng.choice(len(self.corpora), p=self.weights))]
        if phase == "hear":
            return int(rng.choice(self.by_corpus[corpus]))
        speakers = self.tree[corpus][_pick(sorted(self.tree[corpus]), rng)]
        return int(rng.choice(speakers[_pick(sorted(speakers), rng)]))


def _pick(names: list[str], rng: np.random.Generator) -> str:
    return names[int(rng.integers(len(names)))]


@torch.no_grad()
def tune_ear(network: nn.Module, sounds: Tensor) -> None:
    """Make the first convolution a fixed bank of Gabor filters on the mel scale.

    Every band gets the same mean power over `sounds` [B, N] (speech falls by about 6 dB an
    octave, and the layer norm behind sees all bands at once). The common scale is chosen against
    that norm's epsilon: a mean frame is 15 dB above it, so that pauses stay quieter than speech
    and loudness survives the norm, compressed.
    """
    weight = network.get_parameter(FILTERS)  # [C, 1, K]
    channels, _, taps = weight.shape
    bands = channels // PHASES
    centre = targets.mel_points(bands, 60.0, 7400.0)
    time = (np.arange(taps) - (taps - 1) / 2) / targets.SAMPLE_RATE
    spread = np.clip(1 / (2 * np.pi * 0.6 * np.gradient(centre)), 40 / targets.SAMPLE_RATE, 0.006)
    shape = np.exp(-0.5 * (time / spread[:, None]) ** 2) * np.hanning(taps)
    turn = 2 * np.pi * centre[:, None] * time
    waves = [shape * np.cos(turn + 2 * np.pi * k / PHASES) for k in range(PHASES)]
    bank = np.concatenate(waves)
    bank -= bank.mean(1, keepdims=True)
    filters = torch.zeros_like(weight)
    filters[: len(bank), 0] = torch.tensor(bank, dtype=weight.dtype)
    heard = F.conv1d(sounds[:, None], filters, stride=160)  # [B, C, frames]
    power = heard.square().mean((0, 2)).clamp_min(1e-12)
    weight.copy_(filters * (30 * NORM_EPSILON / power).sqrt()[:, None, None])
    weight.requires_grad_(False)
    network.get_parameter(FILTERS_SCALE).fill_(3.0)  # GELU rectifies only what is not small


class Learner:
    """Network, frame head, optimiser and averaged weights. A step depends on the seed and on its
    own number alone, so that a resumed run draws what the uninterrupted one would have drawn."""

    def __init__(
        self, network: nn.Module, width: int, classes: Sequence[str], recipe: Recipe
    ) -> None:
        self.network = network
        self.classes = tuple(classes)
        self.recipe = recipe
        self.targets = targets.FrameTargets()
        self.head = targets.FrameHead(width)
        self.average: nn.Module | None = None  # exists in the second phase
        self.averaged = 0  # steps
        named = [*network.named_parameters(), *self.head.named_parameters()]
        matrices = [p for name, p in named if p.ndim > 1 and name != FILTERS]
        vectors = [p for _, p in named if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": recipe.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=recipe.hear_rate,
            betas=(0.9, 0.98),
        )

    def prepare(self, voices: Sequence[Voice]) -> None:
        """Measure training speech: the filters' levels and the targets' standardisation."""
        rng = np.random.default_rng(self.recipe.seed)
        chosen = [voices[i] for i in rng.permutation(len(voices))[:256]]
        length = int(self.recipe.crop_seconds * targets.SAMPLE_RATE)
        sounds = torch.from_numpy(np.stack([augment.crop(v, length, rng).samples for v in chosen]))
        tune_ear(self.network, sounds)
        self.targets.fit(sounds)

    def step(
        self, sampler: Sampler, number: int, phase: Phase, progress: float
    ) -> dict[str, float]:
        """Draw a batch, learn from it, return the losses."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, number])
        torch.manual_seed(int(rng.integers(2**31)))
        hearing = phase == "hear"
        voices = sampler.draw(recipe.hear_batch if hearing else recipe.feel_batch, phase, rng)
        length = int(recipe.crop_seconds * rng.uniform(0.85, 1.15) * targets.SAMPLE_RATE)
        crops = [augment.crop(v, length, rng, rng.uniform(0.9, 1.1)) for v in voices]
        heard = _stack([distort(c.samples, rng) for c in crops])
        voiced = _stack([c.voiced for c in crops])
        aims = self.targets(
            _stack([c.samples for c in crops]), _stack([c.pitch for c in crops]), voiced
        )
        share = recipe.hear_masked if hearing else recipe.feel_masked
        mask = torch.from_numpy(augment.span_mask((len(crops), aims.shape[1]), share, 10, rng))

        self.network.train()
        for module in self.network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0 if hearing else recipe.dropout
        out = self.network(heard, mask=True, features_only=True, precomputed_mask=mask)
        frames = out["x"]  # [B, T, D]
        losses = {"frames": self.head.loss(frames, aims, voiced)}
        total = losses["frames"]
        if phase == "feel":
            labels = torch.tensor([self.classes.index(v.label) for v in voices])
            logits = self.network.proj(F.dropout(frames.mean(1), 0.2))  # type: ignore[operator]
            losses["emotion"] = F.cross_entropy(logits, labels, label_smoothing=recipe.smoothing)
            total = losses["emotion"] + recipe.keep_hearing * losses["frames"]
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate(phase, progress)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0)
        self.optimizer.step()
        if phase == "feel":
            self._average()
        return {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def _average(self) -> None:
        if self.average is None:
            self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        keep = min(self.recipe.averaging, (1 + self.averaged) / (10 + self.averaged))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)
        self.averaged += 1

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "averaged": self.averaged,
            "head": self.head.state_dict(),
            "targets": self.targets.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.network.get_parameter(FILTERS).requires_grad_(False)
        self.average = None
        if state["average"] is not None:
            self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
            self.average.load_state_dict(state["average"])
        self.averaged = state["averaged"]
        self.head.load_state_dict(state["head"])
        self.targets.load_state_dict(state["targets"])
        self.optimizer.load_state_dict(state["optimizer"])


def _stack(arrays: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


@torch.no_grad()
def probabilities(network: nn.Module, voices: Sequence[Voice]) -> NDArray[np.float64]:
    """Class probabilities of whole clips, one by one, by the network's own head: [N, C]."""
    network.eval()
    rows = []
    for voice in voices:
        sound = torch.from_numpy(normalised(voice.waveform()))[None]
        frames = network(sound, mask=False, features_only=True)["x"]  # [1, T, D]
        rows.append(network.proj(frames.mean(1)).softmax(-1)[0].double().numpy())  # type: ignore[operator]
    return np.stack(rows)
