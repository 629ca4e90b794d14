"""Every clip of a corpus -> content hash, measured cues and encoder features, resumable.

Decoding and measuring run in worker processes while the encoder works on the clips before. What
was measured is remembered by path in `journal.jsonl`, features in the store by
content: a second run decodes only new or changed files and encodes only new sounds. No torch
here, because every worker imports this module.
"""

import collections
import functools
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from audiollm import audio
from audiollm.audio import functionals, loading, prosody
from audiollm.contracts.messages import Message
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import AudioError, DataError, NoSpeechError
from audiollm.settings import Settings
from train.corpora import Clip, Corpus, Rejected
from train.data import augment
from train.data.features import FeatureWriter, copy_id

if TYPE_CHECKING:
    from audiollm.encoder import Encoder

_AHEAD = 4  # clips a worker may be ahead of the encoder
_FEW = 32  # below so many clips, starting workers takes longer than they save
_CHUNK_BATCHES = 2  # batches of sound gathered before encoding, so that lengths can be sorted


@dataclass(frozen=True)
class ExtractConfig:
    """What to compute, and with how much."""

    frames: bool = True  # keep 50 Hz frames, not only their mean
    functionals: bool = True
    batch_seconds: float = 60.0  # sound encoded at once
    max_seconds: float = 120.0  # longer clips are rejected
    workers: int = 1


@dataclass(frozen=True, eq=False)
class _Measured:
    """One decoded clip, on its way to the encoder."""

    id: str
    seconds: float
    samples: NDArray[np.float32]  # [N] at 16 kHz
    cues: dict[str, Any]
    functionals: NDArray[np.float32] | None


@dataclass(frozen=True)
class _Job:
    index: int
    clip: Clip
    corpus: Corpus
    copy: int = 0  # 0: the sound as it is; else the number of an augmented copy


def extract(
    corpora: Sequence[Corpus],
    encoder: "Encoder",
    folder: Path,
    config: ExtractConfig,
    settings: Settings,
    copy: int = 0,
) -> tuple[tuple[Clip, ...], tuple[Rejected, ...]]:
    """Clips in the order of the corpora, with id, seconds and cues; features go to the store.

    Args:
        folder: the prepared data folder.
        copy: above 0 every sound is augmented first (`augment.augmented`); the id of the copy is
            that of `copy_id`.

    Raises:
        DataError: the folder holds another encoder's features, or cannot be written.
    """
    size = functionals.SIZE if config.functionals else 0
    clips = [(corpus, clip) for corpus in corpora for clip in corpus.clips]
    done: dict[int, Clip] = {}
    rejected: dict[int, Rejected] = {}
    with FeatureWriter(folder / "features", encoder.fingerprint) as writer:
        holds = functools.partial(writer.store.holds, frames=config.frames, functionals=size)
        with _Journal(folder / "journal.jsonl") as journal, _bar(len(clips)) as bar:
            jobs = []
            for index, (corpus, clip) in enumerate(clips):
                record = journal.find(corpus, clip, copy)
                if record is not None and holds(record["id"]):
                    done[index] = _finished(clip, record)
                else:
                    jobs.append(_Job(index, clip, corpus, copy))
            bar.update(len(done))
            added: set[str] = set()
            for chunk in _chunks(_decoded(jobs, config, settings), config.batch_seconds):
                new: dict[str, _Measured] = {}
                for job, result in chunk:
                    if isinstance(result, Rejected):
                        rejected[job.index] = result
                        continue
                    if result.id not in added and not (
                        holds(result.id) and _same_statistics(writer, result)
                    ):
                        new[result.id] = result
                    record = journal.add(job, result)
                    done[job.index] = _finished(job.clip, record)
                _encode(list(new.values()), encoder, writer, config)
                added |= new.keys()
                bar.update(len(chunk))
                bar.set_postfix(rejected=len(rejected), refresh=False)
    return (
        tuple(done[index] for index in sorted(done)),
        tuple(rejected[index] for index in sorted(rejected)),
    )


def _encode(
    batch: list[_Measured], encoder: "Encoder", writer: FeatureWriter, config: ExtractConfig
) -> None:
    features = encoder.encode([m.samples for m in batch], batch_seconds=config.batch_seconds)
    for measured, encoded in zip(batch, features, strict=True):
        writer.add(
            measured.id,
            utterance=encoded.utterance,
            frames=encoded.frames if config.frames else None,
            functionals=measured.functionals,
        )


def _same_statistics(writer: FeatureWriter, measured: _Measured) -> bool:
    """Whether the stored functionals are what this version of the program measures."""
    if measured.functionals is None:
        return True
    stored = writer.store.get(measured.id).functionals
    return stored is not None and np.allclose(stored, measured.functionals, rtol=1e-3, atol=1e-3)


def _finished(clip: Clip, record: dict[str, Any]) -> Clip:
    return replace(clip, id=record["id"], seconds=record["seconds"], cues=record["cues"])


# ------------------------------------------------------------------ decoding


def _measure(
    source: Path | bytes, path: str, config: ExtractConfig, settings: Settings, copy: int = 0
) -> _Measured | Rejected:
    """Decodes and measures one clip, or an augmented copy of it. Runs in a worker."""
    try:
        sound = audio.load(source, settings)
        audio.require_level(sound)
    except NoSpeechError as error:
        return Rejected(path, Message.of("reject_no_speech", error=error))
    except AudioError as error:
        return Rejected(path, Message.of("reject_unreadable", error=error))
    if sound.seconds > config.max_seconds:
        lengths = {"seconds": f"{sound.seconds:.0f}", "most": f"{config.max_seconds:g}"}
        return Rejected(path, Message.of("reject_too_long", **lengths))
    id, samples = audio.content_hash(sound), sound.samples
    if copy:
        samples = augment.augmented(samples, [int(id[:8], 16), copy])
    followed = prosody.track(samples)
    return _Measured(
        id=copy_id(id, copy),
        seconds=round(len(samples) / audio.SAMPLE_RATE, 3),
        samples=samples,
        cues=prosody.summarise(samples, followed).to_dict(),
        functionals=functionals.measure(samples, followed) if config.functionals else None,
    )


def _decoded(
    jobs: list[_Job], config: ExtractConfig, settings: Settings
) -> Iterator[tuple[_Job, _Measured | Rejected]]:
    """Measured clips in the order of the jobs; workers are only a few clips ahead."""
    if config.workers < 2 or len(jobs) < _FEW:
        for job in jobs:
            source = job.corpus.open(job.clip)
            yield job, _measure(source, job.clip.path, config, settings, job.copy)
        return
    context = multiprocessing.get_context("spawn")  # fork would copy a running torch
    pool = ProcessPoolExecutor(config.workers, mp_context=context, initializer=_start_worker)
    waiting: collections.deque[tuple[_Job, Future[_Measured | Rejected]]] = collections.deque()
    try:
        for job in jobs:
            source = job.corpus.open(job.clip)
            task = pool.submit(_measure, source, job.clip.path, config, settings, job.copy)
            waiting.append((job, task))
            if len(waiting) >= _AHEAD * config.workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    except BrokenProcessPool as error:
        raise DataError("data_worker_died") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    """Ctrl-C is for the parent alone, and a worker does not outlive a killed parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        alive = parent

        def follow() -> None:
            alive.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


def _chunks(
    results: Iterator[tuple[_Job, _Measured | Rejected]], batch_seconds: float
) -> Iterator[list[tuple[_Job, _Measured | Rejected]]]:
    """Gathers some batches of sound, so that memory is bounded and lengths can be sorted."""
    chunk: list[tuple[_Job, _Measured | Rejected]] = []
    seconds = 0.0
    for job, result in results:
        chunk.append((job, result))
        if isinstance(result, _Measured):
            seconds += len(result.samples) / audio.SAMPLE_RATE
        if seconds >= _CHUNK_BATCHES * batch_seconds or len(chunk) >= 1024:
            yield chunk
            chunk, seconds = [], 0.0
    if chunk:
        yield chunk


def _bar(total: int) -> Any:
    return tqdm(total=total, unit="clip", desc="Encoding", smoothing=0.1, dynamic_ncols=True)


# ------------------------------------------------------------------ journal


def _key(clip: Clip, copy: int) -> str:
    return f"{clip.path}+{copy}" if copy else clip.path


@functools.cache
def _version() -> str:
    """Changes with the code that measures, so that old measurements are not believed."""
    digest = hashlib.sha256()
    for module in (loading, prosody, functionals, augment):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:12]


class _Journal:
    """path -> what was measured there, one JSON line each; a torn last line is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, dict[str, Any]] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
                try:
                    entry = parse_json(line)
                    self._known[entry["path"]] = entry
                except (ValueError, TypeError, KeyError):
                    continue

    def __enter__(self) -> "_Journal":
        try:
            self._file = self.path.open("a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise DataError("data_out_unwritable", path=self.path, error=error.strerror) from error
        if self._file.tell():
            self._file.write("\n")  # ends a line that a killed run has torn
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, corpus: Corpus, clip: Clip, copy: int = 0) -> dict[str, Any] | None:
        """What is known of a clip, or of its copy, whose file has not changed since."""
        entry = self._known.get(_key(clip, copy))
        if entry is None or entry.get("version") != _version():
            return None
        try:
            unchanged = entry["stamp"] == corpus.stamp(clip)
        except OSError:
            return None
        return entry if unchanged else None

    def add(self, job: _Job, measured: _Measured) -> dict[str, Any]:
        entry = {
            "path": _key(job.clip, job.copy),
            "stamp": job.corpus.stamp(job.clip),
            "version": _version(),
            "id": measured.id,
            "seconds": measured.seconds,
            "cues": measured.cues,
        }
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._file.flush()
        return entry
