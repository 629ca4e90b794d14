"""HTML of the card that shows a clip; label.js puts its sound and picture in, and handles keys."""

import json
from html import escape

from audiollm.analysis.wording import paragraph, percent
from audiollm.labelling.tasks import UNUSUAL, Task
from audiollm.labels import Language, emotion, title, word
from audiollm.texts import TEXTS, text
from audiollm.web import render
from audiollm.web.label.queue import CardState, Session, keys

UNUSUAL_KEYS = {"unclear": "u", "not_speech": "n", "several": "v"}
MODEL_REASONS = ("wrong", "disagreement", "tie", "label_error")  # that reveal the model's answer


def card(state: CardState, session: Session, language: Language) -> str:
    """The whole card. What label.js needs is in its data attributes."""
    notice = _notice(state, language)
    if state.outcome is None:
        empty = render.notice(text("label_empty", language), "wait")
        body = notice if state.hint == "label_who" else notice + empty
        return _frame(body, state, session, "", language)
    task = state.outcome.task
    done = text("label_done", language, done=state.done, left=state.left)
    own = ""
    if state.own is not None:
        name = name_of(state.own.name, language)
        own = f'<p class="yours">{escape(text("label_yours", language, name=name))}</p>'
    body = (
        f'<header><p class="why">{_why(state, session, language)}</p>'
        f'<p class="count">{done}</p></header>{notice}'
        '<div class="picture" data-picture></div>'
        f'<div class="player" data-player>{_player(language)}</div>'
        f"{own}<h3>{text('label_what', language)}</h3>{_classes(state, language)}"
        f"{_more(language)}{_moves(language)}"
        f"{'' if _hidden(state, session) else _suggestion(task, language)}"
        f"{'' if _hidden(state, session) else _answer(task, language)}"
        f'<p class="hint">{text("label_keys", language)}</p>'
    )
    return _frame(body, state, session, task.id, language)


def failed(message: str, request: str) -> str:
    """A card that only says why an action failed."""
    notice = render.notice(message, "error")
    return (
        f'<section class="clip" data-failed="1" data-asked="{escape(request)}">{notice}</section>'
    )


def _frame(body: str, state: CardState, session: Session, task: str, language: Language) -> str:
    own = state.own
    draft = (
        {"secondary": own.secondary, "intensity": own.intensity, "note": own.note} if own else {}
    )
    data = {
        "task": task,
        "next": state.following,
        "person": session.person,
        "work": session.work,
        "blind": "1" if _hidden(state, session) else "",
        "written": " ".join(state.written),
        "yours": json.dumps(draft),
        "asked": state.request,
        "saving": text("label_saving", language),
    }
    fields = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
    return (
        f'<section class="clip" {fields}>{body}<p class="saving" role="alert" hidden></p></section>'
    )


def _hidden(state: CardState, session: Session) -> bool:
    """The model's answer is not shown; where only that is hidden, it is until the first label."""
    return session.hidden and not (session.work == "first" and state.own)


def _notice(state: CardState, language: Language) -> str:
    if state.error is not None:
        return render.notice(state.error.in_language(language), "error")
    if not state.hint:
        return ""
    sentences = [text(state.hint, language)]
    if state.hint == "label_who" and state.left:
        sentences.append(text("label_waiting", language, left=state.left))
    return render.notice(paragraph(sentences, language), "wait")


def _why(state: CardState, session: Session, language: Language) -> str:
    """The reason of the task, and its details unless the session is blind."""
    if state.outcome is None:
        return ""
    task = state.outcome.task
    if session.work == "decide":
        votes = ("，" if language == "zh" else ", ").join(
            text("vote", language, person=label.person, name=name_of(label.name, language))
            for label in state.outcome.labels
        )
        return f"<b>{escape(text('why_decide', language, votes=votes))}</b>"
    if session.work == "second":
        return escape(text("why_second", language))
    colon = "：" if language == "zh" else ": "
    if task.reason == "plain":
        return f"<b>{text('reason_plain', language)}</b>"
    head = f"<b>{text(f'reason_{task.reason}', language)}{colon}</b> "
    if _hidden(state, session) and task.reason in MODEL_REASONS:
        return head + escape(text("why_hidden", language))
    return head + escape(_reason(task, language))


def _reason(task: Task, language: Language) -> str:
    ranked = sorted(task.answer, key=lambda name: -task.answer[name])
    other = max(task.other_answer, key=lambda n: task.other_answer[n], default="")
    second = other if task.reason == "disagreement" else ranked[1] if len(ranked) > 1 else ""
    share = task.answer.get(task.predicted, 0.0)
    if task.reason == "label_error":
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


def _suggestion(task: Task, language: Language) -> str:
    """What a listener said on the Analyse page; nobody has confirmed it."""
    if not task.suggestion:
        return ""
    line = text("label_suggestion", language, name=word(task.suggestion, language))
    return f'<p class="suggestion">{escape(line)}</p>'


def _answer(task: Task, language: Language) -> str:
    """The model's probabilities as bars."""
    if not task.answer:
        return ""
    rows = "".join(
        f"<li><span>{escape(title(name, language))}</span>"
        f'<i style="--share:{100 * share:.1f}%;--emotion:{emotion(name).colour}"></i>'
        f"<b>{percent(share)}</b></li>"
        for name, share in sorted(task.answer.items(), key=lambda item: -item[1])
    )
    head = escape(text("label_answer", language, model=task.model))
    return f'<div class="answer"><h3>{head}</h3><ul>{rows}</ul></div>'


def _player(language: Language) -> str:
    return (
        f"{_button('play', text('label_play', language), '␣', primary=True)}"
        f"{_button('slower', text('label_slower', language), ',', sign='−')}"
        "<output data-speed>1×</output>"
        f"{_button('faster', text('label_faster', language), '.', sign='+')}"
        f"{_button('loop', text('label_loop', language), 'l')}"
    )


def _classes(state: CardState, language: Language) -> str:
    chosen = state.own.name if state.own else ""

    def button(name: str, key: str, colour: str = "") -> str:
        style = f' style="--emotion:{colour}"' if colour else ""
        mark = ' aria-pressed="true"' if name == chosen else ""
        return (
            f'<button type="button" data-act="label" data-name="{escape(name)}" data-key="{key}"'
            f'{style}{mark}><kbd aria-hidden="true">{key.upper()}</kbd>'
            f"{escape(name_of(name, language))}</button>"
        )

    usual = "".join(button(n, key, emotion(n).colour) for n, key in keys(state.classes).items())
    unusual = "".join(button(name, UNUSUAL_KEYS[name]) for name in UNUSUAL)
    return f'<div class="classes">{usual}</div><div class="classes unusual">{unusual}</div>'


def _more(language: Language) -> str:
    strengths = "".join(
        f'<button type="button" data-act="intensity" data-value="{n}" aria-pressed="false">'
        f"{text(f'intensity_{n}', language)}</button>"
        for n in (1, 2, 3)
    )
    intensity, note = text("label_intensity", language), text("label_note", language)
    return (
        f'<div class="extra">{_button("second", text("label_second", language), "c")}'
        f'<span class="strengths" role="group" aria-label="{intensity}">'
        f'<kbd aria-hidden="true">I</kbd>{intensity} {strengths}</span>'
        f'<label class="note"><kbd aria-hidden="true">M</kbd>{note} '
        '<input type="text" data-note maxlength="2000"></label></div>'
    )


def _moves(language: Language) -> str:
    moves = (("back", "←"), ("undo", "z"), ("skip", "x"), ("forward", "→"))
    buttons = (_button(act, text(f"label_{act}", language), key) for act, key in moves)
    return f'<div class="moves">{"".join(buttons)}</div>'


def _button(act: str, words: str, key: str, *, sign: str = "", primary: bool = False) -> str:
    label = f' aria-label="{words}"' if sign else ""
    kind = ' class="primary"' if primary else ""
    return (
        f'<button type="button" data-act="{act}"{kind}{label}>'
        f'<kbd aria-hidden="true">{key.upper()}</kbd>{sign or words}</button>'
    )


def name_of(label: str, language: Language) -> str:
    """The words for a class or for one of UNUSUAL."""
    key = f"label_{label}"
    return text(key, language) if label in UNUSUAL and key in TEXTS else title(label, language)
