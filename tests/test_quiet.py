"""How the events of the pages end."""

import pytest

from audiollm.web.quiet import unrepeated


@pytest.mark.parametrize("wanted", [True, False])
def test_the_last_word_of_a_run_that_was_overtaken_changes_nothing(wanted: bool) -> None:
    steps = list(unrepeated([["a", 1], ["b", 2]], lambda: wanted, 2))
    assert steps[:2] == [["a", 1], ["b", 2]]
    assert steps[2:] == ([] if wanted else [[{"__type__": "update"}] * 2])
