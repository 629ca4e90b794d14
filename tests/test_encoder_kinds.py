"""Either kind of encoder through `prepare`, and a model that refuses the features of another."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audiollm import encoder
from audiollm.audio import functionals
from audiollm.contracts.fit import FitConfig
from audiollm.contracts.manifest import EncoderRef, Manifest, ProjectorConfig
from audiollm.contracts.options import from_dict
from audiollm.encoder.whisper import WhisperEncoder
from audiollm.errors import ConfigError, DataError, ModelError
from audiollm.model import checkpoint
from audiollm.model.projector import Features, Projector
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from tests import tiny
from tests.test_prepare import LABELS, run, voice
from train.data.dataset import load_prepared
from train.evaluate import evaluate
from train.fit import options
from train.labels import relabel

WIDTH = tiny.WIDTH


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class by folder, four voices each."""
    root = tmp_path_factory.mktemp("voices")
    rows = ["file,label,speaker"]
    for number, label in enumerate(LABELS):
        for speaker in range(4):
            name = f"{label}{speaker}.wav"
            voice(root / name, 110 + 30 * speaker + 9 * number, 0.5 + 0.1 * number, seed=speaker)
            rows.append(f"{name},{label},{speaker}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.whisper_hub_folder(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def emotion2vec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.encoder_folder(tmp_path_factory.mktemp("emotion2vec"))


def prepare(voices: Path, out: Path, place: Path, *words: object) -> int:
    return run("--corpus", "manifest", "--root", voices, "--out", out, "--encoder", place, *words)


@pytest.mark.parametrize(
    ("kind", "words", "layers", "statistics", "frame", "utterance"),
    [
        ("whisper", "--layers 1,3", [1, 3], "mean_std", 2 * WIDTH, 4 * WIDTH),
        ("whisper", "--layers 2 --statistics mean", [2], "mean", WIDTH, WIDTH),
        ("whisper", "", [2], "mean_std", WIDTH, 2 * WIDTH),
        ("emotion2vec", "", [], "mean", WIDTH, WIDTH),
        ("emotion2vec", "--statistics mean-std", [], "mean_std", WIDTH, 2 * WIDTH),
    ],
)
def test_either_kind_prepares_a_corpus(
    request: pytest.FixtureRequest,
    voices: Path,
    tmp_path: Path,
    kind: str,
    words: str,
    layers: list[int],
    statistics: str,
    frame: int,
    utterance: int,
) -> None:
    place = request.getfixturevalue(kind)
    assert prepare(voices, tmp_path, place, *words.split()) == 0
    told = json.loads((tmp_path / "prepare.json").read_text())["encoder"]
    assert (told["kind"], told["layers"], told["statistics"]) == (kind, layers, statistics)
    assert (told["id"], told["width"]) == (str(place), frame)
    prepared = load_prepared(tmp_path)
    assert prepared.encoder.utterance_width == utterance
    assert prepared.store.encoder == prepared.encoder.fingerprint
    for clip in prepared.clips:
        found = prepared.store.get(clip.id)
        assert found.utterance.shape == (utterance,)
        assert found.frames is not None
        assert found.frames.shape[1] == frame
        assert np.abs(found.frames.mean(0) - found.utterance[:frame]).max() < 1e-2
    for pooling, size in (("frames", frame), ("utterance", utterance)):
        planned = options._projector(FitConfig.of({"pooling": pooling}), prepared)
        assert planned.input_size == size
        made = Projector(replace(planned, output_size=8))
        clips = [prepared.store.get(c.id) for c in prepared.clips]
        made.fit(clips)
        assert made(clips)[0].shape[2] == 8


def test_features_of_other_layers_or_statistics_do_not_mix(
    voices: Path, whisper: Path, tmp_path: Path, capsys: Any
) -> None:
    assert prepare(voices, tmp_path, whisper, "--layers", "1,2", "--no-frames") == 0
    for words in (("--layers", "1"), ("--layers", "1,2", "--statistics", "mean")):
        capsys.readouterr()
        assert prepare(voices, tmp_path, whisper, *words) == 2
        assert "other layers, other statistics or another encoder" in capsys.readouterr().err
    assert prepare(voices, tmp_path, whisper, "--layers", "1,2", "--no-frames") == 0


@pytest.mark.parametrize("words", ["1,1", "0", "a", "", "1,,2", "1.5"])
def test_layers_are_a_list_of_numbers(
    voices: Path, whisper: Path, tmp_path: Path, capsys: Any, words: str
) -> None:
    with pytest.raises(SystemExit):
        prepare(voices, tmp_path, whisper, "--layers", words)
    assert "no list of different layers like 1,2,3" in capsys.readouterr().err


def test_layers_that_are_not_there_are_named(
    voices: Path, whisper: Path, emotion2vec: Path, tmp_path: Path, capsys: Any
) -> None:
    assert prepare(voices, tmp_path, whisper, "--layers", "1,9") == 2
    assert "has the layers 1 to 4: name one or more" in capsys.readouterr().err
    assert prepare(voices, tmp_path, emotion2vec, "--layers", "1") == 2
    assert "leave --layers out" in capsys.readouterr().err


# ---- a model and its encoder


def model(folder: Path, ref: EncoderRef, settings: Settings, **projector: Any) -> str:
    made = tiny.audio_llm(seed=3, functionals=functionals.SIZE, **projector)
    manifest = Manifest("test", ref, made.projector.config, tiny.CLASSES)
    checkpoint.save(folder, made, tiny.tokenizer(), manifest, "float32")
    return str(folder)


@pytest.mark.parametrize("pooling", ["frames", "utterance"])
def test_a_model_gets_the_layers_and_statistics_of_its_manifest(
    whisper: Path, tmp_path: Path, settings: Settings, pooling: str
) -> None:
    ref = encoder.load(str(whisper), settings, layers=(3, 1)).ref()
    size = ref.width if pooling == "frames" else ref.utterance_width
    made = model(tmp_path / "m", ref, settings, pooling=pooling, input_size=size)
    predictor = Predictor.load(made, settings)
    used = predictor._encoder
    assert isinstance(used, WhisperEncoder)
    assert (used.layers, used.statistics) == ((3, 1), "mean_std")
    assert predictor.manifest.encoder == ref
    assert predictor.card.probe == ()


def test_a_model_refuses_other_weights_and_a_projector_of_another_width(
    whisper: Path, tmp_path: Path, settings: Settings
) -> None:
    ref = encoder.load(str(whisper), settings, layers=(3, 1)).ref()
    size = {"pooling": "utterance", "input_size": ref.utterance_width}
    other = tiny.whisper_hub_folder(tmp_path / "other", seed=9)
    made = model(tmp_path / "a", replace(ref, id=str(other)), settings, **size)
    with pytest.raises(ModelError, match="trained with another version of the encoder"):
        Predictor.load(made, settings)
    frames = model(tmp_path / "b", ref, settings, pooling="utterance", input_size=ref.width)
    with pytest.raises(ModelError, match=r"projector takes features 32 wide, the encoder .* 64"):
        Predictor.load(frames, settings)


def test_a_model_is_not_judged_on_features_of_other_layers_or_statistics(
    voices: Path, whisper: Path, tmp_path: Path, settings: Settings
) -> None:
    assert prepare(voices, tmp_path, whisper, "--layers", "1,2", "--no-frames") == 0
    prepared = load_prepared(tmp_path)
    own = prepared.encoder

    def loaded(ref: EncoderRef) -> Any:
        manifest = Manifest("mine", ref, ProjectorConfig(ref.width, 8), tiny.CLASSES)
        return argparse.Namespace(manifest=manifest)

    evaluate.check_encoder(loaded(own), prepared)
    for layers, statistics in (((2, 1), "mean_std"), ((1, 2), "mean"), ((1,), "mean_std")):
        ref = encoder.load(str(whisper), settings, layers=layers, statistics=statistics).ref()  # type: ignore[arg-type]
        words = f"--layers {','.join(map(str, layers))} --statistics {statistics.replace('_', '-')}"
        with pytest.raises(DataError, match=f"prepare it again with --encoder .* {words}"):
            evaluate.check_encoder(loaded(ref), prepared)
        with pytest.raises(DataError, match=words):
            relabel._check(prepared, loaded(ref).manifest)


# ---- how a manifest refers to it


def test_references_from_before_there_were_kinds_open_as_they_are() -> None:
    old = {"id": "tiny", "width": 192, "fingerprint": "ab", "frames_per_second": 50.0}
    ref = from_dict(EncoderRef, old)
    assert (ref.kind, ref.layers, ref.statistics) == ("emotion2vec", (), "mean")
    assert ref.utterance_width == ref.width
    assert ref.options == "--encoder tiny"
    new = replace(ref, kind="whisper", layers=(1, 2, 3), statistics="mean_std")
    assert from_dict(EncoderRef, json.loads(json.dumps(asdict(new)))) == new
    assert new.options == "--encoder tiny --layers 1,2,3 --statistics mean-std"


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "wavlm"},
        {"kind": "whisper"},
        {"layers": [1]},
        {"kind": "whisper", "layers": [0]},
        {"kind": "whisper", "layers": [65]},
        {"kind": "whisper", "layers": [2, 2]},
        {"kind": "whisper", "layers": [1, 2, 3]},  # 16 channels are not of three layers
        {"kind": "whisper", "layers": [1.5]},
        {"kind": "whisper", "layers": "1"},
        {"statistics": "median"},
    ],
)
def test_references_that_cannot_be_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        from_dict(EncoderRef, {"id": "x", "width": 16} | values)


def test_a_projector_looks_at_the_features_that_it_takes() -> None:
    frames = torch.randn(30, WIDTH).numpy()
    clip = Features(utterance=np.zeros(2 * WIDTH, np.float32), frames=frames)
    by_frames = Projector(ProjectorConfig(WIDTH, 8, "frames"))
    by_frames.fit([clip])
    assert by_frames([clip])[0].shape == (1, 3, 8)
    whole = Projector(ProjectorConfig(2 * WIDTH, 8, "utterance"))
    whole.fit([clip])
    assert whole([clip])[0].shape == (1, 1, 8)
    for refused in (
        ProjectorConfig(2 * WIDTH, 8, "frames"),
        ProjectorConfig(WIDTH, 8, "utterance"),
    ):
        with pytest.raises(ModelError, match="prepare the data with the encoder"):
            Projector(refused).fit([clip])
    with pytest.raises(ModelError, match="needs frame features"):
        by_frames.fit([Features(utterance=clip.utterance)])
