"""Agreement between people, checked against definitions and published figures."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiollm.labelling.agreement import agreement, cohen, confusion, fleiss, krippendorff
from audiollm.labelling.tasks import Label, Outcome
from tests.test_labelling_store import task

NAMES = st.sampled_from(["angry", "sad", "happy", "unclear"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=60))
def test_cohen_follows_its_definition(both: list[tuple[str, str]]) -> None:
    first, second = Counter(a for a, _ in both), Counter(b for _, b in both)
    chance = sum(first[name] * second[name] for name in first) / len(both) ** 2
    found = cohen(both)
    if chance == 1:
        assert found is None  # one label only
    else:
        observed = sum(a == b for a, b in both) / len(both)
        assert found == pytest.approx((observed - chance) / (1 - chance), abs=1e-12)


def test_fleiss_is_what_fleiss_published() -> None:
    """Fleiss (1971), the worked table of 10 subjects and 14 raters: kappa 0.210."""
    table = [
        *[(0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1)],
        *[(7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7)],
    ]
    clips = [{str(i): n for i, n in enumerate(row)} for row in table]
    assert fleiss(clips) == pytest.approx(0.210, abs=5e-4)
    with pytest.raises(ValueError, match="same number"):
        fleiss([{"a": 2}, {"a": 3}])


def test_krippendorff_is_what_krippendorff_published() -> None:
    """Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", example C: 0.743."""
    observers = {
        "A": "123321412***",
        "B": "1233224125*3",
        "C": "*3332342251*",
        "D": "12332441251*",
    }
    clips = [
        Counter(said[unit] for said in observers.values() if said[unit] != "*")
        for unit in range(12)
    ]
    assert krippendorff(clips) == pytest.approx(0.743, abs=5e-4)


def test_chance_agreement_is_about_nothing() -> None:
    rng = random.Random(0)
    both = [(rng.choice("abcd"), rng.choice("abcd")) for _ in range(4000)]
    assert abs(cohen(both) or 1) < 0.03
    assert abs(krippendorff([Counter(pair) for pair in both]) or 1) < 0.03


def test_what_does_not_exist_is_none() -> None:
    assert cohen([]) is fleiss([]) is krippendorff([]) is None
    assert cohen([("a", "a")] * 3) is None
    assert krippendorff([{"a": 2}, {"a": 3}]) is None


def outcome(number: int, decision: str = "", **said: str) -> Outcome:
    id = task(number).id
    votes = tuple(Label(id, person, name, blind=True) for person, name in said.items())
    last = Label(id, "Judge", decision, kind="decision") if decision else None
    return Outcome(task(number), votes, last)


def test_people_are_held_against_the_others_and_against_decisions() -> None:
    outcomes = [
        outcome(0, Ann="angry", Bo="angry", Cy="sad"),
        outcome(1, Ann="sad", Bo="angry"),
        outcome(2, "happy", Ann="sad", Bo="happy"),
        outcome(3, Ann="sad"),
    ]
    found = agreement(outcomes)
    assert (found.clips, found.labels, found.blind, found.raters) == (3, 7, 7, 2)
    assert [(p.first, p.second, p.clips, p.same) for p in found.pairs] == [
        ("Ann", "Bo", 3, 1),
        ("Ann", "Cy", 1, 0),
        ("Bo", "Cy", 1, 0),
    ]
    # on clip 0 the other two are level for Ann and for Bo; nobody else labelled clip 3
    assert confusion(outcomes)["Ann"] == {("angry", "sad"): 1, ("happy", "sad"): 1}
    assert confusion(outcomes)["Cy"] == {("angry", "sad"): 1}
    assert agreement([]).alpha is None
