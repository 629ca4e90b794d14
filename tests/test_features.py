"""The feature store: what goes in comes out, whatever happened to the process in between."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audiollm.errors import DataError
from train.data.features import FeatureStore, FeatureWriter, shard_paths

RNG = np.random.default_rng(0)


def vector(size: int = 4) -> np.ndarray:
    return RNG.standard_normal(size).astype(np.float32)


def test_round_trip(tmp_path: Path) -> None:
    frames, utterance, statistics = vector(20).reshape(5, 4), vector(), vector(3)
    with FeatureWriter(tmp_path, "abc") as writer:
        writer.add("a", utterance=utterance, frames=frames, functionals=statistics)
        writer.add("b", utterance=utterance)
    store = FeatureStore(tmp_path)
    assert (len(store), store.encoder, "a" in store, "c" in store) == (2, "abc", True, False)
    found = store.get("a")
    assert found.frames is not None
    assert found.functionals is not None
    assert found.frames.dtype == np.float32
    np.testing.assert_array_equal(found.frames, frames.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(found.utterance, utterance)
    np.testing.assert_array_equal(found.functionals, statistics)
    bare = store.get("b")
    assert (bare.frames, bare.functionals) == (None, None)
    assert store.holds("a", frames=True, functionals=3)
    assert not store.holds("a", functionals=4)
    assert not store.holds("b", frames=True)
    assert not store.holds("b", functionals=3)
    with pytest.raises(DataError, match="no features of clip c"):
        store.get("c")
    copy = pickle.loads(pickle.dumps(store))  # noqa: S301
    np.testing.assert_array_equal(copy.get("b").utterance, utterance)


@settings(max_examples=25, deadline=None)
@given(
    data=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-6e4, 6e4, width=32),
    )
)
def test_any_frames_come_back_in_half_precision(
    data: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    with FeatureWriter(folder, "") as writer:
        writer.add("x", utterance=data.mean(0), frames=data)
    found = FeatureStore(folder).get("x").frames
    assert found is not None
    np.testing.assert_array_equal(found, data.astype(np.float16).astype(np.float32))


def test_shards_are_added_and_the_later_one_wins(tmp_path: Path) -> None:
    first, second = vector(), vector()
    for utterance in (first, second):
        with FeatureWriter(tmp_path, "abc") as writer:
            writer.add("a", utterance=utterance)
    assert [p.name for p in shard_paths(tmp_path)] == ["00000.safetensors", "00001.safetensors"]
    np.testing.assert_array_equal(FeatureStore(tmp_path).get("a").utterance, second)
    shard_paths(tmp_path)[0].unlink()
    with FeatureWriter(tmp_path, "abc") as writer:
        writer.add("b", utterance=first)
    assert shard_paths(tmp_path)[-1].name == "00002.safetensors"  # numbers are not used again


def test_shards_are_cut_by_size_and_time(tmp_path: Path) -> None:
    with FeatureWriter(tmp_path, "", shard_bytes=40) as writer:
        for name in "abcde":
            writer.add(name, utterance=vector(4))  # 16 bytes
    assert len(shard_paths(tmp_path)) == 2
    with FeatureWriter(tmp_path / "slow", "", seconds=0) as writer:
        writer.add("a", utterance=vector())
        assert len(shard_paths(tmp_path / "slow")) == 1


def test_an_interruption_keeps_what_was_added(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), FeatureWriter(tmp_path, "") as writer:
        writer.add("a", utterance=vector())
        raise KeyboardInterrupt
    assert "a" in FeatureStore(tmp_path)


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    with FeatureWriter(tmp_path, "abc") as writer:
        writer.add("a", utterance=vector())
    with pytest.raises(DataError, match="another encoder: prepare into another --out"):
        FeatureWriter(tmp_path, "def")
    with FeatureWriter(tmp_path / "x", "def") as writer:
        writer.add("a", utterance=vector())
    (tmp_path / "x" / "00000.safetensors").rename(tmp_path / "00007.safetensors")
    with pytest.raises(DataError, match=r"two encoders \(00007\.safetensors differs\)"):
        FeatureStore(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "header", "empty", "text"])
def test_a_damaged_shard_is_named(damage: str, tmp_path: Path) -> None:
    with FeatureWriter(tmp_path, "") as writer:
        writer.add("a", utterance=vector(1000))
    path = shard_paths(tmp_path)[0]
    whole = path.read_bytes()
    broken = {
        "cut": whole[:-100],
        "header": b"\xff" * 16 + whole[16:],
        "empty": b"",
        "text": b"no such thing",
    }
    path.write_bytes(broken[damage])
    with pytest.raises(DataError, match=r"00000\.safetensors is damaged .* delete it and run"):
        FeatureStore(tmp_path)


@pytest.mark.parametrize("name", ["utterance", "frames", "functionals"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_numbers_that_cannot_be_stored(name: str, bad: float, tmp_path: Path) -> None:
    parts = {"utterance": vector(), "frames": vector().reshape(1, 4), "functionals": vector()}
    parts[name] = np.full_like(parts[name], np.float64(bad), dtype=np.float64)
    writer = FeatureWriter(tmp_path, "")
    with pytest.raises(DataError, match=f"The {name} of clip a hold"):
        writer.add("a", **parts)


def test_frames_beyond_half_precision(tmp_path: Path) -> None:
    with FeatureWriter(tmp_path, "") as writer, pytest.raises(DataError, match="The frames"):
        writer.add("a", utterance=vector(1), frames=np.full((1, 1), 7e4, np.float32))


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with FeatureWriter(tmp_path, ""), pytest.raises(DataError, match="Another prepare"):
        FeatureWriter(tmp_path, "")
    with FeatureWriter(tmp_path, ""):
        pass


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        FeatureWriter(tmp_path / "file", "")


KILLED = """
import sys, numpy as np
from pathlib import Path
from train.data.features import FeatureWriter
writer = FeatureWriter(Path(sys.argv[1]), "abc", shard_bytes=2_000_000)
for i in range(10**9):
    writer.add(str(i), utterance=np.full(50_000, i, np.float32))
"""


def test_kill_leaves_whole_shards_only(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    limit = time.monotonic() + 30
    while len(shard_paths(tmp_path)) < 3 and time.monotonic() < limit:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    (tmp_path / "00099.part").write_bytes(b"half a shard")  # as a kill within a write leaves it
    store = FeatureStore(tmp_path)
    assert len(store) >= 30
    for i in range(len(store)):
        assert (store.get(str(i)).utterance == i).all()
    with FeatureWriter(tmp_path, "abc") as writer:  # the lock went with the process
        writer.add("new", utterance=vector())
    assert not list(tmp_path.glob("*.part"))
    assert len(FeatureStore(tmp_path)) == len(store) + 1
