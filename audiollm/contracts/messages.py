"""Sentences that a command writes into its files: by code, so that a page shows them in the
language of its reader."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiollm.contracts.plain_json import parse_json
from audiollm.errors import AudioLLMError
from audiollm.labels import Language, word
from audiollm.texts import TEXTS, printable, text

LABELS = ("label", "labels")  # values that name classes


@dataclass(frozen=True)
class Message:
    """A note or a reason. `str(message)` is the English sentence."""

    text: str  # in English, as it was written
    code: str = ""  # of the catalogue; "": written by a version that had no codes
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, code: str, /, **values: Any) -> "Message":
        return cls(text(code, "en", **values), code, values)

    @classmethod
    def of_error(cls, error: Exception) -> "Message":
        if isinstance(error, AudioLLMError) and error.code:
            return cls(str(error), error.code, error.values)
        return cls(str(error))

    @classmethod
    def read(cls, raw: Any) -> "Message":
        """From JSON: an object, or a plain sentence in files of older versions.

        Raises:
            ValueError: it is neither.
        """
        if isinstance(raw, str):
            return cls(raw)
        if not isinstance(raw, dict) or not isinstance(raw.get("text"), str):
            raise ValueError(f"{raw!r} is no message")
        return cls(raw["text"], str(raw.get("code", "")), dict(raw.get("values") or {}))

    def to_error(self, kind: type[AudioLLMError]) -> AudioLLMError:
        """The error that this was, in another process."""
        if self.code not in TEXTS:
            return kind(self.text)
        return kind(self.code, **{n: _value(n, raw, "en") for n, raw in self.values.items()})

    @classmethod
    def refusal(cls, content: str) -> "Message | None":
        """From the file of `write_refusal`; None where it holds no message."""
        try:
            return cls.read(parse_json(content))
        except ValueError:
            return None

    def to_dict(self) -> dict[str, Any]:
        """For JSON. The English sentence stands beside the code."""
        return {"text": self.text, "code": self.code, "values": _plain(dict(self.values))}

    def in_language(self, language: Language) -> str:
        """The sentence; in English where its code is not known here."""
        if language == "en" or self.code not in TEXTS:
            return self.text
        values = {name: _value(name, raw, language) for name, raw in self.values.items()}
        try:
            return text(self.code, language, **values)
        except (KeyError, IndexError, ValueError):  # a newer version has other blanks
            return self.text

    def kind(self, language: Language) -> str:
        """Of a reason `kind: detail`, what stands before the colon."""
        return re.split("[:：]", self.in_language(language), maxsplit=1)[0]

    def __str__(self) -> str:
        return self.text


def read_messages(raw: Iterable[Any]) -> list[Message]:
    return [Message.read(one) for one in raw]


def write_refusal(error: AudioLLMError, file: Path) -> None:
    """Why a command refuses, in one line that a page can translate."""
    file.write_text(printable(json.dumps(Message.of_error(error).to_dict())), encoding="utf-8")


def unique(messages: Iterable[Message]) -> list[Message]:
    """Each sentence once, in order."""
    return list({message.text: message for message in messages}.values())


def _value(name: str, raw: Any, language: Language) -> Any:
    if isinstance(raw, dict) and "text" in raw:
        return Message.read(raw)
    if isinstance(raw, list | tuple):
        return [_value(name, one, language) for one in raw]
    return word(raw, language) if name in LABELS and isinstance(raw, str) else raw


def _plain(value: Any) -> Any:
    """What JSON holds: a message or an error inside another one becomes an object."""
    if isinstance(value, AudioLLMError):
        value = Message.of_error(value)
    if isinstance(value, Message):
        return value.to_dict()
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)
