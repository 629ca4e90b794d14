"""The original Audio-LLM project's processed data: train.json, valid.json, features/feat_N.npy.

Each entry is {audio_feature_path, text, label} with an absolute path of the machine that wrote
it, so the feature is looked for as features/NAME beside the JSON. One vector a clip: the mean
of emotion2vec frames. Nobody wrote down who speaks.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from audiollm.contracts.manifest import EncoderRef
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import DataError
from train.corpora.base import (
    Clip,
    Corpus,
    Rejected,
    UnusableError,
    class_name,
    gather,
    is_file,
)

EXAMPLE = "train.json and valid.json (and test.json where kept) beside features/feat_0.npy"
ENCODERS = {768: "emotion2vec_plus_base", 1024: "emotion2vec_plus_large"}


def read_original(root: Path) -> Corpus:
    """The project's own split; without test.json, valid.json is the test split.

    (`splits.split` then holds a validation part out of train.json.)

    Raises:
        DataError: no train.json, or it is not what the original scripts wrote.
    """
    if not (root / "train.json").is_file():
        raise DataError("data_no_original", root=root, expected=EXAMPLE)
    items = []
    for split in ("train", "valid", "test"):
        table = root / f"{split}.json"
        for number, entry in enumerate(_entries(table)):
            items.append((f"{table}[{number}]", partial(_clip, root, split, entry)))
    clips, rejected = gather(items)
    if not any(clip.split == "test" for clip in clips):
        clips = tuple(replace(c, split="test") if c.split == "valid" else c for c in clips)
    clips, misfits = _of_one_width(clips)
    width = load(Path(clips[0].path)).shape[0] if clips else 768
    encoder = EncoderRef(id=ENCODERS.get(width, "unknown"), width=width)
    return Corpus("original", clips, (*rejected, *misfits), encoder=encoder)


def load(path: Path) -> NDArray[np.float32]:
    """One utterance feature -> float32 [D].

    Raises:
        UnusableError: not a .npy file of one finite vector.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnusableError("reject_unreadable", error=str(error)) from error
    if array.dtype.kind != "f" or array.size != max(array.shape, default=0):
        raise UnusableError("reject_shape", dtype=array.dtype, shape=str(array.shape))
    vector = np.array(array, dtype=np.float32).reshape(-1)
    if not np.isfinite(vector).all():
        raise UnusableError("reject_not_finite")
    return vector


def _entries(table: Path) -> list[object]:
    try:
        entries = parse_json(table.read_text(encoding="utf-8")) if table.is_file() else []
    except (OSError, ValueError) as error:
        raise DataError("data_original_json", table=table, error=error) from error
    if not isinstance(entries, list):
        raise DataError("data_original_list", table=table, expected=EXAMPLE)
    return entries


def _clip(root: Path, split: str, entry: object) -> Clip:
    if not isinstance(entry, dict) or not isinstance(entry.get("audio_feature_path"), str):
        raise UnusableError("reject_no_feature")
    name = PureWindowsPath(entry["audio_feature_path"]).name  # splits at / and at \
    file = root / "features" / name
    if not name or not is_file(file):
        raise UnusableError("reject_missing")
    return Clip(
        path=str(file),
        label=class_name(entry.get("label")),
        language="zh",
        corpus="original",
        split=split,
    )


def _of_one_width(clips: tuple[Clip, ...]) -> tuple[tuple[Clip, ...], tuple[Rejected, ...]]:
    """Clips whose vector loads and is as wide as the first one's."""
    widths: set[int] = set()

    def checked(clip: Clip) -> Clip:
        width = load(Path(clip.path)).shape[0]
        if widths and width not in widths:
            raise UnusableError("reject_width", width=width, others=min(widths))
        widths.add(width)
        return clip

    items: list[tuple[str, Callable[[], Clip]]] = [(c.path, partial(checked, c)) for c in clips]
    return gather(items)
