"""Two answers beside each other, free questions, and clips that are kept when somebody asks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiollm.errors import ModelError
from audiollm.labelling.saved import SavedClips
from audiollm.labelling.store import LabelStore
from audiollm.labels import LANGUAGES
from audiollm.model import registry
from audiollm.settings import Settings
from audiollm.texts import text
from audiollm.web import model_host
from audiollm.web.analyse import compare, saved_clips
from audiollm.web.analyse.compare import CLIP, PROBE, Comparison
from audiollm.web.services import Services
from tests.browser.fake import METRICS, SURE, Card, FakePredictor
from tests.conftest import voiced

AGREES = {**SURE, "angry": 0.5, "happy": 0.4}
DISAGREES = {**SURE, "angry": 0.1, "happy": 0.8}


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = tmp_path / "clip.wav"
    soundfile.write(path, voiced(1.5), 16000)
    return str(path)


@pytest.fixture
def other(tmp_path: Path) -> str:
    path = tmp_path / "other.wav"
    soundfile.write(path, voiced(1.5, 240), 16000)
    return str(path)


def serve(tmp_path: Path, host: str = "127.0.0.1", **options: Any) -> Services:
    made = FakePredictor(**options)
    settings = Settings(home=tmp_path / "home", host=host)
    found = Services.start(settings, load=lambda: made, examples=tmp_path)  # type: ignore
    found.predictor()
    return found


def last(steps: Iterator[Comparison]) -> Comparison:
    return list(steps)[-1]


@pytest.fixture
def two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """`tiny` answers; `same`, `else` and `broken` could."""
    table = {"same": AGREES, "else": DISAGREES}

    def loader(id: str, *_: object) -> Any:
        def load() -> FakePredictor:
            if id not in table:
                raise ModelError(f"{id} is damaged.")
            return FakePredictor(card=Card(name=id), probabilities=table[id])

        return load

    def entries(_: Settings) -> list[registry.Entry]:
        return [registry.Entry(n, n, 1, METRICS) for n in ("tiny", *table, "broken")]

    monkeypatch.setattr(model_host, "_loader", loader)
    monkeypatch.setattr(registry, "entries", entries)
    return serve(tmp_path)


def test_what_an_answer_can_be_held_against(two_models: Services, tmp_path: Path) -> None:
    for language in LANGUAGES:
        found = compare.rivals(two_models, language)
        assert {id for _, id in found} == {"same", "else", "broken", CLIP, PROBE}
        assert len({words for words, _ in found}) == 5
    deaf = serve(tmp_path, card=Card(probe=()))
    assert PROBE not in {id for _, id in compare.rivals(deaf, "en")}
    stranger = serve(tmp_path, host="0.0.0.0")  # noqa: S104
    assert {id for _, id in compare.rivals(stranger, "en")} == {CLIP, PROBE}


def test_two_recordings_are_compared_with_their_cues(tmp_path: Path, clip: str, other: str) -> None:
    found = last(compare.compare(serve(tmp_path), clip, CLIP, other, "en"))
    assert text("clips_agree", "en") in found.verdict
    assert "<table>" in found.verdict
    assert found.figure is not None
    assert found.evidence is None  # not a disagreement about one sound
    assert [bar.name for bar in found.figure.data] == ["Second recording", "First recording"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_disagreement_is_shown_and_can_be_kept(
    two_models: Services, clip: str, language: Any
) -> None:
    agreed = last(compare.compare(two_models, clip, "same", None, language))
    assert agreed.evidence is None
    assert 'class="verdict agree"' in agreed.verdict
    found = last(compare.compare(two_models, clip, "else", None, language))
    assert 'class="verdict differ"' in found.verdict
    assert found.evidence is not None
    came = saved_clips.keep(two_models, found.evidence, language)
    assert "error" not in came.message
    (kept,) = SavedClips(two_models.settings.home).all()
    told = (kept.id, kept.reason, kept.model, kept.other_model)
    assert told == (came.id, "disagreement", "tiny", "else")
    assert kept.other_answer == pytest.approx(DISAGREES)
    (task,) = LabelStore(two_models.settings.home).tasks()  # the Label page asks about it
    assert (task.path, task.reason, task.other_model) == (str(kept.path), "disagreement", "else")
    heard, _ = soundfile.read(kept.path)
    assert np.abs(heard - voiced(1.5)).max() < 1e-3
    saved_clips.forget(two_models, came.id, language)
    assert SavedClips(two_models.settings.home).all() == []
    assert LabelStore(two_models.settings.home).tasks() == []


def test_the_probe_is_a_rival(tmp_path: Path, clip: str) -> None:
    found = last(compare.compare(serve(tmp_path), clip, PROBE, None, "en"))
    assert found.evidence is not None
    assert found.evidence.other_model.endswith(": probe")
    assert found.figure is not None
    assert len(found.figure.data) == 2


def test_one_second_model_is_in_memory_at_a_time(
    two_models: Services, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back = []
    monkeypatch.setattr(model_host, "free_memory", lambda: given_back.append(1))
    monkeypatch.setattr(model_host, "POLL", 0.01)
    with two_models.another("same") as second:
        assert second.model.result().card.name == "same"
        assert not two_models._second.acquire(blocking=False)
    assert two_models._second.acquire(timeout=10)  # whoever comes next waits for this
    assert given_back and not second.model.done()  # nothing holds the model any more
    two_models._second.release()
    left = compare.compare(two_models, clip, "else", None, "en")
    next(left)
    left.close()  # a visitor who leaves while it is being loaded, or before
    assert last(compare.compare(two_models, clip, "else", None, "en")).evidence


def test_classes_that_one_side_lacks_have_one_bar(
    tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = serve(tmp_path)
    answer = {"surprised": 0.6, "angry": 0.4}
    monkeypatch.setattr(type(made.predictor()), "probe", lambda *_: answer)
    found = last(compare.compare(made, clip, PROBE, None, "en"))
    assert found.figure is not None
    probe, llm = found.figure.data
    assert len(probe.y) == 2
    assert len(llm.y) == len(SURE)
    assert len(found.figure.layout.yaxis.categoryarray) == len(SURE) + 1


@pytest.mark.parametrize(
    ("path", "rival", "second", "said"),
    [
        (None, PROBE, None, text("no_clip", "en")),
        ("clip", CLIP, None, text("no_second", "en")),
        ("clip", "../../etc", None, text("no_rival", "en")),
        ("clip", "broken", None, "damaged"),
        ("missing.wav", PROBE, None, "missing.wav"),
        ("clip", CLIP, "missing.wav", "missing.wav"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    two_models: Services, clip: str, path: str | None, rival: str, second: str | None, said: str
) -> None:
    given = clip if path == "clip" else path
    found = last(compare.compare(two_models, given, rival, second, "en"))
    assert said in found.notice
    assert found.figure is None


def test_a_bug_is_a_sentence_too(
    two_models: Services, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakePredictor, "stream", lambda *_, **__: 1 / 0)
    assert (
        text("error_bug", "en") in last(compare.compare(two_models, clip, PROBE, None, "en")).notice
    )


def test_a_small_model_says_kindly_that_it_cannot_answer(tmp_path: Path, clip: str) -> None:
    made = serve(tmp_path)
    for language in LANGUAGES:
        said = list(compare.ask(made, clip, "why?", language))[-1]
        assert text("cannot_ask", language) in said
    assert text("no_clip", "en") in list(compare.ask(made, None, "why?", "en"))[-1]


def test_an_answer_in_free_words_grows_escaped_and_says_that_nobody_checked_it(
    tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*given: Any) -> str:
        given[-1]("because <b>")
        given[-1]("because <b>loud")
        return "because <b>loud"

    monkeypatch.setattr(FakePredictor, "ask", ask, raising=False)
    made = serve(tmp_path, card=Card(questions=True))
    steps = list(compare.ask(made, clip, "why?", "en"))
    assert "growing" in steps[1]
    assert "because &lt;b&gt;loud" in steps[-1]
    assert text("unchecked", "en") in steps[-1]


def test_a_model_card_fetches_nothing_and_runs_nothing(tmp_path: Path) -> None:
    card = "---\nlicense: mit\n---\n# A model\n![x](http://example.org/x.png)\n<script>x()</script>"
    (tmp_path / "README.md").write_text(card)
    shown = registry.read_card(str(tmp_path))
    assert shown.startswith("# A model")
    assert "![" not in shown
    assert "<" not in shown
    (tmp_path / "README.md").write_text("a" * 200_000)
    assert len(registry.read_card(str(tmp_path))) == registry.MAX_CARD
    assert registry.read_card(str(tmp_path / "nowhere")) == ""


def test_the_card_of_the_model_in_use(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine")
    assert compare.model_card(serve(tmp_path, card=Card(folder=str(tmp_path)))) == "# Mine"
