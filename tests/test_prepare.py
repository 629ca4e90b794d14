"""`python -m train prepare` on synthetic voices: killed, resumed, joined, refused in words."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from audiollm.audio import functionals
from audiollm.contracts.insight import Insight
from audiollm.encoder import emotion2vec
from audiollm.settings import Settings
from tests.conftest import voiced
from tests.test_corpora import write_original
from train import __main__ as command
from train.corpora import Clip
from train.data import extract, prepare
from train.data.dataset import Prepared, load_prepared
from train.data.features import copy_id

RATE = 16000
LABELS = ("angry", "happy", "sad")


def voice(path: Path, pitch: float, seconds: float = 0.7, seed: int = 0) -> None:
    """A file of speech."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voiced(seconds, pitch, seed), RATE)


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four speakers, three classes; a silent file, a text and a copy besides."""
    root = tmp_path_factory.mktemp("voices")
    rows = ["file,label,speaker"]
    for speaker in range(4):
        for number, label in enumerate(LABELS):
            name = f"{label}{speaker}.wav"
            voice(root / name, 110 + 30 * speaker + 9 * number, seed=10 * speaker + number)
            rows.append(f"{name},{label},{speaker}")
    soundfile.write(root / "silent.wav", np.zeros(RATE), RATE)
    (root / "text.wav").write_text("this is not a sound")
    (root / "copy.wav").write_bytes((root / "sad0.wav").read_bytes())
    rows += ["silent.wav,sad,0", "text.wav,sad,0", "copy.wav,sad,3", "gone.wav,sad,1"]
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def run(*arguments: object) -> int:
    return command.main(["prepare", "--workers", "1", *map(str, arguments)])


def content(folder: Path) -> tuple[str, dict[str, Any]]:
    """clips.jsonl, and every feature by clip."""
    found = load_prepared(folder)
    return (folder / "clips.jsonl").read_text(), {c.id: found.store.get(c.id) for c in found.clips}


def assert_same(one: Path, other: Path) -> None:
    (table, features), (table_other, features_other) = content(one), content(other)
    assert table == table_other
    assert features.keys() == features_other.keys()
    for id, a in features.items():
        b = features_other[id]
        np.testing.assert_allclose(a.utterance, b.utterance, atol=1e-4)
        np.testing.assert_array_equal(a.functionals, b.functionals)
        np.testing.assert_allclose(a.frames, b.frames, atol=5e-3)  # float16


@pytest.fixture(scope="module")
def done(voices: Path, frozen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uninterrupted run."""
    out = tmp_path_factory.mktemp("done") / "out"
    assert run("--corpus", "manifest", "--root", voices, "--encoder", frozen, "--out", out) == 0
    return out


def test_what_is_written(done: Path, voices: Path, frozen: Path) -> None:
    found = load_prepared(done)
    assert found.classes == ("angry", "happy", "sad")
    assert found.info["frames"] is True
    assert found.info["functionals"] == functionals.SIZE
    assert found.info["root"] == str(voices)
    assert found.encoder.id == str(frozen)
    assert found.encoder.fingerprint
    assert [Path(c.path).name for c in found.clips[:3]] == ["angry0.wav", "happy0.wav", "sad0.wav"]
    assert len(found.clips) == 12
    for clip in found.clips:
        assert clip.speaker.startswith(f"{clip.corpus}-")
        assert (clip.seconds, clip.cues and clip.cues["seconds"]) == (0.7, 0.7)
        features = found.store.get(clip.id)
        assert features.frames is not None
        assert features.frames.shape[1] == 16
        np.testing.assert_allclose(features.frames.mean(0), features.utterance, atol=2e-3)
    rows = [json.loads(line) for line in (done / "rejected.jsonl").read_text().splitlines()]
    kinds = {Path(row["path"]).name: row["reason"].split(":")[0] for row in rows}
    assert kinds == {
        "silent.wav": "no speech",
        "text.wav": "unreadable",
        "copy.wav": "identical audio",
        "gone.wav (manifest.csv:17)": "file missing",
    }
    summary = json.loads((done / "summary.json").read_text())
    assert summary["all"] == {
        "clips": 12,
        "hours": round(12 * 0.7 / 3600, 4),
        "speakers": 4,
        "classes": {"angry": 4, "happy": 4, "sad": 4},
    }
    assert sum(part["clips"] for part in summary["splits"].values()) == 12
    assert summary["rejected"] == dict.fromkeys(kinds.values(), 1)


def test_a_labelled_clip_is_rejected_by_its_level_alone(tmp_path: Path) -> None:
    """A person has heard speech in it, and the detector misses a few voices."""
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    soundfile.write(tmp_path / "tone.wav", tone, RATE)
    soundfile.write(tmp_path / "silent.wav", 0 * tone, RATE)
    config = extract.ExtractConfig()
    kept = extract._measure(tmp_path / "tone.wav", "tone.wav", config, Settings())
    assert not isinstance(kept, extract.Rejected)
    found = extract._measure(tmp_path / "silent.wav", "silent.wav", config, Settings())
    assert isinstance(found, extract.Rejected)
    assert found.reason.startswith("no speech: No speech detected: the sound is silent")


def test_training_clips_alone_get_augmented_copies(
    done: Path, voices: Path, frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--corpus", "manifest", "--root", voices, "--encoder", frozen, "--out", tmp_path)
    assert run(*words, "--copies", "2") == 0
    found = load_prepared(tmp_path)
    assert found.copies == 2
    assert (done / "clips.jsonl").read_text() == (tmp_path / "clips.jsonl").read_text()
    train = {c.id for c in found.split("train")}
    assert len(found.store) == len(found.clips) + 2 * len(train)
    for clip in found.clips:
        copies = [copy_id(clip.id, copy) in found.store for copy in (1, 2)]
        assert copies == [clip.id in train] * 2
    for id in train:
        clean, one, two = (
            np.asarray(found.store.get(copy_id(id, copy)).functionals) for copy in range(3)
        )
        assert clean.shape == one.shape == two.shape == (functionals.SIZE,)
        assert not np.allclose(clean, one)
        assert not np.allclose(one, two)
    measured: list[str] = []
    really = extract._measure

    def watched(source: Any, path: str, *more: Any) -> Any:
        measured.append(Path(path).name)
        return really(source, path, *more)

    monkeypatch.setattr(extract, "_measure", watched)
    assert run(*words, "--copies", "2") == 0
    assert set(measured) <= {"silent.wav", "text.wav", "gone.wav"}  # what could not be used


def test_a_device_that_is_not_here_is_a_sentence(
    voices: Path, frozen: Path, tmp_path: Path, capsys: Any
) -> None:
    common = (
        "--corpus",
        "manifest",
        "--root",
        voices,
        "--encoder",
        frozen,
        "--out",
        tmp_path / "x",
    )
    assert run(*common, "--device", "nowhere") == 2
    assert "'nowhere' is not usable on this machine" in capsys.readouterr().err


def test_an_encoder_folder_is_found_from_anywhere(
    voices: Path, frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(frozen.parent)
    common = ("--corpus", "manifest", "--root", voices, "--max-clips", 9, "--out", tmp_path / "x")
    assert run(*common, "--encoder", frozen.name) == 0
    assert load_prepared(tmp_path / "x").encoder.id == str(frozen)


def test_file_names_that_are_no_utf8(
    voices: Path, frozen: Path, tmp_path: Path, capsys: Any
) -> None:
    root = tmp_path / "clips"
    for label in LABELS:
        (root / label).mkdir(parents=True)
        for path in voices.glob(f"{label}*.wav"):
            name = b"\xe4" + path.name.encode()
            shutil.copyfile(path, root / label / os.fsdecode(name))
    (root / os.fsdecode(b"l\xf6se.wav")).write_text("no sound")
    words = ("--corpus", "folder", "--root", str(root), "--split", "random")
    assert command.main(["look", *words]) == 0
    found = Insight.from_json(capsys.readouterr().out)
    assert {Path(clip.path) for clip in found.samples} == set(root.glob("*/*.wav"))
    assert [Path(one.path).name for one in found.first] == ["l\\udcf6se.wav"]
    out = tmp_path / "out"
    assert run(*words, "--encoder", frozen, "--out", out) == 0
    assert {Path(clip.path) for clip in load_prepared(out).clips} == set(root.glob("*/*.wav"))
    assert json.loads((out / "summary.json").read_text())["rejected"]["no class"] == 1


def test_second_run_hears_nothing(
    done: Path, voices: Path, frozen: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Only the two files that cannot be used are tried again; another split is a matter of text."""
    before = [(p.name, p.stat().st_mtime_ns) for p in (done / "features").glob("*.safetensors")]
    opened: list[str] = []
    measure = extract._measure

    def watched(source: Path, *rest: Any) -> Any:
        opened.append(source.name)
        return measure(source, *rest)

    monkeypatch.setattr(extract, "_measure", watched)
    common = ("--corpus", "manifest", "--root", voices, "--encoder", frozen, "--out", done)
    assert run(*common, "--folds", 4, "--fold", 2) == 0
    assert opened == ["silent.wav", "text.wav"]
    assert before == [
        (p.name, p.stat().st_mtime_ns) for p in (done / "features").glob("*.safetensors")
    ]
    text = capsys.readouterr().out
    assert "4 files are not used" in text
    assert "1  no speech" in text
    assert {len({c.speaker for c in load_prepared(done).split(s)}) for s in ("valid", "test")} == {
        1
    }
    assert run(*common) == 0


def test_changed_file_is_heard_again(voices: Path, frozen: Path, tmp_path: Path) -> None:
    root = tmp_path / "folder"
    for speaker in "abc":
        for label in LABELS:
            voice(
                root / label / f"{speaker}.wav",
                100 + 20 * ord(speaker) % 97,
                seed=ord(speaker) + len(label),
            )
    source = ("--corpus", "folder", "--root", root, "--speaker-pattern", r"(\w)\.wav")
    common = (*source, "--encoder", frozen, "--out", tmp_path / "out", "--no-frames")
    assert run(*common) == 0
    first = {c.path: c.id for c in load_prepared(tmp_path / "out").clips}
    changed = root / "sad" / "b.wav"
    voice(changed, 222, seconds=0.9)
    assert run(*common) == 0
    second = {c.path: c.id for c in load_prepared(tmp_path / "out").clips}
    assert {path for path in first if first[path] != second[path]} == {str(changed)}


def child(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "train", "prepare", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_killed_and_resumed(done: Path, voices: Path, frozen: Path, tmp_path: Path) -> None:
    """kill -9 in the middle, then the same command: the same clips and features as without."""
    out = tmp_path / "out"
    common = ("--corpus", "manifest", "--root", voices, "--encoder", frozen, "--out", out)
    # chunks of one clip, so that there is a middle
    process = child(*common, "--workers", "1", "--batch-seconds", "0.1")
    journal = out / "journal.jsonl"
    limit = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < limit:
        if journal.is_file() and journal.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "prepare.json").exists(), "the run was over before it could be killed"
    with journal.open("a") as file:
        file.write('{"path": "torn li')
    assert run(*common) == 0
    assert_same(done, out)


def test_interrupted_and_resumed(
    done: Path,
    voices: Path,
    frozen: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    out = tmp_path / "out"
    common = ("--corpus", "manifest", "--root", voices, "--encoder", frozen, "--out", out)
    measure = extract._measure
    calls: list[Any] = []
    last = 6

    def interrupted(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == last:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(extract, "_measure", interrupted)
    assert run(*common, "--batch-seconds", 0.1) == 130
    assert "Stopped, finished work is saved: give the same command again" in capsys.readouterr().err
    calls.clear()
    last = 99
    assert run(*common) == 0
    assert len(calls) == 15 - 5  # five clips are known from before
    assert_same(done, out)


@pytest.mark.slow
def test_workers_give_the_same(
    done: Path, voices: Path, frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "_FEW", 1)
    out = tmp_path / "out"
    common = ("--corpus", "manifest", "--root", voices, "--encoder", frozen, "--out", out)
    assert command.main(["prepare", "--workers", "2", *map(str, common)]) == 0
    assert_same(done, out)


def test_joined_corpora(voices: Path, frozen: Path, tmp_path: Path) -> None:
    other = tmp_path / "wav"
    for i, speaker in enumerate(("03", "08", "09")):
        for j, letter in enumerate("WFT"):
            voice(other / f"{speaker}a01{letter}a.wav", 150 + 20 * i + 5 * j, seed=i * 3 + j + 99)
    out = tmp_path / "out"
    sources = ("--corpus", "manifest", "--root", voices, "--corpus", "emodb", "--root", other)
    assert run(*sources, "--encoder", frozen, "--out", out, "--no-frames", "--no-functionals") == 0
    found = load_prepared(out)
    assert found.info["sources"][1] == {"corpus": "emodb", "root": str(other)}
    assert (found.info["frames"], found.info["functionals"]) == (False, 0)
    assert {c.corpus for c in found.split("test")} == {found.clips[0].corpus, "emodb"}
    assert {c.speaker for c in found.clips if c.corpus == "emodb"} == {
        "emodb-03",
        "emodb-08",
        "emodb-09",
    }
    bare = found.store.get(found.clips[0].id)
    assert (bare.frames, bare.functionals) == (None, None)
    # frames wanted after all: the clips are heard again, into a later shard
    assert run(*sources, "--encoder", frozen, "--out", out) == 0
    assert load_prepared(out).store.get(found.clips[0].id).frames is not None


def test_classes_and_trial(voices: Path, frozen: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    common = ("--corpus", "manifest", "--root", voices, "--encoder", frozen, "--out", out)
    assert run(*common, "--classes", "Anger, sad", "--max-clips", 7) == 0
    found = load_prepared(out)
    assert found.classes == ("angry", "sad")
    assert len(found.clips) <= 7
    assert found.info["split"]["notes"][-1]["code"] == "note_trial"
    rejected = (out / "rejected.jsonl").read_text()
    assert rejected.count("class left out: happy is not among --classes") == 4


def test_sample_is_even() -> None:
    clips = [Clip(f"{i}", "ab"[i % 2], f"s{i % 5}") for i in range(100)]
    taken = prepare.sample(clips, 20, seed=0)
    assert [sum(c.label == k for c in taken) for k in "ab"] == [10, 10]
    assert [sum(c.speaker == f"s{k}" for c in taken) for k in range(5)] == [4] * 5
    assert taken == tuple(sorted(taken, key=lambda c: int(c.path)))
    assert prepare.sample(clips, 1000, seed=0) == tuple(clips)


def original(tmp_path: Path) -> Path:
    labels = {"train": ["happy", "sad", "angry"] * 10, "valid": ["happy", "sad", "angry"]}
    return write_original(tmp_path / "features", labels, width=768)


def test_original_features(tmp_path: Path, capsys: Any) -> None:
    root, out = original(tmp_path), tmp_path / "out"
    assert run("--corpus", "original", "--root", root, "--out", out) == 0
    found: Prepared = load_prepared(out)
    assert (found.encoder.id, found.encoder.width) == ("emotion2vec_plus_base", 768)
    assert found.encoder.fingerprint == ""
    assert (found.info["frames"], found.info["functionals"]) == (False, 0)
    assert found.info["split"]["speakers_known"] is False
    assert [len(found.split(s)) for s in ("train", "valid", "test")] == [24, 6, 3]
    clip = found.split("test")[0]
    assert (clip.language, clip.cues, clip.speaker) == ("zh", None, "")
    np.testing.assert_array_equal(found.store.get(clip.id).utterance, np.load(clip.path))
    assert "who speaks is unknown" in capsys.readouterr().out
    assert run("--corpus", "original", "--root", root, "--out", out) == 0
    assert len(list((out / "features").glob("*.safetensors"))) == 1


@pytest.mark.parametrize("split", ["speaker", "random"])
def test_one_class_is_refused_before_anything_is_encoded(
    split: str, voices: Path, frozen: Path, tmp_path: Path, capsys: Any
) -> None:
    words = ("--corpus", "manifest", "--root", voices, "--classes", "sad", "--split", split)
    assert run(*words, "--encoder", frozen, "--out", tmp_path / "x") == 2
    assert "sad" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    folder = tmp_path / "clips" / "wrapper" / "sad"  # its only subfolder is taken for the emotion
    folder.mkdir(parents=True)
    for path in voices.glob("sad*.wav"):
        shutil.copyfile(path, folder / path.name)
    look = ["look", "--corpus", "folder", "--root", str(tmp_path / "clips"), "--split", "random"]
    assert command.main(look) == 0
    trouble = Insight.from_json(capsys.readouterr().out).trouble
    assert trouble is not None and trouble.code == "data_one_class"


def test_the_next_command_is_quoted_for_the_shell(tmp_path: Path, capsys: Any) -> None:
    root, out = original(tmp_path), tmp_path / "my data; rm"
    assert run("--corpus", "original", "--root", root, "--out", out) == 0
    following = capsys.readouterr().out.rpartition("Next: ")[2]
    assert shlex.split(following)[-2:] == ["--data", str(out)]


def test_refusals(done: Path, voices: Path, frozen: Path, tmp_path: Path, capsys: Any) -> None:
    def refused(*arguments: object) -> str:
        assert run(*arguments, "--out", tmp_path / "x") == 2
        error = capsys.readouterr().err.strip()
        assert "\n" not in error.split("clip/s]")[-1]
        return error

    mine = ("--corpus", "manifest", "--root", voices)
    assert "Say what to prepare: --corpus and one of emodb" in refused()
    assert "Say where tess is with --root" in refused("--corpus", "tess")
    assert "No clip is labelled calm: --classes can name angry, happy, sad" in refused(
        *mine, "--classes", "calm"
    )
    assert "--classes is a list" in refused(*mine, "--classes", "sad,,happy")
    assert "--max-clips must be 1 or more" in refused(*mine, "--max-clips", 0)
    assert "--folds must be 3 or more" in refused(*mine, "--folds", 2)
    assert "no/such/encoder" in refused(*mine, "--encoder", tmp_path / "no/such/encoder")
    both = ("--corpus", "original", "--root", original(tmp_path))
    assert "cannot be joined" in refused(*both, *mine)
    folder = tmp_path / "folder"
    for label in LABELS:
        voice(folder / label / "a.wav", 120)
    assert "do not say who speaks" in refused("--corpus", "folder", "--root", folder)
    assert not (tmp_path / "x" / "prepare.json").exists()


def test_another_encoder_is_refused(
    done: Path, voices: Path, frozen: Path, tmp_path: Path, capsys: Any
) -> None:
    torch.manual_seed(1)
    conf = emotion2vec.small_conf(
        width=16, depth=1, heads=2, conv_layers=[(16, 400, 160), (16, 3, 2)]
    )
    emotion2vec.save(emotion2vec.build_network(conf), conf, tmp_path / "other")
    common = ("--corpus", "manifest", "--root", voices, "--out", done)
    assert run(*common, "--encoder", tmp_path / "other") == 2
    assert "another encoder: prepare into another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--root", "x"),
        ("--corpus", "emodb", "--root", "x", "--root", "y"),
        ("--corpus", "emodb", "--split", "odd"),
    ],
)
def test_usage(arguments: tuple[str, ...], capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert "usage: python -m train prepare" in capsys.readouterr().err


def test_help_and_workers_need_no_torch() -> None:
    """Help comes at once, and so does a decoding process, which imports `extract`."""
    code = """
import sys
import train.data.extract, train.data.prepare
from train.__main__ import main
assert "torch" not in sys.modules, "imported by a worker"
main(["--help"])
"""
    result = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    for word in ("prepare", "fit", "merge", "evaluate", "tiny", "from recordings to an analysis"):
        assert word in result.stdout


def test_commands_in_the_help_are_understood() -> None:
    """Every `python -m train ...` line of the help and of prepare's examples parses."""
    lines = f"{command.EPILOG}\n{prepare.EPILOG}".replace("COMMAND --help", "").splitlines()
    given = [line.split()[3:] for line in lines if line.startswith("  python -m train ")]
    assert {arguments[0] for arguments in given} == {"prepare", "fit", "merge", "evaluate"}
    for arguments in given:
        _, args = command._parse(arguments, arguments[0])
        assert args.command == arguments[0]


def test_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(prepare, "run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        command.main(["prepare"])
