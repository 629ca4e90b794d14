"""What every page is built from: settings, the example clips and the model that answers.

The model is loaded by a background thread, so the page is live at once; whoever needs the model
waits for it. Another one can take its place without a restart.
"""

import gc
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from filecmp import cmp
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from audiollm.errors import AudioLLMError, ConfigError, ModelError
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.model.loading import Came, Loading
from audiollm.settings import ASSETS, Settings
from audiollm.texts import text
from audiollm.web import gpu
from audiollm.web.auth import visitors
from audiollm.web.auth.sessions import Sessions

if TYPE_CHECKING:  # importing it takes seconds: only the loading thread does
    from audiollm.predictor import Card, Predictor
    from audiollm.web.analyse.known_voice import Voice

LOG = logging.getLogger(__name__)
EXAMPLES = ASSETS / "examples"
MIXED = "mixed"  # an example of several emotions
LOOKED = 0.5  # s between two looks at a model that is being loaded
AGAIN = 60.0  # s between two tries to come back to the GPU


@dataclass(frozen=True)
class Example:
    """A bundled clip; `words` is what its button says in each language."""

    path: Path
    label: str  # canonical class that the speaker was asked to express; MIXED: several
    words: dict[Language, str]


class AwayError(ModelError):
    """The model has left its GPU to a training, and cannot answer on the CPU."""

    def __init__(self) -> None:
        super().__init__(text("away_busy", "en"))


@dataclass(eq=False)
class Turn:
    """What a visitor is to be shown now."""

    path: str | None  # of the clip; None: nothing
    language: Language
    taken: bool = False  # an answer has begun
    stopped: bool = False  # by the visitor


@dataclass(eq=False)
class Second:
    """A model that is needed for a while."""

    model: "Future[Predictor]"
    loading: Loading


@dataclass(eq=False)
class Services:
    """Shared by all visitors. What it holds of one of them goes when they close the page."""

    settings: Settings
    model: "Future[Predictor]"
    examples: tuple[Example, ...] = ()
    using: str = ""  # id of the model that answers or is being loaded
    before: str = ""  # id of the model that answered before one was promoted
    trouble: str = ""  # why the model that was asked for last does not answer
    wanted: dict[str, Turn] = field(default_factory=dict)  # by visitor
    voices: "dict[str, Voice]" = field(default_factory=dict)  # by visitor, of who has asked for it
    large: Lock = field(default_factory=Lock)  # held by whoever opens a large file
    away: str = ""  # the training for which the model has left its GPU
    loading: Loading = field(default_factory=lambda: Loading(None, None))  # of the model
    sessions: Sessions = field(default_factory=Sessions)
    _turn: Lock = field(default_factory=Lock)
    _second: Lock = field(default_factory=Lock)  # held while a second model is in memory
    _later: float = 0.0  # when a model that could not come back tries it again, monotonic

    @classmethod
    def start(
        cls,
        settings: Settings,
        load: "Callable[[], Predictor] | None" = None,
        examples: Path = EXAMPLES,
    ) -> "Services":
        """Services whose model begins to load now; `load` replaces how it is loaded.

        Raises:
            ConfigError: the list of example clips is broken.
        """
        found = read_examples(examples)
        away = gpu.away(settings)
        loading = Loading.of(settings.model, settings)
        model = in_background(load or _loader(settings.model, placed(settings, away), loading))
        id = registry.id_of(settings.model)
        return cls(settings, model, found, id, away=away, loading=loading)

    @property
    def ready(self) -> bool:
        """The model is loaded, or has failed to load."""
        return self.model.done()

    def predictor(self) -> "Predictor":
        """The model, when it is there.

        Raises:
            ModelError: it could not be loaded.
        """
        return self.model.result()

    @property
    def card(self) -> "Card | None":
        """Of the model that answers; None while it is being loaded, or if it could not be."""
        model = self.model
        return model.result().card if model.done() and not model.exception() else None

    def acted(self, path: str) -> str:
        """What the speaker of this clip was asked to express, where it is one of the examples and
        that is one emotion; else ""."""
        example = self.example(path)
        return example.label if example and example.label != MIXED else ""

    def example(self, path: str) -> Example | None:
        """The bundled clip that this file is; None: a recording of the visitor's own."""
        for example in self.examples:
            if example.path.name == Path(path).name:
                with suppress(OSError):
                    return example if cmp(path, example.path, shallow=False) else None
        return None

    @property
    def owned(self) -> bool:
        """Whoever asks now may change this machine: see `visitors`.

        Outside of an event (in a test, in a program) it is whether no login is needed.
        """
        return visitors.owns(self.settings, self.sessions)

    @property
    def keeps(self) -> bool:
        """A clip may be kept for labelling by whoever asks for it."""
        return self.owned or self.settings.keep

    @contextmanager
    def another(self, id: str) -> "Iterator[Second]":
        """A second model beside the one that answers, for as long as it is needed; it is being
        loaded. There is one at a time. Whoever holds it otherwise than by the `Second` keeps its
        memory."""
        loading = Loading.of(id, self.settings)
        self._second.acquire()
        loader = _loader(id, placed(self.settings, self.away), loading)
        second = Second(in_background(loader), loading)
        try:
            yield second
        finally:
            model, second.model = second.model, Future()
            model.add_done_callback(self._let_go)  # at once, or when it has come after all
            del model

    def _let_go(self, _: "Future[Predictor]") -> None:
        """Nobody waits for it: this may be the thread of all events, and its model is still held
        by whoever calls."""

        def later() -> None:
            time.sleep(LOOKED)
            _give_memory_back()
            self._second.release()

        Thread(target=later, name="let-go", daemon=True).start()

    def switch(self, id: str) -> None:
        """Let another model answer: it is loaded now, and visitors wait for it.

        If it cannot be loaded, the one before answers again and `trouble` says why.

        Raises:
            ModelError: a model is being loaded already.
        """
        with self._turn:
            if not self.ready:
                raise ModelError("A model is being loaded: wait for it, then choose again.")
            if id == self.using and not self.model.exception():
                return
            before, self.using, self.trouble = self.using, id, ""
            self._begin(lambda: self._exchange(id, before))

    def move_away(self, job: str) -> None:
        """The model leaves its GPU to a training and answers from the CPU; visitors wait for it."""
        with self._turn:
            if self.ready and not self.away:
                self.away = job
                self._begin(self._on_cpu)

    def come_back(self) -> None:
        """The model takes its place on the GPU again; where it cannot, it stays where it is and
        the next try comes `AGAIN` seconds later."""
        with self._turn:
            if self.ready and self.away and time.monotonic() >= self._later:
                self._later = time.monotonic() + AGAIN
                job, self.away = self.away, ""
                self._begin(lambda: self._on_gpu(job))

    def _begin(self, load: "Callable[[], Predictor]") -> None:
        """Nothing here holds the model before any more: its memory is free for the next one."""
        self.loading = Loading.of(self.using, self.settings)  # now: somebody may look at once
        self.model = in_background(load)

    def _on_cpu(self) -> "Predictor":
        self.give_memory_back()
        try:
            return self._load(self.using, placed(self.settings, self.away))
        except Exception as error:  # above all: this machine has not the memory
            LOG.exception("%s cannot answer on the CPU", self.using)
            raise AwayError from error

    def _on_gpu(self, job: str) -> "Predictor":
        self.give_memory_back()
        try:
            return self._load(self.using, self.settings)
        except Exception:
            LOG.exception("%s cannot come back yet", self.using)
        self.away = job
        self.loading = Loading.of(self.using, self.settings)
        return self._on_cpu()

    @staticmethod
    def give_memory_back() -> None:
        """What nobody uses any more is free for other programs."""
        _give_memory_back()

    def _exchange(self, id: str, before: str) -> "Predictor":
        _give_memory_back()
        settings = placed(self.settings, self.away)
        try:
            return self._load(id, settings)
        except Exception as error:  # a large model fails in many ways, out of memory first of all
            LOG.exception("loading %s failed", id)
            known = isinstance(error, AudioLLMError)
            self.trouble = str(error) if known else text("error_load", "en")
        self.using = before
        self.loading = Loading.of(before, settings)
        _give_memory_back()
        return self._load(before, settings)

    def _load(self, id: str, settings: Settings) -> "Predictor":
        return _loader(id, settings, self.loading)()


def until_loaded(loads: "Second | Services") -> Iterator[Came]:
    """How far its model has come, again and again until it is there, or has failed to load."""
    while not loads.model.done():
        yield loads.loading.came()
        wait([loads.model], timeout=LOOKED)


def placed(settings: Settings, away: str) -> Settings:
    """The settings by which a model is loaded: on the CPU while it has to be away."""
    return replace(settings, device="cpu") if away else settings


def _give_memory_back() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_background(load: "Callable[[], Predictor]") -> "Future[Predictor]":
    """Run `load` in a thread; a failure becomes one sentence in the future."""
    model: Future[Predictor] = Future()

    def work() -> None:
        try:
            model.set_result(load())
        except AudioLLMError as error:
            LOG.error("%s", error)
            model.set_exception(error)
        except Exception:
            LOG.exception("loading the model failed")
            model.set_exception(ModelError(text("error_load", "en")))

    Thread(target=work, name="load-model", daemon=True).start()
    return model


def _loader(id: str, settings: Settings, loading: Loading) -> "Callable[[], Predictor]":
    def load() -> "Predictor":
        from audiollm.predictor import Predictor

        return Predictor.load(id, settings, loading.begin)

    return load


def read_examples(folder: Path) -> tuple[Example, ...]:
    """The clips that `examples.json` in the folder lists; none where there is no such file.

    Raises:
        ConfigError: the file cannot be read, or lists a clip that is not there.
    """
    listing = folder / "examples.json"
    if not listing.is_file():
        return ()
    try:
        entries = json.loads(listing.read_text(encoding="utf-8"))
        found = tuple(
            Example(folder / e["file"], e["label"], {"zh": e["zh"], "en": e["en"]}) for e in entries
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{listing} is not a list of file, label, zh, en ({error!r}).") from error
    for example in found:
        if not example.path.is_file():
            raise ConfigError(f"{listing} lists {example.path.name}, which is not beside it.")
    return found
