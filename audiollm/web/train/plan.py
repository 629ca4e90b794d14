"""What a person asks for on the Train page, and the commands that do it. No gradio here."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from audiollm import hub
from audiollm.contracts.manifest import MANIFEST_NAME
from audiollm.errors import ConfigError
from audiollm.jobs.job import Step
from audiollm.web.train.prepared import PREPARED
from audiollm.web.train.sources import EMODB, FOLDER, HUB, Ask, asked
from audiollm.web.train.teaching import Teaching, within

RESULT = "result.json"  # of an evaluation
VERSUS = "versus.json"  # of a comparison with the model in use
# times as many passes as are proposed: a first look, what taught the bundled EmoDB, and patience
PRESETS: dict[str, float] = {"quick": 0.25, "balanced": 1.0, "thorough": 3.0}


@dataclass(frozen=True)
class Plan:
    """What a person asks for: one model, from recordings to its figures.

    Raises:
        ConfigError: a value cannot be used; the message holds it.
    """

    name: str  # of the model and its folders
    source: str = EMODB  # EMODB, FOLDER, HUB, or the path of a prepared folder
    folder: str = ""  # of FOLDER: the recordings, or a table that lists them; of HUB: an id
    speaker_pattern: str = ""  # of FOLDER: a regular expression that finds the speaker in a path
    split: str = "auto"  # of FOLDER and HUB: auto, or random where nobody knows who speaks
    all_learn: bool = False  # but for the test speakers, of what is not prepared yet
    llm: str = "tiny"
    encoder: str = hub.BUNDLED_ENCODER  # hears what is not prepared yet
    epochs: tuple[float, float] = (12.0, 4.0)  # of stage 1 and 2
    steps: tuple[int, int] = (0, 0)  # instead of epochs; 0: by epochs
    batch_size: int = 16
    seed: int = 0
    device: str = "cpu"  # cpu, mps, cuda or cuda:N
    max_clips: int = 0  # of what is not prepared yet; 0: all
    rival: str = ""  # the model in use, with which the new one is compared at the end; "": none
    teaching: Teaching = field(default_factory=Teaching)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^\W_][\w.-]{0,59}", self.name or "") or self.name.endswith("."):
            raise ConfigError(
                "The name must be 1 to 60 letters, digits, '.', '-' or '_', and begin with a "
                f"letter or digit, not {self.name!r}."
            )
        if self.name in {*hub.LLMS, *hub.ENCODERS}:
            raise ConfigError(f"The name {self.name!r} is that of a preset: choose another.")
        for what, id in (("language model", self.llm), ("encoder", self.encoder)):
            if not (id or "").strip() or id.startswith("-") or not id.isprintable():
                raise ConfigError(f"The {what} must be a name or a folder, not {id!r}.")
        if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", self.device or ""):
            raise ConfigError(f"The device must be cpu, mps, cuda or cuda:N, not {self.device!r}.")
        for i in (0, 1):
            within(f"The passes of stage {i + 1}", self.epochs[i], 0.01, 1000)
            within(f"The steps of stage {i + 1}", self.steps[i], 0, 10**7, whole=True)
        within("The examples at once", self.batch_size, 1, 4096, whole=True)
        within("The seed", self.seed, 0, 2**31 - 1, whole=True)
        within("The number of recordings", self.max_clips, 0, 10**9, whole=True)
        if self.unprepared:
            self.ask()
        elif not _is_file(Path(self.source or "") / PREPARED):
            raise ConfigError(
                f"{self.source!r} is no prepared folder: choose other recordings, or make it with "
                "python -m train prepare."
            )

    def ask(self) -> Ask:
        """The recordings that are to be prepared."""
        return asked(self.source, self.folder, self.speaker_pattern, self.split, self.all_learn)

    @property
    def unprepared(self) -> bool:
        """The first step prepares the recordings."""
        return self.source in (EMODB, FOLDER, HUB)

    @property
    def theirs(self) -> bool:
        """The prepared folder is named after the model, and holds these recordings alone."""
        return self.source in (FOLDER, HUB)

    def steps_in(self, home: Path) -> list[Step]:
        """The commands, all paths absolute: data, runs and the model go into the home folder."""
        runs, model = home / "runs", home / "models" / self.name
        data, steps = self.data_in(home)
        one, two = runs / f"{self.name}-stage1", runs / f"{self.name}-stage2"
        first = ("--llm", _absolute(self.llm))
        steps.append(self._fit(1, data, one, *first))
        steps.append(self._fit(2, data, two, "--from", str(one)))
        words = ("train", "merge", "--run", str(two), "--out", str(model))
        steps.append(Step("merge", words, model / MANIFEST_NAME))
        out = runs / f"{self.name}-evaluate"
        judged = ("train", "evaluate", "--model", str(model), "--data", str(data), "--record")
        steps.append(Step("evaluate", (*judged, "--out", str(out)), out / RESULT))
        if self.rival:
            both = ("train", "compare", "--before", _absolute(self.rival), "--data", str(data))
            answers = ("--answers", str(out / RESULT), "--out", str(out / VERSUS))
            steps.append(Step("versus", (*both, *answers), out / VERSUS))
        return steps

    def data_in(self, home: Path) -> tuple[Path, list[Step]]:
        """The prepared folder, and the step that makes it where it is not there."""
        if not self.unprepared:
            return Path(self.source).resolve(), []
        words = (*self.ask().words, "--encoder", _absolute(self.encoder))
        parts = [self.name] if self.theirs else [EMODB]
        if self.encoder != hub.BUNDLED_ENCODER or not self.theirs:  # earlier ones had another
            parts.append(re.sub(r"[^\w.-]+", "_", self.encoder))
        if self.all_learn and not self.theirs:
            parts.append("all")
        if self.max_clips:
            words = (*words, "--max-clips", str(self.max_clips))
            parts.append(str(self.max_clips))
        data = home / "data" / "-".join(parts)
        words = ("train", "prepare", *words, "--out", str(data))
        return data, [Step("prepare", words, data / PREPARED)]

    def _fit(self, stage: int, data: Path, run: Path, *more: str) -> Step:
        epochs, steps = self.epochs[stage - 1], self.steps[stage - 1]
        length = ("--max-steps", str(steps)) if steps else ("--epochs", f"{epochs:g}")
        words = ("train", "fit", "--stage", str(stage), "--data", str(data), *more)
        words = (*words, *length, "--batch-size", str(self.batch_size), "--seed", str(self.seed))
        words = (*words, *self.teaching.words(stage), "--out", str(run))
        return Step(f"stage {stage}", words, run / "metrics.json")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _absolute(id: str) -> str:
    """A folder's absolute path, any other id as it is: jobs begin in the project's folder."""
    try:
        place = Path(id).expanduser()
        return str(place.resolve()) if place.is_dir() else id
    except (OSError, RuntimeError, ValueError):
        return id
