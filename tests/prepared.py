"""A prepared data folder with features that a small model can learn to tell apart."""

import json
from pathlib import Path

import numpy as np

from audiollm.audio.prosody import Cues
from audiollm.contracts.prepared import Clip, write_prepared
from tests import tiny
from train.data.features import FeatureWriter
from train.data.summary import summarise


def write(folder: Path, *, frames: bool = True, per_class: int = 12, noise: float = 0.6) -> Path:
    """Six speakers: four to train, one to validate, one to test; every class from each."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((len(tiny.CLASSES), tiny.WIDTH))
    sides = {0: "train", 1: "train", 2: "train", 3: "train", 4: "valid", 5: "test"}
    clips = []
    with FeatureWriter(folder / "features", "fingerprint-of-test") as writer:
        for c, label in enumerate(tiny.CLASSES):
            for i in range(per_class):
                speaker, length = i % 6, int(random.integers(40, 120))
                x = centres[c] + noise * random.standard_normal((length, tiny.WIDTH))
                measured = np.r_[centres[c][: tiny.FUNCTIONALS]]
                measured = measured + noise * random.standard_normal(tiny.FUNCTIONALS)
                id = f"{c:02d}{i:02d}" * 16
                writer.add(
                    id,
                    frames=x.astype(np.float32) if frames else None,
                    utterance=x.mean(0).astype(np.float32),
                    functionals=measured.astype(np.float32),
                )
                cues = Cues(length / 50, 150.0 + 40 * c, 6.0, -20.0, 15.0, -9.0, 5.0, 0.05)
                clip = Clip(
                    path=f"{label}{i}.wav",
                    label=label,
                    speaker=f"test-{speaker}",
                    seconds=length / 50,
                    language="en",
                    corpus="test",
                    split=sides[speaker],
                    id=id,
                    cues=cues.to_dict(),
                )
                clips.append(clip)
    info = {
        "corpus": "test",
        "classes": list(tiny.CLASSES),
        "encoder": {"id": "tiny", "width": tiny.WIDTH, "fingerprint": "fingerprint-of-test"},
    }
    write_prepared(folder, info, clips, [], summarise(clips, []))
    return folder


def llm_folder(folder: Path) -> Path:
    """The tiny LLM as a plain folder."""
    tiny.llm().save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def resplit(folder: Path, sides: dict[str, str]) -> None:
    """Moves the clips of speakers to other sides, as preparing with another seed does."""
    table = folder / "clips.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    for row in rows:
        row["split"] = sides.get(row["speaker"], row["split"])
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
