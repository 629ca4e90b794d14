"""One evaluation as a page: readable, one file, opens offline, asks no other host.

It holds every text in English and in Chinese and shows one of the two.
"""

import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

from audiollm import labels
from audiollm.contracts.messages import read_messages
from audiollm.contracts.prepared import write_text
from audiollm.contracts.result import (
    ClipResult,
    DataInfo,
    EvaluationResult,
    confidences,
    mistakes,
    probability,
)
from audiollm.metrics import figures
from audiollm.texts import text

_PAGE = Path(__file__).with_name("report.html")


def write_html(result: EvaluationResult, path: Path) -> None:
    """Write the page of an evaluation; missing folders are made.

    Raises:
        DataError: it cannot be written.
        KeyError: a field of `EvaluationResult` is missing.
    """
    write_text(path, _page(result))


def _page(result: EvaluationResult) -> str:
    from plotly.offline import get_plotlyjs

    metrics, data = result["metrics"], result["data"]
    systems = {"": metrics, **result["probes"]}
    claims, wrong = confidences(result["clips"]), mistakes(result["clips"])
    plots: dict[str, dict[str, Any]] = {}
    for language in labels.LANGUAGES:
        charts = {
            "confusion": figures.confusion(metrics, language),
            "recall": figures.recall(systems, language),
        }
        if claims:
            charts["reliability"] = figures.reliability(metrics, claims, language)
        plots[language] = {name: json.loads(figure.to_json()) for name, figure in charts.items()}
    page = Template(_PAGE.read_text(encoding="utf-8"))
    codes = [c for c in page.get_identifiers() if c.startswith(("report_", "judged_"))]
    return page.substitute(
        {code: _titles(code) if code.startswith("report_title_") else _t(code) for code in codes},
        title=_e(f"{result['model']['name']} · {data['corpus']}"),
        subtitle=_subtitle(metrics, data, result["run"]["date"][:10]),
        notes=_notes(result["notes"]),
        verdict=_verdict(metrics, result["probes"]),
        headline=_headline(metrics, systems),
        method=_method(metrics),
        confusion_width=150 + 62 * len(metrics["classes"]),
        reliability=_reliability(metrics) if claims else "",
        per_class=_per_class(metrics),
        baselines=_baselines(metrics, result["baselines"]) if result["baselines"] else "",
        texts=_texts(result["texts"]) if result.get("texts") else "",
        wrong_count=_t("report_wrong_count", wrong=len(wrong), n=metrics["n"]),
        wrong="".join(map(_wrong, wrong)),
        details=_details(result),
        plotly=get_plotlyjs(),
        plots=_json(plots),
    )


def _e(value: object) -> str:
    return html.escape(str(value))


def _t(code: str, /, **values: object) -> str:
    """HTML of a text in both languages; the page shows one of them. Values are escaped."""
    escaped = {
        name: value if isinstance(value, int) else _e(value) for name, value in values.items()
    }
    return _both(*(text(code, language, **escaped) for language in labels.LANGUAGES))


def _both(en: str, zh: str) -> str:
    return f'<span lang="en">{en}</span><span lang="zh">{zh}</span>'


def _titles(code: str) -> str:
    """For an attribute, of which the page shows one language."""
    return "|".join(_e(text(code, language)) for language in labels.LANGUAGES)


def _json(value: Any) -> str:
    """JSON that cannot end the script element it is in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _subtitle(metrics: Mapping[str, Any], data: DataInfo, day: str) -> str:
    speakers = len(data["speakers"])
    code = "report_subtitle_speakers" if speakers else "report_subtitle"
    return _t(code, split=data["split"], n=metrics["n"], speakers=speakers, day=day)


def _notes(notes: Iterable[Any]) -> str:
    items = ""
    for note in read_messages(notes):
        en, zh = _e(note), _e(note.in_language("zh"))
        items += f"<li>{en if en == zh else _both(en, zh)}</li>"
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
    chance, ua = _chance(metrics)["ua"], metrics["ua"]
    right = round(metrics["wa"]["value"] * metrics["n"])
    parts = [_t("report_right", right=right, n=metrics["n"])]
    if metrics["failures"]:
        parts.append(_t("report_failures", n=metrics["failures"]))
    code = "report_above" if ua["low"] > chance else "report_not_above"
    parts.append(_t(code, chance=f"{chance:.3f}"))
    if probes:
        name, best = max(probes.items(), key=lambda item: item[1]["ua"]["value"])
        gap = ua["value"] - best["ua"]["value"]
        code = "report_probe_above" if gap >= 0 else "report_probe_below"
        parts.append(_t(code, gap=f"{abs(gap):.3f}", name=name, ua=f"{best['ua']['value']:.3f}"))
    return " ".join(parts)


def _number(value: float | None, small: Mapping[str, Any] | None = None, of: str = "") -> str:
    """A cell: a figure, with its interval where it has one."""
    if value is None:
        return "<td>–</td>"
    bounds = f"<small>{small['low']:.3f} – {small['high']:.3f}{of}</small>" if small else ""
    return f"<td>{value:.3f}{bounds}</td>"


def _interval(value: Mapping[str, Any] | None) -> str:
    return _number(value["value"] if value else None, value)


def _row(head: str, cells: str, kind: str = "") -> str:
    return f'<tr class="{kind}"><th scope="row">{head}</th>{cells}</tr>'


def _headline(metrics: Mapping[str, Any], systems: Mapping[str, Mapping[str, Any]]) -> str:
    rows = ""
    for name, of in systems.items():
        cells = "".join(_interval(of[key]) for key in ("ua", "wa", "macro_f1", "ece"))
        cells += "".join(_number(of[key]) for key in ("nll", "brier", "aurc"))
        head = _both(*(_e(figures.system(name, language)) for language in labels.LANGUAGES))
        rows += _row(head, cells, "" if name else "model")
    cells = "".join(map(_number, _chance(metrics).values())) + "<td>–</td>" * 4
    return rows + _row(_t("report_chance"), cells, "chance")


def _method(metrics: Mapping[str, Any]) -> str:
    if metrics["ua"]["unit"] == "speakers":
        method = _t("report_by_speakers", n=metrics["speakers"])
    else:
        method = _t("report_by_clips")
    left_out = metrics["n"] - metrics["scored"]
    if left_out and metrics["scored"]:
        method += " " + _t("report_unscored", n=left_out)
    return method


def _reliability(metrics: Mapping[str, Any]) -> str:
    body = _t("judged_means")
    if ece := metrics["ece"]:
        values = {key: f"{ece[key]:.3f}" for key in ("value", "low", "high")}
        body += " " + _t("report_ece", **values)
    title = _t("judged_reliability")
    return f'<h2>{title}</h2><p>{body}</p><div class="plot" id="reliability"></div>'


def _per_class(metrics: Mapping[str, Any]) -> str:
    rows = ""
    for of in metrics["per_class"]:
        cells = _number(of["recall"], of.get("range"))
        cells += _number(of["precision"]) + _number(of["f1"])
        cells += f"<td>{of['support']}</td><td>{of['failures']}</td>"
        rows += _row(class_text(of["name"]), cells)
    return rows


def _table(heads: str, rows: str, id: str) -> str:
    return (
        f'<div class="scroll"><table class="figures" id="{id}"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _baselines(metrics: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> str:
    rows = ""
    for count, of in {"0": metrics, **baselines}.items():
        cells = "".join(_interval(of[key]) for key in ("ua", "wa", "ece"))
        name = _t("report_all") if count == "all" else count
        rows += _row(name, cells, "model" if count == "0" else "")
    heads = f"<th>{_t('report_other_clips')}</th><th>UA</th><th>WA</th><th>ECE</th>"
    return f"<h2>{_t('report_baselines')}</h2>{_table(heads, rows, 'baselines')}"


def _texts(texts: Mapping[str, Any]) -> str:
    """How many sentences are true, as the LLM wrote them and as they are shown, and how the texts
    read."""
    keys = ("written", "shown", "of_llm", "named_once", "repeated")
    rows, lines = "", [_t("report_texts_of", n=texts["clips"])]
    for language, of in texts["languages"].items():
        cells = "".join(
            _number(s["value"], s, f" of {s['n']}") if s else _number(None)
            for s in (of[key] for key in keys)
        )
        rows += _row(_e(language), cells)
        lines.append(
            _t(
                "report_reading",
                language=language,
                distinct=f"{of['distinct'] or 0:.0f}",
                size=f"{of['size'] or 0:.1f}",
            )
        )
    heads = "<th></th>" + "".join(
        f'<th data-titles="{_titles(f"report_title_{key}")}">{_t(f"report_{key}")}</th>'
        for key in keys
    )
    return (
        f"<h2>{_t('report_texts')}</h2><p>{' '.join(lines)}</p>{_table(heads, rows, 'texts')}"
        f'<p class="muted">{_t("report_wilson")}</p>'
    )


def _wrong(clip: ClipResult) -> str:
    """The row of a misclassified clip."""
    label, answer = clip["label"], clip["predicted"]
    message = clip.get("error") or clip.get("text") or ""
    pair = f"{label} → {answer or text('judged_no_answer', 'en')} {labels.word(label, 'zh')}"
    cells = f"<td>{_dot(label)}</td><td>{_dot(answer) if answer else _t('judged_no_answer')}</td>"
    for name in (answer, label):
        share = probability(clip, name) if name and clip["probabilities"] else -1
        cells += f'<td data-value="{share}">{"–" if share < 0 else f"{share:.0%}"}</td>'
    cells += f"<td>{_e(clip['speaker'])}</td>"
    cells += f'<td data-value="{float(clip["seconds"])}">{clip["seconds"]:.1f}</td>'
    small = f"<small>{_e(message)}</small>" if message else ""
    cells += f'<td class="path">{_e(clip["path"])}{small}</td>'
    return f'<tr data-search="{_e(pair)}">{cells}</tr>'


def class_text(name: str) -> str:
    """`angry 生气`, safe in HTML; a corpus's own class stands alone."""
    words = dict.fromkeys(_e(labels.word(name, language)) for language in labels.LANGUAGES)
    return " ".join(words)


def _dot(name: str) -> str:
    colour = labels.emotion(name).colour
    return f'<span class="dot" style="background:{colour}"></span>{class_text(name)}'


def _details(result: EvaluationResult) -> str:
    model, data, run = result["model"], result["data"], result["run"]
    facts = {
        "model": f"{model['name']} ({model['folder']})",
        "weights": model["hash"],
        "data": f"{data['corpus']}, {data['split']} ({data['folder']})",
        "speakers": ", ".join(data["speakers"]),
        "command": run["command"],
        "date": run["date"],
        "device": f"{run['device']}, {run['precision']}, {run['seconds']:.1f} s",
        "versions": ", ".join(f"{name} {version}" for name, version in run["versions"].items()),
    }
    return "".join(
        f"<dt>{_t(f'report_{name}')}</dt><dd>{_e(value) or _t('report_unknown')}</dd>"
        for name, value in facts.items()
    )
