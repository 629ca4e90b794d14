"""JSON that others wrote."""

import json
from collections.abc import Callable
from typing import Any


def parse_json(text: str | bytes, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text; the arguments are those of `json.loads`.

    Raises:
        ValueError: it is no JSON, or nested too deeply for Python.
    """
    try:
        return json.loads(text, parse_constant=parse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
