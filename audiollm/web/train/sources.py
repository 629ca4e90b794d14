"""Recordings to train on: prepared folders, and folders, tables and data sets of the hub that are
not prepared yet. No gradio here.

What is not prepared is counted by `python -m train look`, in a process of its own: the same reader
that will prepare it.
"""

import csv
import importlib
import logging
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from audiollm import audio
from audiollm.contracts.fit import REFUSED
from audiollm.contracts.insight import Insight, grouped, of_prepared
from audiollm.contracts.messages import Message
from audiollm.contracts.plain_json import parse_json
from audiollm.contracts.prepared import LABEL_COLUMNS, PREPARED, Clip, Summary, read_summary
from audiollm.errors import AudioLLMError, ConfigError, DataError
from audiollm.jobs.queue import ROOT
from audiollm.settings import ASSETS, Settings
from audiollm.web.auth.access import owner_settings
from audiollm.web.services import Services

LOG = logging.getLogger(__name__)

EMODB, FOLDER, HUB = "emodb", "folder", "hub"  # sources that are not prepared yet
TABLES = (".csv", ".jsonl")  # lists of recordings
NAMED = ("manifest", "metadata")  # such a list, where it lies in the folder of the recordings
LONGEST_LINE = 2**20  # characters
SAVED = ("dataset_dict.json", "state.json")  # of a data set that `datasets` has saved
BESIDE = 10  # sound files for each of parquet: more are the recordings
HUB_ID = re.compile(r"[^\W_][\w.-]{0,95}/[^\W_][\w.-]{0,95}", re.ASCII)
SPLITS = ("auto", "random")  # by speaker, or without regard to speakers
DATA = Path("data")  # where `python -m train prepare` writes by default
PATIENCE = 120  # s for a look
REMEMBERED = 8  # looks
TIMEOUT = 10  # s for the hub to answer
LONGEST = 120.0  # s of a clip that is played


class UnnamedError(ConfigError):
    """No recordings are named yet: nothing is wrong."""


class NamelessError(DataError):
    """The speakers are unknown, and the split is to be by speaker."""


@dataclass(frozen=True)
class DataSource:
    """Recordings, and how they are read.

    Raises:
        ConfigError: a value cannot be used; the message holds it.
    """

    corpus: str  # a reader of `python -m train prepare`
    root: str  # an absolute path, or the id of a data set on the hub; "": what ships
    speaker_pattern: str = ""  # a regular expression that finds the speaker in a path
    label_column: str = ""  # of a table; "": it is found by itself
    split: str = "auto"  # of SPLITS
    all_learn: bool = False  # but for the test speakers

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ConfigError("source_split", known=SPLITS, split=repr(self.split))
        try:
            re.compile(self.speaker_pattern)
        except re.error as error:
            pattern = repr(self.speaker_pattern)
            raise ConfigError("source_pattern", pattern=pattern, error=error) from None

    @property
    def words(self) -> tuple[str, ...]:
        """Options of `python -m train prepare` and `look`."""
        words: tuple[str, ...] = ("--corpus", self.corpus)
        if self.root:
            words = (*words, "--root", self.root)
        if self.speaker_pattern and self.corpus == "folder":
            words = (*words, f"--speaker-pattern={self.speaker_pattern}")
        if self.label_column and self.corpus in ("manifest", "datasets"):
            words = (*words, f"--label-column={self.label_column}")
        if self.split != "auto":
            words = (*words, "--split", self.split)
        return (*words, "--train-on-valid") if self.all_learn else words


def source_of(values: Mapping[str, Any]) -> DataSource:
    """The recordings of FOLDER, HUB or EMODB in the values of the page's fields (see `Plan`).

    Raises:
        UnnamedError: they are not named yet.
        ConfigError: there are none, or a value cannot be used.
    """
    split, all_learn = "random" if values["alone"] else "auto", values["all_learn"]
    if values["source"] == EMODB:
        return DataSource(EMODB, "", all_learn=all_learn)
    if values["source"] == HUB:
        id = values["data_set"].strip()
        if not id:
            raise UnnamedError("source_no_data_set")
        if not HUB_ID.fullmatch(id):
            raise ConfigError("hub_id", id=id)
        return DataSource("datasets", id, split=split, all_learn=all_learn)
    path = values["folder"].strip()
    if not path:
        raise UnnamedError("source_no_folder")
    try:
        root = Path(path).expanduser().resolve()
        corpus = reader_of(root)
    except (OSError, RuntimeError, ValueError):  # too long, no such user, null byte
        corpus = ""
    if not corpus:
        raise ConfigError("source_path", path=repr(path))
    column = values.get("label_column") or ""
    return DataSource(corpus, str(root), values["pattern"].strip(), column, split, all_learn)


def label_columns(path: str) -> list[str]:
    """The columns of a table that may hold the label, by its first line or its schema; [] where
    `path` is no table, and names no folder with one."""
    kinds = (*TABLES, ".parquet")
    try:
        root = Path(path.strip()).expanduser()
        inside = [root / f"{name}{suffix}" for name in NAMED for suffix in TABLES]
        if reader_of(root) == "datasets":
            inside += [file for depth in ("*", "*/*") for file in root.glob(f"{depth}.parquet")]
        table = next(p for p in (root, *inside) if p.suffix.lower() in kinds and p.is_file())
        if table.suffix.lower() == ".parquet":
            names = importlib.import_module("pyarrow.parquet").read_schema(table).names
        else:
            with table.open(encoding="utf-8-sig", newline="") as file:
                line = file.readline(LONGEST_LINE)
            cells = csv.reader([line], delimiter=max(",;\t", key=line.count))
            names = next(cells, []) if table.suffix.lower() == ".csv" else list(parse_json(line))
    except (OSError, RuntimeError, ValueError, TypeError, StopIteration, csv.Error):
        return []  # why it cannot be read is said where it is looked at
    return [str(name) for name in names if str(name).strip().lower() in LABEL_COLUMNS]


def reader_of(root: Path) -> str:
    """The reader that knows recordings by how they lie; "" where there are none."""
    if root.is_file():
        reader = "manifest" if root.suffix.lower() in TABLES else ""
        return "datasets" if root.suffix.lower() == ".parquet" else reader
    if not root.is_dir():
        return ""
    tables = (f"{name}{suffix}" for name in NAMED for suffix in TABLES)
    if any((root / name).is_file() for name in tables):
        return "manifest"
    if any((root / name).is_file() for name in SAVED):
        return "datasets"
    parquet = [path for depth in ("*", "*/*") for path in root.glob(f"{depth}.parquet")]
    # beside many sound files, a few of parquet are something else, such as features
    sounds = (path for path in audio.files_below(root) if path.suffix.lower() in audio.SUFFIXES)
    many = BESIDE * len(parquet)
    return "datasets" if parquet and sum(1 for _ in islice(sounds, many + 1)) <= many else "folder"


# --- prepared folders


def prepared_folders(services: Services) -> list[Path]:
    """The prepared folders in ./data and in the home folder, damaged ones too.

    Raises:
        ShutError: see `owner_settings`.
    """
    folders: dict[Path, None] = {}
    for parent in (DATA, owner_settings(services).home / "data"):
        try:
            paths = sorted(path.parent.resolve() for path in parent.glob(f"*/{PREPARED}"))
            folders |= dict.fromkeys(paths)
        except OSError as error:
            LOG.warning("%s cannot be listed: %s", parent, error)
    return list(folders)


def prepared(services: Services) -> dict[Path, Summary]:
    """The same with their figures; damaged ones are left out.

    Raises:
        ShutError: see `owner_settings`.
    """
    summaries = {}
    for folder in prepared_folders(services):
        try:
            summaries[folder] = read_summary(folder)
        except DataError as error:
            LOG.warning("%s is left out of the list of data: %s", folder, error)
    return summaries


# --- what there is to know of recordings


def insight(services: Services, values: Mapping[str, Any]) -> "Insight | OnHub | None":
    """Of the source in the values of the page's fields (see `Plan`); None where nothing is named
    yet.

    Raises:
        ShutError: see `owner_settings`.
        AudioLLMError: it cannot be read.
    """
    owner_settings(services)
    source = values["source"]
    if source == EMODB:
        return of_bundled()
    if source == HUB:
        id = values["data_set"].strip()
        return on_hub(services, id) if id else None
    if source == FOLDER:
        return of_recordings(services, source_of(values)) if values["folder"].strip() else None
    folders = [folder for folder in prepared_folders(services) if str(folder) == source]
    return of_prepared(folders[0]) if folders else None  # no other folder is taken for one


def require_usable(recordings: "Insight | OnHub | None") -> None:
    """
    Raises:
        NamelessError: the split needs speakers, and they are unknown.
        DataError: they cannot be prepared like this.
    """
    if not isinstance(recordings, Insight) or not recordings.trouble:
        return
    if recordings.trouble.code == "data_unknown_speakers":
        raise NamelessError("data_nameless", n=recordings.nameless, all=recordings.clips)
    raise DataError("data_trouble", sentence=recordings.trouble)


def of_bundled() -> Insight:
    """The EmoDB that ships with the program, by its table.

    Raises:
        ConfigError: it does not ship here.
    """
    table = ASSETS / "emodb" / "manifest.csv"
    try:
        with table.open(encoding="utf-8", newline="") as file:
            clips = tuple(
                Clip(str(table.parent / r["file"]), r["label"], r["speaker"], float(r["seconds"]))
                for r in csv.DictReader(file)
            )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError("source_bundled", table=table, error=repr(error)) from error
    lengths = tuple(clip.seconds for clip in clips)
    return Insight(table.parent, grouped(clips), lengths, samples=clips)


def of_recordings(services: Services, data: DataSource) -> Insight:
    """A folder or a table that is not prepared yet: counted, and lengths of a few.

    Raises:
        ShutError: see `owner_settings`.
        DataError: nothing in it can be used, or it takes too long to look.
    """
    owner_settings(services)
    try:
        changed = Path(data.root).stat().st_mtime_ns
    except OSError as error:
        raise DataError("data_unreadable", path=data.root, error=error.strerror) from error
    with _LOOKING:  # a second visitor waits for the first one's look
        return _look(data, changed)


_LOOKING = Lock()


@lru_cache(maxsize=REMEMBERED)
def _look(data: DataSource, _: int) -> Insight:
    done = _train_look(data.root, *data.words)
    if done.returncode:
        raise _refusal(done) or AudioLLMError("look_failed", path=data.root)
    return Insight.from_json(done.stdout)


def _train_look(root: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "train", "look", *words]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=ROOT, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise AudioLLMError("look_slow", path=root) from None
    if done.returncode not in (0, REFUSED):
        LOG.error("%s ended with %s: %s", command, done.returncode, done.stderr.decode("utf-8"))
    return done


def _refusal(done: subprocess.CompletedProcess[bytes]) -> AudioLLMError | None:
    """The error that the command has written."""
    try:
        message = Message.read(parse_json(done.stdout)["error"])
    except (ValueError, KeyError, TypeError):
        lines = done.stderr.decode(errors="replace").strip().split("\n")
        return DataError(lines[-1]) if done.returncode == REFUSED and lines else None
    return message.to_error(DataError)


# --- the sound of a clip


def sound(services: Services, recordings: Insight, clip: Clip) -> tuple[int, np.ndarray]:
    """Sample rate in Hz and int16 samples [N] of a clip.

    Nobody names a file: the clip must be one of the recordings' own list.

    Raises:
        ShutError: see `owner_settings`.
        AudioError: it cannot be decoded, or is longer than `LONGEST`.
        DataError: it is not among these recordings, or its sound is gone.
    """
    settings = owner_settings(services)
    if clip not in recordings.samples:
        raise DataError("source_not_listed", path=clip.path)
    return load(settings, recordings.path if recordings.prepared else None, clip.path, clip.id)


def load(settings: Settings, folder: Path | None, path: str, id: str) -> tuple[int, np.ndarray]:
    """Sample rate in Hz and int16 samples [N] of a clip of a list that this program made.

    folder: the prepared folder that knows where the sound is stored, where it is no file.

    Raises:
        AudioError: it cannot be decoded, or is longer than `LONGEST`.
        DataError: its sound is gone.
    """
    source: Path | bytes = Path(path)
    if folder is not None and not Path(path).is_file():  # a row of a data set
        done = _train_look(str(folder), "--data", str(folder), "--clip", id)
        if done.returncode:
            raise _refusal(done) or DataError("look_failed", path=folder)
        source = done.stdout
    limit = min(LONGEST, settings.max_seconds)
    loaded = audio.load(source, replace(settings, max_seconds=limit))
    return audio.SAMPLE_RATE, np.rint(loaded.samples * 32767).astype(np.int16)


# --- the hub


@dataclass(frozen=True)
class OnHub:
    """A data set of the Hugging Face hub, as it describes itself."""

    id: str
    files: int
    size: int  # bytes; 0: not said
    clips: Mapping[str, int]  # split -> rows, where it says so


def on_hub(services: Services, id: str) -> OnHub:
    """Asks the hub; nothing is downloaded.

    Raises:
        ShutError: see `owner_settings`.
        AudioLLMError: it is no id, nobody answers, or there is no such data set.
    """
    owner_settings(services)
    if not HUB_ID.fullmatch(id):
        raise AudioLLMError("hub_id", id=id)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        info = HfApi().dataset_info(id, timeout=TIMEOUT, files_metadata=True)
    except GatedRepoError as error:
        raise AudioLLMError("hub_gated", id=id) from error
    except RepositoryNotFoundError as error:
        raise AudioLLMError("hub_missing", id=id) from error
    except Exception as error:  # its client raises whatever its HTTP library does
        LOG.warning("the hub does not answer about %s: %r", id, error)
        raise AudioLLMError("hub_silent", id=id) from error
    files = info.siblings or []
    card = info.card_data.to_dict() if info.card_data else {}
    return OnHub(id, len(files), sum(file.size or 0 for file in files), _rows(card))


def _rows(card: Mapping[str, Any]) -> dict[str, int]:
    """Split -> rows, as the card of a data set of one configuration says."""
    try:
        return {str(s["name"]): int(s["num_examples"]) for s in card["dataset_info"]["splits"]}
    except (KeyError, TypeError, ValueError):
        return {}
