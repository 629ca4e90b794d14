"""Features of the frozen encoder on disk: numbered safetensors shards, one file for many clips.

A shard is written beside its name and moved into place, so a killed run leaves whole shards
only, and the next run adds shards after them. Keys: `<id>/frames` float16 [T, D], `<id>/utterance`
float32 [D], `<id>/functionals` float32 [F]; every shard carries the encoder's fingerprint.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from audiollm.errors import DataError

if TYPE_CHECKING:  # at run time only in `get`: who writes features has no need of torch
    from audiollm.model.projector import Features

_SHARD = re.compile(r"\d{5}\.safetensors")
_TEMPORARY = ".part"


def copy_id(id: str, copy: int) -> str:
    """Under which the features of an augmented copy are stored; a content hash as `id` is."""
    return hashlib.sha256(f"{id}+{copy}".encode()).hexdigest() if copy else id


class FeatureStore:
    """Reads a folder of shards. Only the index is in memory; tensors are mapped when asked for.

    Picklable, so it may go to the workers of a data loader: each opens the files itself.
    """

    def __init__(self, folder: Path) -> None:
        """Raises DataError when a shard is damaged or shards of two encoders lie together."""
        self.folder = folder
        self._shards: list[tuple[Path, Any]] = []
        self._index: dict[str, int] = {}  # key -> shard; a later shard wins
        self._encoders: set[str] = set()
        for path in shard_paths(folder):
            self._open(path)

    def __reduce__(self) -> tuple[type["FeatureStore"], tuple[Path]]:
        return FeatureStore, (self.folder,)

    def __contains__(self, id: object) -> bool:
        return f"{id}/utterance" in self._index

    def __len__(self) -> int:
        return sum(key.endswith("/utterance") for key in self._index)

    @property
    def encoder(self) -> str | None:
        """Fingerprint of the encoder that made the features; None for an empty store."""
        return next(iter(self._encoders), None)

    def holds(self, id: str, *, frames: bool = False, functionals: int = 0) -> bool:
        """Whether the clip is stored with all that is asked for; functionals: how many, or 0."""
        if id not in self or (frames and f"{id}/frames" not in self._index):
            return False
        if not functionals:
            return True
        shard = self._index.get(f"{id}/functionals")
        if shard is None:
            return False
        shape = self._shards[shard][1].get_slice(f"{id}/functionals").get_shape()
        return bool(shape == [functionals])

    def get(self, id: str) -> "Features":
        """Features of a clip, float32.

        Raises:
            DataError: the clip is not stored, or its shard cannot be read.
        """
        from audiollm.model.projector import Features

        utterance = self._tensor(f"{id}/utterance")
        if utterance is None:
            raise DataError("data_no_features", folder=self.folder, id=id[:12])
        return Features(utterance, self._tensor(f"{id}/frames"), self._tensor(f"{id}/functionals"))

    def _open(self, path: Path) -> None:
        try:
            shard = safe_open(str(path), framework="numpy")
            metadata = shard.metadata() or {}
            keys = list(shard.keys())
        except (SafetensorError, OSError) as error:
            raise _damaged(path, error) from error
        self._encoders.add(metadata.get("encoder", ""))
        if len(self._encoders) > 1:
            raise DataError("data_two_encoders", folder=self.folder, shard=path.name)
        self._index.update(dict.fromkeys(keys, len(self._shards)))
        self._shards.append((path, shard))

    def _tensor(self, key: str) -> NDArray[np.float32] | None:
        number = self._index.get(key)
        if number is None:
            return None
        path, shard = self._shards[number]
        try:
            return np.asarray(shard.get_tensor(key), dtype=np.float32)
        except (SafetensorError, OSError) as error:
            raise _damaged(path, error) from error


class FeatureWriter:
    """Adds shards to a folder. One writer at a time; use it in a `with` block.

    Clips wait in memory until `shard_bytes` have come together or `seconds` have gone by.
    """

    def __init__(
        self, folder: Path, encoder: str, shard_bytes: int = 64 * 2**20, seconds: float = 30.0
    ) -> None:
        """Raises DataError when the folder is in use or holds another encoder's features.

        encoder: fingerprint of its weights.
        """
        self.folder, self.encoder = folder, encoder
        self.shard_bytes, self.seconds = shard_bytes, seconds
        self._tensors: dict[str, NDArray[Any]] = {}
        self._bytes, self._last = 0, time.monotonic()
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder)
        self.store = FeatureStore(folder)
        if self.store.encoder not in (None, encoder):
            raise DataError("data_other_encoder", folder=folder)
        for path in folder.glob(f"*{_TEMPORARY}"):
            path.unlink(missing_ok=True)
        paths = shard_paths(folder)
        self._next = int(paths[-1].stem) + 1 if paths else 0

    def __enter__(self) -> "FeatureWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.flush()  # after an interruption too: what was computed is kept
        finally:
            self._lock.close()

    def add(
        self,
        id: str,
        *,
        utterance: NDArray[np.float32],
        frames: NDArray[np.float32] | None = None,
        functionals: NDArray[np.float32] | None = None,
    ) -> None:
        """Takes the features of one clip. utterance [D], frames [T, D], functionals [F].

        Raises:
            DataError: a number is not finite (in float16 for frames), or the disk refuses.
        """
        parts = (
            ("utterance", utterance, np.float32),
            ("frames", frames, np.float16),
            ("functionals", functionals, np.float32),
        )
        if not self._tensors:
            self._last = time.monotonic()  # nothing has been waiting until now
        for name, values, kind in parts:
            if values is None:
                continue
            with np.errstate(over="ignore"):  # refused below, in words
                array = np.ascontiguousarray(values, dtype=kind)
            if not np.isfinite(array).all():
                raise DataError("data_not_finite", name=name, id=id[:12])
            self._tensors[f"{id}/{name}"] = array
            self._bytes += array.nbytes
        waited = time.monotonic() - self._last
        if self._bytes >= self.shard_bytes or waited >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Writes the waiting clips as one shard, atomically."""
        self._last = time.monotonic()
        if not self._tensors:
            return
        path = self.folder / f"{self._next:05d}.safetensors"
        part = path.with_suffix(_TEMPORARY)
        with _writing(self.folder):
            with part.open("wb") as file:
                file.write(save(self._tensors, metadata={"encoder": self.encoder}))
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        self._tensors, self._bytes = {}, 0
        self._next += 1


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a folder in the order they were written."""
    return sorted(p for p in folder.glob("*.safetensors") if _SHARD.fullmatch(p.name))


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError("data_shard_damaged", path=path, error=error)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turns a refusal of the disk into a sentence."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DataError("data_out_unwritable", path=folder, error=why) from error


def _lock(folder: Path) -> IO[str]:
    """An open file that keeps a second writer out until it is closed or the process dies."""
    file = (folder / ".lock").open("w")
    try:
        import fcntl
    except ImportError:  # Windows: no second writer is kept out
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise DataError("data_locked", folder=folder) from None
    return file
