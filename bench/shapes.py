"""Full-size shapes with random weights: Qwen2.5-0.5B and emotion2vec-base, no download."""

from pathlib import Path
from typing import Any

import torch

from audiollm.contracts.manifest import Manifest, ProjectorConfig
from audiollm.encoder import Encoder, load
from audiollm.encoder.emotion2vec import Emotion2vecEncoder, base_conf, build_network
from audiollm.labels import LANGUAGES
from audiollm.model import checkpoint
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.llm import load_llm
from audiollm.settings import Settings

ENCODER = "whisper-base-front"
WIDTH = 896  # of the LLM


def qwen(dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    """An LLM of the shape of Qwen2.5-0.5B (494 M parameters), random weights."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    values: dict[str, Any] = {
        "vocab_size": 151_936,
        "hidden_size": WIDTH,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32_768,
        "tie_word_embeddings": True,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return Qwen2ForCausalLM(Qwen2Config(**(values | changes))).eval()
    finally:
        torch.set_default_dtype(before)


def emotion2vec() -> Encoder:
    """An encoder of the shape of emotion2vec-base (93 M parameters), random weights."""
    conf = base_conf()
    return Emotion2vecEncoder(build_network(conf), conf, "emotion2vec-base shape")


def audio_llm(dtype: torch.dtype = torch.float32, functionals: int = 0) -> AudioLLM:
    llm = qwen(dtype)
    config = ProjectorConfig(
        input_size=768, output_size=WIDTH, hidden_size=WIDTH, functionals=functionals
    )
    return AudioLLM.build(llm, config).eval()


def llm_folder(folder: Path) -> Path:
    """The LLM as a folder that `fit --llm` takes, in bfloat16; the tokenizer is a small one."""
    from tests import tiny

    qwen(torch.bfloat16).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def model_folder(folder: Path, llm: Path, classes: tuple[str, ...]) -> Path:
    """A model folder of an LLM and a projector with random weights for the bundled encoder."""
    settings = Settings.from_env()
    audio_tower = load(ENCODER, settings, statistics="mean_std")
    config = ProjectorConfig(
        input_size=audio_tower.ref().utterance_width,
        output_size=WIDTH,
        pooling="utterance",
        hidden_size=256,
    )
    frozen, tokenizer = load_llm(str(llm), settings, dtype=torch.bfloat16)
    model = AudioLLM.build(frozen, config)
    manifest = Manifest("shape", audio_tower.ref(), config, classes, LANGUAGES, first_tokens=True)
    checkpoint.save(folder, model, tokenizer, manifest, "bfloat16")
    return folder
