"""`python -m audiollm FILE...`: the emotion in sound files, as text or JSON lines."""

import argparse
import glob
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from audiollm import __version__, labels
from audiollm.audio import sound_files
from audiollm.errors import AudioLLMError
from audiollm.settings import Settings
from audiollm.texts import console, text

EPILOG = """examples:
  python -m audiollm recording.wav             what one recording sounds like
  python -m audiollm recordings/ --json        a folder, one JSON object a line
  python -m audiollm "*.mp3" --language zh     the analysis in Chinese
  python -m audiollm clip.flac --model models/mine        or user/name on the hub
  python -m audiollm a.wav b.wav c.wav --same-speaker   compared with this person's own voice

Exit code: 0 all files were answered, 1 some could not be (the others were), 2 nothing could be
tried (no such model, wrong arguments), 141 the reader of the output has left. JSON is in ASCII
where the output is not in UTF-8; a file name that is not UTF-8 has escapes like \\udcff.
Nothing is stored and nothing leaves this machine."""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m audiollm",
        description="Recognise the emotion that a voice expresses: a probability for every class "
        "and a written analysis. It recognises expression, not inner feeling.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="sound files, folders, or patterns like '*.wav'")
    add("--model", metavar="ID", help="tiny (default), a folder of `train merge`, or user/name")
    add("--language", choices=labels.LANGUAGES, default="en", help="of the analysis")
    add(
        "--same-speaker",
        action="store_true",
        help="one person speaks in all files: each is compared with this person's other files, in "
        "its cues (from three files on) and in its features (from four on, where the model takes a "
        "speaker baseline). The more files, of any emotions, the more often the answer is right; "
        "docs/quality.md says by how much. Files of one emotion only are not compared",
    )
    add("--json", action="store_true", help="one JSON object a line")
    add("--device", metavar="D", help="auto (default), cpu, cuda, mps")
    add("--batch", type=int, default=8, help="files in one batch")
    add("--version", action="version", version=__version__)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Answers every file it can. 0: all; 1: some failed; 2: the model or the arguments did."""
    return console.run(partial(_main, argv))


def _main(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    warnings.filterwarnings("ignore")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        settings = Settings.from_env(**({"device": args.device} if args.device else {}))
        paths = list(collect(args.files))
        if sys.stderr.isatty():
            print(text("loading", args.language), file=sys.stderr)
        from audiollm.predictor import Predictor

        predictor = Predictor.load(args.model or settings.model, settings)
        return _answer(predictor, paths, args)
    except AudioLLMError as error:
        print(error.in_language(args.language), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def collect(names: Sequence[str]) -> Iterator[Path]:
    """Files from files, folders (recursive) and patterns with * or ?.

    A name that finds nothing stays itself, to fail by name.
    """
    for name in names:
        path = Path(name).expanduser()
        files: list[Path] = []
        if path.is_dir():
            files = sound_files(path)
        elif not path.exists() and ("*" in name or "?" in name):
            files = sorted(Path(p) for p in glob.glob(str(path), recursive=True))  # noqa: PTH207
        yield from files or [path]


def _answer(predictor: Any, paths: Sequence[Path], args: argparse.Namespace) -> int:
    from tqdm import tqdm

    failed = 0
    size = max(1, args.batch)
    answers = predictor.predict_files(paths, args.language, size, args.same_speaker)
    printed: set[str] = set()
    show_progress = len(paths) > args.batch and sys.stderr.isatty()
    for path, answer in tqdm(answers, total=len(paths), unit="file", disable=not show_progress):
        if isinstance(answer, AudioLLMError):
            failed += 1
            if args.json:
                line = {"path": str(path), "error": answer.in_language(args.language)}
                print(console.json_line(line), flush=True)
            else:
                print(f"{path}: {answer.in_language(args.language)}", file=sys.stderr)
            continue
        if args.same_speaker and (note := missing(answer, predictor.card.baseline)) not in printed:
            printed.add(note)
            print(note, end="\n" if note else "", file=sys.stderr)
        if args.json:
            line = {"path": str(path), **answer.to_dict()}
            print(console.json_line(line), flush=True)
        else:
            print(readable(path, answer), flush=True)
    return 1 if failed else 0


def missing(answer: Any, takes_baseline: bool) -> str:
    """Why an answer is not, or not fully, compared with the same speaker's other files; or ""."""
    language = answer.language
    if answer.analysis.basis_kind != "speaker":
        return text("same_speaker_few_clips", language)
    if emotion := answer.baseline_emotion:
        return text("same_speaker_one_emotion", language, emotion=labels.word(emotion, language))
    few = takes_baseline and not answer.baseline_seconds
    return text("same_speaker_few_others", language) if few else ""


def readable(path: Path, answer: Any) -> str:
    """One answer for a terminal: bars of probability, then the analysis."""
    ranked = sorted(answer.probabilities.items(), key=lambda item: -item[1])
    language = answer.language
    words = {name: labels.title(name, language) for name, _ in ranked}
    width = max(_columns(w) for w in words.values())
    lines = [f"{path}  ({answer.seconds:.1f} s, {answer.model})"]
    for name, p in ranked:
        pad = " " * (width - _columns(words[name]))
        lines.append(f"  {words[name]}{pad} {p:6.1%} {'█' * round(p * 30)}")
    lines += ["", f"  {answer.text}", "", *measured(answer.analysis, language)]
    return "\n".join([*lines, ""])


def measured(analysis: Any, language: labels.Language) -> list[str]:
    """The table of the measured cues."""
    from audiollm.analysis import wording

    rows = []
    for cue in analysis.evidence:
        share = cue.unit == wording.SHARE
        value, low, high = (wording.number(x, share) for x in (cue.value, cue.low, cue.high))
        unit = "" if share else f" {text(cue.unit, language)}"
        usual = text("range", language, low=low, high=high)
        rows.append(
            [
                labels.capital(cue.name),
                f"{value}{unit}",
                cue.said,
                f"{text('usual', language)} {usual}",
            ]
        )
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  "
        + "  ".join(c + " " * (w - _columns(c)) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    basis = wording.usual(analysis.basis, language)
    return [*lines, f"  {basis}"] if basis else lines


def _columns(text: str) -> int:
    """Width in a terminal, where a Chinese character takes two columns."""
    return sum(2 if ord(c) > 0x2E80 else 1 for c in text)


if __name__ == "__main__":
    sys.exit(main())
