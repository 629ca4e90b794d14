"""A complete Audio-LLM of a few thousand parameters, built from configuration alone."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from audiollm.contracts.manifest import ProjectorConfig
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.probe import LinearProbe
from audiollm.model.projector import Features
from audiollm.settings import Settings

if TYPE_CHECKING:
    from audiollm.encoder import Encoder

CLASSES = ("angry", "fearful", "happy", "neutral", "sad")
WIDTH, FUNCTIONALS = 16, 11


@cache
def tokenizer() -> Any:
    """A byte-level BPE tokenizer with ChatML markers, trained on a few sentences."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    raw = ByteLevelBPETokenizer()
    text = [
        "angry happy neutral sad fearful pitch high tempo fast 生气 开心 中立 难过 恐惧 音高偏高。"
    ]
    raw.train_from_iterator(text * 20, vocab_size=400, min_frequency=1)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw._tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=["<|im_start|>"],
    )


def llm(seed: int = 0, **changes: Any) -> Any:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    values: dict[str, Any] = {
        "vocab_size": len(tokenizer()),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "initializer_range": 0.2,
        "eos_token_id": tokenizer().eos_token_id,
        "pad_token_id": tokenizer().pad_token_id,
    }
    return Qwen2ForCausalLM(Qwen2Config(**(values | changes))).eval()


def audio_llm(seed: int = 0, **projector: Any) -> AudioLLM:
    values = {"input_size": WIDTH, "hidden_size": 24, "functionals": FUNCTIONALS}
    config = ProjectorConfig(output_size=32, **(values | projector))
    return AudioLLM.build(llm(seed), config).eval()


def features(frames: int, seed: int = 0) -> Features:
    random = np.random.default_rng(seed)
    x = random.standard_normal((frames, WIDTH)).astype(np.float32)
    measured = random.standard_normal(FUNCTIONALS).astype(np.float32)
    return Features(utterance=x.mean(0), frames=x, functionals=measured)


def encoder_folder(folder: Path) -> Path:
    """An Emotion2vec of a few thousand parameters, as a folder."""
    from audiollm.encoder.emotion2vec import build_network, save, small_conf

    torch.manual_seed(5)
    conf = small_conf(
        width=WIDTH,
        depth=1,
        prenet_depth=1,
        heads=2,
        conv_layers=[(16, 400, 160), (16, 3, 2)],
        conv_pos_groups=4,
    )
    save(build_network(conf), conf, folder)
    return folder


WHISPER = {  # a Whisper of a few thousand parameters, as transformers names its values
    "d_model": WIDTH,
    "encoder_layers": 4,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "num_mel_bins": 80,
    "max_source_positions": 1500,
}


def whisper_hub_folder(folder: Path, seed: int = 7, **changes: Any) -> Path:
    """A whole Whisper, decoder and all, as the hub has it; its numbers fit into float16."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(seed)
    values = WHISPER | changes
    decoder = {f"decoder_{name}": values[f"encoder_{name}"] for name in ("ffn_dim", "layers")}
    config = WhisperConfig(
        **values,
        **decoder,
        decoder_attention_heads=values["encoder_attention_heads"],
        vocab_size=20,
        max_target_positions=8,
        init_std=0.2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():  # biases are drawn as zeros, which would hide mistakes of padding
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
            parameter.copy_(parameter.half())
    model.save_pretrained(folder)
    return folder


def probe(width: int = WIDTH, classes: tuple[str, ...] = CLASSES) -> LinearProbe:
    random = np.random.default_rng(4)
    weight, bias = random.standard_normal((len(classes), width)), np.zeros(len(classes))
    return LinearProbe(classes, weight.astype(np.float32), bias.astype(np.float32))


def model_folder(
    folder: Path, settings: Settings, heard: "Encoder | None" = None, **projector: Any
) -> Path:
    """A complete model folder, beside its encoder unless there is one already (`heard`): everything
    `Predictor.load` needs."""
    from audiollm import encoder
    from audiollm.audio import functionals
    from audiollm.contracts.manifest import Manifest
    from audiollm.model import checkpoint

    heard = heard or encoder.load(str(encoder_folder(folder / "encoder")), settings)
    values = {"functionals": functionals.SIZE, "input_size": heard.width, **projector}
    model = audio_llm(seed=3, **values)
    manifest = Manifest("test", heard.ref(), model.projector.config, CLASSES)
    linear = probe(heard.ref().utterance_width)
    checkpoint.save(folder / "model", model, tokenizer(), manifest, "float32", linear)
    return folder / "model"
