"""What every page is built from: the model host, the example clips, logins and open pages."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from filecmp import cmp
from pathlib import Path
from typing import TYPE_CHECKING

from audiollm.contracts.plain_json import parse_json
from audiollm.errors import ConfigError, DataError
from audiollm.labels import Language
from audiollm.model import registry
from audiollm.model.loading import Loading
from audiollm.settings import ASSETS, Settings
from audiollm.web import model_host
from audiollm.web.analyse.enrolment import Enrolment
from audiollm.web.analyse.requests import CountedCorrection, Request, Requests
from audiollm.web.auth import identity
from audiollm.web.auth.sessions import Sessions
from audiollm.web.model_host import ModelHost
from audiollm.web.quota import SAVED_EACH, SAVED_TOTAL, Allowance
from audiollm.web.turns import Turns

if TYPE_CHECKING:
    from audiollm.predictor import Predictor

EXAMPLES = ASSETS / "examples"
MIXED = "mixed"  # an example of several emotions
ABSENT = 3600.0  # s after which what is known of a visitor who is gone is deleted


@dataclass(frozen=True)
class Example:
    """A bundled clip; `words` is what its button says in each language."""

    path: Path
    label: str  # canonical class that the speaker was asked to express; MIXED: several
    words: dict[Language, str]


@dataclass(eq=False)
class Services(ModelHost):
    """The model host, and what is known of visitors: see `leave`."""

    examples: tuple[Example, ...] = ()
    requests: Requests = field(default_factory=Requests)
    turns: Turns = field(default_factory=Turns)
    enrolments: dict[str, Enrolment] = field(default_factory=dict)  # by visitor who wants one
    clock: Callable[[], float] = time.monotonic  # s
    sessions: Sessions = field(default_factory=Sessions)
    left: dict[str, tuple[Request, float]] = field(default_factory=dict)  # the last of each; when
    # by visitor and path
    corrections: dict[tuple[str, str], CountedCorrection] = field(default_factory=dict)
    allowance: Allowance = field(default_factory=lambda: Allowance(SAVED_EACH, SAVED_TOTAL))

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
        clips = read_examples(examples)
        away = model_host.away_for(settings)
        loading = Loading.of(settings.model, settings)
        loader = model_host._loader(settings.model, model_host.placed(settings, away), loading)
        return cls(
            settings,
            model_host.in_background(load or loader),
            active=registry.id_of(settings.model),
            away=away,
            loading=loading,
            examples=clips,
        )

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

    def leave(self, visitor: str) -> None:
        """The visitor has closed the page, or the connection has broken off: nobody knows. Voice
        features are deleted at once, as promised. The answer stays, and can be corrected."""
        self.enrolments.pop(visitor, None)
        if request := self.requests.newest.get(visitor):
            self.left[visitor] = (request, self.clock())

    def look(self) -> None:
        """Deletes what is known of those who are gone, and the voice features of those who have not
        been seen for long: where a connection broke off, the server may not learn that its page was
        closed. And see `ModelHost.look`."""
        for visitor, (request, when) in list(self.left.items()):
            if self.clock() - when > ABSENT:
                self.left.pop(visitor)
                if self.requests.newest.get(visitor) is request:  # and has not come back
                    self._forget(visitor)
        for visitor, enrolment in list(self.enrolments.items()):
            if self.clock() - enrolment.seen > ABSENT:
                self.enrolments.pop(visitor, None)
        super().look()

    def _forget(self, visitor: str) -> None:
        self.requests.leave(visitor)
        for who, path in [key for key in self.corrections if key[0] == visitor]:
            self.corrections.pop((who, path), None)

    @property
    def owned(self) -> bool:
        """Whoever asks now may change this machine: see `identity`.

        Outside of an event (in a test, in a program) it is whether no login is needed.
        """
        return identity.is_owner(self.settings, self.sessions.knows)

    @property
    def keeps(self) -> bool:
        """Whoever asks now may save a clip for labelling."""
        return self.owned or self.settings.keep

    def require_allowance(self) -> None:
        """Before something of a visitor's is saved or counted; the owner has no limit.

        Raises:
            DataError: this address, or all together, did so too often within the hour.
        """
        if not self.owned and not self.allowance.takes(identity.caller()):
            raise DataError("quota_often")


def read_examples(folder: Path) -> tuple[Example, ...]:
    """The clips that `examples.json` in the folder lists; none where there is no such file.

    Raises:
        ConfigError: the file cannot be read, or lists a clip that is not there.
    """
    listing = folder / "examples.json"
    if not listing.is_file():
        return ()
    try:
        entries = parse_json(listing.read_text(encoding="utf-8"))
        examples = tuple(
            Example(folder / e["file"], e["label"], {"zh": e["zh"], "en": e["en"]}) for e in entries
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError("config_examples", path=listing, reason=repr(error)) from error
    for example in examples:
        if not example.path.is_file():
            raise ConfigError("config_example_missing", path=listing, name=example.path.name)
    return examples
