"""`fit --baseline` by command, from training to the evaluated model."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from audiollm.contracts.fit import STOP_NAME, STOPPED
from audiollm.contracts.manifest import Calibration, Calibrations
from audiollm.contracts.options import to_json
from audiollm.model import calibration, checkpoint
from audiollm.model.distance import DISTANCE_NAME
from audiollm.model.prompt import Prompt
from audiollm.settings import Settings
from audiollm.texts import text
from tests import prepared
from train.__main__ import main
from train.data.dataset import load_prepared
from train.data.speakers import SpeakerClips
from train.fit import fit, runs
from train.fit.trainer import AudioTrainer, score_clips

STAGE_1 = (
    "fit --stage 1 --data data --llm llm --max-steps 30 --evaluations 6 --pretraining-epochs 1 "
    "--learning-rate 0.01 --hidden-size 24 --utterance-tokens 1 --baseline 0.5"
)
STAGE_2 = (
    "fit --stage 2 --data data --from one --max-steps 4 --evaluations 2 --lora-rank 2 "
    "--batch-size 8"
)
GIVEN = Calibrations(
    Calibration(1.5, fitted_on="folds", slope=0.7), Calibration(0.8, fitted_on="folds", slope=0.2)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    prepared.write(folder / "data", frames=False, per_class=24)
    prepared.llm_folder(folder / "llm")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _there(place: Path) -> Iterator[None]:
    """The module's folder, and its CPU, for commands given inside this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("AUDIOLLM_DEVICE", "cpu")
        yield


def call(words: str) -> int:
    return main(words.split())


def stop_at(step: int, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks a run to stop in one of the steps from now on, counted from 1."""
    inner, count = AudioTrainer.training_step, 0

    def counted(self: Any, *args: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if count == step:
            (run / STOP_NAME).touch()
        return inner(self, *args, **more)

    monkeypatch.setattr(AudioTrainer, "training_step", counted)


@pytest.fixture(scope="module")
def one(place: Path) -> Path:
    assert call(f"{STAGE_1} --out one") == 0
    return place / "one"


@pytest.fixture(scope="module")
def model(one: Path, place: Path) -> Path:
    """Of both stages, with calibrations from a file."""
    assert call(f"{STAGE_2} --out two") == 0
    (place / "given.json").write_text(to_json(GIVEN))
    assert call("merge --run two --out model --calibration given.json --probe-strength 0.01") == 0
    return place / "model"


def projector_of(run: Path) -> dict[str, torch.Tensor]:
    """The state that the projector of a run began with."""
    from transformers import set_seed

    settings = Settings(home=run.parent, device="cpu")
    planned, data = runs.read(run), load_prepared(run.parent / "data")
    set_seed(planned.config.seed)
    model, *_ = fit.build(planned, data, settings, "cpu")
    state: dict[str, torch.Tensor] = model.projector.state_dict()
    return state


def test_both_networks_learn(one: Path) -> None:
    run = runs.read(one, finished=True)
    assert run.projector.baseline and run.config.baseline == 0.5
    best = load_file(one / "best" / "projector.safetensors")
    assert best["relative.standardise.mean"].any()  # measured
    start = projector_of(one)  # as it is drawn and measured before the first step
    for name in ("mlp.0.weight", "relative.mlp.0.weight", "relative.mlp.3.bias"):
        assert not torch.equal(best[name], start[name])


def test_a_stopped_run_resumes_to_equal_weights(
    one: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within its second epoch: the rest draws the baselines that one alone draws."""
    stop_at(13, place / "stopped", monkeypatch)
    assert call(f"{STAGE_1} --out stopped") == STOPPED
    assert call("fit --resume stopped") == 0
    whole, again = (
        load_file(p / "best" / "projector.safetensors") for p in (one, place / "stopped")
    )
    assert whole.keys() == again.keys()
    for name in whole:
        assert torch.equal(whole[name], again[name]), name
    name = "checkpoints/checkpoint-30/model.safetensors"
    whole, again = load_file(one / name), load_file(place / "stopped" / name)
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_a_head_of_stage_2_leaves_the_projector_of_stage_1_as_it_was(
    one: Path, place: Path
) -> None:
    """It is fitted before the first step; at a rate of next to nothing no step moves anything."""
    words = "--auxiliary 1 --pretraining-epochs 2 --distillation 0.5 --weight-decay 0"
    words += " --learning-rate 1e-20"
    assert call(f"{STAGE_2} --out taught {words}") == 0
    before, after = (
        load_file(place / run / "best" / "projector.safetensors") for run in ("one", "taught")
    )
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_stopped_run_with_a_linear_teacher_resumes_to_equal_weights(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mixed features after the stop are those that one run alone draws."""
    words = f"{STAGE_1} --distillation 0.7 --teacher probe --auxiliary-by class --max-steps 12"
    assert call(f"{words} --out whole") == 0
    stop_at(5, place / "halted", monkeypatch)
    assert call(f"{words} --out halted") == STOPPED
    assert call("fit --resume halted") == 0
    one, again = (
        load_file(place / run / "best" / "projector.safetensors") for run in ("whole", "halted")
    )
    assert all(torch.equal(one[name], again[name]) for name in one)


def test_what_learns_stays_in_float32_beside_a_coarse_llm(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOLLM_PRECISION", "bfloat16")
    words = "--auxiliary 1 --auxiliary-by class --auxiliary-head embeddings --class-only 0.5"
    assert call(f"{STAGE_1} {words} --out coarse1 --max-steps 3") == 0
    second = f"{STAGE_2} {words} --questions 0.5 --out coarse2"
    assert call(second.replace("--from one", "--from coarse1")) == 0
    trained = load_file(place / "coarse2/best/adapter/adapter_model.safetensors")
    trained |= load_file(place / "coarse2/best/projector.safetensors")
    assert all(t.dtype == torch.float32 and t.isfinite().all() for t in trained.values())
    assert any(t.abs().sum() > 0 for name, t in trained.items() if "lora_B" in name)


def test_stage_2_takes_the_share_of_stage_1(one: Path, model: Path, place: Path) -> None:
    assert runs.read(place / "two").config.baseline == 0.5
    assert call(f"{STAGE_2} --out plain --baseline 0") == 0
    found = runs.read(place / "plain")
    assert found.config.baseline == 0 and found.projector.baseline


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--baseline 1", "0 <= baseline < 1, not 1.0"),
        ("--baseline -0.1", "0 <= baseline < 1, not -0.1"),
        ("--baseline nan", "0 <= baseline < 1, not nan"),
        ("--pooling frames", "pooling must be one of utterance"),
        ("--distillation 1", "0 <= distillation < 1, not 1.0"),
        ("--distillation 0.5 --auxiliary 0", "distillation 0.5 needs the auxiliary head"),
        ("--distillation 0.5 --teacher probe", text("fit_teacher", "en")),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    words: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(f"{STAGE_1} --out never {words}") == 2
    assert says in capsys.readouterr().err


def test_baselines_need_speakers(
    place: Path, one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of nobody known, or of too few clips each, the second network would learn nothing."""
    prepared.write(place / "few", frames=False, per_class=4)
    prepared.write(place / "nobody", frames=False)
    table = place / "nobody" / "clips.jsonl"
    rows = [json.loads(line) | {"speaker": ""} for line in table.read_text().splitlines()]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = place / "few" / "clips.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    kept.write_text("".join(json.dumps(r) + "\n" for r in rows if r["label"] in ("sad", "happy")))
    for data in ("few", "nobody"):
        assert call(f"{STAGE_1.replace('--data data', f'--data {data}')} --out never") == 2
        assert "leave --baseline out" in capsys.readouterr().err
    assert not (place / "never").exists()


def test_a_projector_without_baseline_gets_none_in_stage_2(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(f"{STAGE_1.replace('--baseline 0.5', '--baseline 0')} --out bare") == 0
    words = STAGE_2.replace("--from one", "--from bare")
    assert call(f"{words} --out never --baseline 0.3") == 2
    assert "takes no speaker baseline" in capsys.readouterr().err
    assert call(f"{words} --out bare2") == 0
    assert call("merge --run bare2 --out bare-model") == 0
    assert checkpoint.read_manifest(place / "bare-model").baseline_calibration is None
    assert call("evaluate --model bare-model --data data --out bare-ev") == 0
    result = json.loads((place / "bare-ev" / "result.json").read_text())
    assert result["baselines"] == {} and result["clips"][0]["baselines"] == {}
    assert result["clips"][0]["distance"] > 0


def test_merge_writes_distance_and_the_calibrations_of_a_file(model: Path, place: Path) -> None:
    loaded = checkpoint.load(str(model), Settings(home=place))
    assert loaded.manifest.calibration == GIVEN.calibration
    assert loaded.manifest.baseline_calibration == GIVEN.baseline_calibration
    assert loaded.manifest.projector.baseline
    data = load_prepared(place / "data")
    rows = np.stack([data.store.get(c.id).utterance for c in data.split("train")])
    assert loaded.distance is not None and loaded.probe is not None
    assert 0.5 < np.sqrt(np.mean(loaded.distance(rows) ** 2)) < 1.1
    assert loaded.distance(rows + 20).mean() > 2
    before = checkpoint.fingerprint(model)
    saved = (loaded.model, loaded.tokenizer, loaded.manifest, "float32", loaded.probe)
    checkpoint.save(place / "copy", *saved, loaded.distance)
    assert checkpoint.fingerprint(place / "copy") == before
    checkpoint.save(place / "copy", *saved)
    assert not (place / "copy" / DISTANCE_NAME).exists()
    assert checkpoint.load(str(place / "copy"), Settings(home=place)).distance is None
    assert checkpoint.fingerprint(place / "copy") != before  # it decides probabilities


def test_the_strength_of_the_probe_is_that_asked_for(model: Path, place: Path) -> None:
    weak = checkpoint.load(str(model), Settings(home=place)).probe
    assert call("merge --run two --out strong --probe-strength 100") == 0
    strong = checkpoint.load(str(place / "strong"), Settings(home=place))
    assert weak is not None and strong.probe is not None
    assert np.linalg.norm(strong.probe.weight) > 2 * np.linalg.norm(weak.weight)
    # without a file both calibrations are fitted on the validation speakers
    manifest = strong.manifest
    assert manifest.baseline_calibration is not None
    assert manifest.calibration.fitted_on == manifest.baseline_calibration.fitted_on != ""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not valid JSON"),
        ('{"calibration": {"temperature": 0}}', "0 < temperature"),
        ('{"calibration": {"slope": -1}}', "0 <= slope <= 10"),
        ('{"surprise": 1}', "'surprise'"),
        ("[]", "type dict"),
    ],
)
def test_a_file_that_holds_no_calibrations_is_refused(
    model: Path, place: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "bad.json").write_text(content)
    assert call("merge --run two --out never --calibration bad.json") == 2
    assert says in capsys.readouterr().err
    assert not (place / "never").exists()


def test_a_file_and_a_temperature_exclude_each_other(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call("merge --run two --out never --calibration given.json --temperature 1")
    assert "not allowed with" in capsys.readouterr().err


def test_evaluate_measures_every_number_of_clips(
    model: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate --model model --data data --out ev --record") == 0
    said = capsys.readouterr().out
    result = json.loads((place / "ev" / "result.json").read_text())
    assert list(result["baselines"]) == ["3", "8", "all"]
    for name in result["baselines"]:
        assert f"baseline of {name} clips" in said
    assert 'id="baselines"' in (place / "ev" / "report.html").read_text()
    loaded = checkpoint.load(str(model), Settings(home=place))
    data = load_prepared(place / "data")
    clips = data.split("test")
    assert [row["id"] for row in result["clips"]] == [clip.id for clip in clips]
    features = [data.store.get(clip.id) for clip in clips]
    wanted = loaded.distance(np.stack([f.utterance for f in features]))  # type: ignore[misc]
    np.testing.assert_allclose([row["distance"] for row in result["clips"]], wanted, atol=1e-4)
    for name, figures in result["baselines"].items():
        tables = [row["baselines"][name] for row in result["clips"]]
        assert all(sum(table.values()) == pytest.approx(1, abs=1e-5) for table in tables)
        right = [max(t, key=t.get) == c.label for t, c in zip(tables, clips, strict=True)]
        assert figures["wa"]["value"] == pytest.approx(np.mean(right))
    recorded = checkpoint.read_manifest(model).metrics["baselines"]
    assert recorded["all"]["ua"] == result["baselines"]["all"]["ua"]
    # one clip alone: its own log-likelihoods, its own calibration
    manifest, clip = loaded.manifest, clips[0]
    compared = SpeakerClips(data.store, clips).fixed(clip, "all")
    prompt = Prompt(loaded.tokenizer, manifest.labels, manifest.prompt, manifest.languages)
    pair = (clip, replace(features[0], baseline=compared))
    logs = score_clips(loaded.model, prompt, [pair]).numpy()
    assert GIVEN.baseline_calibration is not None
    (expected,) = calibration.apply(logs, manifest.labels, GIVEN.baseline_calibration, wanted[:1])
    answered = list(result["clips"][0]["baselines"]["all"].values())
    np.testing.assert_allclose(answered, expected, atol=1e-4)
