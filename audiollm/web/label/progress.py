"""Progress of the labelling, agreement and the learning curve: their part of the Label page."""

from collections.abc import Iterator, Mapping
from functools import partial
from html import escape

import gradio as gr

from audiollm.analysis.wording import percent
from audiollm.labelling.agreement import Agreement, agreement
from audiollm.labelling.corrections import Correction, Corrections
from audiollm.labelling.statistics import Share, Statistics, Yield, statistics
from audiollm.labels import Language, ordered
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.events import AT_ONCE, QUIET, Update
from audiollm.web.label import learning_curve
from audiollm.web.label.card import name_of
from audiollm.web.label.queue import label_store
from audiollm.web.services import Services
from audiollm.web.static import Static
from audiollm.web.train import view

# a figure that was drawn in a closed accordion does not know its width
EVERY = 2.0  # s between looks at the labels
RESIZE = "() => { setTimeout(() => window.dispatchEvent(new Event('resize')), 100); }"


class Progress:
    """The part "Progress"."""

    def __init__(self, services: Services, static: Static) -> None:
        self.services = services
        with static.fold("label_progress") as self.fold:
            self.report = gr.HTML(elem_id="label-report")
            static.html("learning_curve_title", "<h3>{}</h3>", elem_id="learning-curve-title")
            self.finding = gr.HTML(elem_id="learning-curve-finding")
            self.curve = gr.Plot(
                show_label=False, container=False, visible=False, elem_id="learning-curve"
            )
            self.measure = static.button("learning_curve_measure", size="sm", min_width=80)
        self.clock = gr.Timer(EVERY, active=False)  # while the part is open

    def connect(self, language: gr.Radio, tab: gr.Tab, data: gr.Dropdown) -> None:
        """`data`: the prepared data for the learning curve."""
        services = self.services

        def curve_parts(chosen: Language) -> Update:
            last = learning_curve.last(services)
            figure = learning_curve.figure(last, chosen) if last else None
            html = ""
            if last:
                labelled = sum(bool(o.emotion) for o in label_store(services).outcomes())
                html = learning_curve.html(last, labelled, chosen)
            update = {"value": figure, "visible": True} if figure else {"visible": False}
            return {self.finding: html, self.curve: gr.update(**update)}

        def look(chosen: Language) -> Update:
            try:
                return {self.report: report(services, chosen), **curve_parts(chosen)}
            except Exception as error:
                failed = view.failed(error, chosen)
                hidden = gr.update(visible=False)
                return {self.report: failed, self.finding: "", self.curve: hidden}

        def measure(folder: str | None, chosen: Language) -> Iterator[Update]:
            try:
                for html in learning_curve.measure(services, folder or "", chosen):
                    yield {self.finding: html}
                yield curve_parts(chosen)
            except Exception as error:
                yield {self.finding: view.failed(error, chosen)}

        def count(chosen: Language) -> str:
            try:
                return report(services, chosen)
            except Exception as error:
                return view.failed(error, chosen)

        self.clock.tick(count, language, self.report, **AT_ONCE)
        for event, on in ((self.fold.expand, True), (self.fold.collapse, False)):
            event(partial(gr.Timer, active=on), None, self.clock, **AT_ONCE)
        triggers = [self.fold.expand, tab.select, language.input]
        outputs = [self.finding, self.curve]
        for event in (
            gr.on(triggers, look, language, [self.report, *outputs], **AT_ONCE),
            self.measure.click(measure, [data, language], outputs, **QUIET),
        ):
            event.then(None, js=RESIZE, **AT_ONCE)


def report(services: Services, language: Language) -> str:
    """Statistics and agreement of all labels of this machine, as HTML.

    Raises:
        ShutError: see `access.owner_settings`.
    """
    store = label_store(services)
    outcomes = store.outcomes()
    figures = statistics(outcomes, store.history())
    return (
        f'<div class="cues data">{_state(figures, language)}{_yields(figures.yields, language)}'
        f"<h3>{text('agree_title', language)}</h3>{_agreement(agreement(outcomes), language)}"
        f"{_invitation(language) if figures.labelled else ''}"
        f"{_corrections(Corrections(services.settings.home).all(), language)}</div>"
    )


def _paragraphs(lines: list[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _state(figures: Statistics, language: Language) -> str:
    counts = {"labelled": figures.labelled, "tasks": figures.tasks, "disputed": figures.disputed}
    lines = [text("stat_state", language, **counts)]
    lines += [
        text("stat_pace", language, person=person, pace=f"{pace:.0f}")
        for person, pace in sorted(figures.pace.items())
    ]
    if figures.classes:
        parts = (f"{name_of(n, language)} {figures.classes[n]}" for n in ordered(figures.classes))
        classes = ("，" if language == "zh" else ", ").join(parts)
        lines.append(text("stat_classes", language, classes=classes))
    if figures.right is None:
        lines.append(text("stat_none", language))
    else:
        lines.append(text("stat_right", language, model=figures.model, **_share(figures.right)))
        key = "stat_wanted" if figures.needed else "stat_enough"
        lines.append(text(key, language, n=figures.needed))
    return _paragraphs(lines)


def _share(share: Share) -> dict[str, object]:
    figures = {"share": percent(share.value), "low": percent(share.low)}
    return {**figures, "high": percent(share.high), "of": share.of}


def _yields(yields: tuple[Yield, ...], language: Language) -> str:
    """A row per reason with clips: share of changed labels, and changes expected among the rest."""
    rows = []
    for one in yields:
        if not one.left and one.changed is None:
            continue
        changed = expected = "–"
        if one.changed:
            changed = "{share} [{low}, {high}]".format(**_share(one.changed))
            low, high = (round(one.left * edge) for edge in (one.changed.low, one.changed.high))
            expected = f"{low}–{high}"
        name = text(f"reason_{one.reason}", language)
        rows.append(render.row(name, one.left, changed, expected))
    keys = ("stat_reason", "stat_left", "stat_changed", "stat_expected")
    return render.table([text(key, language) for key in keys], rows) if rows else ""


def _agreement(result: Agreement, language: Language) -> str:
    if not result.clips and not result.confusion:
        return f"<p>{text('agree_none', language)}</p>"
    lines = []
    if result.clips:  # else there is a decision alone
        counts = {"clips": result.clips, "blind": result.blind, "labels": result.labels}
        lines.append(text("agree_state", language, **counts))
        for pair in result.pairs:
            values = {**vars(pair), "kappa": _number(pair.kappa)}
            lines.append(text("agree_pair", language, **values))
        coefficients = {"alpha": _number(result.alpha), "fleiss": _number(result.fleiss)}
        lines.append(text("agree_all", language, raters=result.raters, **coefficients))
    confusions = (_confusion(person, table, language) for person, table in result.confusion.items())
    return _paragraphs(lines) + "".join(confusions)


def _invitation(language: Language) -> str:
    """A link to what others have labelled, below whatever path the page is served."""
    link = f'<a href="?tab=label&amp;work=second">{text("agree_invite", language)}</a>'
    return f"<p>{link}</p>"


def _confusion(person: str, table: Mapping[tuple[str, str], int], language: Language) -> str:
    """One person's confusions, the most frequent first."""
    right = sum(n for (reference, label), n in table.items() if reference == label)
    head = text("agree_confusion", language, person=person, right=right, all=sum(table.values()))
    mixed = sorted(((n, *pair) for pair, n in table.items() if pair[0] != pair[1]), reverse=True)
    rows = ""
    for n, reference, label in mixed:
        names = {"label": name_of(label, language), "reference": name_of(reference, language)}
        rows += f"<li>{escape(text('agree_mixed', language, n=n, **names))}</li>"
    return _paragraphs([head]) + (f"<ul>{rows}</ul>" if rows else "")


def _corrections(counts: Mapping[Correction, int], language: Language) -> str:
    """What listeners said of answers on the Analyse page."""
    if not counts:
        return ""
    rows = [
        render.row(
            name_of(one.predicted, language),
            name_of(one.label, language),
            text(f"language_{one.language}", language),
            times,
        )
        for one, times in counts.items()
    ]
    keys = ("correct_answered", "correct_said", "correct_language", "correct_times")
    head = f"<h3>{text('correct_title', language)}</h3><p>{text('correct_meaning', language)}</p>"
    return head + render.table([text(key, language) for key in keys], rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
