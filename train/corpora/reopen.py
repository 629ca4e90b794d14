"""The sounds of a prepared folder, opened again where `prepare` found them."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from audiollm.errors import DataError
from train import corpora
from train.corpora import Clip, Corpus


def opener(info: dict[str, Any]) -> Callable[[Clip], Path | bytes]:
    """How to get at the sound of a clip of a prepared folder, whose prepare.json is `info`.

    Most clips are files. The corpora are read again only for a clip that is none: a row of a
    data set, or a file that is gone.

    Raises:
        DataError: the folder was made from ready-made features; or, from what is returned, the
            clip's corpus is gone.
    """
    sources = info.get("sources", [])
    if "original" in (info["corpus"], *(source["corpus"] for source in sources)):
        raise DataError("data_no_sound")

    @cache
    def owners() -> tuple[dict[str, Corpus], list[DataError]]:
        by_path: dict[str, Corpus] = {}
        errors = []
        for source in sources:
            audio = Path(source["audio"]) if source.get("audio") else None
            options = corpora.Options(audio=audio, label_column=source.get("label_column", ""))
            try:
                corpus = corpora.read(str(source["corpus"]), str(source["root"]), options)
                by_path |= {clip.path: corpus for clip in corpus.clips}
            except DataError as error:
                errors.append(error)
        return by_path, errors

    def open_clip(clip: Clip) -> Path | bytes:
        if Path(clip.path).is_file():
            return Path(clip.path)
        by_path, errors = owners()
        if clip.path in by_path:
            return by_path[clip.path].open(clip)
        if errors:
            raise errors[0]
        return Path(clip.path)  # `audio.load` says what is wrong with it

    return open_clip
