"""HTML of the card that shows a clip; label.js puts its sound and picture in, and moves it."""

import json
from html import escape

from audiollm.analysis.wording import paragraph, percent
from audiollm.labelling.tasks import UNUSUAL, Outcome, Task
from audiollm.labels import Language, emotion, word
from audiollm.texts import TEXTS, text
from audiollm.web import render
from audiollm.web.label.actions import Desk, Seen, keys

UNUSUAL_KEYS = {"unclear": "u", "not_speech": "n", "several": "v"}


def card(seen: Seen, desk: Desk, language: Language) -> str:
    """The whole card. What label.js needs to know stands in its data."""
    notice = _trouble(seen, language)
    if seen.outcome is None:
        nothing = render.notice(text("label_empty", language), "wait")
        body = notice if seen.trouble == "label_who" else notice + nothing
        return _frame(body, seen, desk, "", language)
    task = seen.outcome.task
    counted = text("label_done", language, done=seen.done, left=seen.left)
    yours = _yours(seen, language)
    body = (
        f'<header><p class="why">{_why(seen.outcome, desk, language)}</p>'
        f'<p class="count">{counted}</p></header>{notice}'
        '<div class="picture" data-picture></div>'
        f'<div class="player" data-player>{_player(language)}</div>'
        f"{yours}<h3>{text('label_what', language)}</h3>{_classes(seen, language)}"
        f"{_more(language)}{_moves(language)}"
        f"{'' if desk.hidden else _answer(task, language)}"
        f'<p class="hint">{text("label_keys", language)}</p>'
    )
    return _frame(body, seen, desk, task.id, language)


def _frame(body: str, seen: Seen, desk: Desk, task: str, language: Language) -> str:
    data = {
        "task": task,
        "next": seen.following,
        "person": desk.person,
        "work": desk.work,
        "blind": "1" if desk.hidden else "",
        "written": " ".join(seen.written),
        "yours": json.dumps(_draft(seen)),
        "asked": seen.asked,
        "saving": text("label_saving", language),
    }
    fields = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
    return (
        f'<section class="clip" {fields}>{body}<p class="saving" role="alert" hidden></p></section>'
    )


def _draft(seen: Seen) -> dict[str, object]:
    """What else this person has said of the clip, for another label."""
    if seen.yours is None:
        return {}
    return {
        "secondary": seen.yours.secondary,
        "intensity": seen.yours.intensity,
        "note": seen.yours.note,
    }


def _trouble(seen: Seen, language: Language) -> str:
    if not seen.trouble:
        return ""
    if seen.sentence:
        return render.notice(text("label_refused", language, sentence=seen.trouble), "error")
    said = [text(seen.trouble, language)]
    if seen.trouble == "label_who" and seen.left:
        said.append(text("label_waiting", language, left=seen.left))
    return render.notice(paragraph(said, language), "wait")


def _why(outcome: Outcome, desk: Desk, language: Language) -> str:
    """The reason as a word, and what lies behind it as far as it may be seen."""
    task = outcome.task
    if desk.work == "decide":
        stop = "，" if language == "zh" else ", "
        votes = stop.join(
            text("vote", language, person=label.person, name=name_of(label.name, language))
            for label in outcome.labels
        )
        return f"<b>{escape(text('why_decide', language, votes=votes))}</b>"
    if desk.work == "second":
        return escape(text("why_second", language))
    colon = "：" if language == "zh" else ": "
    head = f"<b>{text(f'reason_{task.reason}', language)}{colon}</b> "
    if desk.hidden and task.reason in ("wrong", "disagreement", "tie", "suspect"):
        return head + escape(text("why_hidden", language))
    return head + escape(_reason(task, language))


def _reason(task: Task, language: Language) -> str:
    ranked = sorted(task.answer, key=lambda name: -task.answer[name])
    other = max(task.other_answer, key=lambda n: task.other_answer[n], default="")
    second = other if task.reason == "disagreement" else ranked[1] if len(ranked) > 1 else ""
    share = task.answer.get(task.predicted, 0.0)
    if task.reason == "suspect":
        share = task.other_answer.get(task.original, 0.0)
    # earlier versions wrote ": encoder", whose class head was a linear classifier on features, too
    probe = not task.other_model or task.other_model.endswith((": probe", ": encoder"))
    return text(
        f"why_{task.reason}",
        language,
        predicted=word(task.predicted, language) if task.predicted else "?",
        original=word(task.original, language) if task.original else "?",
        second=word(second, language) if second else "?",
        other=text("why_probe", language) if probe else task.other_model,
        share=percent(share),
    )


def _answer(task: Task, language: Language) -> str:
    """The model's probabilities as bars."""
    if not task.answer:
        return ""
    rows = "".join(
        f"<li><span>{escape(word(name, language))}</span>"
        f'<i style="--share:{100 * share:.1f}%;--emotion:{emotion(name).colour}"></i>'
        f"<b>{percent(share)}</b></li>"
        for name, share in sorted(task.answer.items(), key=lambda item: -item[1])
    )
    head = escape(text("label_answer", language, model=task.model))
    return f'<div class="answer"><h3>{head}</h3><ul>{rows}</ul></div>'


def _yours(seen: Seen, language: Language) -> str:
    if seen.yours is None:
        return ""
    said = name_of(seen.yours.name, language)
    return f'<p class="yours">{escape(text("label_yours", language, name=said))}</p>'


def _player(language: Language) -> str:
    return (
        f"{_button('play', text('label_play', language), '␣', primary=True)}"
        f"{_button('slower', text('label_slower', language), ',', sign='−')}"
        "<output data-speed>1×</output>"
        f"{_button('faster', text('label_faster', language), '.', sign='+')}"
        f"{_button('loop', text('label_loop', language), 'l')}"
    )


def _classes(seen: Seen, language: Language) -> str:
    said = seen.yours.name if seen.yours else ""
    buttons = "".join(
        _label(name, word(name, language), key, said == name, emotion(name).colour)
        for name, key in keys(seen.classes).items()
    )
    unusual = "".join(
        _label(name, text(f"label_{name}", language), UNUSUAL_KEYS[name], said == name, "")
        for name in UNUSUAL
    )
    return f'<div class="classes">{buttons}</div><div class="classes unusual">{unusual}</div>'


def _label(name: str, words: str, key: str, chosen: bool, colour: str) -> str:
    style = f' style="--emotion:{colour}"' if colour else ""
    mark = ' aria-pressed="true"' if chosen else ""
    return (
        f'<button type="button" data-act="label" data-name="{escape(name)}" data-key="{key}"'
        f'{style}{mark}><kbd aria-hidden="true">{key.upper()}</kbd>{escape(words)}</button>'
    )


def _more(language: Language) -> str:
    strengths = "".join(
        f'<button type="button" data-act="intensity" data-value="{n}" aria-pressed="false">'
        f"{text(f'intensity_{n}', language)}</button>"
        for n in (1, 2, 3)
    )
    note = text("label_note", language)
    return (
        '<div class="extra">'
        f"{_button('second', text('label_second', language), 'c')}"
        f'<span class="strengths" role="group" aria-label="{text("label_intensity", language)}">'
        f'<kbd aria-hidden="true">I</kbd>{text("label_intensity", language)} {strengths}</span>'
        f'<label class="note"><kbd aria-hidden="true">M</kbd>{note} '
        f'<input type="text" data-note maxlength="2000"></label></div>'
    )


def _moves(language: Language) -> str:
    moves = (("back", "←"), ("undo", "z"), ("skip", "x"), ("forward", "→"))
    return f"""<div class="moves">{
        "".join(_button(act, text(f"label_{act}", language), key) for act, key in moves)
    }</div>"""


def _button(act: str, words: str, key: str, *, sign: str = "", primary: bool = False) -> str:
    named = f' aria-label="{words}"' if sign else ""
    kind = ' class="primary"' if primary else ""
    return (
        f'<button type="button" data-act="{act}"{kind}{named}>'
        f'<kbd aria-hidden="true">{key.upper()}</kbd>{sign or words}</button>'
    )


def name_of(label: str, language: Language) -> str:
    """What a person reads for a class or for one of UNUSUAL."""
    key = f"label_{label}"
    return text(key, language) if label in UNUSUAL and key in TEXTS else word(label, language)
