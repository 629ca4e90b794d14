"""A prepared folder once more, with other labels or more clips: nothing is encoded twice."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiollm.contracts.prepared import FEATURES, write_prepared
from audiollm.errors import DataError
from train.data.dataset import Clip, Prepared, load_prepared
from train.data.features import shard_paths
from train.data.summary import summarise


def share_features(prepared: Prepared, out: Path) -> None:
    """Puts the features of `prepared` into another folder, by links where the disk has them.

    A shard is never changed once it is there, so both folders may keep the same file. What is
    encoded for `out` later comes after them.

    Raises:
        DataError: the disk refuses.
    """
    store = out / FEATURES
    if store.exists():
        return
    part = out / "features.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for shard in shard_paths(prepared.folder / FEATURES):
            try:
                os.link(shard, part / shard.name)
            except OSError:  # another disk, or one without links
                shutil.copyfile(shard, part / shard.name)
        part.rename(store)
    except OSError as error:
        raise DataError("data_unwritable", path=out, error=error.strerror) from error


def rewrite(
    prepared: Prepared, clips: Sequence[Clip], out: Path, info: Mapping[str, Any]
) -> Prepared:
    """A folder of `clips`, whose features are those of `prepared` or in `out` already.

    `info` stands above what the old folder says of itself.

    Raises:
        DataError: the disk refuses, or a clip has no features.
    """
    share_features(prepared, out)
    write_prepared(out, {**prepared.info, **info}, clips, [], summarise(clips, []))
    return load_prepared(out)
