"""The house rules that a machine can check: import direction, sizes, settings, words."""

import re
from pathlib import Path

import pytest

from audiollm import labels
from audiollm.audio import prosody
from audiollm.settings import Settings
from tests.structure import (
    ROOT,
    circles,
    edges,
    imports,
    level,
    lines,
    packages,
    top_level,
    tracked,
    uses,
)

LONGEST = 400  # lines of a file
FILES = tracked()
SOURCES = [p for p in FILES if p.suffix == ".py" and p.parts[0] != "bench"]
LIBRARIES = {  # imported only here
    "gradio": ("app", "audiollm.web"),
    "funasr": ("audiollm.encoder.emotion2vec",),
}


def test_imports_go_down() -> None:
    graph = edges(FILES)
    wrong = []
    for name, used in graph.items():
        if name.startswith("audiollm."):
            assert level(name) is not None, f"{name} has no level in tests/structure.py"
            wrong += [(name, u) for u in used if u.split(".")[0] in ("train", "bench", "app")]
            wrong += [(name, u) for u in used if (level(u) or 0) > (level(name) or 0)]
        if name.startswith("train"):
            upper = ("audiollm.web", "audiollm.database", "audiollm.jobs")
            wrong += [(name, u) for u in used if u.startswith(upper)]
    assert wrong == []


def test_no_file_and_no_package_imports_in_a_circle() -> None:
    graph = edges(FILES)
    assert circles(graph) + circles(packages(graph)) == []


def test_libraries_are_imported_where_they_belong() -> None:
    wrong = []
    for path in (p for p in FILES if p.suffix == ".py" and p.parts[0] in ("audiollm", "train")):
        own = ".".join(path.with_suffix("").parts)
        for library in {name.split(".")[0] for name in imports(path)} & set(LIBRARIES):
            if not own.startswith(LIBRARIES[library]):
                wrong.append((own, library))
    assert wrong == []


def test_files_and_folders_stay_few_and_small() -> None:
    assert [(str(p), lines(p)) for p in FILES if lines(p) > LONGEST] == []
    assert len(top_level(FILES)) <= 20


def test_the_environment_is_read_in_one_file() -> None:
    readers = [p for p in SOURCES if uses(p) & {"os.environ", "os.getenv"}]
    assert readers in ([], [Path("audiollm/settings.py")])


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    source = (ROOT / "audiollm" / "settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r"AUDIOLLM_[A-Z_]+", source))
    assert len(names) >= len(set(Settings.__dataclass_fields__) - {"space"})  # has its own names
    assert not [name for name in names if name not in text]


def test_json_is_parsed_where_deep_nesting_is_refused() -> None:
    known = {Path(f"audiollm/{name}.py") for name in ("contracts/plain_json", "texts/__init__")}
    own = ("audio/decoding", "metrics/__init__")  # of this program
    known |= {Path(f"audiollm/{name}.py") for name in own}
    readers = {p for p in SOURCES if p.parts[0] == "audiollm" and "json.loads" in uses(p)}
    assert readers - known == set()


def test_nothing_dangerous_is_called() -> None:
    """No eval, no pickle, no remote code, no shell in what ships."""
    banned = {"eval", "exec", "pickle.load", "pickle.loads", "shell=True"}
    banned |= {"allow_pickle=True", "trust_remote_code=True", "weights_only=False"}
    assert [(p, uses(p) & banned) for p in SOURCES if uses(p) & banned] == []


def test_every_class_has_two_words_and_no_alias_twice() -> None:
    seen: dict[str, str] = {}
    for emotion in labels.EMOTIONS:
        assert emotion.zh and emotion.en and re.fullmatch(r"#[0-9A-F]{6}", emotion.colour)
        for alias in {emotion.name, emotion.zh, *emotion.aliases}:
            assert seen.setdefault(alias, emotion.name) == emotion.name
            assert labels.canonical(alias.upper()) == emotion.name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        *(("憤怒", "angry"), ("悲傷", "sad"), ("開心", "happy"), ("joyful", "happy")),
        *(("Neutral state", "neutral"), ("驚訝", "surprised"), ("恐懼", "fearful")),
    ],
)
def test_traditional_characters_and_adjectives_are_known(raw: str, name: str) -> None:
    assert labels.canonical(raw) == name


@pytest.mark.parametrize("raw", ["", "  ", "!!", "a" * 40, "happy;drop"])
def test_what_cannot_be_a_class_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="class"):
        labels.canonical(raw)


def test_emotion2vec_tokens_are_understood() -> None:
    assert labels.canonical("生气/angry") == "angry"
    assert labels.canonical("<unk>") == "unknown"
    assert labels.ordered(["sad", "zest", "angry"]) == ("angry", "sad", "zest")


def test_every_cue_reads_in_both_languages() -> None:
    for reference in prosody.REFERENCES:
        assert len(reference.en) == len(reference.zh) == 4
        for register in (reference.low, reference.high):
            assert register[0] <= register[1]
