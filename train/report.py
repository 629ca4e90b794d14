"""One evaluation as a page: readable, one file, opens offline, asks no other host."""

import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any, NotRequired, TypedDict

from audiollm import labels
from train import figures
from train.figures import NO_ANSWER, class_text

_MODEL = ' class="model"'
_PAGE = Path(__file__).with_name("report.html")


class ModelInfo(TypedDict):
    name: str
    folder: str
    hash: str  # sha256 of the weights


class DataInfo(TypedDict):
    folder: str
    corpus: str
    split: str
    speakers: list[str]  # names


class RunInfo(TypedDict):
    command: str
    date: str  # ISO 8601
    versions: dict[str, str]  # package -> version
    device: str
    precision: str
    seconds: float  # taken by the whole evaluation


class ClipResult(TypedDict):
    id: str
    path: str
    label: str
    predicted: str | None  # None: no answer, `error` says why
    probabilities: dict[str, float] | None
    speaker: str
    seconds: float  # of the sound
    text: NotRequired[str]
    error: NotRequired[str]


class EvaluationResult(TypedDict):
    """What `python -m train evaluate` writes as JSON, and all that the page is made from."""

    model: ModelInfo
    data: DataInfo
    run: RunInfo
    metrics: dict[str, Any]  # Metrics.to_dict() of the model
    probes: dict[str, dict[str, Any]]  # name (utterance, functionals, both) -> Metrics.to_dict()
    clips: list[ClipResult]  # all of them, right or wrong
    texts: NotRequired[dict[str, Any]]  # of `texts.measure`, where texts were asked for
    notes: list[str]  # warnings a reader must see, such as speakers that the encoder has seen


def write_html(result: EvaluationResult, path: Path) -> None:
    """Write the page of an evaluation; missing folders are made.

    Raises:
        KeyError: a field of `EvaluationResult` is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_page(result), encoding="utf-8")


def _page(result: EvaluationResult) -> str:
    from plotly.offline import get_plotlyjs

    metrics, data, run = result["metrics"], result["data"], result["run"]
    systems = {"this model": metrics}
    systems |= {f"probe: {name}": probe for name, probe in result["probes"].items()}
    plots = {
        "confusion": figures.confusion(metrics),
        "recall": figures.recall(systems),
    }
    confidences = _confidences(result["clips"])
    if confidences:
        plots["reliability"] = figures.reliability(metrics, confidences)
    wrong = [clip for clip in result["clips"] if clip["predicted"] != clip["label"]]
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=_e(f"{result['model']['name']} on {data['corpus']}"),
        subtitle=_e(f"{data['split']} split · {_size(metrics, data)} · {run['date'][:10]}"),
        notes=_notes(result["notes"]),
        verdict=_verdict(metrics, result["probes"]),
        headline=_headline(metrics, systems),
        method=_method(metrics),
        confusion_width=150 + 62 * len(metrics["classes"]),
        reliability=_reliability(metrics) if confidences else "",
        per_class=_per_class(metrics),
        texts=_texts(result.get("texts")),
        wrong_count=f"{len(wrong)} of {metrics['n']}",
        wrong=_wrong(wrong),
        details=_details(result),
        plotly=get_plotlyjs(),
        plots=_json({name: json.loads(figure.to_json()) for name, figure in plots.items()}),
        colours=_json([[figures.LIGHT[name], figures.DARK[name]] for name in figures.LIGHT]),
    )


def _e(value: object) -> str:
    return html.escape(str(value))


def _json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _confidences(clips: Iterable[ClipResult]) -> list[float]:
    return [
        clip["probabilities"][clip["predicted"]]
        for clip in clips
        if clip["probabilities"] and clip["predicted"] is not None
    ]


def _size(metrics: Mapping[str, Any], data: DataInfo) -> str:
    voices = len(data["speakers"])
    return f"{metrics['n']} clips" + (f" of {voices} speakers" if voices else "")


def _notes(notes: Iterable[str]) -> str:
    items = "".join(f"<li>{_e(note)}</li>" for note in notes)
    return f'<ul class="notes" aria-label="Notes">{items}</ul>' if items else ""


def _chance(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Figures of who always answers the most frequent class."""
    support = [c["support"] for c in metrics["per_class"] if c["support"]]
    share = max(support) / metrics["n"]
    return {
        "ua": 1 / len(support),
        "wa": share,
        "macro_f1": 2 * share / (1 + share) / len(support),
    }


def _verdict(metrics: Mapping[str, Any], probes: Mapping[str, Mapping[str, Any]]) -> str:
    right = round(metrics["wa"]["value"] * metrics["n"])
    chance, ua = _chance(metrics)["ua"], metrics["ua"]
    parts = [f"The model answers {right} of {metrics['n']} clips right."]
    if metrics["failures"]:
        parts.append(f"Clips without an answer, counted as wrong: {metrics['failures']}.")
    above = "lies above" if ua["low"] > chance else "does not exclude"
    parts.append(f"The interval of its UA {above} chance ({chance:.3f}).")
    if probes:
        name, best = max(probes.items(), key=lambda item: item[1]["ua"]["value"])
        gap = ua["value"] - best["ua"]["value"]
        side = "above" if gap >= 0 else "below"
        parts.append(
            f"Its UA is {abs(gap):.3f} {side} that of the best linear probe on the same features "
            f"({_e(name)}: {best['ua']['value']:.3f})."
        )
    return " ".join(parts)


def _headline(metrics: Mapping[str, Any], systems: Mapping[str, Mapping[str, Any]]) -> str:
    def interval(value: Mapping[str, Any] | None) -> str:
        if value is None:
            return "<td>–</td>"
        low, high = value["low"], value["high"]
        return f"<td>{value['value']:.3f}<small>{low:.3f} – {high:.3f}</small></td>"

    def number(value: float | None) -> str:
        return "<td>–</td>" if value is None else f"<td>{value:.3f}</td>"

    rows = []
    for name, of in systems.items():
        cells = "".join(interval(of[key]) for key in ("ua", "wa", "macro_f1", "ece"))
        cells += number(of["nll"]) + number(of["brier"]) + number(of["aurc"])
        emphasis = ' class="model"' if of is metrics else ""
        rows.append(f'<tr{emphasis}><th scope="row">{_e(name)}</th>{cells}</tr>')
    cells = "".join(number(value) for value in _chance(metrics).values()) + "<td>–</td>" * 4
    rows.append(f'<tr class="chance"><th scope="row">chance</th>{cells}</tr>')
    return "".join(rows)


def _method(metrics: Mapping[str, Any]) -> str:
    if metrics["ua"]["unit"] == "speakers":
        how = f"the {metrics['speakers']} speakers"
    else:
        how = "the clips (fewer than five known speakers: for new voices the truth is wider)"
    left_out = metrics["n"] - metrics["scored"]
    unscored = (
        f" Clips without probabilities, left out of ECE, NLL, Brier and AURC: {left_out}."
        if left_out and metrics["scored"]
        else ""
    )
    return f"Small figures are 95 % bootstrap intervals, resampling {how}.{unscored}"


def _reliability(metrics: Mapping[str, Any]) -> str:
    ece = metrics["ece"]
    gap = (
        f"On average they are {ece['value']:.3f} apart (ECE, {ece['low']:.3f} – {ece['high']:.3f})."
        if ece
        else ""
    )
    return (
        "<h2>Are its probabilities true?</h2><p>Points below the dotted line: the model is more "
        f'certain than it is right. {gap}</p><div class="plot" id="reliability"></div>'
    )


def _per_class(metrics: Mapping[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    def recall(of: Mapping[str, Any]) -> str:
        known = of.get("range")
        small = f"<small>{known['low']:.3f} – {known['high']:.3f}</small>" if known else ""
        return f"<td>{number(of['recall'])}{small}</td>"

    return "".join(
        f'<tr><th scope="row">{class_text(c["name"])}</th>{recall(c)}'
        f"<td>{number(c['precision'])}</td><td>{number(c['f1'])}</td>"
        f"<td>{c['support']}</td><td>{c['failures']}</td></tr>"
        for c in metrics["per_class"]
    )


def _texts(texts: Mapping[str, Any] | None) -> str:
    """Whether the written analyses are true, as the LLM wrote them and as they are shown."""
    if not texts:
        return ""

    def share(value: Mapping[str, float] | None) -> str:
        if value is None:
            return "<td>–</td>"
        low, high = value["low"], value["high"]
        of = f"{low:.3f} – {high:.3f} of {value['n']}"
        return f"<td>{value['value']:.3f}<small>{of}</small></td>"

    rows, sums = [], []
    for language, of in texts["languages"].items():
        for kind, said in (("raw", "written by the LLM"), ("shown", "shown")):
            cells = "".join(
                share(of[kind][k]) for k in ("parsed", "named", "agreeing", "intensity")
            )
            name = _e(f"{language}: {said}")
            rows.append(f'<tr{_MODEL * (kind == "shown")}><th scope="row">{name}</th>{cells}</tr>')
        sums.append(
            f"{_e(language)}: {of['corrected']} statements corrected in {of['texts_corrected']} "
            f"texts, {of['added']} cues added, {of['dropped']} sentences not shown."
        )
    return (
        f"<h2>Is what it writes true?</h2><p>Texts of {texts['clips']} clips. {' '.join(sums)}</p>"
        '<div class="scroll"><table class="figures"><thead><tr><th></th>'
        '<th title="every part is there and can be read">whole</th>'
        '<th title="the winning class is named and no other">one class</th>'
        '<th title="stated cues that agree with the measured ones">cues right</th>'
        f"<th>intensity right</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        '<p class="muted">Small figures are 95 % Wilson intervals; statements of one text count '
        "one by one.</p>"
    )


def _wrong(clips: Iterable[ClipResult]) -> str:
    """Rows of the misclassified clips, the most confident mistake first."""

    def chosen(clip: ClipResult, name: str | None) -> float | None:
        return (clip["probabilities"] or {}).get(name) if name is not None else None

    def share(value: float | None) -> str:
        shown = "–" if value is None else f"{value:.0%}"
        return f'<td data-value="{-1 if value is None else value}">{shown}</td>'

    def row(clip: ClipResult) -> str:
        label, answer = clip["label"], clip["predicted"]
        said = clip.get("error") or clip.get("text") or ""
        pair = _e(f"{label} → {answer or NO_ANSWER} {labels.word(label, 'zh')}")
        return (
            f'<tr data-search="{pair}"><td>{_dot(label)}</td>'
            f"<td>{_dot(answer) if answer else NO_ANSWER}</td>"
            f"{share(chosen(clip, answer))}{share(chosen(clip, label))}"
            f'<td>{_e(clip["speaker"])}</td><td data-value="{float(clip["seconds"])}">'
            f'{clip["seconds"]:.1f}</td><td class="path">{_e(clip["path"])}'
            f"{f'<small>{_e(said)}</small>' if said else ''}</td></tr>"
        )

    worst = sorted(clips, key=lambda c: (-(chosen(c, c["predicted"]) or 0), c["path"]))
    return "".join(row(clip) for clip in worst)


def _dot(name: str) -> str:
    colour = labels.emotion(name).colour
    return f'<span class="dot" style="background:{colour}"></span>{class_text(name)}'


def _details(result: EvaluationResult) -> str:
    model, data, run = result["model"], result["data"], result["run"]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    facts = {
        "Model": f"{model['name']} ({model['folder']})",
        "Weights": model["hash"],
        "Data": f"{data['corpus']}, {data['split']} split ({data['folder']})",
        "Speakers": ", ".join(data["speakers"]) or "not known",
        "Command": run["command"],
        "Date": run["date"],
        "Computed on": f"{run['device']}, {run['precision']}, {run['seconds']:.1f} s",
        "Versions": versions,
    }
    return "".join(f"<dt>{name}</dt><dd>{_e(value)}</dd>" for name, value in facts.items())
