"""One packed pass must equal naive full forwards; texts go on from facts, drawn by a seed."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from audiollm.audio.prosody import Cues
from audiollm.labels import LANGUAGES, Language
from audiollm.model.audio_llm import AudioLLM
from audiollm.model.generation import Context
from audiollm.model.prompt import Prompt
from audiollm.model.scoring import Scorer
from tests import tiny

CUES = Cues(2.0, 210.0, 6.0, -20.0, 15.0, -3.0, 6.5, 0.05)
CLIPS = [tiny.features(n, seed=n) for n in (3, 100, 41)]
CUE_LIST = [CUES, None, CUES]


def naive(model: AudioLLM, prompt: Prompt, language: Language) -> torch.Tensor:
    """Every clip and every class on its own: full forward without cache or packing."""
    rows = []
    for clip, cues in zip(CLIPS, CUE_LIST, strict=True):
        layout = prompt.layout(language, cues)
        row = []
        for name in prompt.classes:
            word = prompt.label(name, language)
            merged = model.merge([layout.head], [clip], [(*layout.tail, *word)])
            log_p = model.logits(model.hidden(merged)).log_softmax(-1)[0]
            start = merged.embeds.shape[1] - len(word)
            values = [log_p[start + j - 1, token] for j, token in enumerate(word)]
            row.append(torch.stack(values).sum())
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("style", ["chat", "original"])
@pytest.mark.parametrize("pooling", ["frames", "utterance"])
@torch.no_grad()
def test_one_pass_equals_naive_forwards(language: Language, style: str, pooling: str) -> None:
    model = tiny.audio_llm(pooling=pooling, utterance_tokens=2)
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES, style)  # type: ignore[arg-type]
    scored = Scorer(model, prompt).score(CLIPS, CUE_LIST, language)
    expected = naive(model, prompt, language)
    torch.testing.assert_close(scored, expected, atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_first_tokens_are_scored_without_cues() -> None:
    model = tiny.audio_llm(seed=3)
    prompt = Prompt(tiny.tokenizer(), tiny.CLASSES, first_tokens=True)
    firsts = [prompt.label(name, "en")[0] for name in prompt.classes]
    assert len(set(firsts)) == len(firsts)
    scorer = Scorer(model, prompt)
    scored = scorer.score(CLIPS, CUE_LIST, "en")
    layout = prompt.layout("en")
    merged = model.merge([layout.head] * 3, CLIPS, [layout.tail] * 3)
    last = model.hidden(merged)[range(3), merged.lengths - 1]
    expected = model.logits(last)[:, firsts].log_softmax(-1)
    torch.testing.assert_close(scored, expected, atol=1e-4, rtol=1e-5)


def test_first_tokens_of_several_languages_are_scored_in_one_pass() -> None:
    model, tokenizer, passes = tiny.audio_llm(seed=3), tiny.tokenizer(), 0
    alone = [Prompt(tokenizer, tiny.CLASSES, languages=(x,), first_tokens=True) for x in LANGUAGES]
    expected = [Scorer(model, p).score(CLIPS, CUE_LIST, "en") for p in alone]
    scorer = Scorer(model, Prompt(tokenizer, tiny.CLASSES, "chat", LANGUAGES, first_tokens=True))
    scorer.score(CLIPS, CUE_LIST, "en")  # computes the instructions

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    model.causal_lm.model.register_forward_hook(count)  # type: ignore[union-attr,operator]
    found = scorer.score(CLIPS, CUE_LIST, "en")
    torch.testing.assert_close(found, torch.stack(expected).mean(0), atol=1e-4, rtol=1e-4)
    assert passes == 1


def test_words_that_begin_alike_are_scored_whole() -> None:
    """Classes of another project may share a first token."""
    tokenizer, names = tiny.tokenizer(), ("angry", "angry sad", "sad")
    prompt = Prompt(tokenizer, names, first_tokens=True)
    scorer, plain = Scorer(tiny.audio_llm(), prompt), Prompt(tokenizer, names)
    found = scorer.score(CLIPS[:1], [CUES], "en")  # without the cues all the same
    whole = Scorer(scorer.model, plain).score(CLIPS[:1], [None], "en")
    torch.testing.assert_close(found, whole, atol=1e-4, rtol=1e-5)


def test_batched_equals_single_and_prefix_is_reused() -> None:
    model, prompt = tiny.audio_llm(), Prompt(tiny.tokenizer(), tiny.CLASSES)
    scorer = Scorer(model, prompt)
    together = scorer.score(CLIPS, CUE_LIST, "en")
    alone = [scorer.score([c], [q], "en") for c, q in zip(CLIPS, CUE_LIST, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-5)
    assert len(scorer._prefixes) == 1


FACTS = ("class: angry; certainty: likely", "class: sad", "class: happy; cues: pitch high")


def contexts(scorer: Scorer, most: int = 12) -> list[Context]:
    found = [scorer.analysis_context(line, "en", seed) for seed, line in enumerate(FACTS)]
    return [replace(context, most=most) for context in found]


def written(scorer: Scorer, given: Sequence[Context]) -> list[str]:
    texts: dict[int, str | BaseException] = {}
    scorer.write(given, [str] * len(given), texts.__setitem__)
    return [str(texts[i]) for i in range(len(given))]


@torch.no_grad()
@pytest.mark.parametrize("begun", ["", "The voice sounds angry."])
def test_a_report_goes_on_from_its_facts_alone(begun: str) -> None:
    """Greedy text from the cache equals greedy text by full forwards, without any audio."""
    model, prompt = tiny.audio_llm(seed=3), Prompt(tiny.tokenizer(), tiny.CLASSES)
    scorer = Scorer(model, prompt)
    reports = [scorer.analysis_context(line, "en", 0, begun) for line in FACTS]
    greedy = [replace(context, seed=None, most=8) for context in reports]
    for line, text in zip(FACTS, written(scorer, greedy), strict=True):
        layout = prompt.report(line, "en", begun)
        ids = [*layout.head, *layout.tail]
        start = len(ids)
        for _ in range(8):
            hidden = model.causal_lm.model(inputs_embeds=model.embed(ids)[None])  # type: ignore[operator]
            ids.append(int(model.logits(hidden.last_hidden_state)[0, -1].argmax()))
            if ids[-1] == prompt.end:
                break
        assert text == prompt.tokenizer.decode(ids[start:], skip_special_tokens=True).strip()


@torch.no_grad()
def test_a_seed_draws_the_same_text_alone_and_in_a_batch() -> None:
    scorer = Scorer(tiny.audio_llm(seed=3), Prompt(tiny.tokenizer(), tiny.CLASSES))
    given = contexts(scorer)
    together = written(scorer, given)
    assert [written(scorer, [context])[0] for context in given] == together
    assert written(scorer, given[:1]) == together[:1]  # also once its tokens are drafted
    others = {written(scorer, [replace(given[0], seed=seed)])[0] for seed in range(8)}
    assert len(others) > 4


def test_stream_gives_the_same_text() -> None:
    scorer = Scorer(tiny.audio_llm(seed=3), Prompt(tiny.tokenizer(), tiny.CLASSES))
    context = replace(contexts(scorer, most=40)[1], seed=None)
    whole = written(scorer, [context])[0]
    pieces: list[str] = []
    texts: dict[int, str | BaseException] = {}
    scorer.write([context], [pieces.append], texts.__setitem__)
    assert len(pieces) > 1 and "".join(pieces).strip() == texts[0] == whole


def test_texts_of_several_batches_are_generated_together() -> None:
    """Other lengths, other limits, and a reader who leaves: each text is as if alone."""
    scorer = Scorer(tiny.audio_llm(seed=3), Prompt(tiny.tokenizer(), tiny.CLASSES))
    given = [replace(c, most=most) for c, most in zip(contexts(scorer), (5, 9, 9), strict=True)]
    alone = [written(scorer, [context])[0] for context in given]
    pieces: list[str] = []

    def leave(_: str) -> None:
        raise InterruptedError

    texts: dict[int, str | BaseException] = {}
    scorer.write(given, [pieces.append, leave, str], texts.__setitem__)
    assert isinstance(texts.pop(1), InterruptedError)
    assert texts == {0: alone[0], 2: alone[2]}
    assert "".join(pieces).strip() == alone[0]


def test_a_callback_that_raises_stops_generating() -> None:
    """Generation must not go on beside the next visitor's."""
    model, prompt = tiny.audio_llm(seed=3), Prompt(tiny.tokenizer(), tiny.CLASSES)
    prompt.end = -1  # the model never ends by itself
    scorer = Scorer(model, prompt)
    (context, *_) = contexts(scorer, most=90)
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    model.causal_lm.register_forward_hook(count)

    def leave(_: str) -> None:
        raise InterruptedError

    texts: dict[int, str | BaseException] = {}
    scorer.write([context], [leave], texts.__setitem__)
    assert isinstance(texts[0], InterruptedError)
    assert passes < 90


def test_scoring_under_another_dtype_agrees() -> None:
    """bfloat16 is what a GPU runs: the same class wins where the margin is clear."""
    model, prompt = tiny.audio_llm(), Prompt(tiny.tokenizer(), tiny.CLASSES)
    exact = Scorer(model, prompt).score(CLIPS, CUE_LIST, "en")
    model.llm.to(torch.bfloat16)
    coarse = Scorer(model, prompt).score(CLIPS, CUE_LIST, "en")
    assert (exact - coarse).abs().max() < 0.5


@pytest.mark.parametrize("language", ["en", "zh"])
def test_probabilities_do_not_depend_on_the_language_they_are_read_in(language: Language) -> None:
    model = tiny.audio_llm()
    both = Scorer(model, Prompt(tiny.tokenizer(), tiny.CLASSES, languages=("en", "zh")))
    alone = Scorer(model, Prompt(tiny.tokenizer(), tiny.CLASSES))
    asked = [alone.score(CLIPS, CUE_LIST, lang) for lang in ("en", "zh")]
    scored = both.score(CLIPS, CUE_LIST, language)
    torch.testing.assert_close(scored, torch.stack(asked).mean(0))


def test_a_repetition_penalty_of_the_llm_s_folder_changes_no_text() -> None:
    """Hub folders bring one: digits of the prompt would be written less readily."""
    texts = []
    for penalty in (1.0, 9.0):
        model = tiny.audio_llm(seed=3)
        model.llm.generation_config.repetition_penalty = penalty  # type: ignore[union-attr, assignment]
        scorer = Scorer(model, Prompt(tiny.tokenizer(), tiny.CLASSES))
        texts.append(written(scorer, contexts(scorer)))
    assert texts[0] == texts[1]
