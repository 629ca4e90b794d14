"""Where models are looked for: a folder, what ships in assets/, the home folder, then a hub.

No torch here. Nothing is downloaded that could run: only weights, configurations and tokenizer
files, by name.
"""

import functools
import re
import shlex
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiollm.errors import ModelError
from audiollm.settings import ASSETS, Settings

Kind = Literal["encoder", "llm"]


@dataclass(frozen=True)
class Source:
    """Where a named model comes from."""

    folder: Path | None = None  # ships with the program
    huggingface: str = ""  # id on huggingface.co
    modelscope: str = ""  # id on modelscope.cn


def _emotion2vec(name: str) -> Source:
    return Source(huggingface=f"emotion2vec/{name}", modelscope=f"iic/{name}")


def _qwen(name: str) -> Source:
    return Source(huggingface=f"Qwen/{name}", modelscope=f"Qwen/{name}")


ENCODERS: dict[str, Source] = {
    "tiny": Source(folder=ASSETS / "encoder"),
    "emotion2vec_plus_seed": _emotion2vec("emotion2vec_plus_seed"),
    "emotion2vec_plus_base": _emotion2vec("emotion2vec_plus_base"),
    "emotion2vec_plus_large": _emotion2vec("emotion2vec_plus_large"),
    "emotion2vec_base": _emotion2vec("emotion2vec_base"),
}
LLMS: dict[str, Source] = {
    "tiny": Source(folder=ASSETS / "tiny"),
    "qwen2.5-0.5b": _qwen("Qwen2.5-0.5B-Instruct"),
    "qwen2.5-1.5b": _qwen("Qwen2.5-1.5B-Instruct"),
    "qwen2.5-3b": _qwen("Qwen2.5-3B-Instruct"),
}

# What a folder must hold to be used; `a|b` means either.
ENCODER_FILES = ("config.yaml", "model.safetensors|*.pt")
LLM_FILES = ("config.json", "*.safetensors", "tokenizer.json|vocab.json")

_TABLES: dict[Kind, dict[str, Source]] = {"encoder": ENCODERS, "llm": LLMS}
_PATTERNS: dict[Kind, list[str]] = {
    "encoder": ["config.yaml", "model.safetensors", "*.pt", "tokens.txt"],
    "llm": ["*.safetensors", "*.json", "merges.txt", "*.jinja"],
}
_WORDS: dict[Kind, str] = {"encoder": "encoder", "llm": "language model"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TIMEOUT = 5.0  # seconds until a silent hub counts as unreachable


def locate(
    id: str, settings: Settings, *, files: Sequence[str] = LLM_FILES, kind: Kind = "llm"
) -> Path:
    """Folder of the model `id`: a preset's name, a hub id, or a folder.

    Looked for in this order: a folder of that name, what ships with the program,
    `settings.home/models/<last part of id>`, the hub's cache on this machine, the hub.

    Args:
        files: names or patterns that the folder must hold; `a|b` means either.
        kind: which presets the name stands for, and which files may be downloaded.

    Raises:
        ModelError: nowhere; one sentence says where it was looked for and how to put it there.
    """
    source = _TABLES[kind].get(id)
    looked: list[Path] = []
    for folder in _folders(id, source, settings):
        if not (missing := _missing(folder, files)):
            return folder
        if folder.is_dir() and folder == Path(id).expanduser().resolve() and source is None:
            raise ModelError(
                f"The folder {folder} is not a usable {_WORDS[kind]}: it has no {missing}."
            )
        looked.append(folder)
    repository = _repository(id, source, settings)
    if repository:
        return _download(id, repository, settings, files=files, kind=kind, looked=looked)
    known = ", ".join(_TABLES[kind])
    raise ModelError(
        f"There is no {_WORDS[kind]} {id!r}: looked in {_listed(looked)}; give a folder, a hub id "
        f"(owner/name) or one of {known}."
    )


def _folders(id: str, source: Source | None, settings: Settings) -> Iterator[Path]:
    """Places on this machine, absolute, without repeating one."""
    places = [Path(id).expanduser()]
    if source is not None and source.folder is not None:
        places.append(source.folder)
    name = id.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if name.strip("."):  # `..` would leave the folder of models
        places.append(settings.home / "models" / name)
    yield from dict.fromkeys(place.resolve() for place in places)


def _missing(folder: Path, files: Sequence[str]) -> str:
    """The first of `files` that `folder` lacks, in words; empty when all are there."""
    for entry in files:
        names = entry.split("|")
        if not any(path.is_file() for name in names for path in folder.glob(name)):
            return " or ".join(names)
    return ""


def _repository(id: str, source: Source | None, settings: Settings) -> str:
    """The id on the hub that the settings choose; empty where it cannot be on one."""
    if source is not None:
        return source.modelscope if settings.hub == "modelscope" else source.huggingface
    return id if _HUB_ID.fullmatch(id) and ".." not in id else ""


def _download(
    id: str,
    repository: str,
    settings: Settings,
    *,
    files: Sequence[str],
    kind: Kind,
    looked: Sequence[Path],
) -> Path:
    """The repository's folder in the hub's own cache, fetched when it is not there yet."""
    fetch, site, offline, command = _HUBS[settings.hub]()
    patterns = _PATTERNS[kind]
    reason = ""
    for local in (True, False):
        try:
            if not local:
                reason = "offline mode is set" if offline else _unreachable(site)
                if reason:
                    break
            folder = Path(fetch(repository, allow_patterns=patterns, local_files_only=local))
            if not (lacking := _missing(folder, files)):
                return folder
            reason = f"it holds no {lacking} there"
        except Exception as error:  # the hubs' clients raise whatever their HTTP library does
            reason = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
    home = (settings.home / "models" / id.rpartition("/")[2]).resolve()
    raise ModelError(
        f"The {_WORDS[kind]} {id!r} is not on this machine and could not be had from {site} "
        f"({reason}): looked in {_listed(looked)}; put it there with "
        f"`{command.format(repository=repository)} {shlex.quote(str(home))}`."
    )


def _huggingface() -> tuple[Callable[..., str], str, bool, str]:
    from huggingface_hub import constants, snapshot_download

    fetch = functools.partial(snapshot_download, etag_timeout=_TIMEOUT)
    command = "hf download {repository} --local-dir"
    return fetch, constants.ENDPOINT, bool(constants.HF_HUB_OFFLINE), command


def _modelscope() -> tuple[Callable[..., str], str, bool, str]:
    try:
        from modelscope import snapshot_download
    except ImportError as error:
        raise ModelError(
            "The hub modelscope needs the package modelscope: run `pip install modelscope`, or "
            "set AUDIOLLM_HUB=huggingface."
        ) from error
    command = "modelscope download --model {repository} --local_dir"
    return snapshot_download, "https://modelscope.cn", False, command


_HUBS = {"huggingface": _huggingface, "modelscope": _modelscope}


def _unreachable(site: str) -> str:
    """Why `site` does not answer, empty when it does: asked once, before a client's own retries."""
    try:
        request = urllib.request.Request(site, method="HEAD")  # noqa: S310 - our own https address
        urllib.request.urlopen(request, timeout=_TIMEOUT).close()  # noqa: S310
    except urllib.error.HTTPError:
        return ""  # an answer, even if not a friendly one
    except (OSError, ValueError) as error:
        return f"no connection: {getattr(error, 'reason', error)}"
    return ""


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)
