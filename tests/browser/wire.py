"""A wire between the browser and the page, which can be cut."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

PIECE = 65536  # bytes


@dataclass(eq=False)
class Wire:
    """Carries bytes to and fro, until it is cut; whoever connects then is refused."""

    server: tuple[str, int]
    listener: socket.socket
    was_cut: Event = field(default_factory=Event)
    _mark: tuple[str, bytes, int] | None = None  # where it is cut: way, bytes, how many times
    _half: bool = False
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.listener.getsockname())

    def cut_at(self, way: str, mark: bytes, times: int = 1, half: bool = False) -> None:
        """It is cut when these bytes have come `times` times: "asked": before the server gets them;
        "answered": these asked, when the server answers; "sent": by the server, after they passed.
        """
        self._half = half
        self._mark = (way, mark, times)

    def cut(self, half: bool = False) -> None:
        """`half`: the server is not told, as where a phone changes its network."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
            self._mark = None
            self.was_cut.set()
        for client, server in pairs:
            for end in (client,) if half else (client, server):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        self.was_cut.clear()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.was_cut.is_set():
                client.close()
                continue
            try:
                server = socket.create_connection(self.server)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.append((client, server))
            answered = Event()
            for ends in ((client, server, True), (server, client, False)):
                Thread(target=self._carry, args=(*ends, answered), daemon=True).start()

    def _carry(self, source: socket.socket, to: socket.socket, up: bool, answered: Event) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if up and self._found("asked", piece):
                    self.cut(self._half)
                    break
                if up and self._found("answered", piece):
                    answered.set()
                if not up and answered.is_set():
                    self.cut(self._half)
                    break
                to.sendall(piece)
                if not up and self._found("sent", piece):
                    self.cut(self._half)
        if up and self.was_cut.is_set() and self._half:
            return  # the server's end stays open
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _found(self, way: str, piece: bytes) -> bool:
        """Whether it is to be cut at this piece."""
        with self._lock:
            if not self._mark or self._mark[0] != way:
                return False
            left = self._mark[2] - piece.count(self._mark[1])
            self._mark = (way, self._mark[1], left)
            if left <= 0:
                self._mark = None
            return left <= 0


@contextlib.contextmanager
def wired(url: str) -> Iterator[Wire]:
    """A wire to the page at this address."""
    address = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire((address.hostname or "", address.port or 0), listener)
        Thread(target=wire.accept, daemon=True).start()
        yield wire
        wire.cut()
        listener.shutdown(socket.SHUT_RDWR)
