"""The model card beside the shipped weights: every figure from the results of the protocols."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiollm.contracts.manifest import Manifest
from audiollm.contracts.result import interval

CODES = {"German": "de", "Amharic": "am", "Mandarin": "zh", "Italian": "it", "Polish": "pl"}
CORPORA = {  # language, source, terms
    "emodb": ("German", "Berlin EmoDB (Burkhardt et al., Interspeech 2005)", "CC0-1.0"),
    "ased": (
        "Amharic",
        "ASED v1 (Retta et al., TALLIP 2022, doi 10.1145/3529759)",
        '"freely available for download", without a licence text',
    ),
    "casia": ("Mandarin", "CASIA, the public 1,200 clips", "published without a licence text"),
    "emovo": (
        "Italian",
        "EMOVO (Costantini et al., LREC 2014)",
        "free for research; CC BY-NC-SA 4.0",
    ),
    "nemo": ("Polish", "nEMO (Christop, LREC-COLING 2024)", "CC BY-NC-SA 4.0"),
}
FREE = {"emodb"}  # under terms that leave the weights free
TERMS = """\
The weights of projector, LLM, probe and distance are under CC BY-NC-SA 4.0: for research and
demonstration. The code is MIT, the encoder (OpenAI's Whisper) MIT."""
FREE_TERMS = "The weights were trained on CC0 speech alone; the code and the encoder are MIT."
LIMITS = """\
- All training speech is acted, in studios. Expect far more mistakes on spontaneous speech, and in
  languages, rooms and microphones that are not in the data: see "new corpora".
- It classifies vocal expression, not what a person feels; do not use it to judge people.
- Laughter, several voices at once and children: not in the training data, not measured.
- Boredom comes from EmoDB alone, disgust from EmoDB and EMOVO: few voices."""
SYSTEMS = {
    "0": "{name}",
    "3": "{name}, baseline of 3 clips",
    "8": "{name}, baseline of 8 clips",
    "all": "{name}, baseline of all clips of the speaker",
    "stage 1": "{name} after stage 1",
    "probe": "linear probe",
    "probe, 8": "linear probe, baseline of 8 clips",
    "probe, all": "linear probe, baseline of all clips",
}


def system_name(system: str, model: str = "tiny") -> str:
    """What a system is called in tables. model: the name of what the recipe makes."""
    return SYSTEMS[system].format(name=model)


def languages(corpora: Sequence[str]) -> list[str]:
    """Languages of the training data, by ISO 639-1."""
    return [CODES[CORPORA[name][0]] for name in corpora if name in CORPORA]


def terms(corpora: Sequence[str]) -> str:
    """Of the weights."""
    return "CC0-1.0" if set(corpora) <= FREE else "CC BY-NC-SA 4.0"


def write_card(
    folder: Path,
    manifest: Manifest,
    results: dict[str, Any],
    commands: Sequence[str],
) -> None:
    """Writes `README.md` into a model folder.

    Args:
        results: of `train.tiny.protocols`; {} where they were not measured.
        commands: all that made the model, in order.
    """
    training = manifest.training
    corpora = str(training.get("corpus", "")).split("+")
    free = set(corpora) <= FREE
    lines = [
        "# tiny: the small Audio-LLM that ships with this project",
        "",
        "The first three layers of Whisper-base's encoder, frozen -> MLP projector -> an LLM of",
        "the Qwen2 class with 1.8 million parameters, trained by `python -m train tiny`.",
        "docs/quality.md has comparisons and experiments.",
        "",
        f"- languages of the training data: "
        f"{', '.join(CORPORA[n][0] for n in corpora if n in CORPORA)}; all acted speech",
        f"- classes: {', '.join(manifest.labels)}",
        f"- training clips: {training.get('clips', {}).get('train', 0):,}",
        f"- speakers left out: {', '.join(training['speakers'].get('test', [])) or 'none'}",
        f"- encoder: {manifest.encoder.id}, layers {', '.join(map(str, manifest.encoder.layers))}, "
        f"fingerprint `{manifest.encoder.fingerprint}`",
        "",
        "| file | sha256 |",
        "|---|---|",
        *(
            f"| {path.name} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |"
            for path in sorted(folder.glob("*.safetensors"))
        ),
        "",
        *figures(results),
        *_single(manifest.metrics),
        "## Commands",
        "",
        "```",
        *commands,
        "```",
        "",
        "## Data and terms",
        "",
        FREE_TERMS if free else TERMS,
        "",
        "| corpus | language | terms of its audio, which is not in the weights' folder |",
        "|---|---|---|",
        *(
            f"| {source} | {language} | {terms} |"
            for language, source, terms in (CORPORA[n] for n in corpora if n in CORPORA)
        ),
        "",
        "## Limits",
        "",
        LIMITS,
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def figures(results: dict[str, Any], name: str = "tiny") -> list[str]:
    """Markdown: a table of UA for each protocol, and its calibration.

    name: of the model that the recipe makes.
    """
    lines = []
    for protocol, measured in results.get("protocols", {}).items():
        names = [f"{n} ({CORPORA[n][0]})" if n in CORPORA else n for n in measured["corpora"]]
        lines += [
            f"## Accuracy on {protocol}",
            "",
            "UA (unweighted average recall), 95 % intervals; the same recipe without these clips.",
            "",
            "| | " + " | ".join(names) + " | mean |",
            "|---" * (len(names) + 2) + "|",
        ]
        for system, mean in measured["mean"].items():
            cells = [
                interval(c["systems"][system]["ua"], digits=2) for c in measured["corpora"].values()
            ]
            lines.append(f"| {system_name(system, name)} | {' | '.join(cells)} | {mean:.2f} |")
        plain = measured["calibration"]["0"]
        sure = "never" if plain["sure"] is None else f"{plain['sure']:.2f} of them right"
        lines += [
            "",
            f"Expected calibration error {plain['ece']:.3f}; answers with a probability of 0.8 or "
            f"more: {plain['share']:.1%} of all, {sure}.",
            "",
        ]
    return lines


def _single(m: dict[str, Any]) -> list[str]:
    """The figures of the shipped weights themselves, where somebody was left out."""
    if not m:
        return []
    return [
        f"The shipped weights on the {m['n']} clips of the {m['speakers']} speakers left out: UA "
        f"{interval(m['ua'], digits=2)}, WA {interval(m['wa'], digits=2)}.",
        "",
    ]
