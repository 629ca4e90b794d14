"""A listener names another class than the answer: counted, and with consent the clip is saved.

No gradio here.
"""

from html import escape

from audiollm.labelling.corrections import Correction, Corrections
from audiollm.labelling.saved import SavedClips
from audiollm.labels import Language, emotion, ordered, title, word
from audiollm.texts import text
from audiollm.web import render
from audiollm.web.analyse import saved_clips
from audiollm.web.analyse.requests import CountedCorrection, Request
from audiollm.web.analyse.saved_clips import Evidence
from audiollm.web.services import Services


def correct(services: Services, visitor: str, label: str, consent: bool) -> str:
    """HTML after a click on a class: what became of it. One correction per visitor and clip.

    The answer is what the server has answered this visitor last, whatever the browser claims.
    """
    request = _answered_request(services, visitor)
    if request is None or request.path is None:
        return ""
    key, language = (visitor, request.path), request.language
    predicted = max(request.answer, key=lambda name: request.answer[name])
    if label not in request.answer or label == predicted:
        return html(services, visitor)
    correction = Correction(label, predicted, language)
    counted = CountedCorrection(correction)
    if services.corrections.setdefault(key, counted) is not counted:  # a second click
        return html(services, visitor)
    try:
        if consent and services.keeps:
            counted = _saved(services, request, correction)
        else:
            services.require_allowance()
        Corrections(services.settings.home).add(correction)
    except Exception as error:
        services.corrections.pop(key, None)
        if counted.clip:  # it is saved, and could not be counted
            _unsave(services, counted, language)
        message = render.explained(error, language, "keep_bug")
        return html(services, visitor) + render.notice(message, "error")
    services.corrections[key] = counted
    return html(services, visitor)


def take_back(services: Services, visitor: str) -> str:
    """The word is not counted any more, and what was saved with it is removed."""
    request = _answered_request(services, visitor)
    if request is None:
        return ""
    key, language = (visitor, request.path or ""), request.language
    counted = services.corrections.pop(key, None)
    if counted is None:
        return html(services, visitor)
    try:
        message = _unsave(services, counted, language) if counted.clip else ""
        Corrections(services.settings.home).add(counted.correction, -1)
    except Exception as error:
        services.corrections[key] = counted
        message = render.notice(render.explained(error, language, "keep_bug"), "error")
        return html(services, visitor) + message
    message = message or render.notice(text("correct_back", language), "wait")
    return html(services, visitor) + message


def html(services: Services, visitor: str) -> str:
    """HTML under an answer: a button for every other class, or what the visitor has said already;
    "" where there is no answer."""
    request = _answered_request(services, visitor)
    if request is None:
        return ""
    language = request.language
    counted = services.corrections.get((visitor, request.path or ""))
    if counted:
        names = (counted.correction.label, counted.correction.predicted)
        label, predicted = (word(name, language) for name in names)
        key = "correct_saved" if counted.clip else "correct_counted"
        line = escape(text(key, language, said=label, answered=predicted))
        back = f'<button type="button" data-back>{escape(text("correct_undo", language))}</button>'
        return f'<div class="correction" role="status"><p>{line}</p>{back}</div>'
    predicted = max(request.answer, key=lambda name: request.answer[name])
    buttons = "".join(
        f'<button type="button" data-said="{escape(name)}"'
        f' style="--emotion:{emotion(name).colour}">{escape(title(name, language))}</button>'
        for name in ordered(request.answer)
        if name != predicted
    )
    consent = escape(text("correct_only_counted", language))
    if services.keeps:
        says = escape(text("correct_consent", language))
        consent = f'<label><input type="checkbox" data-consent> {says}</label>'
    return (
        f'<div class="correction" role="group" aria-labelledby="correction-title">'
        f'<h3 id="correction-title">{escape(text("correct", language))}</h3>'
        f'<div class="said">{buttons}</div><p class="consent">{consent}</p></div>'
    )


def _answered_request(services: Services, visitor: str) -> Request | None:
    """The request of this visitor that has an answer."""
    request = services.requests.newest.get(visitor)
    return request if request and request.answer else None


def _saved(services: Services, request: Request, correction: Correction) -> CountedCorrection:
    """The clip is saved with the word as a suggestion.

    Raises:
        AudioLLMError: it cannot be saved.
    """
    before = {c.id: c.suggestion for c in SavedClips(services.settings.home).all()}
    path, label = request.path or "", correction.label
    evidence = Evidence(path, "kept", request.model, request.answer, suggestion=label)
    id = saved_clips.save_clip(services, evidence)
    return CountedCorrection(correction, id, before.get(id))


def _unsave(services: Services, counted: CountedCorrection, language: Language) -> str:
    """The suggestion is what it was before, and a clip that was not saved before goes; a message
    about the latter."""
    saved_clips.suggest(services, counted.clip, counted.before or "")
    if counted.before is not None:
        return ""
    return saved_clips.forget(services, counted.clip, language).message
