"""Assertions on the codes of errors."""

from collections.abc import Callable


def coded(code: str) -> Callable[[BaseException], bool]:
    """For `pytest.raises(..., check=coded("audio_empty"))`: the error carries this code."""
    return lambda error: getattr(error, "code", None) == code
