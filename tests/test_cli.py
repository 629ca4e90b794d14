"""`python -m audiollm` as a person calls it: a process, files, exit codes."""

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

import train.__main__ as train
from audiollm.__main__ import _columns, collect, main
from audiollm.deploy import __main__ as deploy
from audiollm.errors import ConfigError
from audiollm.labels import Language
from audiollm.settings import Settings
from audiollm.texts import console, text
from tests import tiny
from tests.conftest import encode, voiced

ROOT = Path(__file__).parent.parent
RATE = 16000


@pytest.mark.parametrize(
    ("variables", "windows", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "", "zh"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "", "en"),
        ({"LC_MESSAGES": "zh_TW", "LANG": "C"}, "", "zh"),
        ({"LANG": "C.UTF-8"}, "zh_CN", "en"),
        ({}, "Chinese (Simplified)_China", "zh"),
        ({}, None, "en"),
    ],
)
def test_commands_speak_the_language_of_the_locale(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    windows: str | None,
    language: Language,
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("locale.getlocale", lambda: (windows, None))
    refusal = ConfigError("deploy_name", name="ann/not a name")
    assert deploy.main(["model", str(ROOT), "--to", "ann/not a name", "--dry-run"]) == 1
    assert capsys.readouterr().err == refusal.in_language(language) + "\n"
    assert train.main(["look", "--data", "nowhere"]) == 2
    written = capsys.readouterr().err
    assert written and written.isascii() is (language == "en")


def test_a_refusal_is_in_the_language_that_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["a.wav", "--model", "nowhere", "--language", "zh"]) == 2
    written = capsys.readouterr().err
    assert "nowhere" in written and not written.isascii()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    tiny.model_folder(folder, Settings(home=folder, device="cpu"))
    sounds = folder / "sounds"
    (sounds / "deeper").mkdir(parents=True)
    soundfile.write(sounds / "a.wav", voiced(1.0), RATE)
    soundfile.write(sounds / "deeper" / "b.flac", voiced(1.5), RATE)
    (sounds / "c.m4a").write_bytes(encode(voiced(1.2), "ipod", "aac"))
    soundfile.write(sounds / "silent.wav", np.zeros(RATE), RATE)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    soundfile.write(sounds / "tone.wav", tone, RATE)
    (sounds / "text.wav").write_text("a text")
    (sounds / "notes.txt").write_text("not collected")
    return folder


def call(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "AUDIOLLM_DEVICE": "cpu"}
    return subprocess.run(
        [sys.executable, "-m", "audiollm", *words],
        cwd=place,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Here:
    """The same without the seconds that a process takes to import torch."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        code = main(words)
        out, err = self.capsys.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    monkeypatch.chdir(place)
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    return Here(capsys)


@pytest.mark.slow  # the one process of its own here
def test_json_lines_for_a_folder_and_exit_code_1(place: Path) -> None:
    done = call(place, "sounds", "gone.wav", "--json", "--model", "model", "--batch", "2")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    by_name = {Path(line["path"]).name: line for line in lines}
    assert list(by_name) == [
        "a.wav",
        "c.m4a",
        "b.flac",
        "silent.wav",
        "text.wav",
        "tone.wav",
        "gone.wav",
    ]
    for name in ("a.wav", "b.flac", "c.m4a"):
        line = by_name[name]
        assert {"path", "label", "probabilities", "text", "model", "seconds"} <= set(line)
        assert sum(line["probabilities"].values()) == pytest.approx(1)
        assert line["label"] in line["probabilities"]
    assert by_name["b.flac"]["seconds"] == pytest.approx(1.5)
    for name in ("silent.wav", "text.wav", "tone.wav", "gone.wav"):
        assert set(by_name[name]) == {"path", "error"}
    assert "No speech detected" in by_name["silent.wav"]["error"]
    assert by_name["tone.wav"]["error"] == text("audio_no_speech", "en")
    assert "Traceback" not in done.stderr


def test_readable_text_in_chinese(here: Here) -> None:
    done = here("sounds/a.wav", "--model", "model", "--language", "zh")
    assert done.returncode == 0, done.stderr
    assert "生气" in done.stdout
    assert "%" in done.stdout
    assert "a.wav" in done.stdout


def test_same_speaker_needs_three_clips_and_says_so(place: Path, here: Here) -> None:
    for i, pitch in enumerate((180, 190, 200)):
        soundfile.write(place / f"own{i}.wav", voiced(2.0, pitch), RATE)
    words = ("--model", "model", "--same-speaker", "--json")
    few = here("own0.wav", "own1.wav", *words)
    assert few.returncode == 0
    assert few.stderr.count("needs three files") == 1
    enough = here("own0.wav", "own1.wav", "own2.wav", *words)
    assert enough.stderr == ""
    for line in map(json.loads, enough.stdout.splitlines()):
        basis = line["analysis"]["basis"]
        assert (basis["kind"], basis["clips"]) == ("speaker", 3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("a.wav", "--model", "nowhere"), "nowhere"),
        (("a.wav", "--model", "qwen2.5-0.5b"), "hf download"),
        (("a.wav", "--model", "model", "--device", "cuda:99"), "cuda:99"),
    ],
)
def test_what_cannot_start_says_so_in_one_sentence(
    here: Here, words: tuple[str, ...], says: str
) -> None:
    done = here(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_names_that_find_nothing_fail_and_the_others_are_answered(place: Path, here: Here) -> None:
    (place / "nothing").mkdir(exist_ok=True)
    soundfile.write(place / "clip1.wav", voiced(1.0), RATE)
    names = ("sounds/a.wav", "gone*.wav", "nothing", "clip[1].wav")
    done = here(*names, "--json", "--model", "model")
    assert done.returncode == 1
    lines = {Path(line["path"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert "label" in lines["a.wav"]
    assert "does not exist" in lines["gone*.wav"]["error"]
    assert "is a folder" in lines["nothing"]["error"]
    assert "does not exist" in lines["clip[1].wav"]["error"]


def test_help_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown and "--language" in shown


def test_collect_takes_folders_patterns_and_names(place: Path) -> None:
    found = [p.name for p in collect([str(place / "sounds"), str(place / "sounds" / "*.wav"), "x"])]
    assert found == [
        *("a.wav", "c.m4a", "b.flac", "silent.wav", "text.wav", "tone.wav"),
        *("a.wav", "silent.wav", "text.wav", "tone.wav"),
        "x",
    ]


def test_collect_keeps_every_name_that_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "clip1.wav").touch()
    for name in ("empty", "none*.wav", "clip[1].wav", "gone.wav", "empty/**/*.wav"):
        assert list(collect([str(tmp_path / name)])) == [tmp_path / name]
    (tmp_path / "clip[1].wav").touch()
    assert list(collect([str(tmp_path / "clip[1].wav")])) == [tmp_path / "clip[1].wav"]
    assert len(list(collect([str(tmp_path / "clip*")]))) == 2


def test_collect_follows_links_to_folders(place: Path, tmp_path: Path) -> None:
    (tmp_path / "own").symlink_to(place / "sounds")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "sets.wav").mkdir()
    (tmp_path / "sets.wav" / "d.wav").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in collect([str(tmp_path)])]
    names = ("a.wav", "c.m4a", "deeper/b.flac", "silent.wav", "text.wav", "tone.wav")
    assert found == [*(f"own/{name}" for name in names), "sets.wav/d.wav"]


class Terminal:
    """Standard output of some encoding in place of the real one."""

    def __init__(self, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoding, self.bytes = encoding, io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(self.bytes, encoding))
        self.errors = io.BytesIO()
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(self.errors, encoding))

    def read(self) -> str:
        sys.stdout.flush()
        return self.bytes.getvalue().decode(self.encoding)


ENCODINGS = ("utf-8", "gbk", "cp1252", "latin-1", "ascii")
NO_UTF8 = os.fsdecode(b"gr\xfc\xdfe.wav")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_file_name_on_any_terminal(
    encoding: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place / "names"
    folder.mkdir(exist_ok=True)
    names = [NO_UTF8, "声音😀.wav", "z.wav"]
    for name in names:
        shutil.copyfile(place / "sounds" / "a.wav", folder / name)
    (folder / f"broken-{NO_UTF8}").write_text("no sound")
    monkeypatch.chdir(place)
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    for language in ("en", "zh"):
        words = ("names", "--model", "model", "--language", language)
        terminal = Terminal(encoding, monkeypatch)
        assert main((*words, "--json")) == 1
        lines = [json.loads(line) for line in terminal.read().split("\n") if line]
        assert {Path(line["path"]).name for line in lines if "label" in line} == set(names)
        assert [line["path"] for line in lines if "error" in line] == [f"names/broken-{NO_UTF8}"]
        terminal = Terminal(encoding, monkeypatch)
        assert main(words) == 1
        assert terminal.read().count("%") >= len(names) * len(tiny.CLASSES)


def test_help_into_a_closed_pipe_is_quiet() -> None:
    for words in (["-m", "audiollm", "--help"], ["-u", "-m", "train", "look", "--corpus", "emodb"]):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run(
                [sys.executable, *words],
                stdout=writer,
                stderr=subprocess.PIPE,
                cwd=ROOT,
                check=False,
            )
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (141, b"")


def test_another_broken_pipe_is_a_bug() -> None:
    def main() -> int:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        console.run(main)


@pytest.mark.parametrize("words", [("--json",), ()])
def test_a_closed_pipe_is_quiet(
    words: tuple[str, ...], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("AUDIOLLM_DEVICE", "cpu")
    terminal = Terminal("utf-8", monkeypatch)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        code = main(("sounds/a.wav", "sounds/c.m4a", "--model", "model", *words))
    assert code == 141
    assert terminal.errors.getvalue() == b""


def test_chinese_takes_two_columns() -> None:
    assert _columns("生气a") == 5
