"""Where models are looked for: a folder, what ships in assets/, the home folder, then a hub.

No torch here. Nothing is downloaded that could run: only weights, configurations and tokenizer
files, by name.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiollm.contracts.manifest import EncoderKind, Statistics
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import ModelError
from audiollm.hub.clients import HUBS, TIMEOUT, Hub, Report
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

LLM_PATTERNS = ["*.safetensors", "*.json", "merges.txt", "tokenizer.model", "*.jinja", "README.md"]
_TABLES: dict[Kind, dict[str, Source]] = {"encoder": ENCODERS, "llm": LLMS}
_EMOTION2VEC_PATTERNS = ["config.yaml", "model.safetensors", "*.pt"]
_WHISPER_PATTERNS = ["config.json", "model.safetensors", "preprocessor_config.json"]
_PATTERNS: dict[Kind | EncoderKind, list[str]] = {
    "emotion2vec": _EMOTION2VEC_PATTERNS,
    "whisper": _WHISPER_PATTERNS,
    "encoder": [*dict.fromkeys(_EMOTION2VEC_PATTERNS + _WHISPER_PATTERNS)],  # of unknown kind
    "llm": LLM_PATTERNS,
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PINNED = re.compile(r"([^@]+)@([A-Za-z0-9][\w./-]*)")  # user/name@revision
_PART = re.compile(r"(.+)-\d{5}-of-(\d{5})(\.safetensors)")  # of weights in several files
_MAX_CONFIG_BYTES = 1_000_000


def locate(
    id: str,
    settings: Settings,
    *,
    files: Sequence[str] = LLM_FILES,
    kind: Kind = "llm",
    report: Report | None = None,
) -> Path:
    """Folder of the model `id`: a preset's name, a hub id, or a folder.

    Looked for in this order: a folder of that name, what ships with the program,
    `settings.home/models/<last part of id>`, the hub's cache on this machine, the hub. Of
    `user/name@revision` (a commit, tag or branch) the folder in `settings.home` is passed over:
    which revision it is cannot be known.

    Args:
        files: names or patterns that the folder must hold; `a|b` means either. An encoder whose
            config.json is Whisper's must hold `WHISPER_FILES` instead.
        kind: which presets the name stands for, and which files may be downloaded.
        report: is called during a download, by several threads. All bytes are known once the
            client has asked for every file.

    Raises:
        ModelError: not found; the message names the searched folders and the download command.
    """
    name, revision = _split(id)
    source = _TABLES[kind].get(name)
    try:
        looked = _folders(id, source, settings)
        lacking = {folder: missing(folder, files, kind) for folder in looked}
        named = Path(id).expanduser().resolve()
        is_folder = named.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # too long, no such user, null byte
        raise ModelError("hub_name", id=id[:80]) from error
    if is_folder and source is None and lacking[named]:
        raise ModelError("hub_folder", folder=named, missing=lacking[named])
    for folder in looked:
        if not lacking[folder]:
            return folder
    if repository := _repository(name, source, settings):
        wanted = _Wanted(repository, revision, files, kind)
        return _download(id, wanted, settings, looked=looked, report=report)
    if source is not None and source.folder is not None:
        lacks = lacking.get(source.folder.resolve(), revision)
        raise ModelError("hub_bundled", id=id, folder=source.folder, missing=lacks)
    known = ", ".join(_TABLES[kind])
    raise ModelError("hub_unknown", id=id, folders=_listed(looked), known=known)


def here(id: str, settings: Settings, *, kind: Kind = "llm") -> Path | None:
    """Folder of the model `id` on this machine, complete or not, without network access.

    None where there is none.
    """
    name, revision = _split(id)
    source = _TABLES[kind].get(name)
    try:
        for folder in _folders(id, source, settings):
            if encoder_kind(folder) if kind == "encoder" else (folder / "config.json").is_file():
                return folder
        repository = _repository(name, source, settings)
        if not repository or settings.hub != "huggingface":
            return None
        from huggingface_hub import try_to_load_from_cache

        for mark in ("config.yaml", "config.json") if kind == "encoder" else ("config.json",):
            found = try_to_load_from_cache(repository, mark, revision=revision or None)
            if isinstance(found, str):
                return Path(found).parent
    except (OSError, RuntimeError, ValueError):  # ids that the hub does not allow, too
        pass
    return None


def preset(id: str) -> Source:
    """The encoder preset of that name or hub id; an empty one where there is none."""
    name, _ = _split(id)
    if name in ENCODERS:
        return ENCODERS[name]
    known = (s for s in ENCODERS.values() if name and name in (s.huggingface, s.modelscope))
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
    if _split(id)[1]:
        return [folders[0].resolve()]
    if source is not None and source.folder is not None:
        folders.append(source.folder)
    if name := _last_part(id):
        folders.append(settings.home / "models" / name)
    return list(dict.fromkeys(folder.resolve() for folder in folders))


def _last_part(id: str) -> str:
    """Name of the model's folder in the home folder; empty for `..`, which would leave it."""
    name = id.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return name if name.strip(".") and ":" not in name else ""


def _split(id: str) -> tuple[str, str]:
    """(name, revision) of `name@revision`; the revision is "" where none is named."""
    found = _PINNED.fullmatch(id)
    return (found[1], found[2]) if found and ".." not in found[2] else (id, "")


def is_id(id: str) -> bool:
    """Whether `user/name`, with or without a revision, is on a hub rather than a folder here."""
    name, _ = _split(id)
    return bool(_repository(name, None, Settings(home=Path()))) and not Path(id).exists()


def missing(folder: Path, files: Sequence[str], kind: Kind = "llm") -> str:
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
    for part in filter(None, map(_PART.fullmatch, (p.name for p in folder.glob("*-of-*")))):
        for number in range(1, int(part[2]) + 1):
            name = f"{part[1]}-{number:05}-of-{part[2]}{part[3]}"
            if not (folder / name).is_file():
                return name
    return ""


def _repository(id: str, source: Source | None, settings: Settings) -> str:
    """The id on the hub that the settings choose; empty where it cannot be on one."""
    if source is not None:
        return source.modelscope if settings.hub == "modelscope" else source.huggingface
    return id if _HUB_ID.fullmatch(id) and ".." not in id else ""


@dataclass(frozen=True)
class _Wanted:
    """A model on a hub."""

    repository: str
    revision: str  # "": the newest
    files: Sequence[str]
    kind: Kind


def _download(
    id: str,
    wanted: _Wanted,
    settings: Settings,
    *,
    looked: Sequence[Path],
    report: Report | None = None,
) -> Path:
    """The repository's folder in the hub's own cache, fetched when it is not there yet."""
    hub, repository, kind = HUBS[settings.hub](), wanted.repository, wanted.kind
    patterns = _PATTERNS[(preset(id).kind if kind == "encoder" else None) or kind]
    pinned = {"revision": wanted.revision} if wanted.revision else {}
    options = {**pinned, **(hub.progress(report) if report else {})}
    reason: str | ModelError = ""
    for local in (True, False):
        if not local and (closed := _closed(hub)):
            reason = closed
            break
        try:
            found = hub.fetch(
                repository, allow_patterns=patterns, local_files_only=local, **options
            )
        except Exception as error:  # the hubs' clients raise whatever their HTTP library does
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:160]}"
            continue
        if not (lacking := missing(Path(found), wanted.files, kind)):
            return Path(found)
        reason = ModelError("hub_incomplete", repository=repository, missing=lacking)
    home = (settings.home / "models" / _last_part(id)).resolve()
    place = f"--revision {wanted.revision}" if pinned else f"{hub.into} {shlex.quote(str(home))}"
    raise ModelError(
        "hub_not_downloaded",
        id=id,
        site=hub.site,
        reason=reason,
        folders=_listed([*looked, hub.cache]),
        command=f"{hub.command.format(repository)} {place}",
    )


def _closed(hub: Hub) -> str | ModelError:
    """Why the hub cannot be reached, empty when it can.

    Checked once before a client starts: ModelScope's own retries take 20 s, and a firewall that
    swallows packets would hold Hugging Face's for a minute.
    """
    return ModelError("hub_offline") if hub.offline else _unreachable(hub.site)


def _unreachable(site: str) -> str | ModelError:
    """Why `site` does not answer within a few seconds; empty when it does. It is asked through the
    proxies of the environment, as the clients do."""
    import httpx

    try:
        httpx.head(site, timeout=TIMEOUT)  # any answer is one, even if not a friendly one
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, OSError, ValueError) as error:
        return ModelError("hub_no_connection", reason=error)
    return ""


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)
