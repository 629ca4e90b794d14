"""The active model: loaded in the background, replaced without a restart, moved off its GPU while a
training needs that.

Whether a job needs the GPU is written in its folder (audiollm/jobs/gpu_memory.py), so this is found
again after a restart.
"""

import gc
import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from threading import Lock, Thread
from typing import TYPE_CHECKING

from audiollm.errors import AudioLLMError, ModelError
from audiollm.jobs import gpu_memory
from audiollm.model.loading import Came, Loading
from audiollm.settings import Settings
from audiollm.texts import text

if TYPE_CHECKING:  # importing it takes seconds: only the loading thread does
    from audiollm.predictor import Card, Predictor

LOG = logging.getLogger(__name__)
POLL = 0.5  # s between two reports on a model that is being loaded
RETRY = 60.0  # s between two tries to return to the GPU
WATCH = 2.0  # s between two looks at the jobs
UNKNOWN = "whether a training needs the GPU is unknown: %s"


class AwayError(ModelError):
    """The model has left its GPU to a training, and cannot answer on the CPU."""

    def __init__(self) -> None:
        super().__init__("away_busy")


@dataclass(eq=False)
class Loaded:
    """A model that is loaded, or is being loaded."""

    model: "Future[Predictor]"
    loading: Loading

    def wait(self, report: Callable[[Came], object]) -> "Predictor":
        """The model, when it is there; until then, `report` gets how far it has come.

        Raises:
            ModelError: it could not be loaded.
        """
        while not self.model.done():
            report(self.loading.came())
            wait([self.model], timeout=POLL)
        return self.model.result()


@dataclass(eq=False)
class ModelHost:
    """The model that answers. Shared by all visitors."""

    settings: Settings
    model: "Future[Predictor]"
    active: str = ""  # id of the model that is active or is being loaded
    previous: str = ""  # id of the model that was active before
    trouble: str = ""  # why the model that was activated last does not answer
    away: str = ""  # name of the training for which the model has left its GPU
    loading: Loading = field(default_factory=lambda: Loading(None, None))
    _switching: Lock = field(default_factory=Lock)
    _second: Lock = field(default_factory=Lock)  # held while a second model is in memory
    _retry_at: float = 0.0  # s of the monotonic clock

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

    def wait(self, report: Callable[[Came], object]) -> "Predictor":
        """The same; until then, `report` gets how far it has come."""
        return Loaded(self.model, self.loading).wait(report)

    @property
    def card(self) -> "Card | None":
        """Of the active model; None while it is being loaded, or if it could not be."""
        model = self.model
        return model.result().card if model.done() and not model.exception() else None

    @contextmanager
    def another(self, id: str) -> Iterator[Loaded]:
        """A second model beside the active one, for as long as it is needed. There is one at a
        time. Its memory is freed afterwards, unless the caller still holds it."""
        loading = Loading.of(id, self.settings)
        self._second.acquire()
        loader = _loader(id, placed(self.settings, self.away), loading)
        second = Loaded(in_background(loader), loading)
        try:
            yield second
        finally:
            model, second.model = second.model, Future()
            model.add_done_callback(self._release)  # at once, or when it has come after all
            del model

    def _release(self, _: "Future[Predictor]") -> None:
        """In a thread of its own, for the caller's frame still holds the model."""

        def later() -> None:
            time.sleep(POLL)
            free_memory()
            self._second.release()

        Thread(target=later, name="release-model", daemon=True).start()

    def switch(self, id: str) -> None:
        """Activates another model: it is loaded now, and visitors wait for it.

        If it cannot be loaded, the one before answers again and `trouble` says why.

        Raises:
            ModelError: a model is being loaded already.
        """
        with self._switching:
            if not self.ready:
                raise ModelError("model_loading")
            if id == self.active and not self.model.exception():
                return
            before, self.active, self.trouble = self.active, id, ""
            self._begin(lambda: self._exchange(id, before))

    def move_away(self, job: str) -> None:
        """The model leaves its GPU to a training and answers from the CPU; visitors wait for it."""
        with self._switching:
            if self.ready and not self.away:
                self.away = job
                self._begin(self._on_cpu)

    def come_back(self) -> None:
        """The model returns to the GPU; where it cannot, it stays on the CPU and the next try comes
        `RETRY` seconds later."""
        with self._switching:
            if self.ready and self.away and time.monotonic() >= self._retry_at:
                self._retry_at = time.monotonic() + RETRY
                job, self.away = self.away, ""
                self._begin(lambda: self._on_gpu(job))

    def look(self) -> None:
        """Moves the model away where a job needs its GPU, and back where none does any more.

        Raises:
            AudioLLMError: the list of jobs cannot be read.
        """
        device, home = self.gpu, self.settings.home
        if not self.ready or not device:
            return
        if self.away:
            if gpu_memory.in_use(home, device):
                free_memory()  # of whoever was still being answered
            else:
                self.come_back()
        elif job := gpu_memory.requesting_job(home, device):
            self.move_away(job.name)

    def watch(self) -> None:
        """`look` again and again, in a thread, for as long as the program runs."""

        def forever() -> None:
            while True:
                try:
                    self.look()
                except (AudioLLMError, OSError, sqlite3.Error) as error:
                    LOG.warning(UNKNOWN, error)
                time.sleep(WATCH)

        Thread(target=forever, name="watch-jobs", daemon=True).start()

    @property
    def gpu(self) -> str:
        """The GPU that is the model's, `cuda:N`, also while it is away; "": none."""
        if self.away or not self.card:
            return gpu_of(self.settings)
        return named(self.card.device)

    def _begin(self, load: "Callable[[], Predictor]") -> None:
        """Nothing here holds the model before any more: its memory is free for the next one."""
        self.loading = Loading.of(self.active, self.settings)  # now: somebody may look at once
        self.model = in_background(load)

    def _on_cpu(self) -> "Predictor":
        free_memory()
        try:
            return self._load(self.active)
        except Exception as error:  # above all: this machine has not the memory
            LOG.exception("%s cannot answer on the CPU", self.active)
            raise AwayError from error

    def _on_gpu(self, job: str) -> "Predictor":
        free_memory()
        try:
            return self._load(self.active)
        except Exception:
            LOG.exception("%s cannot return to the GPU yet", self.active)
        self.away = job
        self.loading = Loading.of(self.active, self.settings)
        return self._on_cpu()

    def _exchange(self, id: str, before: str) -> "Predictor":
        free_memory()
        try:
            return self._load(id)
        except Exception as error:  # a large model fails in many ways, out of memory first of all
            LOG.exception("loading %s failed", id)
            known = isinstance(error, AudioLLMError)
            self.trouble = str(error) if known else text("error_load", "en")
        self.active = before
        self.loading = Loading.of(before, self.settings)
        free_memory()
        return self._load(before)

    def _load(self, id: str) -> "Predictor":
        return _loader(id, placed(self.settings, self.away), self.loading)()


def placed(settings: Settings, away: str) -> Settings:
    """The settings by which a model is loaded: on the CPU while it has to be away."""
    return replace(settings, device="cpu") if away else settings


def gpu_of(settings: Settings) -> str:
    """The GPU that a model would be loaded on, if there is one."""
    return "cuda:0" if settings.device == "auto" else named(settings.device)


def named(device: str) -> str:
    """A device as jobs name it; "" where it is no NVIDIA GPU."""
    return "cuda:0" if device == "cuda" else device if device.startswith("cuda:") else ""


def away_for(settings: Settings) -> str:
    """The name of the job for which a model that is loaded now has to stay away; "": none."""
    device = gpu_of(settings)
    try:
        job = gpu_memory.requesting_job(settings.home, device) if device else None
    except (AudioLLMError, OSError, sqlite3.Error) as error:
        LOG.warning(UNKNOWN, error)
        return ""
    return job.name if job else ""


def free_memory() -> None:
    """Returns unused GPU memory to other programs."""
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
            model.set_exception(ModelError("error_load"))

    Thread(target=work, name="load-model", daemon=True).start()
    return model


def _loader(id: str, settings: Settings, loading: Loading) -> "Callable[[], Predictor]":
    on_zero_gpu = settings.space is not None and settings.space.zero_gpu
    # it declares its function before the start
    zero_gpu = import_module("audiollm.web.zero_gpu") if on_zero_gpu else None

    def load() -> "Predictor":
        from audiollm.predictor import Predictor

        predictor = Predictor.load(id, settings, loading.begin, loading.fetch)
        return zero_gpu.wrapped(predictor, id) if zero_gpu else predictor

    return load
