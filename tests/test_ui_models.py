"""The models of the page: what is said of the one that answers, and another in its place."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from audiollm.errors import ModelError
from audiollm.model import registry
from audiollm.settings import Settings
from audiollm.texts import text
from audiollm.web import model_host, model_info
from audiollm.web.analyse import actions
from audiollm.web.services import Services
from tests.browser.fake import METRICS, Card, FakePredictor
from tests.test_ui import serving


def test_model_line_tells_name_size_device_and_measured_quality() -> None:
    shown = actions.about(serving(FakePredictor()), "en")
    assert "(EmoDB, ASED)" in shown
    for part in ("tiny", "5.2 million parameters", "CPU", "412 clips", "11 speakers", "71%", "63%"):
        assert part in shown
    assert text("wrong", "en", n=3) in shown
    chinese = actions.about(serving(FakePredictor()), "zh")
    assert "523 万参数" in chinese
    assert "（EmoDB、ASED）" in chinese
    assert text("wrong", "zh", n=3) in chinese


def test_unmeasured_model_says_so_and_promises_nothing() -> None:
    shown = actions.about(serving(FakePredictor(card=Card(metrics={}))), "en")
    assert text("unmeasured", "en") in shown
    assert "of 10 clips" not in shown


def test_very_good_model_is_not_called_faultless() -> None:
    perfect = {**METRICS, "wa": {"value": 0.98, "low": 0.96, "high": 1.0}}
    assert model_info.mistakes(perfect, "en") == text("seldom_wrong", "en")


@pytest.mark.parametrize(
    ("count", "en", "zh"),
    [
        (5_230_000, "5.2 million", "523 万"),
        (494_000_000, "494 million", "4.9 亿"),
        (3_090_000_000, "3.1 billion", "30.9 亿"),
        (45_000, "45.0 thousand", "4.5 万"),
    ],
)
def test_size_reads_as_people_count(count: int, en: str, zh: str) -> None:
    assert model_info.size(count, "en").startswith(en)
    assert model_info.size(count, "zh").startswith(zh)


@dataclasses.dataclass(frozen=True)
class Named:
    """A loaded model of which only the name counts."""

    card: Card


def picking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str = "127.0.0.1") -> Services:
    """Services that can load `good` and `tiny`, where `bad` is listed too."""

    def loader(id: str, *_: object) -> Callable[[], Any]:
        def load() -> Any:
            if "bad" in id:
                raise ModelError("It has no projector.")
            return Named(Card(name=Path(id).name))

        return load

    def entries(_: Settings) -> list[registry.Entry]:
        names = ("tiny", "good", "bad")
        return [registry.Entry(n, n, 8_300_000, METRICS) for n in names]

    monkeypatch.setattr(model_host, "_loader", loader)
    monkeypatch.setattr(registry, "entries", entries)
    return Services.start(Settings(host=host), examples=tmp_path)


def test_the_owner_lets_another_model_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = picking(monkeypatch, tmp_path)
    assert here.predictor().card.name == "tiny"
    words = [said for said, _ in actions.choices(here, "en")]
    assert words[1] == text("entry", "en", name="good", size="8 MB", wa="71%")
    assert "准确率 71%" in actions.choices(here, "zh")[1][0]
    actions.switch(here, "good")
    assert here.predictor().card.name == here.active == "good"
    actions.switch(here, "bad")  # the one before comes back, and the page says why
    assert here.predictor().card.name == here.active == "good"
    assert "It has no projector." in actions.about(here, "zh")
    actions.switch(here, "tiny")
    assert here.predictor().card.name == "tiny"
    assert "projector" not in actions.about(here, "en")
    actions.switch(here, "/etc")  # not on the list
    assert here.active == "tiny"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org"])  # noqa: S104
def test_strangers_cannot_switch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    here = picking(monkeypatch, tmp_path, host)
    assert actions.choices(here, "en") == []
    actions.switch(here, "good")
    assert here.predictor().card.name == "tiny"


def test_one_model_is_loaded_at_a_time() -> None:
    waiting = Services(Settings(), Future(), active="tiny")
    with pytest.raises(ModelError) as refused:
        waiting.switch("good")
    assert refused.value.code == "model_loading"
    assert Services(Settings(host="localhost"), Future()).owned
