"""One reader per corpus. `read("emodb", folder)` -> clips and rejected files; no sound is decoded.

A new corpus with speaking file names is one entry in `named.CONVENTIONS`; any other is one
reader and one line in `_OTHERS`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from audiollm import labels
from audiollm.contracts.messages import Message
from audiollm.errors import DataError
from audiollm.settings import ASSETS
from train.corpora import dialogue, emobox, hub, named, original, tables
from train.corpora.base import SPLITS, Clip, Corpus, Rejected, Split, UnusableError

__all__ = [
    "NAMES",
    "SPLITS",
    "Clip",
    "Corpus",
    "Options",
    "Rejected",
    "Split",
    "UnusableError",
    "default_root",
    "expected",
    "read",
]


@dataclass(frozen=True)
class Options:
    """What only some readers ask for."""

    language: str | None = None  # of clips whose corpus does not say it
    merge_excited: bool = False  # iemocap: exc counts as happy
    speaker_pattern: str = ""  # folder: regular expression that finds the speaker in a path
    audio: Path | None = None  # emobox: where the recordings are
    emobox_fold: int | None = None  # emobox: the fold whose split is taken; None: all clips
    label_column: str = ""  # tables and data sets: the column of the label


# corpus -> what its folder looks like, and its reader
_OTHERS: dict[str, tuple[str, Callable[[Path, Options], Corpus]]] = {
    "iemocap": (
        dialogue.IEMOCAP_EXAMPLE,
        lambda root, options: dialogue.read_iemocap(root, options.merge_excited),
    ),
    "meld": (dialogue.MELD_EXAMPLE, lambda root, _: dialogue.read_meld(root)),
    "chiser5": (
        hub.CHISER5_EXAMPLE,
        lambda root, options: hub.read_chiser5(root, options.label_column),
    ),
    "folder": (
        tables.FOLDER_EXAMPLE,
        lambda root, options: tables.read_folder(root, speaker_pattern=options.speaker_pattern),
    ),
    "manifest": (
        tables.MANIFEST_EXAMPLE,
        lambda root, options: tables.read_manifest(root, label_column=options.label_column),
    ),
    "datasets": (
        hub.DATASETS_EXAMPLE,
        lambda root, options: hub.read_datasets(root.as_posix(), label_column=options.label_column),
    ),
    "original": (original.EXAMPLE, lambda root, _: original.read_original(root)),
    "emobox": (
        emobox.EXAMPLE,
        lambda root, options: emobox.read_emobox(
            root, options.audio and options.audio.absolute(), options.emobox_fold
        ),
    ),
}
NAMES: tuple[str, ...] = (*named.CONVENTIONS, *_OTHERS)


def expected(corpus: str) -> str:
    """What a folder of this corpus looks like, in words.

    Raises:
        DataError: unknown corpus.
    """
    if corpus in named.CONVENTIONS:
        return named.CONVENTIONS[corpus].example
    if corpus not in _OTHERS:
        raise DataError("data_unknown_corpus", corpus=repr(corpus), names=NAMES)
    return _OTHERS[corpus][0]


def default_root(corpus: str) -> Path:
    """The folder of a corpus that ships with the project.

    Raises:
        DataError: this one does not.
    """
    root = ASSETS / corpus
    if corpus == "emodb" and root.is_dir():
        return root
    code = "data_no_bundled" if corpus == "emodb" else "data_say_root"
    raise DataError(code, corpus=corpus, root=root, expected=expected(corpus))


def read(corpus: str, root: str | Path, options: Options | None = None) -> Corpus:
    """All clips of a corpus, sorted by path, and every rejected file with its reason.

    A `manifest.csv` in the root of a corpus known by its file names takes their place.

    Raises:
        DataError: unknown corpus, missing folder, or not one usable clip in it.
    """
    options = options or Options()
    layout = expected(corpus)
    if Path(root).exists():
        root = Path(root).absolute()  # clips are looked up from other folders later
    elif corpus != "datasets":
        raise DataError("data_no_root", root=root, expected=layout)
    result = _read(corpus, Path(root), options)
    if not result.clips:
        raise DataError(
            "data_no_usable_first" if result.rejected else "data_no_usable",
            corpus=corpus,
            root=root,
            n=len(result.rejected),
            first=result.rejected[0].message if result.rejected else "",
            expected=layout,
        )
    unsure = [
        Message.of("note_likely_class", word=name, label=labels.likely(name))
        for name in labels.ordered(clip.label for clip in result.clips)
        if labels.likely(name)
    ]
    result = replace(result, notes=(*result.notes, *unsure))
    if options.language:
        language = options.language
        clips = tuple(c if c.language else replace(c, language=language) for c in result.clips)
        result = replace(result, clips=clips)
    return result


def _read(corpus: str, root: Path, options: Options) -> Corpus:
    if corpus in _OTHERS:
        return _OTHERS[corpus][1](root, options)
    if tables.find_manifest(root, metadata=False) is None:
        return named.read(corpus, root)
    result = tables.read_manifest(
        root, corpus, named.CONVENTIONS[corpus].language, options.label_column
    )
    # speakers as the file names would give them: one person has one name, however it is read
    clips = tuple(replace(clip, speaker=clip.speaker.lower()) for clip in result.clips)
    return replace(result, clips=clips)
