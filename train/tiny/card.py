"""The model card beside the shipped weights: every figure from the results of `evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiollm.config import Manifest

TERMS = """- Berlin EmoDB (Burkhardt et al., Interspeech 2005), German, acted: CC0-1.0.
- ASED v1 (Retta et al., TALLIP 2022, doi 10.1145/3529759), Amharic, acted: "freely available for
  download", without a licence text. Its audio is not part of this project."""
LIMITS = """\
- It learned from two hours of acted studio speech by few people in two languages: elsewhere,
  and with spontaneous speech, children or noise, expect far more mistakes.
- It reads the expression of a voice, not what a person feels; do not judge people by it.
- Laughter, music, several voices at once: not trained for, not measured.
- Disgust and boredom come from EmoDB alone, so from very few voices."""
MISTAKES = 5  # so many of the most frequent confusions are told
PROBES = ("functionals", "both")


def write_card(
    folder: Path,
    manifest: Manifest,
    results: dict[str, dict[str, Any]],
    weights: str,
    commands: Sequence[str],
) -> None:
    """Writes `README.md` into a model folder.

    Args:
        results: name -> `EvaluationResult`, one an evaluated set.
        weights: sha256 of the model's files.
        commands: all that made the model, in order.
    """
    training = manifest.training
    speakers = training.get("speakers", {})
    lines = [
        "# tiny: the small Audio-LLM that ships with this project",
        "",
        "emotion2vec-class encoder + acoustic functionals -> MLP projector -> Qwen2-class LLM, all",
        "small, trained by `python -m train tiny`. docs/quality.md says how good the recipe is on",
        "every speaker in turn, and what was tried.",
        "",
        f"- weights: sha256 `{weights}`",
        f"- encoder: sha256 `{manifest.encoder.fingerprint}`",
        f"- classes: {', '.join(manifest.labels)}",
        f"- data: {training.get('corpus')}; clips {training.get('clips')}",
        f"- speakers never trained on: {', '.join(speakers.get('test', []))}",
        f"- temperature {manifest.calibration.temperature:.2f}, fitted on "
        f"{manifest.calibration.fitted_on or 'nothing'}",
        "",
        "## On speakers that it has not heard",
        "",
        "95 % intervals; the linear probe is logistic regression on the same features.",
        "",
        "| data | clips | speakers | UA | WA | ECE | NLL | UA of probe on functionals | on both |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results.values():
        m = result["metrics"]
        cells = [
            f"{result['data']['corpus']}, {result['data']['split']}",
            str(m["n"]),
            str(m["speakers"]),
            *(_interval(m[key]) for key in ("ua", "wa", "ece")),
            f"{m['nll']:.2f}",
            *(_interval(result["probes"].get(kind, {}).get("ua")) for kind in PROBES),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| recall | " + " | ".join(manifest.labels) + " |"]
    lines.append("|---" * (len(manifest.labels) + 1) + "|")
    for result in results.values():
        recall = {c["name"]: c["recall"] for c in result["metrics"]["per_class"]}
        cells = [_share(recall.get(name)) for name in manifest.labels]
        lines.append(f"| {result['data']['corpus']} | {' | '.join(cells)} |")
    lines += ["", "## What it gets wrong most", ""]
    for result in results.values():
        lines += [f"- {result['data']['corpus']}: {_mistakes(result['metrics'])}"]
    lines += ["", "## Commands", "", "```", *commands]
    lines += [result["run"]["command"] for result in results.values()]
    lines += ["```", "", "## Data and terms", "", TERMS, "", "## Limits", "", LIMITS, ""]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _mistakes(m: dict[str, Any]) -> str:
    """The most frequent confusions, each with its share of the class that was meant."""
    names = m["classes"]
    found = [
        (count, sum(row), names[i], names[j])
        for i, row in enumerate(m["confusion"])
        for j, count in enumerate(row)
        if i != j and count
    ]
    worst = sorted(found, key=lambda f: (-f[0], f[2], f[3]))[:MISTAKES]
    return "; ".join(f"{true} heard as {said} {n} of {of}" for n, of, true, said in worst) or "none"


def _interval(value: dict[str, Any] | None) -> str:
    if value is None:
        return "-"
    return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
