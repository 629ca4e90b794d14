"""Which requests are sent again after a connection broke off."""

from typing import Any

from audiollm.web import build_ui, repeats
from audiollm.web.repeats import BY_A_PERSON
from tests.test_ui import FakePredictor, serving

# what a person presses and may be done twice, by the module's last name and the handler
HARMLESS = {
    *("page.AnalysePage.analyse", "page.AnalysePage.begin", "page.AnalysePage.stops"),
    *("more.MorePanel.asks", "more.MorePanel.compares"),
    *("correction_panel.CorrectionPanel.corrects", "voice.decide"),
    *("voice.VoicePanel.begin_reading", "voice.VoicePanel.forgotten"),
    *("planning.save", "recordings.another", "transfer.exports"),
}
OWN = {"live_panel.LivePanel.answers", "page.act"}


def name(handler: Any) -> str:
    tail = handler.__qualname__.rpartition("<locals>.")[2]
    return f"{handler.__module__.rpartition('.')[2]}.{tail}"


def test_what_a_person_presses_is_sent_twice_only_where_that_changes_nothing() -> None:
    demo = build_ui(serving(FakePredictor()))
    table = repeats.table(demo)
    pressed = {
        id: name(event.fn)
        for id, event in demo.fns.items()
        if event.fn and any(trigger in BY_A_PERSON for _, trigger in event.targets)
    }
    assert {pressed[id] for id in table["again"] if id in pressed} == HARMLESS
    assert {pressed.get(id) for id in table["itself"]} == OWN
    once = set(pressed).difference(table["again"], table["itself"])
    assert {pressed[id] for id in once} >= {
        *("more.MorePanel.saves", "recordings.take", "stored.removes"),
        *("transfer.imports", "planning.start", "training.begin", "events.act"),
    }
    assert not set(range(4)) & {*table["again"], *table["itself"]}  # nor what programs ask for
