"""Where recordings come from that are not prepared yet, and which reader knows them. No gradio."""

import re
from dataclasses import dataclass
from pathlib import Path

from audiollm.errors import ConfigError

EMODB, FOLDER, HUB = "emodb", "folder", "hub"  # sources that are not prepared yet
TABLES = (".csv", ".jsonl")  # lists of recordings
NAMED = ("manifest", "metadata")  # such a list, where it lies in the folder of the recordings
SAVED = ("dataset_dict.json", "state.json")  # of a data set that `datasets` has saved
HUB_ID = re.compile(r"[^\W_][\w.-]{0,95}/[^\W_][\w.-]{0,95}", re.ASCII)
SPLITS = ("auto", "random")  # by speaker, or as if nobody knew who speaks


@dataclass(frozen=True)
class Ask:
    """Recordings, and how they are read.

    Raises:
        ConfigError: a value cannot be used; the message holds it.
    """

    corpus: str  # a reader of `python -m train prepare`
    root: str  # an absolute path, or the id of a data set on the hub; "": what ships
    speaker_pattern: str = ""  # a regular expression that finds the speaker in a path
    split: str = "auto"  # of SPLITS
    all_learn: bool = False  # but for the test speakers

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ConfigError(f"The split must be {' or '.join(SPLITS)}, not {self.split!r}.")
        try:
            re.compile(self.speaker_pattern)
        except re.error as error:
            raise ConfigError(
                f"The speaker pattern {self.speaker_pattern!r} is no regular expression: {error}."
            ) from None

    @property
    def words(self) -> tuple[str, ...]:
        """What `python -m train prepare` and `look` are told."""
        words: tuple[str, ...] = ("--corpus", self.corpus)
        if self.root:
            words = (*words, "--root", self.root)
        if self.speaker_pattern and self.corpus == "folder":
            words = (*words, f"--speaker-pattern={self.speaker_pattern}")
        if self.split != "auto":
            words = (*words, "--split", self.split)
        return (*words, "--train-on-valid") if self.all_learn else words


def asked(
    source: str,
    place: str,
    speaker_pattern: str = "",
    split: str = "auto",
    all_learn: bool = False,
) -> Ask:
    """The recordings of FOLDER, HUB or EMODB.

    Args:
        place: of FOLDER a folder or a table, of HUB an id.

    Raises:
        ConfigError: there are none, or a value cannot be used.
    """
    if source == EMODB:
        return Ask(EMODB, "", all_learn=all_learn)
    if source == HUB:
        if not HUB_ID.fullmatch(place.strip()):
            raise ConfigError(f"A data set of the hub is called user/name, not {place!r}.")
        return Ask("datasets", place.strip(), split=split, all_learn=all_learn)
    try:
        root = Path(place.strip()).expanduser().resolve()
        corpus = reader_of(root) if place.strip() else ""
    except (OSError, RuntimeError, ValueError):  # too long, no such user, null byte
        corpus = ""
    if not corpus:
        raise ConfigError(f"The recordings must be a folder or a .csv file, not {place!r}.")
    return Ask(corpus, str(root), speaker_pattern.strip(), split, all_learn)


def reader_of(root: Path) -> str:
    """The reader that knows recordings by how they lie; "" where there are none."""
    if root.is_file():
        known = "manifest" if root.suffix.lower() in TABLES else ""
        return "datasets" if root.suffix.lower() == ".parquet" else known
    if not root.is_dir():
        return ""
    tables = (f"{name}{suffix}" for name in NAMED for suffix in TABLES)
    if any((root / name).is_file() for name in tables):
        return "manifest"
    if any((root / name).is_file() for name in SAVED):
        return "datasets"
    parquet = (path for depth in ("*", "*/*") for path in root.glob(f"{depth}.parquet"))
    return "folder" if next(parquet, None) is None else "datasets"
