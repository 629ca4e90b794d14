"""A failure that a page can say in the reader's language. No gradio here."""

from audiollm.errors import AudioLLMError
from audiollm.labels import Language
from audiollm.ui.texts import text


class SaidError(AudioLLMError):
    """Something that the visitor can mend; `key` is its sentence among the texts of the page."""

    def __init__(self, key: str, **values: object) -> None:
        self.key, self.values = key, values
        super().__init__(self.in_language("en"))

    def in_language(self, language: Language) -> str:
        """The sentence."""
        return text(self.key, language, **self.values)
