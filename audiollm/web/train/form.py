"""The settings of the Train page: in the order of its fields, and as a file. No gradio here.

A file may come from anybody: it is small, its keys are those of `Form` and nothing else, and every
value goes through `Plan` before the page shows one of them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from audiollm.hub import BUNDLED_ENCODER
from audiollm.web.said import SaidError
from audiollm.web.train.plan import Plan
from audiollm.web.train.sources import EMODB, HUB
from audiollm.web.train.teaching import Teaching

LARGEST = 64 * 1024  # bytes of a file of settings
FORMAT, VERSION = "audiollm_settings", 1  # the key that every file has, and its value
SHOWN = 40  # characters of a value that is refused


@dataclass(frozen=True)
class Form:
    """What stands in the fields of the page, under their names and in their order."""

    name: str = "my-model"
    source: str = EMODB
    folder: str = ""
    data_set: str = ""
    pattern: str = ""
    alone: bool = False
    llm: str = "tiny"
    encoder: str = BUNDLED_ENCODER
    epochs_1: float = 12.0
    epochs_2: float = 4.0
    steps_1: int = 0
    steps_2: int = 0
    batch: int = 16
    seed: int = 0
    device: str = "cpu"
    clips: int = 0
    all_learn: bool = False
    per_clip: int = 2
    rate_1: float = 1e-3
    rate_2: float = 2e-4
    weight_decay: float = 0.01
    pooling: str = "auto"
    tokens: int = 4
    hidden: int = 512
    dropout: float = 0.3
    input_dropout: float = 0.2
    functionals_dropout: float = 0.2
    noise: float = 0.3
    smoothing: float = 0.1
    lora_rank: int = 16
    lora_dropout: float = 0.05

    def plan(self) -> Plan:
        """
        Raises:
            ConfigError: a value cannot be used; the message holds it.
        """
        return Plan(
            name=self.name.strip(),
            source=self.source,
            folder=self.data_set if self.source == HUB else self.folder,
            speaker_pattern=self.pattern,
            split="random" if self.alone else "auto",
            all_learn=self.all_learn,
            llm=self.llm,
            encoder=self.encoder,
            epochs=(self.epochs_1, self.epochs_2),
            steps=(self.steps_1, self.steps_2),
            batch_size=self.batch,
            seed=self.seed,
            device=self.device,
            max_clips=self.clips,
            teaching=Teaching(
                per_clip=self.per_clip,
                rates=(self.rate_1, self.rate_2),
                weight_decay=self.weight_decay,
                pooling=self.pooling,
                tokens=self.tokens,
                hidden=self.hidden,
                dropout=self.dropout,
                input_dropout=self.input_dropout,
                functionals_dropout=self.functionals_dropout,
                noise=self.noise,
                smoothing=self.smoothing,
                lora_rank=self.lora_rank,
                lora_dropout=self.lora_dropout,
            ),
        )


KEYS = tuple(field.name for field in fields(Form))
KINDS = {field.name: field.type for field in fields(Form)}


def plan(*values: Any) -> Plan:
    """The plan of the fields as they stand on the page.

    Raises:
        ConfigError: a value cannot be used; the message holds it.
    """
    return Form(*values).plan()


# --- as a file


def written(values: Sequence[Any]) -> str:
    """The fields as JSON.

    Raises:
        ConfigError: they make no plan.
    """
    form = Form(*values)
    form.plan()
    return json.dumps({FORMAT: VERSION, **asdict(form)}, indent=2, ensure_ascii=False) + "\n"


def read(raw: bytes, values: Sequence[Any]) -> Form:
    """The fields as a file wants them; what it does not name stays as it is in `values`.

    Raises:
        SaidError: it is no file of settings, or a key or a value is not known.
        ConfigError: a value cannot be used; the message holds it.
    """
    if len(raw) > LARGEST:
        raise SaidError("settings_large", kb=LARGEST // 1024)
    try:
        said = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise SaidError("settings_broken") from None
    if not isinstance(said, dict) or FORMAT not in said:
        raise SaidError("settings_broken")
    version = said.pop(FORMAT)
    if version != VERSION or isinstance(version, bool):
        raise SaidError("settings_version", value=_short(version), known=VERSION)
    for key in said:
        if key not in KINDS:
            raise SaidError("settings_key", name=_short(key))
    checked: Mapping[str, Any] = {key: _checked(key, value) for key, value in said.items()}
    form = Form(**{**dict(zip(KEYS, values, strict=True)), **checked})
    form.plan()
    return form


def _checked(key: str, value: Any) -> Any:
    """A value of the kind that its field holds."""
    kind = KINDS[key]
    kinds = {str: str, bool: bool, int: int, float: int | float}[kind]  # type: ignore[index]
    numbers = isinstance(value, int | float)
    fits = isinstance(value, kinds) and (kind is bool or not isinstance(value, bool))
    if not fits or (numbers and not math.isfinite(value)):
        raise SaidError("settings_value", name=key, value=_short(value))
    return value


def _short(value: object) -> str:
    said = repr(value)
    return said if len(said) <= SHOWN else said[:SHOWN] + "…"


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")
