"""The owner's logins with a password: who is in, and how slowly it can be guessed. No gradio here.

A login is a random number in a cookie that scripts cannot read; here only its hash is kept, in
memory. So logging out ends it, and so does a restart of the program.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import Literal

from audiollm.settings import Owner

COOKIE = "audiollm-owner"
LASTS = 12 * 3600.0  # s: a login
PAUSE = 1.0  # s that a wrong guess costs everybody who guesses
WAITING = 32  # who may wait for that, one from each address
Outcome = Literal["in", "wrong", "busy"]


@dataclass(eq=False)
class Sessions:
    """The logins of one running program."""

    pause: float = PAUSE
    _ends: dict[str, float] = field(default_factory=dict)  # hash -> s of the monotonic clock
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: set[str] = field(default_factory=set)  # addresses

    async def try_(self, owner: Owner, name: str, password: str, address: str) -> Outcome:
        """Whether name and password are right. One guess after the other, each wrong one a pause:
        86,400 a day at most, from however many computers; one address has one guess waiting."""
        if address in self._waiting or len(self._waiting) >= WAITING:
            return "busy"
        self._waiting.add(address)
        try:
            async with self._turn:
                if _same(name, owner.name) & _same(password, owner.password):
                    return "in"
                await asyncio.sleep(self.pause)
                return "wrong"
        finally:
            self._waiting.discard(address)

    def begin(self) -> str:
        """A new login; what its cookie holds."""
        now = time.monotonic()
        self._ends = {key: end for key, end in self._ends.items() if end > now}
        token = secrets.token_urlsafe(32)
        self._ends[_hash(token)] = now + LASTS
        return token

    def knows(self, token: str) -> bool:
        return self._ends.get(_hash(token), 0.0) > time.monotonic()

    def end(self, token: str) -> None:
        self._ends.pop(_hash(token), None)


def _same(given: str, right: str) -> bool:
    """In the same time wherever they differ, and however long what is given."""
    return hmac.compare_digest(_hash(given), _hash(right))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
