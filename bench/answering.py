"""Rows of `python -m bench`: an answer to a clip of 4 s by an LLM of the size of Qwen2.5-0.5B.

The straightforward way: the clip goes through a temporary file to the encoder; instruction, audio
and question go through the LLM in float32 by `generate` on `inputs_embeds`, nothing kept from the
clip before. Probabilities then take 14 generated tokens, which spell the class.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from audiollm import audio, encoder
from audiollm.audio import prosody
from audiollm.encoder import Encoder
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.checkpoint import load
from audiollm.model.drafts import Drafts
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt
from audiollm.predictor import Predictor
from audiollm.settings import Settings
from audiollm.web.services import EXAMPLES, MIXED, read_examples
from bench.rows import Row, Setting, in_turns, peak, peaks

SPELLED = 14  # tokens that spell a class in a sentence
WAY = "temporary file, float32 prefill, {} generated tokens"


def clip(seconds: float = 4.0) -> audio.Sound:
    """The bundled examples, one after the other, for so long."""
    paths = [e.path for e in read_examples(EXAMPLES) if e.label != MIXED]
    whole = np.concatenate([audio.load(p, Settings.from_env()).samples for p in paths])
    return audio.from_array(whole[: int(seconds * audio.SAMPLE_RATE)], audio.SAMPLE_RATE)


def through_a_file(encoder: Any, samples: np.ndarray) -> Any:
    """Features of a sound that is written to a file and read from it first."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        soundfile.write(file.name, samples, audio.SAMPLE_RATE)
        again, _ = soundfile.read(file.name, dtype="float32")
    return encoder.encode([again])[0]


def straightforward(
    model: AudioLLM, prompt: Prompt, encoder: Any, sound: audio.Sound, tokens: int
) -> Callable[[], object]:
    """The same answer by `generate`."""
    cues = prosody.summarise(sound.samples, prosody.track(sound.samples))
    layout = prompt.layout("en", cues)

    def run() -> None:
        encoded = through_a_file(encoder, sound.samples)
        with torch.inference_mode():
            merged = model.merge([layout.head], [Features(encoded.utterance)], [layout.tail])
            model.causal_lm.generate(  # type: ignore[operator]
                inputs_embeds=merged.embeds,
                attention_mask=merged.mask.long(),
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                pad_token_id=prompt.end,
            )

    return run


def _both(setting: Setting) -> tuple[Predictor, AudioLLM, Prompt, Encoder]:
    """The product as it is, and its model and encoder in float32."""
    predictor = Predictor.load(str(setting.model), Settings.from_env())
    settings = Settings.from_env(precision="float32")
    plain = load(str(setting.model), settings)
    ref = plain.manifest.encoder
    audio_tower = encoder.load(ref.id, settings, layers=ref.layers, statistics=ref.statistics)
    return predictor, plain.model, Prompt.of(plain.tokenizer, plain.manifest), audio_tower


def probabilities(setting: Setting) -> Row:
    predictor, plain, prompt, audio_tower = _both(setting)
    sound = clip()
    slow = straightforward(plain, prompt, audio_tower, sound, SPELLED)
    repeats = setting.repeats()
    times = in_turns(slow, lambda: predictor.classify([sound]), repeats)
    work = "clip of 4 s to probabilities, 0.5B"
    return Row(work, WAY.format(SPELLED), *times, "s", repeats, 15)


def text(setting: Setting) -> Row:
    predictor, plain, prompt, audio_tower = _both(setting)
    sound = clip()
    lengths: list[int] = []
    write = predictor._scorer.write

    def counted(contexts: Any, writes: Any, finish: Any) -> None:
        def done(i: int, text: Any) -> None:
            lengths.append(len(prompt.ids(str(text))) + 1)
            finish(i, text)

        write(contexts, writes, done)

    predictor._scorer.write = counted  # type: ignore[method-assign]
    predictor.predict([sound])
    tokens = 2 + sum(lengths[-1:])  # and the class word; no text of a model without `prose`
    slow = straightforward(plain, prompt, audio_tower, sound, tokens)
    repeats = setting.repeats()

    def ours() -> None:
        predictor._scorer._drafts = Drafts()  # else it would have written this very text before
        predictor.predict([sound])

    times = in_turns(slow, ours, repeats)
    way = WAY.format(tokens)
    return Row("the same to the complete text, 0.5B", way, *times, "s", repeats, 3)


def memory(setting: Setting) -> Row:
    """Each way in a process of its own."""
    slow, ours = peaks("bench.answering", setting.model)
    way, limit = "float32 weights", "2,000 MB at most"
    return Row("memory of an answer, 0.5B", way, slow, ours, "MiB", 1, 0, limit=limit)


def main() -> None:
    """`python -m bench.answering ours|straightforward DIR`: peak memory of one answer, in MiB."""
    way, folder = sys.argv[1], str(Path(sys.argv[2]))
    precision: Any = "auto" if way == "ours" else "float32"
    predictor = Predictor.load(folder, Settings.from_env(precision=precision))
    predictor.predict([clip()])
    print(peak())


if __name__ == "__main__":
    main()
