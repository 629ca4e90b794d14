"""Options declared once, as fields of a dataclass: type, range, help and default.

    epochs: float = option(12.0, "epochs over the data", above=0, high=10_000)

`check(self)` in `__post_init__` refuses a value of another type or out of its range.
"""

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from audiollm.errors import ConfigError

_KEY = "option"  # in a field's metadata
SHOWN = 40  # characters of a refused value that an error shows


@dataclass(frozen=True)
class Option:
    """What is known of one option besides its type and default."""

    help: str
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf  # exclusive bounds
    below: float = math.inf
    unit: str = ""
    step: float | None = None  # of a number field's arrows
    stage: int = 0  # the stage that it belongs to; 0: both
    by_stage: tuple[Any, ...] = ()  # defaults of stage 1 and 2, where they differ
    word: str = ""  # on the command line, where it is not the field's name
    old: tuple[str, ...] = ()  # names in earlier versions, as fields


def option(default: Any, help: str, **more: Any) -> Any:
    """A dataclass field that holds an option; `more` as the fields of `Option`."""
    return field(default=default, metadata={_KEY: Option(help, **more)})


def options(cls: type) -> dict[str, Option]:
    """Field -> option, in the order of declaration."""
    return {f.name: f.metadata[_KEY] for f in fields(cls) if _KEY in f.metadata}


def check(config: Any) -> None:
    """Refuses what an option does not take; lists become tuples, and whole numbers floats.

    Raises:
        ConfigError: a value has another type or is out of range; the message holds it.
    """
    kinds = typing.get_type_hints(type(config))
    for name, known in options(type(config)).items():
        value = checked(name, kinds[name], known, getattr(config, name))
        object.__setattr__(config, name, value)


def checked(name: str, kind: Any, known: Option, value: Any) -> Any:
    """The value of an option, as its type holds it.

    Raises:
        ConfigError: see `check`.
    """
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError("option_kind", name=name, kind="list", value=shown(value))
        each = typing.get_args(kind)[0]
        return tuple(checked(name, each, known, one) for one in value)
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if not any(type(value) is type(one) and value == one for one in choices):
            known_ones = ", ".join(map(str, choices))
            raise ConfigError("option_choice", name=name, choices=known_ones, value=shown(value))
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (bool, str):
        if not isinstance(value, kind):
            raise ConfigError("option_kind", name=name, kind=kind.__name__, value=shown(value))
        return value
    if not number or (kind is int and math.isfinite(value) and value != int(value)):
        raise ConfigError("option_kind", name=name, kind=kind.__name__, value=shown(value))
    inside = known.low <= value <= known.high and known.above < value < known.below
    if not inside or not math.isfinite(value):
        raise ConfigError("option_range", range=_range(name, known), value=shown(value))
    return kind(value)


def known_only(cls: type, values: Mapping[str, Any]) -> None:
    """
    Raises:
        ConfigError: a name is no option of the class.
    """
    for name in values:
        if name not in options(cls):
            raise ConfigError("option_unknown", name=shown(name))


def shown(value: object) -> str:
    """A refused value, as an error shows it."""
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _range(name: str, known: Option) -> str:
    """`0 < epochs <= 1000`."""
    low = f"{known.above:g} < " if known.above > -math.inf else f"{known.low:.9g} <= "
    high = f" < {known.below:g}" if known.below < math.inf else f" <= {known.high:.10g}"
    return f"{low}{name}{high}"
