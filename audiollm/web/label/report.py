"""HTML of how the labelling goes: what is done, what it is worth, how far people agree."""

from collections.abc import Mapping
from html import escape

from audiollm.analysis.wording import percent
from audiollm.labelling.agreement import Agreement, agreement
from audiollm.labelling.statistics import Share, Statistics, Yield, statistics
from audiollm.labels import Language, ordered
from audiollm.texts import text
from audiollm.web.label.actions import book
from audiollm.web.label.card import name_of
from audiollm.web.services import Services


def report(services: Services, language: Language) -> str:
    """Statistics and agreement of all labels of this machine.

    Raises:
        ShutError: see `access.opened`.
    """
    known = book(services)
    outcomes = known.outcomes()
    figures = statistics(outcomes, known.history())
    return (
        f'<div class="cues data">{_state(figures, language)}{_yields(figures.yields, language)}'
        f"<h3>{text('agree_title', language)}</h3>{_agreement(agreement(outcomes), language)}</div>"
    )


def _state(found: Statistics, language: Language) -> str:
    counts = {"labelled": found.labelled, "tasks": found.tasks, "disputed": found.disputed}
    lines = [text("stat_state", language, **counts)]
    lines += [
        text("stat_pace", language, person=person, pace=f"{pace:.0f}")
        for person, pace in sorted(found.pace.items())
    ]
    if found.classes:
        stop = "，" if language == "zh" else ", "
        names = ordered(found.classes)
        said = stop.join(f"{name_of(name, language)} {found.classes[name]}" for name in names)
        lines.append(text("stat_classes", language, classes=said))
    if found.right is None:
        lines.append(text("stat_none", language))
    else:
        lines.append(text("stat_right", language, model=found.model, **_share(found.right)))
        key = "stat_wanted" if found.wanted else "stat_enough"
        lines.append(text(key, language, n=found.wanted))
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _share(found: Share) -> dict[str, object]:
    figures = {"share": percent(found.value), "low": percent(found.low)}
    return {**figures, "high": percent(found.high), "of": found.of}


def _yields(found: tuple[Yield, ...], language: Language) -> str:
    """A row for each reason that has clips: what labels change, and how many more they may."""
    rows = ""
    for one in found:
        if not one.left and one.changed is None:
            continue
        changed = worth = "–"
        if one.changed:
            said = _share(one.changed)
            changed = "{share} [{low}, {high}]".format(**said)
            low, high = (round(one.left * edge) for edge in (one.changed.low, one.changed.high))
            worth = f"{low}–{high}"
        name = text(f"reason_{one.reason}", language)
        rows += f'<tr><th scope="row">{name}</th><td>{one.left}</td><td>{changed}</td>'
        rows += f"<td>{worth}</td></tr>"
    if not rows:
        return ""
    keys = ("stat_reason", "stat_left", "stat_changed", "stat_worth")
    head = "".join(f'<th scope="col">{text(key, language)}</th>' for key in keys)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _agreement(found: Agreement, language: Language) -> str:
    if not found.clips:
        return f"<p>{text('agree_none', language)}</p>"
    given = {"clips": found.clips, "blind": found.blind, "labels": found.labels}
    lines = [text("agree_state", language, **given)]
    for pair in found.pairs:
        who = {"first": pair.first, "second": pair.second}
        same = {"same": pair.same, "clips": pair.clips, "kappa": _number(pair.kappa)}
        lines.append(text("agree_pair", language, **who, **same))
    all_of_them = {"alpha": _number(found.alpha), "fleiss": _number(found.fleiss)}
    lines.append(text("agree_all", language, raters=found.raters, **all_of_them))
    body = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return body + "".join(_person(p, table, language) for p, table in found.confusion.items())


def _person(person: str, table: Mapping[tuple[str, str], int], language: Language) -> str:
    """What one person takes for what, the commonest first."""
    right = sum(n for (reference, said), n in table.items() if reference == said)
    counts = {"right": right, "all": sum(table.values())}
    head = text("agree_confusion", language, person=person, **counts)
    mixed = sorted(((n, *pair) for pair, n in table.items() if pair[0] != pair[1]), reverse=True)
    rows = "".join(
        "<li>"
        + escape(
            text(
                "agree_mixed",
                language,
                n=n,
                said=name_of(said, language),
                reference=name_of(reference, language),
            )
        )
        + "</li>"
        for n, reference, said in mixed
    )
    return f"<p>{escape(head)}</p>" + (f"<ul>{rows}</ul>" if rows else "")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
