"""A prepared data folder with its features: what `fit`, `evaluate` and the linear probe read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiollm.contracts.manifest import EncoderRef
from audiollm.contracts.options import from_dict
from audiollm.contracts.prepared import FEATURES, SPLITS, Clip, read_clips, read_info
from audiollm.errors import ConfigError, DataError
from train.data.features import FeatureStore

__all__ = ["Clip", "Prepared", "load_prepared"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared data folder."""

    folder: Path
    info: dict[str, Any]  # prepare.json
    clips: tuple[Clip, ...]
    store: FeatureStore

    @property
    def classes(self) -> tuple[str, ...]:
        """Ordered class names."""
        return tuple(self.info["classes"])

    @property
    def copies(self) -> int:
        """Augmented copies of every training clip whose features are stored, too."""
        return int(self.info.get("copies", 0))

    @property
    def encoder(self) -> EncoderRef:
        """The encoder that made the features."""
        return from_dict(EncoderRef, self.info["encoder"], "prepare.json: encoder")

    def split(self, name: str) -> tuple[Clip, ...]:
        """The clips of one split.

        Raises:
            DataError: there is no split of that name.
        """
        if name not in SPLITS:
            raise DataError("data_no_split", split=repr(name), names=SPLITS)
        return tuple(clip for clip in self.clips if clip.split == name)


def load_prepared(folder: Path) -> Prepared:
    """Reads a prepared data folder.

    Raises:
        DataError: it is not one, is damaged, or lacks the features of a clip.
    """
    info, clips = read_info(folder), read_clips(folder)
    store = FeatureStore(folder / FEATURES)
    missing = [clip for clip in clips if clip.id not in store]
    if missing or not clips:
        raise DataError("data_lacks_features", folder=folder, n=len(missing), all=len(clips))
    prepared = Prepared(folder, info, clips, store)
    try:
        _ = prepared.encoder
    except ConfigError as error:
        raise DataError("data_damaged", path=folder, error=error) from error
    return prepared
