"""The card of a model in the hub's format: front matter that the hub reads, then the text."""

from pathlib import Path
from typing import Any

import yaml

from audiollm import hub
from audiollm.contracts.manifest import EncoderRef, Manifest
from audiollm.contracts.result import interval
from audiollm.deploy.tree import front_matter
from audiollm.errors import ConfigError

TAGS = ("audiollm", "audio", "speech-emotion-recognition", "emotion-recognition")
METRICS = {  # of the manifest -> (type on the hub, name)
    "ua": ("recall", "UA (unweighted average recall)"),
    "wa": ("accuracy", "WA (accuracy)"),
    "macro_f1": ("f1", "macro F1"),
}
FRONT = "openai/whisper-base"  # whose first layers are the bundled encoder
USE = """\
```python
from audiollm import load

print(load("{id}")("recording.wav").text)
```"""


def card(folder: Path, manifest: Manifest, id: str, licence: str = "") -> str:
    """The content of README.md for a model that is called `id` on the hub.

    What the README of the folder says itself stays: its text, and the fields of its front matter.

    Raises:
        ConfigError: nothing says under which licence the weights are.
    """
    readme = folder / "README.md"
    own = front_matter(readme)
    terms = str(manifest.training.get("terms", "")).strip().lower().replace(" ", "-")
    head = {**_head(manifest), **({"license": terms} if terms else {}), **own}
    if licence:
        head["license"] = licence
    if not head.get("license"):
        raise ConfigError("deploy_no_licence", folder=folder)
    text = readme.read_text(encoding="utf-8") if readme.is_file() else _text(manifest)
    if text.startswith("---\n"):
        text = text.partition("\n---\n")[2]
    header = yaml.safe_dump(head, allow_unicode=True, sort_keys=False)
    return f"---\n{header}---\n\n{text.strip()}\n\n## Use\n\n{USE.format(id=id)}\n"


def _head(manifest: Manifest) -> dict[str, Any]:
    training, metrics = manifest.training, manifest.metrics
    corpora = [name for name in str(training.get("corpus", "")).split("+") if name]
    llm = str(training.get("llm", ""))
    base = [source_of(llm, "llm"), source_of(manifest.encoder.id, "encoder")]
    fields = {
        "library_name": "audiollm",
        "pipeline_tag": "audio-classification",
        "tags": list(TAGS),
        "language": list(training.get("data_languages", ())),
        "base_model": [id for id in base if id],
        "datasets": [name for name in corpora if "/" in name],
        "metrics": [METRICS[name][0] for name in METRICS if name in metrics],
        "model-index": _results(manifest, "+".join(corpora) or "unknown"),
    }
    return {name: value for name, value in fields.items() if value}


def _results(manifest: Manifest, corpora: str) -> list[dict[str, Any]]:
    """As the hub lists them, with the interval in the name of each."""
    report = manifest.metrics
    data = {"name": str(report.get("data", corpora)), "type": corpora, "split": report.get("split")}
    metrics = [
        {"type": kind, "value": report[name]["value"], "name": f"{words} {interval(report[name])}"}
        for name, (kind, words) in METRICS.items()
        if name in report
    ]
    if not metrics:
        return []
    task = {"type": "audio-classification", "name": "Speech emotion recognition"}
    result = {"task": task, "dataset": data, "metrics": metrics}
    return [{"name": manifest.name, "results": [result]}]


def source_of(id: str, kind: hub.Kind) -> str:
    """The hub's id of a preset or of a model there; "" for a folder."""
    if kind == "encoder" and id == hub.BUNDLED_ENCODER:
        return FRONT
    preset = hub.preset(id) if kind == "encoder" else hub.LLMS.get(id, hub.Source())
    return preset.huggingface or (id.partition("@")[0] if hub.is_id(id) else "")


def encoder_is_public(ref: EncoderRef) -> bool:
    """Whether who pulls the model finds its encoder: a folder of this machine is not there."""
    return bool(source_of(ref.id, "encoder"))


def _text(manifest: Manifest) -> str:
    training, encoder = manifest.training, manifest.encoder
    lines = [
        f"# {manifest.name}",
        "",
        "An Audio-LLM for speech emotion recognition: frozen encoder, projector, LLM.",
        "",
        f"- classes: {', '.join(manifest.labels)}",
        f"- encoder: {encoder.id}",
        f"- LLM: {training.get('llm', 'unknown')}",
        f"- data: {training.get('corpus', 'unknown')}, "
        f"training clips: {training.get('clips', {}).get('train', 'unknown')}",
    ]
    lines += [
        f"- {words}, {manifest.metrics.get('split', '')} split: {interval(manifest.metrics[name])}"
        for name, (_, words) in METRICS.items()
        if name in manifest.metrics
    ]
    return "\n".join(
        [*lines, "", "It recognises the expression of a voice, not what a person feels."]
    )
