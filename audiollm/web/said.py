"""A failure that a page can say in the reader's language. No gradio here."""

from audiollm.errors import AudioLLMError
from audiollm.texts import text


class SaidError(AudioLLMError):
    """Something that the visitor can mend; `key` is its sentence among the texts of the page."""

    def __init__(self, key: str, **values: object) -> None:
        self.key = key
        super().__init__(text(key, "en", **values), text(key, "zh", **values))
