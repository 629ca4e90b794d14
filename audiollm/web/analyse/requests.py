"""The state of requests: what every open page is to show now. No gradio here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import RLock

from audiollm.labelling.corrections import Correction
from audiollm.labels import Language


@dataclass(frozen=True)
class CountedCorrection:
    """A correction that a visitor has made, as long as it can be taken back."""

    correction: Correction
    clip: str = ""  # id of the saved clip; "": only the word is counted
    before: str | None = None  # what was suggested of the clip before; None: it was not saved


@dataclass(eq=False)
class Request:
    """What a visitor has asked for last."""

    path: str | None  # of the clip; None: nothing
    language: Language
    number: int = 0  # of the clip: how many changes of it the page had made
    begun: bool = False  # an answer has begun
    stopped: bool = False  # by the visitor
    model: str = ""  # that has answered
    answer: Mapping[str, float] = field(default_factory=dict)  # class -> probability

    def is_of(self, path: str | None, language: Language) -> bool:
        return (self.path, self.language) == (path, language)


@dataclass(eq=False)
class Requests:
    """The newest request of each visitor. A run of the model ends when it is no longer that."""

    newest: dict[str, Request] = field(default_factory=dict)  # by visitor
    _lock: RLock = field(default_factory=RLock)

    def begin(self, visitor: str, path: str | None, language: Language, number: int = 0) -> Request:
        """A new request; whatever still runs for the visitor ends."""
        with self._lock:
            before = self.newest.get(visitor)
            number = max(number, before.number if before else 0)
            request = self.newest[visitor] = Request(path, language, number)
            return request

    def take(self, visitor: str, path: str | None, language: Language, number: int = 0) -> Request:
        """The request to answer: the one that has begun for just this, else a new one."""
        with self._lock:
            request = self.newest.get(visitor)
            if request is None or request.begun or not request.is_of(path, language):
                request = self.begin(visitor, path, language, number)
            request.number, request.begun = max(number, request.number), True
            return request

    def change(self, visitor: str, path: str | None, language: Language, number: int) -> bool:
        """A clip has come in the place of another, or none has: a request begins with that, where
        its answer has not begun already. False: it comes late, and the visitor is elsewhere."""
        with self._lock:  # or that answer might be taken in between, and end
            newest = self.newest.get(visitor)
            if newest and newest.is_of(path, language):
                newest.number = max(number, newest.number)
                return True
            if newest and number <= newest.number:
                return False
            self.begin(visitor, path, language, number)
            return True

    def is_shown(self, visitor: str, path: str | None, language: Language) -> bool:
        """Whether the visitor still looks at this clip, in this language."""
        request = self.newest.get(visitor)
        return request is not None and request.is_of(path, language)

    def stop(self, visitor: str) -> None:
        """What is being answered to the visitor ends with its next view."""
        if request := self.newest.get(visitor):
            request.stopped = True

    def leave(self, visitor: str) -> None:
        """The visitor is gone."""
        self.newest.pop(visitor, None)
