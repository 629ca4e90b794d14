"""Class probabilities from the LLM's own likelihood of every complete class word.

The instruction's keys and values are computed once per language and stay resident. For a batch
of clips, audio, tail and *all* class words then go through the LLM in one pass: the words stand
behind each other, take the same positions, and a mask keeps them from seeing one another. The
winner's keys and values are kept, so the analysis goes on from exactly what was scored.

A large LLM is trained to be scored by the first token of each word, among these tokens and from a
prompt without cues: few tokens, in all languages at once, no logits of other words. The text then
begins with a pass of its own over audio, cues and class word.

Shapes: B clips, P cached prefix, S packed length, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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


@dataclass(frozen=True, eq=False)
class Packed:
    """Keys and values of a packed batch, which texts go on from."""

    cache: Any  # DynamicCache over prefix + packed batch
    prefix: int
    segments: Tensor  # [B, S]: 0 shared, 1..C class words, PADDING

    def take(self, rows: list[int]) -> "Packed":
        layers = [(layer.keys[rows], layer.values[rows]) for layer in self.cache.layers]
        return Packed(cache_of(layers), self.prefix, self.segments[rows])


@dataclass(eq=False)
class Scored:
    """Log-likelihood of each class word, [B, C], and what is needed to go on from one of them."""

    log_likelihoods: Tensor
    clips: Sequence[Features]
    cues: Sequence[Cues | None]
    packed: "Packed | None" = None  # None: the text begins with a pass of its own

    @torch.inference_mode()
    def take(self, rows: Sequence[int]) -> "Scored":
        """These rows alone, in a cache of their own: the rest can be let go."""
        kept = list(rows)
        return Scored(
            self.log_likelihoods[kept],
            [self.clips[row] for row in kept],
            [self.cues[row] for row in kept],
            self.packed and self.packed.take(kept),
        )


class Scorer:
    """Scores and continues for one model; holds the cached instruction of every language."""

    def __init__(self, model: AudioLLM, prompt: Prompt) -> None:
        self.model, self.prompt = model, prompt
        self._prefixes: dict[tuple[int, ...], Layers] = {}
        self._drafts = Drafts()

    @torch.inference_mode()
    def score(
        self, clips: Sequence[Features], cues: Sequence[Cues | None], language: Language
    ) -> Scored:
        """Scores B clips for all classes; the cache is that of the answer's `language`.

        The question is put in every language of the prompt and the log-likelihoods are averaged,
        so that a clip has the same probabilities in whichever language they are read.
        """
        languages = self.prompt.languages or (language,)
        if firsts := self.prompt.firsts(languages):
            return Scored(self._first_tokens(clips, firsts), clips, cues)
        if self.prompt.first_tokens:  # two words begin alike: whole words, from the same prompt
            none = [None] * len(clips)
            found = [self._pass(clips, none, lang).log_likelihoods for lang in languages]
            return Scored(torch.stack(found).mean(0), clips, cues)
        passes = {
            lang: self._pass(clips, cues, lang) for lang in dict.fromkeys((*languages, language))
        }
        mean = torch.stack([passes[lang].log_likelihoods for lang in languages]).mean(0)
        return replace(passes[language], log_likelihoods=mean)

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
    ) -> Scored:
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
        log_likelihoods = self._read(hidden, shared, words)
        return Scored(log_likelihoods, clips, cues, Packed(cache, past, segments))

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

    @torch.inference_mode()
    def context(
        self,
        scored: Scored,
        row: int,
        winner: int,
        language: Language,
        most: int = generation.MAX_ANALYSIS,
    ) -> Context:
        """What the text goes on from: prefix, shared part and winning class word of a row."""
        word = self.prompt.label(self.prompt.classes[winner], language)
        layout = self.prompt.layout(language, scored.cues[row])
        if scored.packed is None:
            tail = (*layout.tail, *word[:-1])
            merged = self.model.merge([()], [scored.clips[row]], [tail])
            whole = prefill(self.model, merged.embeds, self._prefix(layout.head))
            return Context([(k[0], v[0]) for k, v in whole], word[-1], most, layout.tail)
        packed = scored.packed
        segment = packed.segments[row]
        own = torch.nonzero((segment == 0) | (segment == winner + 1))[:, 0]
        past = torch.arange(packed.prefix, device=own.device)
        # the last id of the class word is fed again, so it leaves the cache
        kept = torch.cat([past, own + packed.prefix])[:-1]
        layers = [(c.keys[row][:, kept], c.values[row][:, kept]) for c in packed.cache.layers]
        return Context(layers, word[-1], most, layout.tail)

    def asked(
        self,
        clip: Features,
        cues: Cues | None,
        question: str,
        language: Language,
        probabilities: Mapping[str, float],
    ) -> Context:
        """What the answer to a free question about a clip goes on from."""
        layout = self.prompt.free(question, language, cues, probabilities)
        return generation.asked(self.model, layout, clip, self._prefix(layout.head))

    def write(self, contexts: Sequence[Context], writes: Sequence[Write], finish: Finish) -> None:
        """Goes on from every context: see `generation.generate`."""
        generation.generate(self.model, self.prompt, contexts, writes, finish, self._drafts)

    def generate(
        self,
        scored: Scored,
        winners: Sequence[int],
        language: Language,
        rows: Sequence[int] = (),
        max_new_tokens: int = generation.MAX_ANALYSIS,
    ) -> list[str]:
        """Texts after the winning class words, for the given rows of a scored batch."""
        contexts = [
            self.context(scored, row, winner, language, max_new_tokens)
            for row, winner in zip(rows or range(len(winners)), winners, strict=True)
        ]
        texts: dict[int, str | BaseException] = {}
        self.write(contexts, [str] * len(contexts), texts.__setitem__)
        return [str(texts[i]) for i in range(len(contexts))]

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
        seen = causal & (((key == 0) | (key == query)) & (key != PADDING))
        # a padded query must see something, or its softmax is NaN
        seen = seen | torch.eye(size, dtype=torch.bool, device=segments.device)
        seen = F.pad(seen, (past, 0), value=True)[:, None]
        return torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
