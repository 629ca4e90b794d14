"""Parts of a corpus, heard apart and joined: as if one had heard all of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audiollm.errors import DataError
from tests.launching import launch
from tests.test_prepare import assert_same, done, run, voices  # noqa: F401
from train import corpora
from train.data import extract
from train.data.shards import Shard


def test_every_clip_is_in_one_part(voices: Path) -> None:  # noqa: F811
    whole = corpora.read("manifest", voices, corpora.Options())
    found = [replace(whole, clips=whole.clips[:5]), replace(whole, clips=whole.clips[5:])]
    parts = [Shard(i, 4).of(found) for i in range(4)]
    heard = [clip.path for part in parts for corpus in part for clip in corpus.clips]
    assert sorted(heard) == sorted(clip.path for clip in whole.clips)
    sizes = [sum(len(corpus.clips) for corpus in part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    with pytest.raises(DataError, match="take fewer than 99 parts"):
        Shard(98, 99).of(found)


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "a/b", "0/0"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="--shard is I/N"):
        Shard.parse(text)


def test_parts_join_to_the_whole_and_nothing_is_heard_twice(
    done: Path,  # noqa: F811
    voices: Path,  # noqa: F811
    frozen: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    out = tmp_path / "out"
    words = ["--corpus", "manifest", "--root", voices, "--encoder", frozen, "--out", out]
    for i in range(3):
        assert run(*words, "--shard", f"{i}/3") == 0
    assert f"Part 2 of 3: 5 clips in {out / 'parts' / '2-of-3'}" in capsys.readouterr().out
    assert not (out / "prepare.json").exists()
    heard: list[int] = []
    monkeypatch.setattr(extract, "_encode", lambda batch, *_: heard.append(len(batch)))
    assert run(*words) == 0
    assert sum(heard) == 0
    assert not list((out / "parts").iterdir())
    assert_same(done, out)


def test_processes_of_accelerate_encode_a_part_each_and_the_first_joins_them(
    done: Path,  # noqa: F811
    voices: Path,  # noqa: F811
    frozen: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    words = f"--corpus manifest --root {voices} --encoder {frozen} --out {out}"
    shown = launch(tmp_path, f"prepare {words}")
    for i in range(2):
        assert str(out / "parts" / f"{i}-of-2") in shown
    assert_same(done, out)
    assert not list((out / "parts").iterdir())
    again = launch(tmp_path, f"prepare {words}")
    assert "parts" not in again  # nothing is encoded twice
    assert_same(done, out)
