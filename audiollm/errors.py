"""Errors that a user may see. Each is one sentence: what is wrong and what to do next.

Everything that reaches a terminal or a page as a message is an `AudioLLMError`; any other
exception is a bug in this project and is shown as such.
"""

from audiollm.labels import Language
from audiollm.texts import TEXTS, text


class AudioLLMError(Exception):
    """Base class: `str(error)` is one sentence for the person who uses the program.

    Args:
        code: of the catalogue of texts; what is no code there is an English sentence.
        values: of the fields of the code's sentence; one that is an error itself, as the reason
            of this one, is shown in the same language.
    """

    def __init__(self, code: str, /, **values: object) -> None:
        self.code, self.values = (code, values) if code in TEXTS else ("", {})
        super().__init__(text(code, "en", **values) if self.code else code)

    def in_language(self, language: Language) -> str:
        """The sentence; in English where it has no code."""
        return text(self.code, language, **self.values) if self.code else str(self)


class AudioError(AudioLLMError):
    """The sound cannot be used: missing, not audio, empty, damaged, too long."""


class NoSpeechError(AudioError):
    """The sound is readable, but holds no speech: too short, too faint, or something else."""


class ConfigError(AudioLLMError):
    """A configuration value is refused; the message holds the value."""


class ModelError(AudioLLMError):
    """A model folder is missing, incomplete, or does not fit what it is used with."""


class DataError(AudioLLMError):
    """A corpus, a manifest or a prepared folder cannot be used."""


class LabelError(AudioLLMError):
    """A label, a person's name or a file of labels is refused."""
