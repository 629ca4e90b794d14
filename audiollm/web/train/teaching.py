"""How a model learns, beside how long: the options of `python -m train fit`. No gradio here."""

import math
from dataclasses import dataclass

from audiollm.errors import ConfigError

POOLINGS = ("auto", "utterance", "frames")  # what becomes audio tokens; auto: as the data allows


@dataclass(frozen=True)
class Teaching:
    """What both stages are told; the defaults are those of `fit`.

    Raises:
        ConfigError: a value cannot be used; the message holds it.
    """

    per_clip: int = 2  # instructions drawn for each recording
    rates: tuple[float, float] = (1e-3, 2e-4)  # learning rates of stage 1 and 2
    weight_decay: float = 0.01
    pooling: str = "auto"  # of POOLINGS
    tokens: int = 4  # audio tokens: of a clip (utterance) or of a second (frames)
    hidden: int = 512  # width of the projector's hidden layer
    dropout: float = 0.3  # behind the hidden layer
    input_dropout: float = 0.2  # of the encoder's features
    functionals_dropout: float = 0.2  # of the measured statistics
    noise: float = 0.3  # on the standardised features
    smoothing: float = 0.1  # share of the class word's target that all class words get alike
    lora_rank: int = 16
    lora_dropout: float = 0.05

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            known = ", ".join(POOLINGS)
            raise ConfigError(f"What becomes tokens must be one of {known}, not {self.pooling!r}.")
        for i in (0, 1):
            within(f"The learning rate of stage {i + 1}", self.rates[i], 1e-7, 1)
        within("The instructions of a recording", self.per_clip, 1, 100, whole=True)
        within("The audio tokens", self.tokens, 1, 64, whole=True)
        within("The width of the projector", self.hidden, 8, 16384, whole=True)
        within("The rank of LoRA", self.lora_rank, 1, 512, whole=True)
        within("The weight decay", self.weight_decay, 0, 10)
        within("The noise", self.noise, 0, 10)
        for what, share in (
            ("The dropout", self.dropout),
            ("The dropout of the encoder's features", self.input_dropout),
            ("The dropout of the measured statistics", self.functionals_dropout),
            ("The smoothing", self.smoothing),
            ("The dropout of LoRA", self.lora_dropout),
        ):
            within(what, share, 0, 0.95)

    def words(self, stage: int) -> tuple[str, ...]:
        """What `fit` is told of it."""
        told: dict[str, float | str] = {
            "per-clip": self.per_clip,
            "learning-rate": self.rates[stage - 1],
            "weight-decay": self.weight_decay,
            "label-smoothing": self.smoothing,
        }
        if stage == 2:
            told |= {"lora-rank": self.lora_rank, "lora-alpha": 2 * self.lora_rank}
            told |= {"lora-dropout": self.lora_dropout}
        else:
            if self.pooling != "auto":
                told["pooling"] = self.pooling
            told |= {"utterance-tokens": self.tokens, "tokens-per-second": self.tokens}
            told |= {"hidden-size": self.hidden, "dropout": self.dropout, "noise": self.noise}
            told |= {"input-dropout": self.input_dropout}
            told |= {"functionals-dropout": self.functionals_dropout}
        return tuple(
            word
            for key, value in told.items()
            for word in (f"--{key}", value if isinstance(value, str) else f"{value:g}")
        )


def within(what: str, value: float, low: float, high: float, *, whole: bool = False) -> None:
    """
    Raises:
        ConfigError: the number is not one, or not between the two.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise ConfigError(f"{what} must be {low:g} to {high:g}, not {value!r}.")
    if whole and value != int(value):
        raise ConfigError(f"{what} must be a whole number, not {value!r}.")
