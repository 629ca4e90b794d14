"""A large corpus encoded in parts: `prepare --shard I/N` encodes every Nth clip, in a folder of its
own, on any machine; the same command without --shard joins all parts and encodes what is missing.

out/parts/I-of-N/   features/ and journal.jsonl, as `prepare` itself writes them into `out`
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audiollm.errors import DataError
from train.corpora import Corpus
from train.data.features import FeatureWriter, shard_paths

_PARTS = "parts"


@dataclass(frozen=True)
class Shard:
    """One of `count` parts: number 0 to count - 1."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise DataError("data_shard", value=f"{self.number}/{self.count}")

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Of `I/N`.

        Raises:
            DataError: it is something else.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if not match:
            raise DataError("data_shard", value=repr(text))
        return cls(int(match[1]), int(match[2]))

    def folder(self, out: Path) -> Path:
        """Where this part is written."""
        return out / _PARTS / f"{self.number}-of-{self.count}"

    def of(self, corpora: Sequence[Corpus]) -> list[Corpus]:
        """The corpora with this part's clips alone.

        Raises:
            DataError: no clip is left for it.
        """
        parts, before = [], 0
        for corpus in corpora:
            first = (self.number - before) % self.count
            before += len(corpus.clips)
            clips = corpus.clips[first :: self.count]
            if clips:
                parts.append(replace(corpus, clips=clips))
        if not parts:
            raise DataError("data_shard_empty", n=before, count=self.count)
        return parts


def gather(out: Path, encoder: str) -> int:
    """Moves what the parts have encoded into `out`; returns how many parts there were.

    encoder: fingerprint. Killed in the middle, the next call goes on; at worst a part's clips are
    decoded again, never encoded again.

    Raises:
        DataError: a part is being written, or was made by another encoder.
    """
    parts = sorted(path for path in (out / _PARTS).glob("*-of-*") if path.is_dir())
    for part in parts:
        with (
            FeatureWriter(out / "features", encoder) as whole,
            FeatureWriter(part / "features", encoder) as other,
        ):
            existing = shard_paths(whole.folder)
            number = int(existing[-1].stem) + 1 if existing else 0
            for path in shard_paths(other.folder):
                path.replace(whole.folder / f"{number:05d}.safetensors")
                number += 1
            journal = part / "journal.jsonl"
            if journal.is_file():
                with (out / "journal.jsonl").open("ab") as file:
                    file.write(b"\n" + journal.read_bytes())
        shutil.rmtree(part)
    return len(parts)
