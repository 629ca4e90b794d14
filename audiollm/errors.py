"""Errors that a user may see. Each is one sentence: what is wrong and what to do next.

Everything that reaches a terminal or a page as a message is an `AudioLLMError`; any other
exception is a bug in this project and is shown as such.
"""

from typing import Literal


class AudioLLMError(Exception):
    """Base class: `str(error)` is one sentence for the person who uses the program.

    zh: the same in Chinese; "" where it was not translated.
    """

    def __init__(self, said: str, zh: str = "") -> None:
        super().__init__(said)
        self.zh = zh

    def in_language(self, language: Literal["en", "zh"]) -> str:
        """The sentence; in English where it was not translated."""
        return self.zh if language == "zh" and self.zh else str(self)


class AudioError(AudioLLMError):
    """The sound cannot be used: missing, not audio, empty, damaged, too long."""


class NoSpeechError(AudioError):
    """The sound is readable, but nobody speaks in it: too short, too faint, or something else."""


class ConfigError(AudioLLMError):
    """A configuration value is refused; the message holds the value."""


class ModelError(AudioLLMError):
    """A model folder is missing, incomplete, or does not fit what it is used with."""


class DataError(AudioLLMError):
    """A corpus, a manifest or a prepared folder cannot be used."""


class LabelError(AudioLLMError):
    """A label, a person's name or a file of labels is refused."""
