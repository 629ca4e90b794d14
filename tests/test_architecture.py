"""The house rules that a machine can check: import direction, sizes, settings, words."""

import ast
import re
from pathlib import Path

import pytest

from audiollm import labels, prosody
from audiollm.settings import Settings

ROOT = Path(__file__).parent.parent
SOURCES = [
    ROOT / "app.py",
    *sorted((ROOT / "audiollm").rglob("*.py")),
    *sorted((ROOT / "train").rglob("*.py")),
]

# A module may import those of its own level or of a lower one.
LEVELS = [
    {"errors", "labels", "config", "settings", "hub", "catalogue", "memory", "steps", "threads"},
    {
        "vad",
        "speech",
        "audio",
        "av_decoder",
        "decoding",
        "prosody",
        "functionals",
        "calibration",
        "metrics",
    },
    {
        "claims",
        "baseline",
        "windows",
        "speaker",
        "distance",
        "timeline",
        "store",
        "labelling",
        "plan",
        "processes",
        "progress",
        "failures",
        "loading",
    },
    {"estimate"},
    {"prompt", "projector", "encoder", "probe"},
    {"model", "scoring", "asking", "streaming", "checkpoint"},
    {"analysis", "wording", "prediction", "votes", "classifier"},
    {"predictor", "files", "jobs", "room", "runner", "__main__"},
    {"ui"},
]


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def level(name: str) -> int | None:
    return next((i for i, names in enumerate(LEVELS) if name in names), None)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    used = imports(path)
    if parts[0] == "audiollm":
        assert not [u for u in used if u.split(".")[0] in ("train", "tests")], (
            "audiollm imports train"
        )
        own = level(parts[1]) if parts[-1] != "__init__" or len(parts) > 2 else 0
        assert own is not None, f"{parts[1]} has no level in this test"
        for name in used:
            target = level(name.split(".")[1]) if name.startswith("audiollm.") else None
            assert target is None or target <= own, f"{path.name} imports {name}, which is above it"
    if parts[0] == "train":
        assert not [
            u for u in used if u.startswith(("audiollm.ui", "audiollm.store", "audiollm.jobs"))
        ]
    if parts[0] != "app" and "ui" not in parts:
        assert not [u for u in used if u.split(".")[0] == "gradio"], "gradio belongs to the page"
    if parts != ("audiollm", "encoder", "emotion2vec"):
        assert not [u for u in used if u.split(".")[0] == "funasr"], "funasr belongs to emotion2vec"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


def test_the_environment_is_read_in_one_file() -> None:
    readers = [
        p.name
        for p in SOURCES
        if re.search(r"os\.(environ(?!\[[^]]+\] = )|getenv)", p.read_text("utf-8"))
    ]
    assert set(readers) <= {"settings.py"}


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    source = (ROOT / "audiollm" / "settings.py").read_text(encoding="utf-8")
    names = set(re.findall(r"AUDIOLLM_[A-Z_]+", source))
    assert len(names) >= len(set(Settings.__dataclass_fields__) - {"space"})  # has its own names
    assert not [name for name in names if name not in text]


def test_nothing_dangerous_is_called() -> None:
    """No eval, no pickle, no remote code, no shell in what ships."""
    banned = re.compile(
        r"(?<![\w.])eval\(|pickle\.load|allow_pickle=True|trust_remote_code=True|shell=True"
    )
    assert not [p for p in SOURCES if banned.search(p.read_text(encoding="utf-8"))]


def test_every_class_has_two_words_and_no_alias_twice() -> None:
    seen: dict[str, str] = {}
    for emotion in labels.EMOTIONS:
        assert emotion.zh and emotion.en and re.fullmatch(r"#[0-9A-F]{6}", emotion.colour)
        for alias in {emotion.name, emotion.zh, *emotion.aliases}:
            assert seen.setdefault(alias, emotion.name) == emotion.name
            assert labels.canonical(alias.upper()) == emotion.name


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
