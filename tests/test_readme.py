"""What README and docs tell people to type exists, and their links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from audiollm.__main__ import parser as analyse_parser
from train.__main__ import COMMANDS, _parse

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[list[str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if "python" in words and "-m" in words:
                    found.append(words[words.index("-m") + 1 :])
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_documented_command_is_understood(words: list[str]) -> None:
    module, *rest = words
    if module == "train":
        assert rest[0] in COMMANDS
        _parse(rest, rest[0])
    elif module == "audiollm":
        analyse_parser().parse_args(rest)
    else:
        assert module.split(".")[0] in ("bench", "venv", "pytest")
        if module.startswith("bench"):
            assert (ROOT / (module.replace(".", "/") + ".py")).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_front_matter_makes_a_space() -> None:
    head = yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert head["sdk"] == "gradio"
    assert head["hf_oauth"] is True  # so the owner of a Space can log in (docs/security.md)
    assert (ROOT / head["app_file"]).is_file()
    assert len(head["short_description"]) <= 60
    pinned = re.search(
        r"gradio>=([\d.]+),<([\d.]+)", (ROOT / "requirements.txt").read_text("utf-8")
    )
    assert pinned
    low, version, high = (
        tuple(map(int, v.split("."))) for v in (pinned[1], head["sdk_version"], pinned[2])
    )
    assert low <= version < high
