"""The page of figures says what the results say."""

import json
import re
from pathlib import Path

import pytest

from bench import quality

RESULTS = sorted(quality.RESULTS.glob("*.json"))


def test_the_page_is_what_the_results_make_of_it() -> None:
    names = []
    for path in quality.PAGES:
        page = path.read_text(encoding="utf-8")
        assert page == quality.filled(page), "run python -m bench.quality"
        names += [found["name"] for found in quality.PLACE.finditer(page)]
    assert sorted(names) == sorted(quality.TABLES)


def test_every_result_names_its_command_and_versions() -> None:
    for path in RESULTS:
        result = json.loads(path.read_text(encoding="utf-8"))
        run = result if "command" in result else result["run"]
        assert re.match(r"python -m (train|bench)\b", run["command"]), path
        assert run["versions"]["torch"], path
        assert quality.tables(path.stem), path
        for name in quality.tables(path.stem):
            assert quality.markdown(quality.TABLES[name](result)).count("\n") > 3, name


def test_a_result_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "RESULTS", tmp_path)
    page = quality.filled("a\n<!-- chiser5 -->\nold\n<!-- end -->\nb\n")
    assert page == "a\n<!-- chiser5 -->\nNot measured yet.\n<!-- end -->\nb\n"
