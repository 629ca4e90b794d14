"""Model folders: save and load, damaged parts, the original project's format."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from audiollm.contracts.manifest import EncoderRef, Manifest
from audiollm.contracts.options import to_json
from audiollm.errors import ConfigError, ModelError
from audiollm.model import checkpoint
from audiollm.model.llm import load_llm
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from audiollm.settings import Settings
from tests import tiny


def write(folder: Path, **projector: Any) -> Path:
    model = tiny.audio_llm(**projector)
    manifest = Manifest(
        name="test",
        encoder=EncoderRef("tiny", tiny.WIDTH),
        projector=model.projector.config,
        labels=tiny.CLASSES,
    )
    checkpoint.save(folder, model, tiny.tokenizer(), manifest, "float32")
    return folder


def scores(model, tokenizer) -> torch.Tensor:  # type: ignore[no-untyped-def]
    clips = [tiny.features(50, 1), tiny.features(20, 2)]
    return Scorer(model, Prompt(tokenizer, tiny.CLASSES)).score(clips, [None, None], "en")


def test_a_saved_model_scores_the_same(tmp_path: Path) -> None:
    before = scores(tiny.audio_llm(), tiny.tokenizer())
    loaded = checkpoint.load(str(write(tmp_path / "m")), Settings(home=tmp_path))
    torch.testing.assert_close(scores(loaded.model, loaded.tokenizer), before)
    assert loaded.manifest.labels == tiny.CLASSES
    AutoModelForCausalLM.from_pretrained(tmp_path / "m")  # a plain LLM folder as well


def test_saving_over_a_folder_replaces_it_whole(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    (folder / "leftover.txt").write_text("old")
    write(folder)
    assert not (folder / "leftover.txt").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_a_folder_that_is_no_model_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "models" / "old-model" / "model.safetensors"
    precious.parent.mkdir(parents=True)
    precious.write_text("weeks of work")
    for act in (write, checkpoint.remove, checkpoint.check_target):
        with pytest.raises(ModelError, match="is not a model folder") as caught:
            act(tmp_path / "models")
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="is a file"):
        write(precious)
    assert precious.read_text() == "weeks of work"
    assert [p.name for p in tmp_path.iterdir()] == ["models"]


def test_neighbours_with_our_endings_are_left_alone(tmp_path: Path) -> None:
    for name in ("m.old", "m.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kept.txt").write_text("mine")
    (tmp_path / "m").mkdir()  # an empty folder may be filled
    write(write(tmp_path / "m"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "m.old", "m.part"]
    assert (tmp_path / "m.old" / "kept.txt").exists()
    assert (tmp_path / "m.part" / "kept.txt").exists()


def test_a_failed_save_leaves_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "m")
    move, before = Path.replace, checkpoint.fingerprint(folder)

    def broken(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("disk full")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write(folder)
    assert checkpoint.fingerprint(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "projector.safetensors").unlink(), "projector"),
        (lambda f: (f / "projector.safetensors").write_bytes(b"junk"), "projector"),
        (lambda f: (f / "audiollm.json").unlink(), "without a projector"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\0" * 64), "cannot be opened"),
        (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
    ],
)
def test_a_damaged_folder_gets_one_sentence(tmp_path: Path, damage, says: str) -> None:  # type: ignore[no-untyped-def]
    folder = write(tmp_path / "m")
    damage(folder)
    with pytest.raises(ModelError, match=says) as caught:
        checkpoint.load(str(folder), Settings(home=tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda s: s.pop("model.layers.0.mlp.up_proj.weight"),
            "lacks 1 tensors, model.layers.0.mlp.up_proj",
        ),
        (lambda s: s.update(surprise=torch.zeros(2)), "not of this model, surprise"),
        (
            lambda s: s.update({"model.norm.weight": torch.zeros(7)}),
            "model.norm.weight|mismatch",
        ),
    ],
)
def test_an_llm_is_never_completed_at_random(tmp_path: Path, change, says: str) -> None:  # type: ignore[no-untyped-def]
    folder = write(tmp_path / "m")
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=says) as caught:
        load_llm(str(folder), Settings(home=tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tied", [True, False])
def test_an_llm_opens_with_its_head_tied_or_not(tmp_path: Path, tied: bool) -> None:
    before = tiny.llm(tie_word_embeddings=tied)
    before.save_pretrained(tmp_path / "m")
    tiny.tokenizer().save_pretrained(tmp_path / "m")
    after, _ = load_llm(str(tmp_path / "m"), Settings(home=tmp_path))
    assert not after.training
    torch.testing.assert_close(after.lm_head.weight, before.lm_head.weight)


def test_a_manifest_is_untrusted(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    path = folder / "audiollm.json"
    data = json.loads(path.read_text())
    for change, says in [
        ({"labels": ["sad"]}, "two or more"),
        ({"labels": [f"x{i}" for i in range(10_000)]}, "10000"),
        ({"format_version": 99}, "99"),
        ({"surprise": 1}, "surprise"),
        ({"sample_rate": "fast"}, "sample_rate"),
        ({"projector": data["projector"] | {"hidden_size": 10**12}}, "hidden_size"),
    ]:
        path.write_text(json.dumps(data | change))
        with pytest.raises(ConfigError, match=says):
            checkpoint.load(str(folder), Settings(home=tmp_path))


def test_parts_of_different_models_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    tiny.llm(hidden_size=64).save_pretrained(folder)
    with pytest.raises(ModelError, match="different models"):
        checkpoint.load(str(folder), Settings(home=tmp_path))


def original(folder: Path, width: int = 768) -> torch.nn.Sequential:
    """A folder as the original project's merge script left it."""
    torch.manual_seed(1)
    projector = torch.nn.Sequential(
        torch.nn.Linear(width, 32), torch.nn.GELU(), torch.nn.Linear(32, 32)
    )
    tiny.llm().save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    torch.save(projector.state_dict(), folder / "projector.pt")
    return projector


def test_an_original_folder_opens_and_projects_the_same(tmp_path: Path) -> None:
    projector = original(tmp_path / "o")
    loaded = checkpoint.load(str(tmp_path / "o"), Settings(home=tmp_path))
    assert loaded.manifest.prompt == "original"
    assert loaded.manifest.labels == ("angry", "happy", "neutral", "sad", "surprised")
    x = np.random.default_rng(0).standard_normal((3, 768)).astype(np.float32) * 9
    tokens, lengths = loaded.model.projector([Features(row) for row in x])
    torch.testing.assert_close(tokens[:, 0], projector(torch.from_numpy(x)))
    assert lengths.tolist() == [1, 1, 1]
    prompt = Prompt(loaded.tokenizer, loaded.manifest.labels, loaded.manifest.prompt)
    scored = Scorer(loaded.model, prompt).score([Features(x[0])], [None], "zh")
    assert scored.shape == (1, 5)


@pytest.mark.parametrize(
    ("width", "encoder"), [(768, "emotion2vec_plus_base"), (1024, "emotion2vec_plus_large")]
)
def test_an_original_folder_names_its_encoder_by_width(
    tmp_path: Path, width: int, encoder: str
) -> None:
    original(tmp_path / "o", width)
    ref = checkpoint.read_manifest(tmp_path / "o").encoder
    assert (ref.id, ref.width) == (encoder, width)


def test_an_original_folder_of_an_unknown_encoder_is_refused(tmp_path: Path) -> None:
    original(tmp_path / "o", 512)
    with pytest.raises(ModelError, match="512 wide"):
        checkpoint.read_manifest(tmp_path / "o")


def test_an_original_projector_with_code_is_never_run(tmp_path: Path) -> None:
    original(tmp_path / "o")
    flag = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (flag,))

    torch.save(Evil(), tmp_path / "o" / "projector.pt")
    with pytest.raises(ModelError, match="not opened"):
        checkpoint.load(str(tmp_path / "o"), Settings(home=tmp_path))
    assert not flag.exists()


def test_another_projector_is_named(tmp_path: Path) -> None:
    original(tmp_path / "o")
    torch.save({"weight": torch.zeros(2, 2)}, tmp_path / "o" / "projector.pt")
    with pytest.raises(ModelError, match="two-layer"):
        checkpoint.load(str(tmp_path / "o"), Settings(home=tmp_path))


def test_manifest_survives_json(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", pooling="utterance")
    manifest = checkpoint.read_manifest(folder)
    assert (folder / "audiollm.json").read_text() == to_json(manifest)


def test_fingerprint_follows_the_weights(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    before = checkpoint.fingerprint(folder)
    assert checkpoint.fingerprint(folder) == before
    save_file({"x": torch.zeros(1)}, folder / "projector.safetensors")
    assert checkpoint.fingerprint(folder) != before


def test_a_probe_is_kept_beside_the_model_and_changes_no_identity(tmp_path: Path) -> None:
    folder = write(tmp_path / "m")
    before = checkpoint.fingerprint(folder)
    loaded = checkpoint.load(str(folder), Settings(home=tmp_path))
    assert loaded.probe is None
    saved = (loaded.model, loaded.tokenizer, loaded.manifest, "float32")
    checkpoint.save(folder, *saved, tiny.probe())
    assert checkpoint.fingerprint(folder) == before  # the same answers
    found = checkpoint.load(str(folder), Settings(home=tmp_path)).probe
    assert found is not None and found.classes == tiny.CLASSES
    assert np.array_equal(found.weight, tiny.probe().weight)
    checkpoint.save(folder, *saved, tiny.probe(tiny.WIDTH + 1))
    with pytest.raises(ModelError, match=r"probe\.safetensors does not hold this model's"):
        checkpoint.load(str(folder), Settings(home=tmp_path))
