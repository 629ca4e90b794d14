"""What every page is built from: settings, the example clips and the model that answers.

The model is loaded by a background thread, so the page is live at once; whoever needs the model
waits for it.
"""

import json
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from audiollm.errors import AudioLLMError, ConfigError, ModelError
from audiollm.labels import Language
from audiollm.settings import ASSETS, Settings
from audiollm.ui.texts import text

if TYPE_CHECKING:  # importing it takes seconds: only the loading thread does
    from audiollm.predictor import Predictor

LOG = logging.getLogger(__name__)
EXAMPLES = ASSETS / "examples"


@dataclass(frozen=True)
class Example:
    """A bundled clip; `words` is what its button says in each language."""

    path: Path
    label: str  # canonical class that the speaker was asked to express
    words: dict[Language, str]


@dataclass(frozen=True)
class Services:
    """Shared by all visitors; holds nothing of any of them."""

    settings: Settings
    model: "Future[Predictor]"
    examples: tuple[Example, ...] = ()

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
        return cls(settings, in_background(load or _loader(settings)), found)

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


def _loader(settings: Settings) -> "Callable[[], Predictor]":
    def load() -> "Predictor":
        from audiollm.predictor import Predictor

        return Predictor.load(settings.model, settings)

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
