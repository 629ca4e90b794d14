"""What every page is built from: settings, the example clips and the model that answers.

The model is loaded by a background thread, so the page is live at once; whoever needs the model
waits for it. Another one can take its place without a restart.
"""

import gc
import json
import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from audiollm import catalogue
from audiollm.errors import AudioLLMError, ConfigError, ModelError
from audiollm.labels import Language
from audiollm.settings import ASSETS, Settings
from audiollm.ui.owner import visitors
from audiollm.ui.owner.sessions import Sessions
from audiollm.ui.texts import text

if TYPE_CHECKING:  # importing it takes seconds: only the loading thread does
    from audiollm.predictor import Predictor

LOG = logging.getLogger(__name__)
EXAMPLES = ASSETS / "examples"


@dataclass(frozen=True)
class Example:
    """A bundled clip; `words` is what its button says in each language."""

    path: Path
    label: str  # canonical class that the speaker was asked to express; mixed: several
    words: dict[Language, str]


@dataclass(eq=False)
class Services:
    """Shared by all visitors; holds nothing of any of them."""

    settings: Settings
    model: "Future[Predictor]"
    examples: tuple[Example, ...] = ()
    using: str = ""  # id of the model that answers or is being loaded
    before: str = ""  # id of the model that answered before one was promoted
    trouble: str = ""  # why the model that was asked for last does not answer
    wanted: dict[str, object] = field(default_factory=dict)  # visitor -> what is to be answered now
    sessions: Sessions = field(default_factory=Sessions)
    _turn: Lock = field(default_factory=Lock)

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
        loading = in_background(load or _loader(settings.model, settings))
        return cls(settings, loading, found, catalogue.id_of(settings.model))

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
    def another(self, id: str) -> "Iterator[Predictor]":
        """A second model beside the one that answers, for as long as it is needed.

        Raises:
            ModelError: it cannot be loaded.
        """
        try:
            yield _loader(id, self.settings)()
        finally:
            _give_memory_back()

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
            # nothing here holds the old model any more: its memory is free for the new one
            self.model = in_background(lambda: self._exchange(id, before))

    def _exchange(self, id: str, before: str) -> "Predictor":
        _give_memory_back()
        try:
            return _loader(id, self.settings)()
        except Exception as error:  # a large model fails in many ways, out of memory first of all
            LOG.exception("loading %s failed", id)
            known = isinstance(error, AudioLLMError)
            self.trouble = str(error) if known else text("error_load", "en")
        self.using = before
        _give_memory_back()
        return _loader(before, self.settings)()


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


def _loader(id: str, settings: Settings) -> "Callable[[], Predictor]":
    def load() -> "Predictor":
        from audiollm.predictor import Predictor

        return Predictor.load(id, settings)

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
