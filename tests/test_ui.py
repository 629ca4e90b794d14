"""The page's plain functions: what a visitor is shown for a sound, a fault, a language."""

import csv
import dataclasses
import html
import io
import json
import logging
import re
import string
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import numpy as np
import plotly.graph_objects as go
import pytest
import soundfile

from audiollm import web
from audiollm.analysis import certainty, composition
from audiollm.analysis.wording import percent
from audiollm.audio import prosody
from audiollm.audio.prosody import REFERENCES, Cues
from audiollm.errors import AudioError, ConfigError, ModelError
from audiollm.labelling.tasks import UNUSUAL
from audiollm.labels import LANGUAGES, Language, capital, title
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from audiollm.texts import TEXTS, spoken_language, text
from audiollm.web import model_host, model_info, render, services
from audiollm.web.analyse import actions, clip_loading, exports
from audiollm.web.analyse.actions import View
from audiollm.web.analyse.page import AnalysePage
from audiollm.web.analyse.plots import bars, is_sure
from audiollm.web.services import Services
from audiollm.web.static import Static
from audiollm.web.turns import Turns
from tests.browser.fake import METRICS, SURE, UNSURE, Card, FakePredictor
from tests.conftest import voiced

CJK = re.compile(r"[\u4e00-\u9fff]")


def serving(predictor: object) -> Services:
    model: Future[Predictor] = Future()
    model.set_result(cast(Predictor, predictor))
    return Services(Settings(), model)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """5 s of speech."""
    path = tmp_path / "clip.wav"
    soundfile.write(path, voiced(5.0, 180), 16000)
    return str(path)


@pytest.fixture(autouse=True)
def _no_word_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short clip is measured before there is anything to tell, on a busy machine as well."""
    monkeypatch.setattr(clip_loading, "PAUSE", 60.0)


def run(predictor: object, path: str | None, language: Language = "en") -> list[View]:
    return list(actions.analyse(serving(predictor), path, language))


# --- texts


class Anything:
    """Fits every blank of a text, whatever its format."""

    def __format__(self, spec: str) -> str:
        return spec


def test_every_text_exists_in_both_languages_with_the_same_blanks() -> None:
    wrong = []
    for key, texts in TEXTS.items():
        en, zh = ({b for _, b, _, _ in string.Formatter().parse(texts[x]) if b} for x in LANGUAGES)
        whole = set(texts) == set(LANGUAGES) and all(texts.values())
        for language in LANGUAGES:  # whatever a blank is called
            text(key, language, **dict.fromkeys(en, Anything()))
        # the Chinese page may leave the English sentence out, and may never ask for more
        whole = whole and "code" not in en  # `stored` has the code beside the values
        if not whole or CJK.search(texts["en"]) or not zh <= en:
            wrong.append(key)
    assert wrong == []


def test_what_is_offered_begins_with_a_capital() -> None:
    kinds = ("preset_", "work_", "reason_", "format_", "source_", "from_", "intensity_")
    offered = [key for key in TEXTS if key.startswith(kinds)]
    offered += ["data_all", "fine_tuning_current", "train_label_column_auto"]
    offered += [f"label_{name}" for name in UNUSUAL]
    assert [key for key in offered if TEXTS[key]["en"] != capital(TEXTS[key]["en"])] == []


def test_every_unit_of_a_cue_has_a_word() -> None:
    assert {r.unit for r in REFERENCES} <= set(TEXTS)


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0, "0%"), (0.004, "<1%"), (0.834, "83%"), (0.996, ">99%"), (1.0, "100%")],
)
def test_percent_never_claims_certainty(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh", "zh"),
        ("ZH-Hant-HK;q=1", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("de-DE,zh;q=0.5", "en"),
        ("zha", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_language_is_the_browsers_first_choice(accept: str | None, language: str) -> None:
    assert spoken_language(accept) == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_arrives_in_the_language_of_its_browser(language: Language) -> None:
    static = Static()
    with gr.Blocks():
        radio = web._top(static)
        page = AnalysePage(serving(FakePredictor()), static, radio)
        request: Any = SimpleNamespace(headers={"accept-language": language}, query_params={})
        update = page.arrive("", request)
    assert update[radio]["value"] == language
    assert update[radio]["label"] == text("language", language)
    assert text("waiting", language) in update[page.notice]["value"]


# --- an answer


def test_answer_shows_probabilities_first_then_text_as_it_grows(clip: str) -> None:
    views = run(FakePredictor(), clip)
    assert [v.figure is not None for v in views] == [True] + [False] * (len(views) - 1)
    assert all(v.answered and not v.notice for v in views)
    texts = [re.sub("<[^>]*>", "", v.text) for v in views]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert "The voice sounds angry." in texts[-1]
    assert "growing" in views[0].text
    assert "growing" not in views[-1].text


@pytest.mark.parametrize("language", LANGUAGES)
def test_answer_is_all_in_one_language(clip: str, language: Language) -> None:
    view = run(FakePredictor(), clip, language)[-1]
    shown = re.sub("<[^>]*>", " ", view.headline + view.text + view.cues)
    if language == "en":
        assert not CJK.search(shown)
    else:
        assert not re.search("[A-Za-z]{2}", shown)
        assert "生气" in shown


def test_the_course_comes_after_the_text(clip: str) -> None:
    views = run(FakePredictor(), clip)
    drawn = [view.course for view in views if view.course is not None]
    assert not any(v.course for v in views[: [bool(v.hint) for v in views].index(True)])
    assert text("course_steps", "en", length="2") in views[-1].hint
    first, last = drawn[0].to_dict(), drawn[-1].to_dict()
    assert {trace["type"] for trace in first["data"]} == {"scatter", "heatmap"}
    areas = [trace for trace in last["data"] if trace.get("stackgroup")]
    assert [area["name"] for area in areas] == [title(name, "en") for name in SURE]
    assert len(last["data"]) == len(first["data"]) + len(areas)
    totals = np.sum([area["y"] for area in areas], 0)
    assert set(totals.round(2)) <= {0.0, 1.0}
    assert all(list(trace["x"]) == sorted(trace["x"]) for trace in last["data"])
    # lists alone: the browser's plotly reads no packed arrays
    assert "bdata" not in drawn[-1].to_json()
    chinese = [v.course for v in run(FakePredictor(), clip, "zh") if v.course]
    titles = [note["text"] for note in chinese[-1].to_dict()["layout"]["annotations"]]
    assert titles == [text(f"row_{row}", "zh") for row in ("emotions", "wave", "spectrum")]


def test_a_short_clip_has_a_picture_and_no_course(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, voiced(1.5), 16000)
    views = run(FakePredictor(), str(path))
    assert sum(view.course is not None for view in views) == 1
    assert "course" not in json.loads(held(views[-1])["json"])


def held(view: View) -> dict[str, str]:
    """What the buttons of an answer take along."""
    found = re.findall(r'data-(\w+)="([^"]*)"', view.actions)
    return {key: html.unescape(value) for key, value in found}


def test_an_answer_can_be_taken_along(clip: str) -> None:
    view = run(FakePredictor(), clip)[-1]
    taken = held(view)
    whole = json.loads(taken["json"])
    assert whole["label"] == "angry"
    assert len(whole["course"]) > 1
    rows = list(csv.DictReader(io.StringIO(taken["csv"])))
    assert float(rows[0]["angry"]) == pytest.approx(whole["probabilities"]["angry"])
    assert len(rows) == 1 + len(whole["course"])
    assert rows[1]["start"] == "0.0"
    assert taken["text"] == whole["text"]
    assert all(text(f"take_{way}", "en") in view.actions for way in exports.WAYS)


def test_bars_keep_the_order_of_the_classes_where_that_is_wanted(clip: str) -> None:
    here = serving(FakePredictor(probabilities=UNSURE))
    for fixed in (True, False):
        view = next(v for v in actions.analyse(here, clip, "en", fixed=fixed) if v.answered)
        assert view.figure is not None and view.probabilities == UNSURE
        shown = view.figure.data[0].y[::-1]  # from the top
        names = sorted(UNSURE, key=lambda n: -UNSURE[n]) if not fixed else list(UNSURE)
        assert list(shown) == [title(name, "en") for name in names]
    sure = bars(SURE, "en", fixed=True).data[0]
    assert dict(zip(sure.y, sure.marker.opacity, strict=True))["Angry"] == 1.0
    assert sorted(sure.marker.opacity)[-2] < 1


def test_an_answer_that_is_no_longer_wanted_ends(clip: str) -> None:
    here = serving(FakePredictor(batches=10))
    answering = actions.analyse(here, clip, "en", "her page")
    assert "<progress" in next(answering).notice
    here.requests.begin("another page", None, "en")
    assert "<progress" in next(answering).notice
    here.requests.begin("her page", None, "en")  # she has cleared the clip
    assert list(answering) == []
    answering = actions.analyse(here, clip, "en", "her page")
    next(answering)
    here.requests.begin("her page", "another.wav", "zh")
    assert list(answering) == []
    answering = actions.analyse(here, clip, "en", "her page")
    next(answering)
    assert next(actions.analyse(here, clip, "zh", "her page"))  # has begun: it has the word
    assert list(answering) == []
    here.requests.leave("her page")
    assert list(here.requests.newest) == ["another page"]


def test_an_answer_outlives_a_lost_heartbeat(clip: str) -> None:
    here = serving(FakePredictor(batches=4))
    answering = actions.analyse(here, clip, "en", "her page")
    assert "<progress" in next(answering).notice
    here.leave("her page")
    assert list(answering)[-1].answered


def test_whoever_stops_and_asks_again_is_not_stopped_again(clip: str) -> None:
    here = serving(FakePredictor(batches=4))
    first = actions.analyse(here, clip, "en", "she")
    assert "<progress" in next(first).notice
    here.requests.stop("she")
    here.requests.begin("she", clip, "en")  # she asks anew before the stop has been heeded
    assert here.requests.is_shown("she", clip, "en")
    second = actions.analyse(here, clip, "en", "she")
    assert "<progress" in next(second).notice
    assert list(first) == []
    assert list(second)[-1].answered


@pytest.mark.parametrize("own", ["before", "with", "after"])
@pytest.mark.parametrize("late", [None, "another.wav"])
def test_an_event_of_an_earlier_clip_ends_no_answer(clip: str, own: str, late: str | None) -> None:
    """Also where the clip is the same as before; its own event may come at any time."""
    here = serving(FakePredictor(batches=4))
    assert here.requests.change("she", clip, "en", 1)
    assert list(actions.analyse(here, clip, "en", "she", number=1))[-1].answered
    # 2 removes it, or chooses another, and is on its way while 3 chooses it again
    if own == "before":
        assert here.requests.change("she", clip, "en", 3)
    answering = actions.analyse(here, clip, "en", "she", number=2 if own == "after" else 3)
    next(answering)
    assert not here.requests.change("she", late, "en", 2)
    if own == "after":
        assert here.requests.change("she", clip, "en", 3)
    assert list(answering)[-1].answered
    assert here.requests.change("she", None, "en", 4)
    assert not here.requests.is_shown("she", clip, "en")


def test_an_answer_stands_without_its_picture(
    clip: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(actions, "overview", fail)
    view = run(FakePredictor(), clip)[-1]
    assert view.answered and view.actions and not view.hint
    assert "no room" in caplog.text


def test_a_long_recording_says_how_far_it_is_and_can_be_stopped(clip: str) -> None:
    views = run(FakePredictor(batches=4), clip)
    assert ["<progress" in view.notice for view in views[:4]] == [True, True, True, False]
    assert "40%" in views[0].notice  # a fifth of the way is the measuring, here in no time
    assert '<progress max="1" value="0.800"' in views[2].notice
    assert "<progress" not in views[-1].notice + views[-1].hint
    assert render.duration(40, "en") == "40 s"
    assert render.duration(185, "zh") == "3 分钟"


def test_a_long_recording_says_how_far_it_has_been_measured(
    clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prosody, "BLOCK", 50)
    monkeypatch.setattr(clip_loading, "PAUSE", 0.0)
    views = run(FakePredictor(), clip)
    told = [
        re.search(r'value="(.*?)"', view.notice) for view in views if "<progress" in view.notice
    ]
    shares = [float(found[1]) for found in told if found]
    assert len(shares) > 1
    assert 0 < shares[0] < shares[-1] <= 0.2
    assert views[-1].answered


def test_the_last_word_of_a_stopped_answer_is_that_it_was_stopped(clip: str) -> None:
    made = serving(FakePredictor(batches=4))
    answering = actions.analyse(made, clip, "en", "somebody")
    assert "<progress" in next(answering).notice
    made.requests.stop("somebody")
    (last,) = answering
    assert text("stopped", "en") in last.notice
    assert not last.answered
    answering = actions.analyse(made, clip, "en", "somebody")  # again, and stopped later
    view = next(v for v in answering if v.actions)
    made.requests.stop("somebody")
    (last,) = answering
    assert (last.headline, last.text, last.actions) == (view.headline, view.text, view.actions)
    assert last.notice == ""
    assert last.course is None


def test_the_address_and_an_earlier_choice_decide_the_language() -> None:
    assert actions.page_language("zh", "en", "en-US") == "zh"
    assert actions.page_language(None, "zh", "en-US") == "zh"
    assert actions.page_language("../x", "?", "zh-CN") == "zh"


def test_unsure_answer_names_the_two_closest(clip: str) -> None:
    view = run(FakePredictor(probabilities=UNSURE), clip)[0]
    assert text("unsure", "en") in view.headline
    assert "Angry <small>41%" in view.headline
    assert "Happy <small>39%" in view.headline
    assert not is_sure(UNSURE)
    assert is_sure(SURE)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("best", [0.49, 0.494, 0.496, 0.65, 0.655, 0.66, 0.894, 0.896, 0.95])
def test_headline_text_bars_and_json_say_the_same_certainty(
    language: Language, best: float
) -> None:
    shares = {"angry": best, "sad": 0.3 * (1 - best), "happy": 0.2 * (1 - best)}
    level = sum(round(100 * best) >= least for least in (50, 66, 90))
    said = certainty.word(level, language)
    known = composition.measured(shares, None, language)
    assert known.certainty == certainty.WORDS["en"][level]  # of the API and of JSON
    colon = {"en": ": ", "zh": "："}[language]
    shown = composition.compose(known, "", tuple(shares), language)[1]
    assert shown.startswith(said + colon)
    headline = render.headline(shares, language)
    assert f"<span>{text('sure', language, certainty=said.lower())}</span>" in headline or not level
    assert f"<span>{text('unsure', language)}</span>" in headline or level
    assert bool(bars(shares, language).data[0].marker.pattern.shape) == (level == 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_whoever_waits_for_others_is_told_the_place(clip: str, language: Language) -> None:
    here = serving(FakePredictor())
    here.turns = Turns(1)
    with here.turns.take():
        pass  # so that there is a duration to go by
    views = actions.analyse(here, clip, language)
    with here.turns.take():
        first = next(views)
        assert not first.answered
        assert first.notice == render.queued(1, 0.0, language)
    *_, last = views
    assert last.answered
    assert here.turns.waiting == 0


def test_a_visitor_who_waits_can_leave(clip: str) -> None:
    here = serving(FakePredictor())
    here.turns = Turns(1)
    with here.turns.take():
        views = actions.analyse(here, clip, "en")
        next(views)
        views.close()
        assert here.turns.waiting == 0
    assert list(actions.analyse(here, clip, "en"))[-1].answered


def test_leaving_visitor_frees_the_model(clip: str) -> None:
    closed = []

    class Slow:
        def stream(self, *_: Any, **more: Any) -> Any:
            try:
                return FakePredictor(pause=0.1).stream(*_, **more)
            finally:
                closed.append(True)

    answering = cast(Any, actions.analyse(serving(Slow()), clip, "en"))
    next(answering)
    answering.close()
    assert closed == [True]


def test_first_visitor_is_told_to_wait_for_the_model(clip: str) -> None:
    model: Future[Predictor] = Future()
    answering = actions.analyse(Services(Settings(), model), clip, "en")
    assert text("step_program", "en") in next(answering).notice
    model.set_result(cast(Predictor, FakePredictor()))
    assert next(answering).answered


def test_model_text_and_class_names_cannot_write_html() -> None:
    evil = "<img src=x onerror=alert(1)>"
    assert "<img" not in render.analysis(evil, "en", done=True)
    assert "<img" not in render.notice(evil, "error", evil)
    assert "<img" not in render.headline({evil: 0.9, "sad": 0.1}, "en")
    card = cast(Any, Card(name=evil, device=evil, metrics={**METRICS, "data": evil}))
    assert "<img" not in model_info.about_model(card, "en")


# --- no answer


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_fault_is_one_sentence_and_no_answer(
    tmp_path: Path, clip: str, language: Language
) -> None:
    renamed = tmp_path / "notes.wav"
    renamed.write_text("These are words, not sound.\n" * 50)
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(16000), 16000)
    for path in (renamed, silent):
        (view,) = run(FakePredictor(), str(path), language)
        assert not view.answered
        assert 'role="alert"' in view.notice
        assert "Traceback" not in view.notice
        told = re.sub("<.*?>", "", view.notice)
        assert re.search("不是音频文件|静音" if language == "zh" else "not a sound|silent", told)
        assert bool(CJK.search(told)) == (language == "zh")
    assert run(FakePredictor(), clip, language)[-1].answered


def test_no_clip_is_said_kindly() -> None:
    (view,) = run(FakePredictor(), None)
    assert text("no_clip", "en") in view.notice
    assert "alert" not in view.notice


def test_a_bug_is_logged_and_shown_without_its_traceback(
    clip: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def stream(self, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError("secret detail")

    with caplog.at_level(logging.ERROR):
        (view,) = run(Broken(), clip)
    assert "secret" not in view.notice
    assert text("error_bug", "en") in view.notice
    assert "secret detail" in caplog.text


def test_failed_load_is_one_sentence_on_the_page(clip: str) -> None:
    def load() -> Predictor:
        raise ModelError("The model folder nowhere is missing: make it.")

    model = model_host.in_background(load)
    model.exception(timeout=5)
    failed = Services(Settings(), model)
    assert "The model folder nowhere is missing: make it." in actions.about(failed, "en")
    (view,) = actions.analyse(failed, clip, "en")
    assert "The model folder nowhere is missing: make it." in view.notice


def test_crashed_load_is_one_sentence_too() -> None:
    def load() -> Predictor:
        raise ZeroDivisionError("secret detail")

    model = model_host.in_background(load)
    model.exception(timeout=5)
    assert "secret" not in actions.about(Services(Settings(), model), "en")


def test_errors_are_shown_in_the_language_of_the_page() -> None:
    shown = actions.failure(AudioError("audio_damaged", name="x.wav"), "zh").notice
    assert html.escape(text("audio_damaged", "zh", name="x.wav")) in shown
    of_page = ModelError("fine_tuning_no_labels")
    assert render.explained(of_page, "zh") == text("fine_tuning_no_labels", "zh")


# --- figure and table


@pytest.mark.parametrize("language", LANGUAGES)
def test_bars_hold_plain_lists_the_likeliest_last(language: Language) -> None:
    figure = json.loads(cast(str, bars(SURE, language).to_json()))
    bar = figure["data"][0]
    assert bar["x"] == sorted(SURE.values())  # a list: base64 arrays came after plotly.js 2
    assert bar["y"][-1] == ("生气" if language == "zh" else "Angry")
    assert bar["text"][-1] == "83%"
    assert "layout" not in figure["layout"]["template"]


def test_unsure_bars_are_hatched() -> None:
    def pattern(figure: go.Figure) -> str:
        return str(figure.data[0].marker.pattern.shape)

    assert pattern(bars(UNSURE, "en")) != pattern(bars(SURE, "en"))


def test_an_overdriven_microphone_is_told(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.clip(6 * voiced(2.0), -1, 1), 16000)
    assert 'class="caution"' in run(FakePredictor(), str(path))[-1].cues
    soundfile.write(path, voiced(2.0), 16000)
    assert 'class="caution"' not in run(FakePredictor(), str(path))[-1].cues


def test_cue_without_enough_voice_is_said_not_guessed() -> None:
    cues = Cues(0.3, None, None, -20.0, 3.0, -9.0, None, 0.0)
    shown = render.cue_table(cues, "en")
    assert shown.lower().count(text("not_measured", "en")) == 3
    assert "None" not in shown
    assert render.cue_table(None, "en") == ""


def test_cue_table_marks_what_leaves_the_usual_range() -> None:
    cues = Cues(2.0, 288.0, 9.8, -20.0, 12.0, 0.7, 6.3, 0.03)
    shown = render.cue_table(cues, "en")
    assert shown.count('class="outside"') == 3
    assert "177 to 263" in shown
    low = dataclasses.replace(cues, pitch_hz=110.0)
    assert "100.0 to 148" not in render.cue_table(low, "en")
    assert "100 to 148" in render.cue_table(low, "en")


# --- examples


def test_examples_come_from_the_list(tmp_path: Path) -> None:
    assert services.read_examples(tmp_path) == ()
    (tmp_path / "a.wav").touch()
    entry = {"file": "a.wav", "label": "angry", "zh": "生气", "en": "angry"}
    (tmp_path / "examples.json").write_text(json.dumps([entry]))
    (example,) = services.read_examples(tmp_path)
    assert example.path == tmp_path / "a.wav"
    assert example.words == {"zh": "生气", "en": "angry"}


@pytest.mark.parametrize(
    "content", ["{", '[{"file": "gone.wav", "label": "sad", "zh": "x", "en": "x"}]', "[1]", "{}x"]
)
def test_broken_example_list_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "examples.json").write_text(content)
    with pytest.raises(ConfigError, match=r"examples\.json"):
        services.read_examples(tmp_path)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_strangers_figures_are_neither_trusted_nor_run(language: Language) -> None:
    share = {"value": 0.9, "low": 0.8, "high": 1.0}
    evil = {"n": "<img src=x onerror=alert(1)>", "speakers": "<b>", "data": "<i>"}
    assert "<img" not in model_info._quality({**evil, "wa": share, "ua": share}, language)
    for broken in ({"wa": "x", "ua": 3}, {"wa": {"value": []}, "ua": share}, {"wa": share}):
        assert model_info._quality(broken, language) == text("unmeasured", language)
        assert model_info.mistakes(broken, language) == ""


def test_seen_speakers_are_not_called_unheard() -> None:
    share = {"value": 0.9, "low": 0.8, "high": 1.0}
    seen = {"n": 5, "data": "emodb", "wa": share, "ua": share, "independent": False}
    fair = model_info._quality({**seen, "independent": True}, "en")
    assert model_info._quality(seen, "en") != fair
    assert model_info.mistakes(seen, "en") == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_few_confident_answers_have_no_share_of_right_ones(language: Language) -> None:
    def told(**more: float) -> str:
        figures = {"new speakers": {"wa": 0.8}, "new corpora": {"wa": 0.5, **more}}
        return model_info.sentence({"protocols": figures}, ("de",), language)

    often, rarely = told(sure=0.8, share=0.05), told(sure=0.4, share=0.001)
    assert text("accuracy_sure", language, sure=8, share="5%") in often
    assert text("accuracy_sure_rare", language, share="0.1%") in rarely
    assert text("accuracy_sure_only", language, sure=8) in told(sure=0.8)
