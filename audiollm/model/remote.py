"""Class probabilities and texts of an LLM whose layers a server computes (`model/vllm.py`).

Encoder, projector and the LLM's table of embeddings are here; what goes to the server is the whole
prompt as embeddings. It gives the same answers as `scoring.Scorer`, whose methods it has. The
server batches what several visitors ask at the same time.

Shapes: B clips, C classes, N prompts, H LLM width.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from audiollm.audio.prosody import Cues
from audiollm.labels import Language
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.generation import MAX_ANALYSIS, MAX_ANSWER, Write
from audiollm.model.projector import Features
from audiollm.model.prompt import Layout, Prompt
from audiollm.model.vllm import Server

AT_ONCE = 16  # texts of one call


@dataclass(frozen=True, eq=False)
class RemoteContext:
    """What a text goes on from: a whole prompt [L, H]."""

    prompt: Tensor
    most: int  # new tokens
    seed: int | None = None  # its tokens are drawn by


class RemoteScorer:
    """`scoring.Scorer` for one model on a server."""

    def __init__(self, model: AudioLLM, prompt: Prompt, server: Server) -> None:
        self.model, self.prompt, self.server = model, prompt, server

    @torch.inference_mode()
    def score(
        self, clips: Sequence[Features], cues: Sequence[Cues | None], language: Language
    ) -> Tensor:
        """Log-likelihoods [B, C] of the class words, the mean of the prompt's languages."""
        languages = self.prompt.languages or (language,)
        firsts = self.prompt.firsts(languages)
        prompt_cues = [None] * len(clips) if self.prompt.first_tokens else cues
        audio = self.model.projector(clips)
        tables = [
            self._first_tokens(audio, lang, firsts[lang])
            if firsts
            else self._whole_words(audio, prompt_cues, lang)
            for lang in languages
        ]
        return torch.stack(tables).mean(0)

    def _first_tokens(
        self, audio: tuple[Tensor, Tensor], language: Language, ids: Sequence[int]
    ) -> Tensor:
        layout = self.prompt.layout(language)
        prompts = self._joined(audio, [layout] * len(audio[1]))
        return self.server.log_probabilities(prompts, ids).log_softmax(-1)

    def _whole_words(
        self, audio: tuple[Tensor, Tensor], cues: Sequence[Cues | None], language: Language
    ) -> Tensor:
        """Sum of the log-probabilities of each word's tokens.

        Every beginning of a word is a prompt; one that several words share is asked once.
        """
        layouts = [self.prompt.layout(language, c) for c in cues]
        words = [self.prompt.label(name, language) for name in self.prompt.classes]
        begun = list(dict.fromkeys(word[:j] for word in words for j in range(len(word))))
        ids = list(dict.fromkeys(id for word in words for id in word))
        prompts = [p for start in begun for p in self._joined(audio, layouts, start)]
        table = self.server.log_probabilities(prompts, ids).view(len(begun), len(layouts), -1)
        scores = [
            torch.stack(
                [table[begun.index(word[:j]), :, ids.index(id)] for j, id in enumerate(word)]
            ).sum(0)
            for word in words
        ]
        return torch.stack(scores, 1)

    def _joined(
        self,
        audio: tuple[Tensor, Tensor],
        layouts: Sequence[Layout],
        more: tuple[int, ...] = (),
    ) -> list[Tensor]:
        """The prompts [L, H] of clips, with further tokens at their end."""
        heads = [layout.head for layout in layouts]
        merged = self.model.join(heads, audio, [(*layout.tail, *more) for layout in layouts])
        sizes = merged.lengths.tolist()
        return [row[:size] for row, size in zip(merged.embeds, sizes, strict=True)]

    @torch.inference_mode()
    def analysis_context(
        self, facts: str, language: Language, seed: int, start: str = ""
    ) -> RemoteContext:
        """What a written analysis of these facts goes on from, after its `start`; its words are
        drawn by `seed`."""
        layout = self.prompt.report(facts, language, start)
        return RemoteContext(self.model.embed([*layout.head, *layout.tail]), MAX_ANALYSIS, seed)

    @torch.inference_mode()
    def question_context(
        self,
        clip: Features,
        cues: Cues | None,
        question: str,
        language: Language,
        probabilities: Mapping[str, float],
    ) -> RemoteContext:
        """What the answer to a free question about a clip goes on from."""
        layout = self.prompt.free(question, language, cues, probabilities)
        audio = self.model.projector([clip])
        return RemoteContext(self._joined(audio, [layout])[0], MAX_ANSWER)

    def stream(self, context: RemoteContext) -> Iterator[str]:
        return self.server.stream(context.prompt, context.most, self.prompt.end, context.seed)


class RemoteTexts:
    """`inference.texts.Texts` for a server: each text is a request of its own."""

    def __init__(self, scorer: RemoteScorer) -> None:
        self._scorer = scorer

    def context(self, prefill: Callable[[], RemoteContext]) -> RemoteContext:
        """What `prefill` makes for a text."""
        return prefill()

    def write(self, contexts: Sequence[RemoteContext]) -> list[str]:
        """The texts after these contexts."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda context: self.stream(context, str), contexts))

    def stream(self, context: RemoteContext, write: Write) -> str:
        """The text after a context; `write` gets each new piece, and ends the text by raising."""
        whole = ""
        for piece in self._scorer.stream(context):
            whole += piece
            if piece:
                write(piece)
        return whole.strip()
