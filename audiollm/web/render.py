"""HTML of the page's answers: escaped values in a handful of fragments, styled by style.css."""

import logging
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Literal

import numpy as np

from audiollm.analysis import certainty, wording
from audiollm.analysis.references import Basis, by_register
from audiollm.analysis.wording import percent
from audiollm.audio import Sound
from audiollm.audio.prosody import REFERENCES, Cues, Level, Reference
from audiollm.audio.timeline import Timeline
from audiollm.errors import AudioLLMError
from audiollm.labels import Language, capital, emotion, title, word
from audiollm.model.loading import Came
from audiollm.texts import text

if TYPE_CHECKING:
    from audiollm.analysis.types import Analysis
    from audiollm.inference.prediction import Prediction

Tone = Literal["wait", "error"]
LOG = logging.getLogger(__name__)


def explained(error: Exception, language: Language, bug: str = "error_bug") -> str:
    """One sentence about a failure. What is no error for people is a bug of the program: it is
    logged, and the text `bug` is shown."""
    if isinstance(error, AudioLLMError):
        return error.in_language(language)
    LOG.error("a handler failed", exc_info=error)
    return text(bug, language)


def notice(message: str, tone: Tone, title: str = "", share: float | None = None) -> str:
    """A box that says one thing; errors are announced to screen readers at once.

    `share` of the work that is done, for a bar below.
    """
    role = "alert" if tone == "error" else "status"
    head = f"<strong>{escape(title)}</strong>" if title else ""
    bar = "" if share is None else _bar(share)
    return f'<div class="notice {tone}" role="{role}">{head}<p>{escape(message)}</p>{bar}</div>'


def reading(language: Language) -> str:
    """A large file is being decoded: its length is not known yet."""
    return _in_progress(text("reading", language), None)


def progress(share: float, left: float | None, language: Language) -> str:
    """How far a long recording has been analysed, and how long the rest may take where that is
    known."""
    if left is None:
        message = text("long_begun", language)
    else:
        message = text("long", language, share=percent(share), left=duration(left, language))
    return _in_progress(message, share)


def queued(number: int, left: float | None, language: Language) -> str:
    """A visitor waits for others: place in the queue, and how long it may take where known."""
    if left is None:
        return _in_progress(text("queued", language, number=number), None)
    message = text("queued_left", language, number=number, left=duration(left, language))
    return _in_progress(message, None)


def _in_progress(message: str, share: float | None) -> str:
    """A box whose figures change all the time: screen readers do not read it aloud."""
    return f'<div class="notice wait"><p>{message}</p>{_bar(share)}</div>'


def loading(came: Came, language: Language) -> str:
    """How far a model has come on its way into memory, and how long the rest may take where that
    is known."""
    step = text(f"step_{came.step}", language)
    if came.fetched:
        here, whole = (f"{size / 1e6:.1f}" for size in came.fetched)
        message = text(f"loading_{came.step}_fetched", language, here=here, whole=whole)
    elif came.left is None:
        message = text("loading_unknown", language, step=step)
    elif came.late:
        message = text("loading_late", language, step=step)
    else:
        message = text("loading_step", language, step=step, left=duration(came.left, language))
    return _in_progress(message, came.share)


def _bar(share: float | None) -> str:
    """A bar; indeterminate where the share is not known."""
    value = "" if share is None else f' value="{share:.3f}"'
    return f'<progress max="1"{value} aria-hidden="true"></progress>'  # the words beside it say it


def duration(seconds: float, language: Language) -> str:
    """A length of time as people say it: 40 s, 3 min."""
    key, value = ("minutes", seconds / 60) if seconds >= 90 else ("seconds", seconds)
    return text(key, language, n=max(1, round(value)))


def hint(window: float | None, language: Language, share: float = 1.0) -> str:
    """What can be done with the course; `window` in seconds where it has windows, `share` of
    them that is heard."""
    if window is None:
        bar = _bar(share) if share < 1 else ""
        return f"<p>{text('course_hint', language)}</p>{bar}"
    return f"<p>{text('course_steps', language, length=f'{window:.2g}')}</p>"


def course_table(line: Timeline, language: Language) -> str:
    """The course as a table for screen readers: the likeliest emotion of each window."""
    rows = []
    for (start, end), shares in zip(line.spans, line.probabilities, strict=True):
        silent = bool(np.isnan(shares).any())
        name = title(line.labels[int(shares.argmax())], language)
        message = text("silence", language) if silent else f"{name} {percent(float(shares.max()))}"
        where = text(
            "range", language, low=f"{start:.1f}", high=text("seconds", language, n=f"{end:.1f}")
        )
        rows.append(row(where, escape(message)))
    return _aloud("course", rows, language)


def table(heads: Sequence[str], rows: Sequence[str]) -> str:
    """A table of `row`s; `heads` are words."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def row(head: str, *cells: object) -> str:
    """A row of a table, HTML in its cells."""
    return f'<tr><th scope="row">{head}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _aloud(caption: str, rows: Sequence[str], language: Language) -> str:
    """A table for screen readers, which see nothing of a figure."""
    head = f"<caption>{text(caption, language)}</caption>"
    return f'<div class="aloud"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def waiting(language: Language) -> str:
    """In place of the answer, before there is one."""
    title, rest = text("waiting_title", language), text("waiting", language)
    return f'<div class="waiting"><strong>{title}</strong><p>{rest}</p></div>'


def heading(key: str, language: Language) -> str:
    return f"<h2>{text(key, language)}</h2>"


def headline(probabilities: Mapping[str, float], language: Language) -> str:
    """The answer in one line: the class, or the two closest when the model is not sure."""
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    level = certainty.level(probabilities)
    chips = "".join(_chip(name, share, language) for name, share in ranked[: 1 if level else 2])
    kind = "sure" if level else "unsure"
    caption = text(kind, language, certainty=certainty.word(level, language).lower())
    rows = [row(escape(title(name, language)), percent(share)) for name, share in ranked]
    aloud = _aloud("probabilities", rows, language)
    return f'<div class="headline {kind}"><span>{caption}</span>{chips}{aloud}</div>'


def acted(intended: str, predicted: str, language: Language) -> str:
    """What the speaker of an example was asked to express, and whether that is the answer; nothing
    where that is unknown."""
    if not intended:
        return ""
    key = "acted_right" if intended == predicted else "acted_wrong"
    return f'<p class="acted">{text(key, language, name=escape(word(intended, language)))}</p>'


def compared(answer: "Prediction", own: bool, language: Language) -> str:
    """What the answer rests on besides the sound; `own`: the visitor's voice, and not the rest of
    the recording. Nothing where it rests on nothing else."""
    if answer.baseline_seconds:
        key = "voice_compared" if own else "voice_itself"
        message = text(key, language, n=round(answer.baseline_seconds))
    elif own and answer.baseline_emotion:
        name = escape(word(answer.baseline_emotion, language))
        message = text("voice_not_compared", language, name=name)
    else:
        return ""
    return f'<p class="acted">{message}</p>'


def _chip(name: str, share: float, language: Language) -> str:
    message = escape(title(name, language))
    colour = emotion(name).colour
    return f'<b style="--emotion: {colour}">{message} <small>{percent(share)}</small></b>'


def analysis(written: str, language: Language, done: bool, parts: "Analysis | None" = None) -> str:
    """The shown text, its caution set apart; while it grows a caret is at its end."""
    state = "" if done else ' class="growing"'
    body = escape(written)
    if parts is not None:
        for warned in map(escape, parts.warnings):
            body = body.replace(warned, f'<span class="caution">{warned}</span>', 1)
    body = f'<p lang="{language}"{state}>{body}</p>'
    return f'<div class="analysis">{heading("analysis", language)}{body}</div>'


def cue_table(cues: Cues | None, language: Language) -> str:
    """Measured cues beside the range that is usual for a voice of this register."""
    if cues is None:
        return ""
    basis = by_register(cues)
    rows = [_cue_row(r, cues, basis, language) for r in REFERENCES]
    cells = table([text(key, language) for key in COLUMNS], rows)
    usual = f"<p>{wording.usual(basis, language)}</p>"
    return f'<div class="cues">{heading("cues", language)}{cells}{usual}</div>'


def verdict(
    answers: Sequence[tuple[str, Mapping[str, float]]], kind: str, language: Language
) -> str:
    """What two answers say in one line, and whether they agree; `kind`: models or clips."""
    best = [max(shares.items(), key=lambda item: item[1]) for _, shares in answers]
    same = "agree" if best[0][0] == best[1][0] else "differ"
    message = "".join(
        f"<li>{escape(name)} {_chip(label, share, language)}</li>"
        for (name, _), (label, share) in zip(answers, best, strict=True)
    )
    return (
        f'<div class="verdict {same}"><strong>{text(f"{kind}_{same}", language)}</strong>'
        f"<ul>{message}</ul></div>"
    )


def cue_pair(measured: Sequence[Cues | None], names: Sequence[str], language: Language) -> str:
    """The cues of two sounds beside each other; "" where it was one sound."""
    first, second = measured
    if first is None or second is None:
        return ""
    rows = [
        row(
            capital(r.name(language)),
            *(_measured(r, getattr(cues, r.cue), language) for cues in (first, second)),
        )
        for r in REFERENCES
    ]
    return f'<div class="cues">{table((text("cue", language), *names), rows)}</div>'


def _measured(reference: Reference, value: float | None, language: Language) -> str:
    if value is None:
        return "–"
    unit = text(reference.unit, language)
    return f"{wording.number(value, reference.unit == wording.SHARE)} <small>{unit}</small>"


def reply(message: str, language: Language, done: bool) -> str:
    """The answer to a free question, and that it is not verified."""
    state = "" if done else ' class="growing" aria-busy="true"'
    note = f'<p class="honest">{text("unchecked", language)}</p>' if done else ""
    return f'<div class="analysis"><p aria-live="polite"{state}>{escape(message)}</p>{note}</div>'


def too_loud(sound: Sound, language: Language) -> str:
    """A caution where the microphone was overdriven, else nothing."""
    if sound.clipped < OVERDRIVEN:
        return ""
    message = text("too_loud", language, share=percent(sound.clipped))
    return f'<p class="caution">{message}</p>'


OVERDRIVEN = 0.001  # share of the samples at full scale
COLUMNS = ("cue", "value", "meaning", "usual")


def _cue_row(reference: Reference, cues: Cues, basis: Basis | None, language: Language) -> str:
    value, share = getattr(cues, reference.cue), reference.unit == wording.SHARE
    level: Level | None = None
    measured = message = usual = "–"
    scale = ""
    if value is None:
        message = text("not_measured", language)
    else:
        measured = _measured(reference, value, language)
    if basis:  # without a pitch it is not known which voices to hold it against
        low, high = (wording.number(x, share) for x in basis.ranges[reference.cue])
        usual = text("range", language, low=low, high=high)
        scale = _scale(basis.ranges[reference.cue], value)
        if value is not None:
            level = basis.level(reference.cue, value)
            message = basis.describe(reference, value, language)
    mark = ' class="outside"' if level in ("low", "high") else ""
    return (
        f'<tr><th scope="row">{capital(reference.name(language))}</th><td>{measured}</td>'
        f"<td{mark}>{capital(message)}</td><td>{usual}{scale}</td></tr>"
    )


def _scale(usual: tuple[float, float], value: float | None) -> str:
    """A line with the usual range as its middle half and a mark at the value of this clip."""
    low, high = usual
    mark = ""
    if value is not None:
        position = 0.25 + 0.5 * (value - low) / max(high - low, 1e-9)
        mark = f'<b style="left:{100 * min(max(position, 0.0), 1.0):.0f}%"></b>'
    return f'<span class="scale" aria-hidden="true"><i></i>{mark}</span>'
