"""result.json: what `evaluate` writes, and the reports, the page and Label read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from audiollm.contracts.messages import read_messages
from audiollm.contracts.plain_json import parse_json
from audiollm.errors import DataError

RESULT, REPORT = "result.json", "report.html"


class ModelInfo(TypedDict):
    name: str
    folder: str
    hash: str  # sha256 of the weights


class DataInfo(TypedDict):
    folder: str  # the prepared folder
    corpus: str
    split: str
    speakers: list[str]  # names


class RunInfo(TypedDict):
    command: str
    date: str  # ISO 8601
    versions: dict[str, str]  # package -> version
    device: str
    precision: str
    seconds: float  # taken by the whole evaluation


class ClipResult(TypedDict):
    id: str
    path: str  # a file, or DATASET#SPLIT/ROW
    label: str
    predicted: str | None  # None: no answer, `error` says why
    probabilities: dict[str, float] | None
    speaker: str
    seconds: float  # of the sound
    baselines: NotRequired[dict[str, dict[str, float]]]  # probabilities with a speaker baseline
    distance: NotRequired[float | None]  # of the features from the training data
    text: NotRequired[str]
    error: NotRequired[str]


class EvaluationResult(TypedDict):
    model: ModelInfo
    data: DataInfo
    run: RunInfo
    metrics: dict[str, Any]  # Metrics.to_dict() of the model
    baselines: dict[str, dict[str, Any]]  # clips of a speaker baseline -> Metrics.to_dict()
    probes: dict[str, dict[str, Any]]  # name (utterance, functionals, both) -> Metrics.to_dict()
    clips: list[ClipResult]  # all of them, right or wrong
    texts: NotRequired[dict[str, Any]]  # of `texts.measure`, where texts were asked for
    notes: list[Any]  # warnings a reader must see: `Message.to_dict()`, or sentences of old


def read_result(path: Path) -> EvaluationResult:
    """An evaluation; what older versions did not write is empty.

    Raises:
        DataError: it is missing or none.
    """
    try:
        result: EvaluationResult = parse_json(path.read_text(encoding="utf-8"))
        whole: Any = {"probes": {}, "baselines": {}, "notes": [], **result}
        whole["data"] = {"folder": "", "corpus": "", "split": "", "speakers": [], **result["data"]}
        if not isinstance(whole["metrics"], dict) or not isinstance(whole["model"]["name"], str):
            raise TypeError("metrics or model are no objects")
        read_messages(whole["notes"])
        for clip in whole["clips"]:
            texts = [clip[key] for key in ("id", "path", "label")]
            texts += [clip[key] or "" for key in ("speaker", "predicted")]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError(f"{texts} are no texts")
            clip["speaker"], clip["seconds"] = clip["speaker"] or "", float(clip["seconds"] or 0)
            shares = clip["probabilities"]
            clip["probabilities"] = shares and {str(k): float(p) for k, p in shares.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError("data_no_result", path=path, error=repr(error)) from error
    return whole


def interval(value: Mapping[str, Any] | None, sign: str = "", digits: int = 3) -> str:
    """A figure and its interval for a terminal or a table: `0.512 [0.431, 0.600]`; "-" for None.

    sign: "+" also writes the sign of numbers that are not negative.
    """
    if value is None:
        return "-"
    figure, low, high = (f"{value[key]:{sign}.{digits}f}" for key in ("value", "low", "high"))
    return f"{figure} [{low}, {high}]"


def probability(clip: ClipResult, name: str | None) -> float:
    """Of a class of a clip; 0 where there was no answer."""
    return float((clip["probabilities"] or {}).get(name or "", 0.0))


def confidences(clips: list[ClipResult]) -> list[float]:
    """Probability of the answer of every clip that has one."""
    return [probability(c, c["predicted"]) for c in clips if c["predicted"] and c["probabilities"]]


def mistakes(clips: list[ClipResult]) -> list[ClipResult]:
    """The wrong answers, the most confident first."""
    wrong = [clip for clip in clips if clip["predicted"] != clip["label"]]
    return sorted(wrong, key=lambda c: (-probability(c, c["predicted"]), c["path"]))
