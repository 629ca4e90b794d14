"""One evaluation as a page: readable, one file, opens offline, asks no other host.

It holds every text in English and in Chinese and shows one of the two.
"""

import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

from audiollm import figures, labels
from audiollm.contracts.messages import read_messages
from audiollm.contracts.result import (
    ClipResult,
    DataInfo,
    EvaluationResult,
    confidences,
    mistakes,
    probability,
)
from audiollm.texts import TEXTS

_MODEL = ' class="model"'
_PAGE = Path(__file__).with_name("report.html")
_SPLITS = {"train": "训练集", "valid": "验证集", "test": "测试集"}


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
    systems = {"": metrics, **result["probes"]}
    claims = confidences(result["clips"])
    plots = {
        language: {
            "confusion": figures.confusion(metrics, language),
            "recall": figures.recall(systems, language),
            **({"reliability": figures.reliability(metrics, claims, language)} if claims else {}),
        }
        for language in labels.LANGUAGES
    }
    wrong = mistakes(result["clips"])
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=_e(f"{result['model']['name']} · {data['corpus']}"),
        subtitle=_subtitle(metrics, data, run["date"][:10]),
        notes=_notes(result["notes"]),
        verdict=_verdict(metrics, result["probes"]),
        headline=_headline(metrics, systems),
        method=_method(metrics),
        confusion_width=150 + 62 * len(metrics["classes"]),
        reliability=_reliability(metrics) if claims else "",
        per_class=_per_class(metrics),
        baselines=_baselines(metrics, result["baselines"]) if result["baselines"] else "",
        texts=_texts(result.get("texts")),
        wrong_count=_both(
            f"{len(wrong)} of {metrics['n']} clips; the most confident mistake first. Click a "
            "heading to sort.",
            f"{metrics['n']} 段录音中的 {len(wrong)} 段；最自信的错误排在最前。点击表头可排序。",
        ),
        wrong=_wrong(wrong),
        details=_details(result),
        plotly=get_plotlyjs(),
        plots=_json(
            {
                language: {name: json.loads(figure.to_json()) for name, figure in drawn.items()}
                for language, drawn in plots.items()
            }
        ),
    )


def _e(value: object) -> str:
    return html.escape(str(value))


def _both(en: str, zh: str) -> str:
    """HTML in English and in Chinese; the page shows one of them."""
    return f'<span lang="en">{en}</span><span lang="zh">{zh}</span>'


def _json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _subtitle(metrics: Mapping[str, Any], data: DataInfo, day: str) -> str:
    split, n, voices = _e(data["split"]), metrics["n"], len(data["speakers"])
    of, spoken = (f" of {voices} speakers", f"，{voices} 位说话人") if voices else ("", "")
    return _both(
        f"{split} split · {n} clips{of} · {_e(day)}",
        f"{_SPLITS.get(data['split'], split)} · {n} 段录音{spoken} · {_e(day)}",
    )


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
    n, right = metrics["n"], round(metrics["wa"]["value"] * metrics["n"])
    chance, ua = _chance(metrics)["ua"], metrics["ua"]
    en = [f"The model answers {right} of {n} clips right."]
    zh = [f"模型答对了 {n} 段录音中的 {right} 段。"]
    if failed := metrics["failures"]:
        en.append(f"Clips without an answer, counted as wrong: {failed}.")
        zh.append(f"没有得到回答、按答错计算的录音：{failed} 段。")
    is_above = ua["low"] > chance
    en.append(
        f"The interval of its UA {'lies above' if is_above else 'does not exclude'} chance "
        f"({chance:.3f})."
    )
    zh.append(f"其 UA 的区间{'高于' if is_above else '不能排除'}随机水平（{chance:.3f}）。")
    if probes:
        name, best = max(probes.items(), key=lambda item: item[1]["ua"]["value"])
        gap, theirs = ua["value"] - best["ua"]["value"], best["ua"]["value"]
        en.append(
            f"Its UA is {abs(gap):.3f} {'above' if gap >= 0 else 'below'} that of the best linear "
            f"probe on the same features ({_e(name)}: {theirs:.3f})."
        )
        zh.append(
            f"其 UA 比相同特征上最好的线性{_e(figures.system(name, 'zh'))}（{theirs:.3f}）"
            f"{'高' if gap >= 0 else '低'} {abs(gap):.3f}。"
        )
    return _both(" ".join(en), "".join(zh))


def _interval(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "<td>–</td>"
    low, high = value["low"], value["high"]
    return f"<td>{value['value']:.3f}<small>{low:.3f} – {high:.3f}</small></td>"


def _headline(metrics: Mapping[str, Any], systems: Mapping[str, Mapping[str, Any]]) -> str:
    def number(value: float | None) -> str:
        return "<td>–</td>" if value is None else f"<td>{value:.3f}</td>"

    rows = []
    for name, of in systems.items():
        cells = "".join(_interval(of[key]) for key in ("ua", "wa", "macro_f1", "ece"))
        cells += number(of["nll"]) + number(of["brier"]) + number(of["aurc"])
        title = _both(*(_e(figures.system(name, language)) for language in ("en", "zh")))
        rows.append(f'<tr{"" if name else _MODEL}><th scope="row">{title}</th>{cells}</tr>')
    cells = "".join(number(value) for value in _chance(metrics).values()) + "<td>–</td>" * 4
    rows.append(f'<tr class="chance"><th scope="row">{_both("chance", "随机")}</th>{cells}</tr>')
    return "".join(rows)


def _method(metrics: Mapping[str, Any]) -> str:
    if metrics["ua"]["unit"] == "speakers":
        en, zh = f"the {metrics['speakers']} speakers", f"对 {metrics['speakers']} 位说话人"
    else:
        en = "the clips (fewer than five known speakers: for new voices the truth is wider)"
        zh = "对录音（已知说话人不足五位：对新的声音，真实区间更宽）"
    en = f"Small figures are 95 % bootstrap intervals, resampling {en}."
    zh = f"小号数字是 95 % 自助法区间，{zh}重新抽样。"
    left_out = metrics["n"] - metrics["scored"]
    if left_out and metrics["scored"]:
        en += f" Clips without probabilities, left out of ECE, NLL, Brier and AURC: {left_out}."
        zh += f"没有概率、未计入 ECE、NLL、Brier 和 AURC 的录音：{left_out} 段。"
    return _both(en, zh)


def _reliability(metrics: Mapping[str, Any]) -> str:
    en, zh = (TEXTS["judged_means"][language] for language in labels.LANGUAGES)
    if ece := metrics["ece"]:
        value, low, high = (f"{ece[key]:.3f}" for key in ("value", "low", "high"))
        en += f" On average they are {value} apart (ECE, {low} – {high})."
        zh += f"两者平均相差 {value}（ECE，{low} – {high}）。"
    title = _both(*(TEXTS["judged_reliability"][language] for language in labels.LANGUAGES))
    return f'<h2>{title}</h2><p>{_both(en, zh)}</p><div class="plot" id="reliability"></div>'


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


def _baselines(metrics: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> str:
    rows = ""
    for count, of in {"0": metrics, **baselines}.items():
        cells = "".join(_interval(of[key]) for key in ("ua", "wa", "ece"))
        name = _both("all", "全部") if count == "all" else count
        rows += f'<tr{_MODEL * (count == "0")}><th scope="row">{name}</th>{cells}</tr>'
    title = _both("What does it gain by knowing the speaker?", "了解说话人能带来多少提升？")
    heads = f"<th>{_both('other clips of the speaker', '同一说话人的其他录音数')}</th>"
    return (
        f'<h2>{title}</h2><div class="scroll"><table class="figures" id="baselines"><thead><tr>'
        f"{heads}<th>UA</th><th>WA</th><th>ECE</th></tr></thead><tbody>{rows}</tbody></table></div>"
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

    rows, en, zh = [], [], []
    for language, of in texts["languages"].items():
        for kind, said in (
            ("raw", _both("written by the LLM", "LLM 所写")),
            ("shown", _both("shown", "显示给用户")),
        ):
            cells = "".join(
                share(of[kind][k]) for k in ("parsed", "named", "agreeing", "intensity")
            )
            name = f"{_e(language)}: {said}"
            rows.append(f'<tr{_MODEL * (kind == "shown")}><th scope="row">{name}</th>{cells}</tr>')
        en.append(
            f"{_e(language)}: {of['corrected']} statements corrected in {of['texts_corrected']} "
            f"texts, {of['added']} cues added, {of['dropped']} sentences not shown."
        )
        zh.append(
            f"{_e(language)}：在 {of['texts_corrected']} 篇中更正了 {of['corrected']} 处说法，"
            f"补充 {of['added']} 条线索，{of['dropped']} 句未显示。"
        )
    title = _both("Is what it writes true?", "它写的内容属实吗？")
    told = _both(
        f"Texts of {texts['clips']} clips. {' '.join(en)}",
        f"{texts['clips']} 段录音的文字。{''.join(zh)}",
    )
    heads = "".join(
        f"<th{_titles(*why)}>{_both(*words)}</th>"
        for words, why in (
            (("whole", "完整"), ("every part is there and can be read", "各部分齐全且可读")),
            (
                ("one class", "唯一类别"),
                ("the winning class is named and no other", "只点名胜出的类别"),
            ),
            (
                ("cues right", "线索正确"),
                ("stated cues that agree with the measured ones", "所述线索与测量一致"),
            ),
            (("intensity right", "强度正确"), ("", "")),
        )
    )
    small = _both(
        "Small figures are 95 % Wilson intervals; statements of one text count one by one.",
        "小号数字是 95 % Wilson 区间；同一篇中的说法逐条计数。",
    )
    return (
        f'<h2>{title}</h2><p>{told}</p><div class="scroll"><table class="figures"><thead><tr>'
        f"<th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="muted">{small}</p>'
    )


def _titles(en: str, zh: str) -> str:
    """What explains a heading; the page shows it in its language."""
    return f' data-titles="{_e(en)}|{_e(zh)}"' if en else ""


def _wrong(clips: Iterable[ClipResult]) -> str:
    """Rows of the misclassified clips, the most confident mistake first."""

    def share(clip: ClipResult, name: str | None) -> str:
        value = probability(clip, name) if name and clip["probabilities"] else -1
        return f'<td data-value="{value}">{"–" if value < 0 else f"{value:.0%}"}</td>'

    def row(clip: ClipResult) -> str:
        label, answer = clip["label"], clip["predicted"]
        written = clip.get("error") or clip.get("text") or ""
        pair = _e(
            f"{label} → {answer or TEXTS['judged_no_answer']['en']} {labels.word(label, 'zh')}"
        )
        return (
            f'<tr data-search="{pair}"><td>{_dot(label)}</td>'
            f"<td>{_dot(answer) if answer else _no_answer()}</td>"
            f"{share(clip, answer)}{share(clip, label)}"
            f'<td>{_e(clip["speaker"])}</td><td data-value="{float(clip["seconds"])}">'
            f'{clip["seconds"]:.1f}</td><td class="path">{_e(clip["path"])}'
            f"{f'<small>{_e(written)}</small>' if written else ''}</td></tr>"
        )

    return "".join(map(row, clips))


def _no_answer() -> str:
    return _both(*(TEXTS["judged_no_answer"][language] for language in labels.LANGUAGES))


def class_text(name: str) -> str:
    """`angry 生气`, safe in HTML; a corpus's own class stands alone."""
    words = dict.fromkeys(_e(labels.word(name, language)) for language in labels.LANGUAGES)
    return " ".join(words)


def _dot(name: str) -> str:
    colour = labels.emotion(name).colour
    return f'<span class="dot" style="background:{colour}"></span>{class_text(name)}'


def _details(result: EvaluationResult) -> str:
    model, data, run = result["model"], result["data"], result["run"]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    split = f"{data['split']} split"
    facts = (
        ("Model", "模型", f"{model['name']} ({model['folder']})"),
        ("Weights", "权重", model["hash"]),
        ("Data", "数据", f"{data['corpus']}, {split} ({data['folder']})"),
        ("Speakers", "说话人", ", ".join(data["speakers"])),
        ("Command", "命令", run["command"]),
        ("Date", "日期", run["date"]),
        ("Computed on", "运算设备", f"{run['device']}, {run['precision']}, {run['seconds']:.1f} s"),
        ("Versions", "版本", versions),
    )
    return "".join(
        f"<dt>{_both(en, zh)}</dt><dd>{_e(value) or _both('not known', '未知')}</dd>"
        for en, zh, value in facts
    )
