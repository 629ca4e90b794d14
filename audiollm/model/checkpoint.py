"""Model folders: load, save, and the folders that the original project wrote.

A folder holds the merged LLM (`AutoModelForCausalLM.from_pretrained` opens it),
`projector.safetensors`, `audiollm.json` and, not of earlier versions, `probe.safetensors`; the
frozen encoder is referred to. Nothing here unpickles: weights are safetensors, and the original
`projector.pt` is read with `weights_only`.
"""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from audiollm import hub
from audiollm.contracts.manifest import (
    MANIFEST_NAME,
    PROBE_NAME,
    PROJECTOR_NAME,
    EncoderRef,
    Manifest,
    ProjectorConfig,
)
from audiollm.contracts.options import read_json, to_json
from audiollm.errors import ConfigError, ModelError
from audiollm.hub.clients import Report
from audiollm.model import distance, probe
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.distance import FeatureDistance
from audiollm.model.llm import load_llm, load_table, quiet
from audiollm.model.probe import LinearProbe
from audiollm.model.projector import Projector
from audiollm.settings import Settings

ORIGINAL_PROJECTOR = "projector.pt"
ORIGINAL_ENCODERS = {768: "emotion2vec_plus_base", 1024: "emotion2vec_plus_large"}  # by width
ORIGINAL_LABELS = ("angry", "happy", "neutral", "sad", "surprised")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model folder in memory."""

    folder: Path
    manifest: Manifest
    model: AudioLLM
    tokenizer: Any
    probe: LinearProbe | None = None  # on the encoder's features
    distance: FeatureDistance | None = None  # of features from the training data


def pick_device(name: str) -> str:
    """`auto` -> the best device that is here; anything else is checked.

    Raises:
        ConfigError: the device does not exist on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError("model_device", device=name) from error
    return name


def load(
    id: str,
    settings: Settings,
    device: str = "cpu",
    *,
    table_alone: bool = False,
    report: Report | None = None,
) -> Checkpoint:
    """A trained Audio-LLM from a preset name or a folder, ready to score.

    Args:
        table_alone: of the LLM only the table of embeddings, where a server computes the rest.
        report: progress of a download; see `hub.locate`.

    Raises:
        ModelError: no such model, or one of its parts is missing or does not fit.
    """
    folder = hub.locate(id, settings, report=report)
    manifest = read_manifest(folder, id)
    llm, tokenizer = load_table(folder) if table_alone else load_llm(str(folder), settings, device)
    width = llm.get_input_embeddings().weight.shape[1]
    if width != manifest.projector.output_size:
        output = manifest.projector.output_size
        raise ModelError("model_llm_width", folder=folder, projector=output, llm=width)
    projector = Projector(manifest.projector)
    load_projector(projector, folder)
    model = AudioLLM(llm, projector).to(device).eval()
    measure = distance.read(folder, manifest.encoder.utterance_width)
    linear = _read_probe(folder, manifest)
    return Checkpoint(folder, manifest, model, tokenizer, linear, measure)


def read_manifest(folder: Path, id: str = "") -> Manifest:
    """`audiollm.json`, or one made up for a folder of the original project.

    Raises:
        ModelError: the folder is a plain LLM without projector.
        ConfigError: the manifest does not parse.
    """
    if (folder / MANIFEST_NAME).is_file():
        return read_json(Manifest, folder / MANIFEST_NAME)
    if (folder / ORIGINAL_PROJECTOR).is_file():
        return _original_manifest(folder)
    raise ModelError("model_plain_llm", id=id or folder, folder=folder)


def load_projector(projector: Projector, folder: Path) -> None:
    """Strictly loads `projector.safetensors`, or the original `projector.pt`.

    Raises:
        ModelError: missing, damaged, or of another shape.
    """
    path = folder / PROJECTOR_NAME
    try:
        if path.is_file():
            state = load_file(path)
        else:
            path = folder / ORIGINAL_PROJECTOR
            state = dict(_from_original(_read_original(path), projector))
        projector.load_state_dict(state, strict=True)
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[-1].strip()[:200]
        raise ModelError("model_projector_damaged", path=path, reason=reason) from error


def _read_probe(folder: Path, manifest: Manifest) -> LinearProbe | None:
    """The probe of the folder; None where it has none, as of earlier versions."""
    path = folder / PROBE_NAME
    if not path.exists():
        return None
    return probe.read(path, manifest.encoder.utterance_width, manifest.labels)


def save(
    folder: Path,
    model: AudioLLM,
    tokenizer: Any,
    manifest: Manifest,
    dtype: str,
    linear: LinearProbe | None = None,
    measure: FeatureDistance | None = None,
) -> None:
    """Writes a model folder under a temporary name and moves it to its path when it is complete.

    `dtype`: float32, bfloat16 or float16, how the weights of LLM and projector are stored.
    `linear`: the probe on the features of its encoder, `measure`: of their distance from the
    training data, where there are such.

    Raises:
        ModelError: the path is taken by something that is not a model.
    """
    check_target(folder)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        llm = model.causal_lm
        before = llm.dtype
        llm.to(getattr(torch, dtype))
        with quiet():
            llm.save_pretrained(new)  # type: ignore[operator]
            tokenizer.save_pretrained(new)
        llm.to(before)  # type: ignore[arg-type]
        save_projector(model.projector, new / PROJECTOR_NAME, dtype)
        if linear is not None:
            probe.write(linear, new / PROBE_NAME)
        if measure is not None:
            measure.save(new)
        (new / MANIFEST_NAME).write_text(to_json(manifest), encoding="utf-8")
        if folder.exists():
            folder.replace(old)
        try:
            new.replace(folder)
        except BaseException:
            if old.exists():
                old.replace(folder)
            raise


def check_target(folder: Path) -> None:
    """Refuses a path whose content is no model folder.

    Raises:
        ModelError: a file, or a folder that holds something but is not a model.
    """
    if folder.is_dir():
        if not (folder / MANIFEST_NAME).is_file() and any(folder.iterdir()):
            new = folder / "my-model"
            raise ModelError("model_target_not_empty", folder=folder, example=new)
    elif folder.exists() or folder.is_symlink():
        raise ModelError("model_target_file", path=folder)


def remove(folder: Path) -> None:
    """Deletes a model folder; nothing happens where there is none.

    Raises:
        ModelError: it holds something else than a model.
    """
    check_target(folder)
    shutil.rmtree(folder, ignore_errors=True)


def save_projector(projector: nn.Module, path: Path, dtype: str = "float32") -> None:
    """Writes the projector's weights and standardising constants; they load as float32."""
    kind = getattr(torch, dtype)
    state = {k: v.detach().to("cpu", kind).contiguous() for k, v in projector.state_dict().items()}
    save_file(state, path)


def fingerprint(folder: Path) -> str:
    """sha256 over the weights of a model folder, in the order of their names.

    It identifies the model that answers: the probe beside it does not count.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        if path.name == PROBE_NAME:
            continue
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _read_original(path: Path) -> dict[str, torch.Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle that is not plain tensors is refused, never run
        raise ModelError("model_projector_unsafe", path=path) from error


def _from_original(
    state: dict[str, torch.Tensor], projector: Projector
) -> Iterator[tuple[str, torch.Tensor]]:
    """Original keys `0.*`, `2.*` (Linear, GELU, Linear) -> ours, where dropout is number 2."""
    renamed = {"0": "mlp.0", "2": "mlp.3"}
    for name, tensor in state.items():
        layer, _, rest = name.removeprefix("projector.").partition(".")
        yield f"{renamed[layer]}.{rest}", tensor
    for name, buffer in projector.state_dict().items():
        if name.startswith("standardise."):
            yield name, buffer  # the original took features as they are


def _original_manifest(folder: Path) -> Manifest:
    state = _read_original(folder / ORIGINAL_PROJECTOR)
    shapes = {k.removeprefix("projector."): v.shape for k, v in state.items()}
    if set(shapes) != {"0.weight", "0.bias", "2.weight", "2.bias"}:
        layers = ", ".join(sorted(shapes)[:6])
        raise ModelError("model_original_layers", path=folder / ORIGINAL_PROJECTOR, found=layers)
    hidden, width = shapes["0.weight"]
    if width not in ORIGINAL_ENCODERS:
        raise ModelError("model_original_width", path=folder / ORIGINAL_PROJECTOR, width=width)
    return Manifest(
        name=folder.name,
        encoder=EncoderRef(ORIGINAL_ENCODERS[width], width),
        projector=ProjectorConfig(
            input_size=width,
            hidden_size=hidden,
            output_size=shapes["2.weight"][0],
            pooling="utterance",
            dropout=0.0,
            output_norm=False,
            limit=1e9,
        ),
        labels=ORIGINAL_LABELS,
        languages=("zh",),
        prompt="original",
    )
