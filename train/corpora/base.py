"""What every reader gives back: clips, and the files that it could not use with the reason."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiollm import labels
from audiollm.contracts.manifest import EncoderRef
from audiollm.contracts.messages import Message
from audiollm.contracts.prepared import SPLITS, Clip, Rejected, Split
from audiollm.errors import AudioLLMError, DataError

__all__ = ["SPLITS", "Clip", "Corpus", "Rejected", "Split"]

_SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "eval": "valid",
    "evaluation": "valid",
    "test": "test",
    "testing": "test",
}


class UnusableError(AudioLLMError):
    """Why a reader rejects a file; its code is one of the catalogue's `reject_...`."""


def open_file(clip: Clip) -> Path | bytes:
    """What `audio.load` takes for a clip that is a file of its own."""
    return Path(clip.path)


def is_file(path: Path) -> bool:
    """Whether a path that a table names is a file. One that is too long is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def stamp_file(clip: Clip) -> str:
    """Changes when the file does, so that a remembered measurement is not used for it."""
    stat = Path(clip.path).stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}"


@dataclass(frozen=True)
class Corpus:
    """Clips in a fixed order, and how to get at their sound.

    A corpus of ready-made features (`original`) names their encoder and opens to .npy files.
    """

    name: str
    clips: tuple[Clip, ...]
    rejected: tuple[Rejected, ...] = ()
    encoder: EncoderRef | None = None
    notes: tuple[Message, ...] = ()  # what a person should know about it
    open: Callable[[Clip], Path | bytes] = open_file
    stamp: Callable[[Clip], str] = stamp_file


def codes(text: str) -> dict[str, str]:
    """Codes of a corpus with their classes: `n neutral, t sad` -> {"n": "neutral", "t": "sad"}."""
    return dict(re.findall(r"(\w+) (\w+)", text))


def columns(names: Iterable[Any], aliases: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Our name of a column -> the table's, by the first of its aliases that is there."""
    lower = {str(column).strip().lower(): column for column in names if column is not None}
    listed = {name: [lower[a] for a in some if a in lower] for name, some in aliases.items()}
    return {name: some[0] for name, some in listed.items() if some}


def label_columns(names: Iterable[Any], aliases: tuple[str, ...], requested: str = "") -> list[str]:
    """The columns that may hold the label: the one asked for, else all that are called so."""
    if requested:
        return [column for column in names if column == requested]
    return [column for column in names if str(column).strip().lower() in aliases]


def label_cells(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], table: object
) -> list[Any]:
    """The label of each row. Where columns contradict each other, it is in the one that holds words
    for emotions.

    Raises:
        DataError: none of them does, or several do.
    """
    cells = [[row[c] for c in columns if labels.cell(row.get(c))] for row in rows]
    if any(len(set(map(_label_of, values))) > 1 for values in cells):
        worded = [c for c in columns if holds_words(row.get(c) for row in rows)]
        if len(worded) != 1:
            raise DataError("data_label_columns", table=table, columns=list(columns))
        return [row.get(worded[0]) for row in rows]
    return [values[0] if values else None for values in cells]


def _label_of(raw: object) -> str:
    try:
        return class_name(raw)
    except UnusableError:
        return labels.cell(raw)


def holds_words(cells: Iterable[object]) -> bool:
    """Most of the different values are emotions that are known. Of sentiments one is: neutral."""
    values = {_label_of(raw) for raw in cells if labels.cell(raw)}
    return sum(labels.is_known(value) for value in values) > len(values) / 2


def slug(text: str) -> str:
    """`My Corpus (v2)` -> `my-corpus-v2`: letters of any script and digits, dashes between."""
    return re.sub(r"[^\w.]+", "-", text.strip().lower()).strip("-.")


def speaker_name(corpus: str, raw: object) -> str:
    """`03` -> `emodb-03`, so that corpora can be joined; a missing one stays "", unknown."""
    text = labels.cell(raw)
    return text if not text or text.startswith(f"{corpus}-") else f"{corpus}-{text}"


def split_name(raw: object) -> Split | None:
    """`dev` -> `valid`; None where the word names no split."""
    return _SPLIT_WORDS.get(str(raw).strip().lower())


def class_name(raw: object) -> str:
    """The canonical class of a written label.

    Raises:
        UnusableError: it is missing, or cannot be one.
    """
    if not labels.cell(raw):
        raise UnusableError("reject_no_label")
    if not isinstance(raw, str):
        raise UnusableError("reject_label", value=repr(raw))
    try:
        return labels.canonical(raw)
    except ValueError:
        raise UnusableError("reject_label", value=repr(str(raw))) from None


def gather(
    items: Iterable[tuple[str, Callable[[], Clip]]],
) -> tuple[tuple[Clip, ...], tuple[Rejected, ...]]:
    """Builds each clip; an UnusableError becomes the reason why its file is rejected.

    items: (path shown to the user, function that builds the clip).
    """
    clips: list[Clip] = []
    rejected: list[Rejected] = []
    for path, build in items:
        try:
            clips.append(build())
        except UnusableError as error:
            rejected.append(Rejected(path, Message.of_error(error)))
    return tuple(clips), tuple(rejected)


def below(root: Path, files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """(file, its path inside root without suffix, with forward slashes)."""
    for file in files:
        yield file, file.relative_to(root).with_suffix("").as_posix()
