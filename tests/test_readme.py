"""What README and docs tell people to type exists, and their links lead somewhere."""

import re
import shlex
from pathlib import Path

import yaml

from audiollm.__main__ import parser as analyse_parser
from audiollm.deploy.__main__ import parser as deploy_parser
from train.__main__ import COMMANDS, _parse

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", ROOT / "README_zh.md"]
PAGES = [*READMES, *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[list[str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if "python" in words and "-m" in words:
                    found.append(words[words.index("-m") + 1 :])
    return found


def test_documented_commands_are_accepted() -> None:
    refused = []
    for words in commands():
        try:
            assert _accepts(*words)
        except (SystemExit, AssertionError):
            refused.append(words)
    assert refused == []


def _accepts(module: str, *words: str) -> bool:
    if module == "train":
        _parse(list(words), words[0])
        return words[0] in COMMANDS
    if module == "audiollm":
        analyse_parser().parse_args(words)
        return True
    if module == "audiollm.deploy":
        deploy_parser().parse_args(words)
        return True
    known = module in ("venv", "pytest")
    return known or (ROOT / (module.replace(".", "/") + ".py")).is_file()


def test_links_and_pictures_exist() -> None:
    missing = [
        (page.name, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert missing == []


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


def test_the_readmes_are_short_and_say_the_same() -> None:
    parts = []
    for path in READMES:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 120
        text = text.split("\n---\n", 1)[-1]  # without front matter
        blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        commands = [
            shlex.split(line, comments=True) for block in blocks for line in block.split("\n")
        ]
        inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
        tables = re.findall(r"\d+\.\d+%?", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        links = set(re.findall(r"\]\((docs/[^)]+\.md[^)]*|assets[^)]+)\)", text))
        parts.append((commands, sorted(inline), tables, links, text.count("\n## ")))
    assert parts[0] == parts[1]


def test_paths_named_in_the_docs_exist() -> None:
    """Whatever looks like a file of the project, in backquotes."""
    named = re.compile(r"`((?:audiollm|train|tests|bench|docs|assets)/[\w./-]+)`")
    missing = [
        (page.name, name)
        for page in PAGES
        for name in named.findall(page.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert missing == []
