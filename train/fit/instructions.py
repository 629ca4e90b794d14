"""Training texts: stage 1 descriptions and stage 2 instructions, in zh and en.

Answers are composed of a clip's label and its measured cues; without cues they hold no evidence.
All is drawn from a seed, once: the same list in every epoch and after every resume.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from audiollm.analysis.facts import Facts, Words
from audiollm.audio.prosody import Cues
from audiollm.labels import Language, prompt_word
from audiollm.model.prompt import Kind, Layout, Prompt, cue_words
from train.fit import prose
from train.fit import questions as free

# Shares of the kinds that are drawn: `analyse` is asked to score a clip, `report` is read
STAGE_KINDS: dict[int, dict[Kind, float]] = {
    1: {"describe": 1.0},
    2: {"analyse": 0.45, "classify": 0.1, "describe": 0.1, "yes_no": 0.1, "report": 0.25},
}
SHOWN_CUES = 0.8  # share of prompts that hold the measured cues
_OPENING: dict[Language, tuple[str, ...]] = {
    "en": (" The voice sounds {label}.", " This voice comes across as {label}."),
    "zh": ("这段声音听起来{label}。", "说话人的声音显得{label}。"),
}


@dataclass(frozen=True)
class Instruction:
    """A question about a clip and its target answer. `label` "" when that names no class."""

    kind: Kind
    language: Language
    label: str
    text: str
    candidate: str = ""
    shows_cues: bool = False  # the measured cues stand in the prompt
    class_only: bool = False  # the answer ends after the class word, without an end of turn
    question: str = ""  # of kind `free`, in a person's own words
    probabilities: Mapping[str, float] = field(default_factory=dict)  # that its prompt holds
    facts: Facts | None = None  # of kind `report`
    words: Words | None = None


def description(label: str, cues: Cues | None, language: Language, style: int = 0) -> str:
    """Text after the class: how the voice sounds."""
    opening = _OPENING[language][style % 2].format(label=prompt_word(label, language))
    if cues is None:
        return opening
    if language == "zh":
        return f"{opening}{cue_words(cues, 'zh')}。"
    return f"{opening} {cue_words(cues, 'en').capitalize()}."


def instruct(
    label: str,
    cues: Cues | None,
    classes: Sequence[str],
    kind: Kind,
    language: Language,
    rng: random.Random,
) -> Instruction | None:
    """One instruction of a kind for a clip; None where its class has no word for a sentence."""
    style = rng.randrange(2)
    shows_cues = cues is not None and rng.random() < SHOWN_CUES
    if kind == "describe":
        return Instruction(kind, language, label, description(label, cues, language, style))
    if kind == "analyse":
        # the answer holds cues only where the prompt holds them
        text = description(label, cues if shows_cues else None, language, style)
        return Instruction(kind, language, label, text, shows_cues=shows_cues)
    if kind == "classify":
        return Instruction(kind, language, label, "", shows_cues=shows_cues)
    if kind == "yes_no":
        others = [c for c in classes if c != label]
        candidate = label if rng.random() < 0.5 else rng.choice(others)
        is_it = candidate == label
        word = prompt_word(label, language)
        if language == "zh":
            text = f"是，听起来{word}。" if is_it else f"不是，听起来{word}。"
        else:
            text = f"Yes, it sounds {word}." if is_it else f"No, it sounds {word}."
        return Instruction(kind, language, "", text, candidate)
    facts = prose.draw(label, cues, classes, rng)
    if facts is None:
        return None
    words = Words(language, rng.randrange(2**31))
    text = prose.write(facts, words, rng)
    return Instruction(kind, language, "", text, facts=facts, words=words)


def draw(
    clips: Iterable[tuple[str, Cues | None]],
    classes: Sequence[str],
    stage: int,
    languages: Sequence[Language],
    per_clip: int,
    seed: int,
    class_only: float = 0.0,
    questions: float = 0.0,
    scored_cues: bool = True,
) -> list[list[Instruction]]:
    """`per_clip` instructions for each (label, cues), classes of question and languages in turn.

    A share `class_only` asks for the analysis and ends after the class word, in stage 2 most of
    them with the cues if a clip is scored with them (`scored_cues`); of the others a share
    `questions` are free questions.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible draw, no secret
    kinds = STAGE_KINDS[stage]
    drawn = []
    for label, cues in clips:
        own: list[Instruction] = []
        turn = rng.randrange(len(languages))
        while len(own) < per_clip:
            language = languages[(turn + len(own)) % len(languages)]
            if class_only and rng.random() < class_only:
                with_cues = stage == 2 and cues is not None and scored_cues
                with_cues = with_cues and rng.random() < SHOWN_CUES
                own.append(_class_alone(label, language, with_cues))
                continue
            if questions and rng.random() < questions:
                own.append(_free(label, cues, classes, language, rng))
                continue
            (kind,) = rng.choices(tuple(kinds), tuple(kinds.values()))
            instruction = instruct(label, cues, classes, kind, language, rng)
            if instruction is not None:
                own.append(instruction)
        drawn.append(own)
    return drawn


def _class_alone(label: str, language: Language, shows_cues: bool) -> Instruction:
    return Instruction("analyse", language, label, "", shows_cues=shows_cues, class_only=True)


def _free(
    label: str,
    cues: Cues | None,
    classes: Sequence[str],
    language: Language,
    rng: random.Random,
) -> Instruction:
    shares = free.probabilities(label, classes, rng)
    query, answer = free.question(shares, cues, language, rng)
    return Instruction(
        "free", language, "", answer, shows_cues=True, question=query, probabilities=shares
    )


def layout(prompt: Prompt, instruction: Instruction, cues: Cues | None) -> Layout:
    """What stands around the audio of a clip with these cues."""
    i, shown = instruction, cues if instruction.shows_cues else None
    if i.kind == "free":
        return prompt.free(i.question, i.language, shown, i.probabilities)
    if i.facts is not None and i.words is not None:
        return prompt.report(i.facts.line(i.words), i.language)
    return prompt.layout(i.language, shown, i.kind, i.candidate)


def answer_ids(prompt: Prompt, instruction: Instruction) -> tuple[int, ...]:
    """Token ids of the answer, class token first where there is one."""
    if instruction.class_only and prompt.first_tokens:
        return prompt.label(instruction.label, instruction.language)[:1]
    if instruction.class_only:
        return prompt.label(instruction.label, instruction.language)
    if instruction.label:
        return prompt.answer(instruction.label, instruction.text, instruction.language)
    return (*prompt.ids(instruction.text), prompt.end)
