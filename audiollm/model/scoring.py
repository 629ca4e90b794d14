"""Class probabilities from the LLM's own likelihood of every complete class word.

The instruction's keys and values are computed once per language and stay resident. For a batch
of clips, audio, tail and *all* class words then go through the LLM in one pass: the words stand
behind each other, take the same positions, and a mask keeps them from seeing one another.

A large LLM is trained to be scored by the first token of each word, among these tokens and from a
prompt without cues: few tokens, in all languages at once, no logits of other words.

Shapes: B clips, P cached prefix, S packed length, C classes.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from audiollm.audio.prosody import Cues
from audiollm.labels import Language
from audiollm.model import generation
from audiollm.model.audio_llm import AudioLLM, Heads
from audiollm.model.drafts import Drafts
from audiollm.model.generation import Context, Finish, Layers, Write, cache_of, prefill
from audiollm.model.projector import Features
from audiollm.model.prompt import Prompt

PADDING = -1  # segment of a padded position


class Scorer:
    """Scores and writes for one model; holds the cached instructions of every language."""

    def __init__(self, model: AudioLLM, prompt: Prompt) -> None:
        self.model, self.prompt = model, prompt
        self._prefixes: dict[tuple[int, ...], Layers] = {}
        self._drafts = Drafts()

    @torch.inference_mode()
    def score(
        self, clips: Sequence[Features], cues: Sequence[Cues | None], language: Language
    ) -> Tensor:
        """Log-likelihood of each class word, [B, C].

        The question is put in every language of the prompt and the log-likelihoods are averaged,
        so that a clip has the same probabilities in whichever language they are read.
        """
        languages = self.prompt.languages or (language,)
        if firsts := self.prompt.firsts(languages):
            return self._first_tokens(clips, firsts)
        if self.prompt.first_tokens:  # two words begin alike: whole words, from the same prompt
            cues = [None] * len(clips)
        return torch.stack([self._pass(clips, cues, lang) for lang in languages]).mean(0)

    def _first_tokens(
        self, clips: Sequence[Features], firsts: Mapping[Language, Sequence[int]]
    ) -> Tensor:
        """Log-probabilities [B, C] of the classes, by the first tokens of their words and the mean
        over languages, in one pass over all clips and languages."""
        layouts = [self.prompt.layout(lang) for lang in firsts for _ in clips]
        heads = Heads.joined([self._head(layout.head) for layout in layouts])
        tokens, lengths = self.model.projector(clips)
        count = len(firsts)
        audio = tokens.repeat(count, 1, 1), lengths.repeat(count)
        merged = self.model.join([()] * len(layouts), audio, [layout.tail for layout in layouts])
        rows = torch.arange(len(layouts), device=lengths.device)
        hidden = self.model.hidden(merged, heads)[rows, merged.lengths - 1]  # [languages * B, H]
        logits = [
            self.model.logits_of(part, ids)
            for ids, part in zip(firsts.values(), hidden.split(len(clips)), strict=True)
        ]
        return torch.stack(logits).float().log_softmax(-1).mean(0)

    def _head(self, head: tuple[int, ...]) -> Heads:
        """Keys and values of an instruction as a batch of one."""
        layers = self._prefix(head)
        size = torch.tensor([layers[0][0].shape[2]], device=layers[0][0].device)
        return Heads(layers, size)

    def _pass(
        self, clips: Sequence[Features], cues: Sequence[Cues | None], language: Language
    ) -> Tensor:
        """One batched pass over B clips and all classes in one language."""
        layouts = [self.prompt.layout(language, c) for c in cues]
        words = [self.prompt.label(name, language) for name in self.prompt.classes]
        packed = tuple(i for w in words for i in w)
        prefix = self._prefix(layouts[0].head)
        past = prefix[0][0].shape[2] if prefix else 0
        empty = [()] * len(clips)
        merged = self.model.merge(empty, clips, [(*layout.tail, *packed) for layout in layouts])
        segments = self._segments(merged.lengths, merged.embeds.shape[1], words)
        shared = (segments == 0).sum(1)  # [B] audio + tail
        cache = cache_of(
            [
                (k.expand(len(clips), -1, -1, -1), v.expand(len(clips), -1, -1, -1))
                for k, v in prefix
            ]
        )
        hidden = self.model.causal_lm.model(  # type: ignore[operator]
            inputs_embeds=merged.embeds,
            attention_mask=self._mask(segments, past, merged.embeds.dtype),
            position_ids=past + self._positions(segments, shared, words),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return self._read(hidden, shared, words)

    def _read(self, hidden: Tensor, shared: Tensor, words: list[tuple[int, ...]]) -> Tensor:
        """Sum of the log-probabilities of each word's tokens, [B, C] float32.

        The last shared position predicts every word's first token; each token of a word but the
        last predicts the next.
        """
        batch = torch.arange(len(hidden), device=hidden.device)
        offsets, total = [], 0
        for w in words:
            offsets.append(total)
            total += len(w)
        inner = [o + j for o, w in zip(offsets, words, strict=True) for j in range(len(w) - 1)]
        columns = torch.tensor([-1, *inner], device=hidden.device) + shared[:, None]
        log_p = F.log_softmax(self.model.logits(hidden[batch[:, None], columns]).float(), -1)
        result, column = [], 1
        for w in words:
            score = log_p[:, 0, w[0]]
            for j, token in enumerate(w[1:]):
                score = score + log_p[:, column + j, token]
            column += len(w) - 1
            result.append(score)
        return torch.stack(result, 1)

    def analysis_context(
        self, facts: str, language: Language, seed: int, start: str = ""
    ) -> Context:
        """What a written analysis of these facts goes on from, after its `start`; its words are
        drawn by `seed`."""
        layout = self.prompt.report(facts, language, start)
        return generation.analysis_context(self.model, layout, self._prefix(layout.head), seed)

    def question_context(
        self,
        clip: Features,
        cues: Cues | None,
        question: str,
        language: Language,
        probabilities: Mapping[str, float],
    ) -> Context:
        """What the answer to a free question about a clip goes on from."""
        layout = self.prompt.free(question, language, cues, probabilities)
        return generation.question_context(self.model, layout, clip, self._prefix(layout.head))

    def write(self, contexts: Sequence[Context], writes: Sequence[Write], finish: Finish) -> None:
        """Goes on from every context: see `generation.generate`."""
        generation.generate(self.model, self.prompt, contexts, writes, finish, self._drafts)

    def _prefix(self, head: tuple[int, ...]) -> Layers:
        """Keys and values of the instruction, [1, heads, P, size] a layer, computed once."""
        if not head:
            return []
        if head not in self._prefixes:
            self._prefixes[head] = prefill(self.model, self.model.embed(head)[None])
        return self._prefixes[head]

    @staticmethod
    def _segments(lengths: Tensor, size: int, words: list[tuple[int, ...]]) -> Tensor:
        """[B, S]: which part each packed position belongs to."""
        tags = [c + 1 for c, w in enumerate(words) for _ in w]
        segments = torch.zeros(len(lengths), size, dtype=torch.long, device=lengths.device)
        columns = torch.arange(size, device=lengths.device)
        segments[columns >= lengths[:, None]] = PADDING
        index = (lengths - len(tags))[:, None] + torch.arange(len(tags), device=lengths.device)
        source = torch.tensor(tags, device=lengths.device).expand(len(lengths), -1)
        return segments.scatter(1, index, source)

    @staticmethod
    def _positions(segments: Tensor, shared: Tensor, words: list[tuple[int, ...]]) -> Tensor:
        """[B, S]: every class word starts at the position behind the shared part."""
        columns = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
        starts, total = [0], 0
        for w in words:
            starts.append(total)
            total += len(w)
        offset = torch.tensor(starts, device=segments.device)[segments.clamp_min(0)]
        return torch.where(segments > 0, columns - offset, columns.minimum(shared[:, None]))

    @staticmethod
    def _mask(segments: Tensor, past: int, dtype: torch.dtype) -> Tensor:
        """Additive mask [B, 1, S, P + S]: causal, words hidden from each other, padding hidden."""
        size = segments.shape[1]
        causal = torch.ones(size, size, dtype=torch.bool, device=segments.device).tril()
        query, key = segments[:, :, None], segments[:, None, :]
        visible = causal & (((key == 0) | (key == query)) & (key != PADDING))
        # a padded query must see something, or its softmax is NaN
        visible = visible | torch.eye(size, dtype=torch.bool, device=segments.device)
        visible = F.pad(visible, (past, 0), value=True)[:, None]
        return torch.zeros_like(visible, dtype=dtype).masked_fill(~visible, torch.finfo(dtype).min)
