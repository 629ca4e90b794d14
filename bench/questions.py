"""`python -m bench.questions --model DIR`: free questions about clips, judged by rules.

Sixty questions, thirty in each language (questions.toml), are asked about clips in turn, and what
the page would show is judged: one to four sentences, in the language of the question, none twice;
no class named as the answer but the likeliest, no cue that contradicts the measured one; what the
question asks for is there (a cue, a probability, a class); no refusal where it can be answered, a
refusal where it cannot be heard. Failures are listed. With `--out` all answers are written, and the
analyses of the clips.
"""

import argparse
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from audiollm import audio
from audiollm.analysis import answers, claims
from audiollm.analysis.claims import Sentence
from audiollm.audio import prosody
from audiollm.audio.prosody import Cues
from audiollm.contracts.prepared import write_json
from audiollm.labels import LANGUAGES, Language
from audiollm.predictor import Predictor
from audiollm.settings import ASSETS, Settings
from audiollm.texts import text
from train.fit import runs
from train.tiny.recipe import TESTED

CLIPS = 20
Cue = Literal["tempo_hz", "pitch_hz", "pause_share", "pitch_range_st"]
Kind = Literal["class", "other", "probability", "cue", "advice", "decline"] | Cue
REFUSAL: dict[Language, str] = {
    "en": r"\b(?:cannot|can't|could not|unable|do not know|only answer|not part of|"
    r"says nothing|nothing to do with|no diagnosis)\b",
    "zh": "无法|不知道|不能判断|不在这个分析|只回答|无关|不涉及|听不出|不是诊断",
}


def judged(
    answer: str,
    kind: Kind,
    probabilities: Mapping[str, float],
    cues: Cues | None,
    language: Language,
) -> list[str]:
    """The rules that an answer breaks."""
    if not answer or answer == text("ask_nothing", language):
        return ["no answer"]
    broken = []
    sentences = claims.parse(answer, list(probabilities), language)
    if not 1 <= len(sentences) <= answers.SENTENCES:
        broken.append("number of sentences")
    if len({s.text for s in sentences}) < len(sentences):
        broken.append("repetition")
    if not all(claims.of_language(s.text, language) for s in sentences):
        broken.append("language")
    elif answers.checked(answer, probabilities, cues, language) != answer:
        broken.append("contradiction")
    refused = bool(re.search(REFUSAL[language], answer, re.IGNORECASE))
    if refused != (kind == "decline"):
        broken.append("refusal" if refused else "no refusal")
    elif not _answers_question(kind, answer, sentences, probabilities, cues):
        broken.append("not to the point")
    return broken


def _answers_question(
    kind: Kind,
    answer: str,
    sentences: Sequence[Sentence],
    probabilities: Mapping[str, float],
    cues: Cues | None,
) -> bool:
    """Whether an answer holds what a question of this kind asks for."""
    label = max(probabilities, key=lambda name: probabilities[name])
    names = {name for s in sentences for name in s.names}
    stated = {statement.cue for s in sentences for statement in s.stated}
    levels = prosody.levels(cues) if cues else {}
    if kind in ("decline", "advice"):
        return True
    if kind == "class":
        return label in names
    if kind == "other":
        return bool(names - {label})
    if kind == "probability":
        return "%" in answer
    if kind == "cue":
        return bool(stated) or set(levels.values()) <= {"mid"}
    return kind in stated or kind not in levels


def read_questions() -> list[tuple[Language, Kind, str]]:
    """The questions, the languages in turn."""
    listed = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    by_language = [
        [(lang, kind, question) for kind, group in listed[lang].items() for question in group]
        for lang in LANGUAGES
    ]
    return [each for pair in zip(*by_language, strict=True) for each in pair]


def unseen() -> list[Path]:
    """Clips of the bundled speakers on whom no model of this project is trained."""
    speakers = tuple(speaker.partition("-")[2] for speaker in TESTED)
    paths = sorted(p for p in (ASSETS / "emodb").rglob("*.flac") if p.name.startswith(speakers))
    return paths[:: len(paths) // CLIPS][:CLIPS]


def measure(predictor: Predictor, clips: Sequence[Path]) -> list[dict[str, Any]]:
    """Every question about the next clip."""
    rows = []
    for i, (language, kind, question) in enumerate(tqdm(read_questions(), unit="question")):
        clip = clips[i % len(clips)]
        sound = audio.load(clip, predictor.settings)
        followed = prosody.track(sound.samples)
        prediction = predictor.classify([sound], language)[0]
        answer = predictor.ask(sound, followed, question, language)
        broken = judged(answer, kind, prediction.probabilities, prediction.cues, language)
        shares = {name: round(p, 3) for name, p in prediction.probabilities.items()}
        rows.append(
            {"clip": clip.name, "language": language, "kind": kind, "question": question}
            | {"answer": answer, "broken": broken, "probabilities": shares}
        )
    return rows


def analyses(predictor: Predictor, clips: Sequence[Path]) -> list[dict[str, Any]]:
    """The written analysis of every clip, the languages in turn."""
    rows = []
    for i, clip in enumerate(tqdm(clips, unit="clip")):
        language = LANGUAGES[i % len(LANGUAGES)]
        (prediction,) = predictor.predict([audio.load(clip, predictor.settings)], language)
        label, text = prediction.label, prediction.text
        figures = {"label": label, "probability": round(prediction.probabilities[label], 3)}
        rows.append({"clip": clip.name, "language": language, **figures, "text": text})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", required=True, metavar="ID")
    words = "recordings to ask about (default: twenty of the bundled test speakers)"
    parser.add_argument("--clips", nargs="+", type=Path, metavar="FILE", help=words)
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    clips = args.clips or unseen()
    predictor = Predictor.load(args.model, Settings.from_env())
    rows = measure(predictor, clips)
    for language in LANGUAGES:
        own = [row for row in rows if row["language"] == language]
        passed = sum(not row["broken"] for row in own)
        reasons = Counter(reason for row in own for reason in row["broken"])
        print(f"{language}: {passed} of {len(own)} pass; {dict(reasons)}")
    for row in rows:
        if row["broken"]:
            print(f"{', '.join(row['broken'])}: {row['question']} -> {row['answer']}")
    if args.out:
        texts = analyses(predictor, clips)
        result = {"run": runs.provenance("bench.questions"), "answers": rows, "analyses": texts}
        write_json(args.out, result)


if __name__ == "__main__":
    main()
