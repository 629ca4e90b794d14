"""Who is tested, by `python -m train prepare`: EmoBox's folds, folds of each corpus, speakers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import emobox as made
from tests.test_prepare import run, voice
from train.data.dataset import Prepared, load_prepared

NAMES = {  # three speakers and two classes of each; one class of its own
    "emodb": ["03a01Wa", "08a01Wa", "09a01Wa", "03a01La", "08a01La", "09a01La"],
    "casia": [f"{who}-{how}-201" for who in ("Liu", "Wang", "Zhao") for how in ("angry", "fear")],
    "emovo": [f"{how}-{who}-b1" for who in ("f1", "f2", "m1") for how in ("rab", "dis")],
    "nemo": [f"{who}_{how}_1" for who in ("EB0", "KD0", "SM0") for how in ("anger", "surprised")],
    "ased": [f"{how}-01-01-01-{who}" for who in ("03", "05", "09") for how in ("a5", "h3")],
}


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """`--corpus NAME --root DIR` of five small corpora."""
    root, words = tmp_path_factory.mktemp("five"), []
    for number, (corpus, names) in enumerate(NAMES.items()):
        for i, name in enumerate(names):
            voice(root / corpus / f"{name}.wav", 100 + 11 * i + number, seed=10 * number + i)
        words += ["--corpus", corpus, "--root", str(root / corpus)]
    return words


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all splits: what is computed once is used again."""
    return tmp_path_factory.mktemp("out") / "five"


def prepare(words: list[str], frozen: Path, out: Path, *more: object) -> Prepared:
    assert (
        run(*words, "--encoder", frozen, "--out", out, "--no-frames", "--no-functionals", *more)
        == 0
    )
    return load_prepared(out)


def test_leave_one_of_five_corpora_out(five: list[str], frozen: Path, out: Path) -> None:
    found = prepare(five, frozen, out, "--test-corpus", "nemo")
    assert {c.corpus for c in found.split("test")} == {"nemo"}
    assert {c.corpus for c in found.split("train")} == set(NAMES) - {"nemo"}
    assert found.classes == ("angry", "disgusted", "fearful", "happy", "surprised", "bored")
    assert found.info["split"]["test_corpus"] == ["nemo"]
    assert [s["corpus"] for s in found.info["sources"]] == list(NAMES)


def test_folds_of_each_corpus(five: list[str], frozen: Path, out: Path) -> None:
    before = prepare(five, frozen, out, "--valid", 0)
    shards = sorted(p.name for p in (out / "features").glob("*.safetensors"))
    folds = {"emodb": 3, "casia": 2, "emovo": 3, "nemo": 2, "ased": 3}
    text = ",".join(f"{name}={count}" for name, count in folds.items())
    found = prepare(five, frozen, out, "--valid", 0, "--folds", text, "--fold", 2)
    assert {c.corpus for c in found.split("test")} == {"emodb", "emovo", "ased"}
    assert not found.split("valid")
    assert (found.info["split"]["folds"], found.info["split"]["fold"]) == (folds, 2)
    assert len(before.clips) == len(found.clips)
    assert shards == sorted(p.name for p in (out / "features").glob("*.safetensors"))


def test_speakers_by_name(five: list[str], frozen: Path, out: Path) -> None:
    found = prepare(five, frozen, out, "--valid", 0, "--test-speakers", "emodb-03,nemo-sm0")
    assert {c.speaker for c in found.split("test")} == {"emodb-03", "nemo-sm0"}
    assert found.info["split"]["test_speakers"] == ["emodb-03", "nemo-sm0"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("emovo")
    for i, row in enumerate(made.rows()):
        voice(root / "audio" / (Path(row["wav"]).stem + ".flac"), 100 + 7 * i, seed=i)
    return root


def test_a_fold_of_emobox(recordings: Path, frozen: Path, tmp_path: Path) -> None:
    metadata, copy = made.write(tmp_path / "emovo"), tmp_path / "copy"
    copy.mkdir()
    for file in (recordings / "audio").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "gio-f1-b2.flac").unlink()
    words = ["--corpus", "emobox", "--root", str(metadata), "--audio", str(copy)]
    found = prepare(words, frozen, tmp_path / "out", "--emobox-fold", 1)
    assert {c.speaker for c in found.split("test")} == {"emovo-f1"}
    assert (len(found.split("train")), len(found.split("valid")), len(found.split("test"))) == (
        20,
        0,
        3,
    )
    assert found.info["corpus"] == "emovo"
    assert found.info["sources"] == [
        {"corpus": "emobox", "root": str(metadata), "audio": str(copy), "fold": 1}
    ]
    notes = [note["text"] for note in found.info["split"]["notes"]]
    assert "1 of 4 test clips of EmoBox are not here" in " ".join(notes)
    (lost,) = map(json.loads, (tmp_path / "out/rejected.jsonl").read_text().splitlines())
    assert lost["path"] == "downloads/emovo/f1/gio-f1-b2.wav"
    some = prepare(words, frozen, tmp_path / "out", "--emobox-fold", 1, "--valid", 0.2)
    assert len(some.split("valid")) == 4  # one of five speakers who would train


def test_options_that_exclude_each_other(
    five: list[str],
    recordings: Path,
    tmp_path: Path,
    capsys: Any,
) -> None:
    emobox = ["--corpus", "emobox", "--root", str(made.write(tmp_path / "emovo"))]
    emobox += ["--audio", str(recordings), "--emobox-fold", "1"]

    def refused(*words: object) -> str:
        assert run(*words, "--out", tmp_path / "x") == 2
        return str(capsys.readouterr().err)

    assert "belong to --corpus emobox" in refused(*five, "--emobox-fold", 1)
    assert "belong to --corpus emobox" in refused(*five, "--audio", tmp_path)
    for words in (
        ("--folds", 3),
        ("--test-corpus", "emovo"),
        ("--test-speakers", "emovo-f1"),
        ("--split", "speaker"),
    ):
        assert "--emobox-fold decides the split" in refused(*emobox, *words)
    assert "no speaker has that name here" in refused(*five, "--test-speakers", "emodb-3")
    assert "--folds says nothing of ased, casia, nemo" in refused(
        *five, "--folds", "emodb=3,emovo=3"
    )
    for words in (("--folds", "emodb"), ("--test-speakers", ",")):
        with pytest.raises(SystemExit):
            run(*five, *words)
    assert "give at least one name" in capsys.readouterr().err
