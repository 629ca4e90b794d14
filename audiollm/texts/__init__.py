"""The catalogue of texts: every sentence that a person sees, by code, in en.toml and zh.toml."""

import json
import tomllib
from pathlib import Path

from audiollm.labels import LANGUAGES, Language


def _read(language: Language) -> dict[str, str]:
    """Code -> sentence. Sections group codes for the reader of the file."""
    file = Path(__file__).with_name(f"{language}.toml")
    sections = tomllib.loads(file.read_text(encoding="utf-8")).values()
    sentences = {code: sentence for section in sections for code, sentence in section.items()}
    if len(sentences) != sum(map(len, sections)):
        raise ValueError(f"{file.name} has a code twice.")
    return sentences


_BY_LANGUAGE = {language: _read(language) for language in LANGUAGES}
TEXTS: dict[str, dict[Language, str]] = {
    code: {language: table[code] for language, table in _BY_LANGUAGE.items()}
    for code in _BY_LANGUAGE["en"]
}


def text(code: str, language: Language, /, **values: object) -> str:
    """One sentence, its blanks filled in.

    values: an error or a message is shown in the same language, the members of a list are joined.
    """
    shown = {name: _shown(value, language) for name, value in values.items()}
    return printable(TEXTS[code][language].format(**shown))


def spoken_language(accept: str | None) -> Language:
    """Language of the page from the browser's `Accept-Language`: its first choice counts, as it
    does for the texts that the browser translates itself."""
    first = (accept or "").split(",")[0].split(";")[0].strip().lower()
    return "zh" if first == "zh" or first.startswith("zh-") else "en"


def printable(text: str) -> str:
    """The text; bytes of a file name that are no UTF-8 as escapes like \\udcff."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(value: object, language: Language) -> object:
    if isinstance(value, list | tuple):
        return ("、" if language == "zh" else ", ").join(str(_shown(v, language)) for v in value)
    in_language = getattr(value, "in_language", None)
    return in_language(language) if in_language else value


def stored(code: str, /, **values: object) -> str:
    """A message for a file or a database, to be read in any language by `from_stored`."""
    return printable(json.dumps({"code": code, **values}, ensure_ascii=False))


def from_stored(message: str, language: Language) -> str:
    """The sentence of a stored message; what is none, such as an older version's, is returned."""
    try:
        values = json.loads(message)
        return text(values.pop("code"), language, **values)
    except (ValueError, AttributeError, KeyError):
        return message
