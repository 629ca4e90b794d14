"""Options declared once, as fields of a dataclass: type, range, help and default.

    epochs: float = option(12.0, "epochs over the data", above=0, high=10_000)

`check(self)` in `__post_init__` refuses a value of another type or out of its range. `from_dict`
and `read_json` read a dataclass, nested ones as well, from JSON that may come from anywhere.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from audiollm.contracts.plain_json import parse_json
from audiollm.errors import ConfigError

T = TypeVar("T")
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
    for name, declared in options(type(config)).items():
        value = checked(name, kinds[name], declared, getattr(config, name))
        object.__setattr__(config, name, value)


def checked(name: str, kind: Any, declared: Option, value: Any) -> Any:  # noqa: PLR0911
    """The value of an option, as its type holds it.

    Raises:
        ConfigError: see `check`.
    """
    origin, kinds = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return from_dict(typing.cast(type, kind), value, name)
    if origin in (Union, types.UnionType):
        return None if value is None else checked(name, kinds[0], declared, value)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError("option_kind", name=name, kind="list", value=shown(value))
        return tuple(checked(name, kinds[0], declared, one) for one in value)
    if origin is Literal:
        if not any(type(value) is type(one) and value == one for one in kinds):
            choices = ", ".join(map(str, kinds))
            raise ConfigError("option_choice", name=name, choices=choices, value=shown(value))
        return value
    if kind is Any:
        return value
    plain = origin or kind
    number = isinstance(value, int | float) and not isinstance(value, bool)
    finite = number and _finite(value)
    number = number and (plain is float or not finite or value == int(value))
    if not (number if plain in (int, float) else isinstance(value, plain)):
        raise ConfigError("option_kind", name=name, kind=plain.__name__, value=shown(value))
    if plain is dict:
        return {k: checked(f"{name}.{k}", kinds[1], declared, one) for k, one in value.items()}
    if plain not in (int, float):
        return value
    inside = declared.low <= value <= declared.high and declared.above < value < declared.below
    if not inside or not finite:
        raise ConfigError("option_range", range=_range(name, declared), value=shown(value))
    return plain(value)


def _finite(value: float) -> bool:
    """JSON as Python reads it also has NaN, Infinity and integers beyond any float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def from_dict(cls: type[T], data: Any, name: str = "") -> T:
    """A dataclass from JSON values, strict about names and types.

    Raises:
        ConfigError: unknown or missing field, or a value that the class refuses.
    """
    if not isinstance(data, dict):
        raise ConfigError("option_kind", name=name or cls.__name__, kind="dict", value=shown(data))
    kinds, prefix = typing.get_type_hints(cls), f"{name}." if name else ""
    declared = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for unknown in sorted(data.keys() - declared.keys()):
        raise ConfigError("option_unknown", name=shown(prefix + unknown))
    for one in declared.values():
        if one.name not in data and one.default is MISSING and one.default_factory is MISSING:
            raise ConfigError("option_missing", name=prefix + one.name)
    plain = Option("")  # the class itself checks the ranges
    return cls(**{n: checked(prefix + n, kinds[n], plain, value) for n, value in data.items()})


def read_json(cls: type[T], path: Path) -> T:
    """The same from a file; errors name it.

    Raises:
        ConfigError: see `from_dict`; it cannot be read, or is no JSON.
    """
    try:
        return from_dict(cls, parse_json(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError("config_unreadable", path=path, reason=error.strerror) from error
    except ValueError as error:
        raise ConfigError("config_no_json", path=path, reason=error) from error
    except ConfigError as error:
        raise ConfigError("config_refused", path=path, reason=error) from error


def to_json(config: Any) -> str:
    """A dataclass as indented JSON text, Chinese kept readable."""
    return json.dumps(dataclasses.asdict(config), indent=2, ensure_ascii=False) + "\n"


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


def _range(name: str, declared: Option) -> str:
    """`0 < epochs <= 1000`."""
    low = f"{declared.low:.9g} <= " if declared.low > -math.inf else f"{declared.above:g} < "
    high = f" <= {declared.high:.10g}" if declared.high < math.inf else f" < {declared.below:g}"
    return f"{low}{name}{high}"
