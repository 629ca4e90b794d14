"""One reader per corpus. `read("emodb", folder)` -> clips and rejected files; no sound is decoded.

A new corpus with speaking file names is one entry in `named.CONVENTIONS`; any other is one
reader and one line in `_OTHERS`.
"""

from dataclasses import dataclass, replace
from pathlib import Path

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

_OTHERS = {
    "iemocap": dialogue.IEMOCAP_EXAMPLE,
    "meld": dialogue.MELD_EXAMPLE,
    "chiser5": hub.CHISER5_EXAMPLE,
    "folder": tables.FOLDER_EXAMPLE,
    "manifest": tables.MANIFEST_EXAMPLE,
    "datasets": hub.DATASETS_EXAMPLE,
    "original": original.EXAMPLE,
    "emobox": emobox.EXAMPLE,
}
NAMES: tuple[str, ...] = (*named.CONVENTIONS, *_OTHERS)


@dataclass(frozen=True)
class Options:
    """What only some readers ask for."""

    language: str | None = None  # of clips whose corpus does not say it
    merge_excited: bool = False  # iemocap: exc counts as happy
    speaker_pattern: str = ""  # folder: regular expression that finds the speaker in a path
    audio: Path | None = None  # emobox: where the recordings are
    emobox_fold: int | None = None  # emobox: the fold whose split is taken; None: all clips


def expected(corpus: str) -> str:
    """What a folder of this corpus looks like, in words.

    Raises:
        DataError: unknown corpus.
    """
    if corpus in named.CONVENTIONS:
        return named.CONVENTIONS[corpus].example
    if corpus not in _OTHERS:
        raise DataError("data_unknown_corpus", corpus=repr(corpus), names=NAMES)
    return _OTHERS[corpus]


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
    wanted = expected(corpus)
    if Path(root).exists():
        root = Path(root).absolute()  # clips are looked up from other folders later
    elif corpus != "datasets":
        raise DataError("data_no_root", root=root, expected=wanted)
    found = _read(corpus, root, options)
    if not found.clips:
        raise DataError(
            "data_no_usable_first" if found.rejected else "data_no_usable",
            corpus=corpus,
            root=root,
            n=len(found.rejected),
            first=found.rejected[0].message if found.rejected else "",
            expected=wanted,
        )
    if options.language:
        language = options.language
        clips = tuple(c if c.language else replace(c, language=language) for c in found.clips)
        found = replace(found, clips=clips)
    return found


def _read(corpus: str, root: str | Path, options: Options) -> Corpus:  # noqa: PLR0911
    folder = Path(root)
    if corpus in named.CONVENTIONS:
        if tables.find_manifest(folder, metadata=False) is not None:
            language = named.CONVENTIONS[corpus].language
            return _lower_speakers(tables.read_manifest(folder, corpus, language))
        return named.read(corpus, folder)
    if corpus == "iemocap":
        return dialogue.read_iemocap(folder, options.merge_excited)
    if corpus == "meld":
        return dialogue.read_meld(folder)
    if corpus == "chiser5":
        return hub.read_chiser5(folder)
    if corpus == "datasets":
        return hub.read_datasets(root)
    if corpus == "original":
        return original.read_original(folder)
    if corpus == "emobox":
        audio = options.audio and options.audio.absolute()
        return emobox.read_emobox(folder, audio, options.emobox_fold)
    if corpus == "folder":
        return tables.read_folder(folder, speaker_pattern=options.speaker_pattern)
    return tables.read_manifest(folder)


def _lower_speakers(corpus: Corpus) -> Corpus:
    """Speakers as the file names would give them: one person has one name, however it is read."""
    clips = tuple(replace(clip, speaker=clip.speaker.lower()) for clip in corpus.clips)
    return replace(corpus, clips=clips)
