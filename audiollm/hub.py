"""Where models are looked for: a folder, what ships in assets/, the home folder, then a hub.

No torch here. Nothing is downloaded that could run: only weights, configurations and tokenizer
files, by name.
"""

import functools
import re
import shlex
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiollm.contracts.manifest import EncoderKind, Statistics
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import ModelError
from audiollm.settings import ASSETS, Settings

Kind = Literal["encoder", "llm"]


@dataclass(frozen=True)
class Source:
    """Where a named model comes from."""

    folder: Path | None = None  # ships with the program
    huggingface: str = ""  # id on huggingface.co
    modelscope: str = ""  # id on modelscope.cn
    kind: EncoderKind | None = None  # of an encoder
    layers: tuple[int, ...] = ()  # of an encoder: whose outputs make a frame, numbered from 1
    statistics: Statistics | Literal[""] = ""  # of an encoder, over time


def _emotion2vec(name: str) -> Source:
    return Source(huggingface=f"emotion2vec/{name}", modelscope=f"iic/{name}", kind="emotion2vec")


def _whisper(name: str, *layers: int) -> Source:
    return Source(
        huggingface=f"openai/{name}",
        modelscope=f"openai-mirror/{name}",
        kind="whisper",
        layers=layers,
        statistics="mean_std",
    )


def _qwen(name: str) -> Source:
    return Source(huggingface=f"Qwen/{name}", modelscope=f"Qwen/{name}")


BUNDLED_ENCODER = "whisper-base-front"
ENCODERS: dict[str, Source] = {
    BUNDLED_ENCODER: Source(folder=ASSETS / BUNDLED_ENCODER, kind="whisper"),
    "emotion2vec_plus_seed": _emotion2vec("emotion2vec_plus_seed"),
    "emotion2vec_plus_base": _emotion2vec("emotion2vec_plus_base"),
    "emotion2vec_plus_large": _emotion2vec("emotion2vec_plus_large"),
    "emotion2vec_base": _emotion2vec("emotion2vec_base"),
    # base: the best of its layers on speakers and corpora that were not trained on
    "whisper-base": _whisper("whisper-base", 1, 2, 3),
    # not measured: spread over the first half of small's 12 layers, and of turbo's 32 the first 12
    "whisper-small": _whisper("whisper-small", 2, 4, 6),
    "whisper-large-v3-turbo": _whisper("whisper-large-v3-turbo", 4, 8, 12),
}
LLMS: dict[str, Source] = {
    "tiny": Source(folder=ASSETS / "tiny"),
    "qwen2.5-0.5b": _qwen("Qwen2.5-0.5B-Instruct"),
    "qwen2.5-1.5b": _qwen("Qwen2.5-1.5B-Instruct"),
    "qwen2.5-3b": _qwen("Qwen2.5-3B-Instruct"),
}

# What a folder must hold to be used; `a|b` means either.
ENCODER_FILES = ("config.yaml", "model.safetensors|*.pt")
WHISPER_FILES = (
    "config.json",
    "model.safetensors",
)  # of an encoder whose config.json describes Whisper
LLM_FILES = ("config.json", "*.safetensors", "tokenizer.json|vocab.json")

_TABLES: dict[Kind, dict[str, Source]] = {"encoder": ENCODERS, "llm": LLMS}
_EMOTION2VEC_PATTERNS = ["config.yaml", "model.safetensors", "*.pt"]
_WHISPER_PATTERNS = ["config.json", "model.safetensors", "preprocessor_config.json"]
_PATTERNS: dict[Kind | EncoderKind, list[str]] = {
    "emotion2vec": _EMOTION2VEC_PATTERNS,
    "whisper": _WHISPER_PATTERNS,
    "encoder": [*dict.fromkeys(_EMOTION2VEC_PATTERNS + _WHISPER_PATTERNS)],  # of unknown kind
    "llm": ["*.safetensors", "*.json", "merges.txt", "tokenizer.model", "*.jinja"],
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MAX_CONFIG_BYTES = 1_000_000
_TIMEOUT = 5.0  # seconds until a silent hub counts as unreachable


def locate(
    id: str, settings: Settings, *, files: Sequence[str] = LLM_FILES, kind: Kind = "llm"
) -> Path:
    """Folder of the model `id`: a preset's name, a hub id, or a folder.

    Looked for in this order: a folder of that name, what ships with the program,
    `settings.home/models/<last part of id>`, the hub's cache on this machine, the hub.

    Args:
        files: names or patterns that the folder must hold; `a|b` means either. An encoder whose
            config.json is Whisper's must hold `WHISPER_FILES` instead.
        kind: which presets the name stands for, and which files may be downloaded.

    Raises:
        ModelError: not found; the message names the searched folders and the download command.
    """
    source = _TABLES[kind].get(id)
    try:
        looked = _folders(id, source, settings)
        lacking = {folder: _missing(folder, files, kind) for folder in looked}
        named = Path(id).expanduser().resolve()
        is_folder = named.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # too long, no such user, null byte
        raise ModelError("hub_name", id=id[:80]) from error
    if is_folder and source is None and lacking[named]:
        raise ModelError("hub_folder", folder=named, missing=lacking[named])
    for folder in looked:
        if not lacking[folder]:
            return folder
    if repository := _repository(id, source, settings):
        return _download(id, repository, settings, files=files, kind=kind, looked=looked)
    if source is not None and source.folder is not None:
        missing = lacking[source.folder.resolve()]
        raise ModelError("hub_bundled", id=id, folder=source.folder, missing=missing)
    known = ", ".join(_TABLES[kind])
    raise ModelError("hub_unknown", id=id, folders=_listed(looked), known=known)


def here(id: str, settings: Settings, *, kind: Kind = "llm") -> Path | None:
    """Folder of the model `id` on this machine, complete or not, without network access.

    None where there is none.
    """
    source = _TABLES[kind].get(id)
    try:
        for folder in _folders(id, source, settings):
            if encoder_kind(folder) if kind == "encoder" else (folder / "config.json").is_file():
                return folder
        repository = _repository(id, source, settings)
        if not repository or settings.hub != "huggingface":
            return None
        from huggingface_hub import try_to_load_from_cache

        for mark in ("config.yaml", "config.json") if kind == "encoder" else ("config.json",):
            if isinstance(found := try_to_load_from_cache(repository, mark), str):
                return Path(found).parent
    except (OSError, RuntimeError, ValueError):  # ids that the hub does not allow, too
        pass
    return None


def preset(id: str) -> Source:
    """The encoder preset of that name or hub id; an empty one where there is none."""
    if id in ENCODERS:
        return ENCODERS[id]
    known = (s for s in ENCODERS.values() if id and id in (s.huggingface, s.modelscope))
    return next(known, Source())


def encoder_kind(folder: Path) -> EncoderKind | None:
    """What kind of encoder lies in a folder, by its configuration; None: no encoder."""
    path = folder / "config.json"
    try:
        if path.is_file() and path.stat().st_size <= _MAX_CONFIG_BYTES:
            data = parse_json(path.read_text(encoding="utf-8"))
            if isinstance(data, dict) and data.get("model_type") == "whisper":
                return "whisper"
    except (OSError, ValueError, RecursionError):
        pass  # not Whisper's
    return "emotion2vec" if (folder / "config.yaml").is_file() else None


def _folders(id: str, source: Source | None, settings: Settings) -> list[Path]:
    """Candidate folders on this machine, absolute, each once."""
    if not id.strip():
        raise ValueError("empty")
    folders = [Path(id).expanduser()]
    if source is not None and source.folder is not None:
        folders.append(source.folder)
    if name := _last_part(id):
        folders.append(settings.home / "models" / name)
    return list(dict.fromkeys(folder.resolve() for folder in folders))


def _last_part(id: str) -> str:
    """Name of the model's folder in the home folder; empty for `..`, which would leave it."""
    name = id.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return name if name.strip(".") and ":" not in name else ""


def _missing(folder: Path, files: Sequence[str], kind: Kind) -> str:
    """The first of `files` that `folder` lacks, in words; empty when all are there."""
    if kind == "encoder":
        found = encoder_kind(folder)
        if found is None:
            return "config.yaml (emotion2vec), config.json (Whisper)"
        files = WHISPER_FILES if found == "whisper" else files
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
    hub = _HUBS[settings.hub]()
    wanted = _PATTERNS[(preset(id).kind if kind == "encoder" else None) or kind]
    reason: str | ModelError = ""
    for local in (True, False):
        if not local and (closed := _closed(hub)):
            reason = closed
            break
        try:
            folder = hub.fetch(repository, allow_patterns=wanted, local_files_only=local)
        except Exception as error:  # the hubs' clients raise whatever their HTTP library does
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:160]}"
            continue
        if not (lacking := _missing(Path(folder), files, kind)):
            return Path(folder)
        reason = ModelError("hub_incomplete", repository=repository, missing=lacking)
    home = (settings.home / "models" / _last_part(id)).resolve()
    raise ModelError(
        "hub_not_downloaded",
        id=id,
        site=hub.site,
        reason=reason,
        folders=_listed([*looked, hub.cache]),
        command=f"{hub.command.format(repository)} {shlex.quote(str(home))}",
    )


@dataclass(frozen=True)
class _Hub:
    fetch: Callable[..., str]
    site: str  # address
    cache: Path
    command: str  # that a person types; the folder follows
    offline: bool = False  # the user forbids the network


def _huggingface() -> _Hub:
    from huggingface_hub import constants, snapshot_download

    return _Hub(
        fetch=functools.partial(snapshot_download, etag_timeout=_TIMEOUT),
        site=constants.ENDPOINT,
        cache=Path(constants.HF_HUB_CACHE),
        command="hf download {} --local-dir",
        offline=bool(constants.HF_HUB_OFFLINE),
    )


def _modelscope() -> _Hub:
    try:
        from modelscope import snapshot_download
        from modelscope.hub.api import HubApi
        from modelscope.utils.file_utils import get_modelscope_cache_dir
    except ImportError as error:
        raise ModelError("hub_no_modelscope") from error
    return _Hub(
        fetch=snapshot_download,
        site=HubApi().endpoint,
        cache=Path(get_modelscope_cache_dir()),
        command="modelscope download --model {} --local_dir",
    )


_HUBS: dict[str, Callable[[], _Hub]] = {"huggingface": _huggingface, "modelscope": _modelscope}


def _closed(hub: _Hub) -> str | ModelError:
    """Why the hub cannot be reached, empty when it can.

    Checked once before a client starts: ModelScope's own retries take 20 s, and a firewall that
    swallows packets would hold Hugging Face's for a minute.
    """
    return ModelError("hub_offline") if hub.offline else _unreachable(hub.site)


def _unreachable(site: str) -> str | ModelError:
    """Why `site` does not answer within a few seconds; empty when it does."""
    try:
        request = urllib.request.Request(site, method="HEAD")  # noqa: S310 - our own https address
        urllib.request.urlopen(request, timeout=_TIMEOUT).close()  # noqa: S310
    except urllib.error.HTTPError:
        return ""  # an answer, even if not a friendly one
    except (OSError, ValueError) as error:
        return ModelError("hub_no_connection", reason=getattr(error, "reason", error))
    return ""


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)
