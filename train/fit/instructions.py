"""Training texts: stage 1 descriptions and stage 2 instructions, in zh and en.

Answers are composed of a clip's label and its measured cues; without cues they hold no evidence.
All is drawn from a seed, once: the same list in every epoch and after every resume.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from audiollm.audio.prosody import Cues, levels
from audiollm.labels import Language, prompt_word
from audiollm.model.prompt import Kind, Layout, Prompt, cue_words
from train.fit import questions as free

STAGE_KINDS: dict[int, tuple[Kind, ...]] = {
    1: ("describe",),
    2: ("analyse", "classify", "describe", "yes_no", "intensity"),
}
# Taught since the first models, so that a run goes on with the instructions that it began with.
# It counts unusual cues, is no measure of an emotion's intensity, and is never shown to a person.
INTENSITY: dict[Language, tuple[str, str, str]] = {
    "en": ("mild", "moderate", "strong"),
    "zh": ("轻微", "中等", "强烈"),
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


def intensity(cues: Cues) -> int:
    """0 mild, 1 moderate, 2 strong: how many cues but pauses leave their range (0, 1-2, 3+)."""
    outside = sum(level != "mid" for cue, level in levels(cues).items() if cue != "pause_share")
    return min(2, (outside + 1) // 2)


def description(label: str, cues: Cues | None, language: Language, style: int = 0) -> str:
    """Stage 1 text after the class: how the voice sounds."""
    opening = _OPENING[language][style % 2].format(label=prompt_word(label, language))
    if cues is None:
        return opening
    if language == "zh":
        return f"{opening}{cue_words(cues, 'zh')}。"
    return f"{opening} {cue_words(cues, 'en').capitalize()}."


def analysis(label: str, cues: Cues | None, language: Language, style: int = 0) -> str:
    """Stage 2 text after the class: emotion, the measured evidence, and the intensity."""
    opening = _OPENING[language][style % 2].format(label=prompt_word(label, language))
    if cues is None:
        return opening
    measured, strength = cue_words(cues, language), INTENSITY[language][intensity(cues)]
    if language == "zh":
        return f"{opening}依据：{measured}。强度：{strength}。"
    return f"{opening} Evidence: {measured}. Intensity: {strength}."


def instruct(
    label: str,
    cues: Cues | None,
    classes: Sequence[str],
    kind: Kind,
    language: Language,
    rng: random.Random,
) -> Instruction | None:
    """One instruction of a kind for a clip; None where the clip cannot answer it."""
    style = rng.randrange(2)
    shows_cues = cues is not None and rng.random() < SHOWN_CUES
    if kind == "describe":
        return Instruction(kind, language, label, description(label, cues, language, style))
    if kind == "analyse":
        # the answer holds evidence only where the prompt holds the measured cues
        known = cues if shows_cues else None
        text = analysis(label, known, language, style)
        return Instruction(kind, language, label, text, shows_cues=shows_cues)
    if kind == "classify":
        return Instruction(kind, language, label, "", shows_cues=shows_cues)
    if kind == "yes_no":
        others = [c for c in classes if c != label]
        candidate = label if rng.random() < 0.5 else rng.choice(others)
        is_it = candidate == label
        named = prompt_word(label, language)
        if language == "zh":
            text = f"是，听起来{named}。" if is_it else f"不是，听起来{named}。"
        else:
            text = f"Yes, it sounds {named}." if is_it else f"No, it sounds {named}."
        return Instruction(kind, language, "", text, candidate)
    if cues is None:
        return None
    strength = INTENSITY[language][intensity(cues)]
    text = f"{strength}。" if language == "zh" else f"{strength.capitalize()}."
    return Instruction(kind, language, "", text, shows_cues=True)


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
    `questions` are free questions, and in stage 2 half of the rest are analyses, the kind of answer
    at inference.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible draw, no secret
    kinds = STAGE_KINDS[stage]
    drawn = []
    for label, cues in clips:
        chosen: list[Instruction] = []
        turn = rng.randrange(len(languages))
        while len(chosen) < per_clip:
            language = languages[(turn + len(chosen)) % len(languages)]
            if class_only and rng.random() < class_only:
                shown = stage == 2 and cues is not None and scored_cues
                shown = shown and rng.random() < SHOWN_CUES
                chosen.append(_class_alone(label, language, shown))
                continue
            if questions and rng.random() < questions:
                chosen.append(_free(label, cues, classes, language, rng))
                continue
            kind = kinds[0] if rng.random() < 0.5 else rng.choice(kinds)
            made = instruct(label, cues, classes, kind, language, rng)
            if made is not None:
                chosen.append(made)
        drawn.append(chosen)
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
    known = free.probabilities(label, classes, rng)
    asked, answer = free.question(known, cues, language, rng)
    return Instruction(
        "free", language, "", answer, shows_cues=True, question=asked, probabilities=known
    )


def layout(prompt: Prompt, instruction: Instruction, cues: Cues | None) -> Layout:
    """What stands around the audio of a clip with these cues."""
    i, shown = instruction, cues if instruction.shows_cues else None
    if i.kind == "free":
        return prompt.free(i.question, i.language, shown, i.probabilities)
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
