"""Corpora of conversations, labelled in tables beside the sound: IEMOCAP and MELD.

IEMOCAP: Busso et al., LREC 2008. MELD: Poria et al., ACL 2019.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from audiollm import labels
from audiollm.audio import files_below
from audiollm.errors import DataError
from train.corpora.base import (
    Clip,
    Corpus,
    Split,
    UnusableError,
    class_name,
    codes,
    gather,
    is_file,
    slug,
    speaker_name,
    split_name,
)

IEMOCAP_EXAMPLE = (
    "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt with "
    "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
)
MELD_EXAMPLE = (
    "train_sent_emo.csv with train_splits/dia0_utt0.mp4 (or .wav), the same for dev, test"
)

_TURN = re.compile(r"\[[\d. -]+\]\s+(Ses\d\d[FM]_\S+_([FM])\d+)\s+(\w+)\s")
_IEMOCAP_CODES = codes(
    "ang angry, dis disgusted, exc excited, fea fearful, fru frustrated, "
    "hap happy, neu neutral, oth other, sad sad, sur surprised"
)
_MELD_COLUMNS = {"Dialogue_ID", "Utterance_ID", "Emotion", "Speaker"}
_UTTERANCE = re.compile(r"dia\d+_utt\d+", re.IGNORECASE)
_MELD_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".mp4")  # the first that exists is taken
_SEVERAL = re.compile(r"\band\b|[,/&]|^(all|both|everyone|everybody|the \w+s)$", re.IGNORECASE)


def read_iemocap(root: Path, merge_excited: bool = False) -> Corpus:
    """Every turn of the EmoEvaluation tables. Session and gender give the speaker.

    merge_excited: `exc` counts as happy, as in the usual four-class setting.
    """
    tables = [
        table
        for pattern in ("", "*/", "*/*/")
        for table in sorted(root.glob(f"{pattern}Session*/dialog/EmoEvaluation/Ses*.txt"))
    ]
    codes = {**_IEMOCAP_CODES, "exc": "happy"} if merge_excited else _IEMOCAP_CODES
    items = [item for table in tables for item in _turns(table, codes)]
    return Corpus("iemocap", *gather(items))


def _turns(table: Path, codes: dict[str, str]) -> Iterator[tuple[str, Callable[[], Clip]]]:
    folder = table.parents[2] / "sentences" / "wav"
    for match in _TURN.finditer(table.read_text(encoding="latin-1")):
        name, gender, code = match.groups()
        file = folder / name.rsplit("_", 1)[0] / f"{name}.wav"
        yield str(file), partial(_turn, file, f"{name[:5]}{gender}", code, codes)


def _turn(file: Path, speaker: str, code: str, codes: dict[str, str]) -> Clip:
    if code == "xxx":
        raise UnusableError("reject_no_agreement")
    if code not in codes:
        raise UnusableError("reject_code", value=repr(code), corpus="IEMOCAP")
    if not is_file(file):
        raise UnusableError("reject_missing")
    return Clip(
        path=str(file),
        label=codes[code],
        speaker=speaker_name("iemocap", speaker),
        language="en",
        corpus="iemocap",
    )


def read_meld(root: Path) -> Corpus:
    """The three tables with the corpus's own split; video clips serve as sound files."""
    media = _media(root)
    items: list[tuple[str, Callable[[], Clip]]] = []
    for table in sorted(p for p in files_below(root) if p.name.endswith("_sent_emo.csv")):
        split = split_name(table.name.split("_")[0])
        if split is None:
            continue
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = csv.DictReader(file)
            if not _MELD_COLUMNS.issubset(rows.fieldnames or ()):
                raise DataError("data_meld", table=table)
            for row in rows:
                name, words = _name(row), (row["Emotion"], row["Speaker"])
                origin = f"{table.name}:{rows.line_num} {name}".strip()
                items.append((origin, partial(_utterance, media.get((split, name)), split, *words)))
    return Corpus("meld", *gather(items))


def _name(row: Mapping[str, str | None]) -> str:
    """What the file of a row is called; "" where it has no numbers."""
    try:
        return f"dia{int(row['Dialogue_ID'] or '')}_utt{int(row['Utterance_ID'] or '')}"
    except ValueError:
        return ""


def _media(root: Path) -> dict[tuple[Split, str], Path]:
    """Names repeat between the splits, so a file belongs to the nearest folder naming one."""
    media: dict[tuple[Split, str], Path] = {}
    files = (p for p in files_below(root) if p.suffix.lower() in _MELD_SUFFIXES)
    for file in sorted(files, key=lambda p: (_MELD_SUFFIXES.index(p.suffix.lower()), p)):
        if not _UTTERANCE.fullmatch(file.stem):
            continue
        for part in reversed(file.relative_to(root).parts[:-1]):
            splits = [split for word in re.split(r"[\W_]+", part) if (split := split_name(word))]
            if splits:
                media.setdefault((splits[0], file.stem.lower()), file)
                break
    return media


def _utterance(file: Path | None, split: Split, emotion: str | None, speaker: str | None) -> Clip:
    if file is None:
        raise UnusableError("reject_missing")
    who = labels.cell(speaker)
    if _SEVERAL.search(who):
        raise UnusableError("reject_several", speaker=repr(speaker))
    return Clip(
        path=str(file),
        label=class_name(emotion),
        speaker=speaker_name("meld", slug(who)),
        language="en",
        corpus="meld",
        split=split,
    )
