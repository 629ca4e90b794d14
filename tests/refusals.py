"""`refused(code)`: an error of the catalogue of texts is expected, whatever its sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from audiollm.errors import AudioLLMError


@contextmanager
def refused(code: str, kind: type[AudioLLMError] = AudioLLMError) -> Iterator[dict[str, object]]:
    """The block raises an error of that code, or one whose reason has it. Filled with the values
    of the outermost error."""
    values: dict[str, object] = {}
    with pytest.raises(kind) as found:
        yield values
    error: object = found.value
    codes = []
    while isinstance(error, AudioLLMError):
        codes.append(error.code)
        error = error.values.get("reason")
    assert code in codes, f"{codes}: {found.value}"
    values |= found.value.values
