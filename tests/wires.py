"""A wire between a client and a server that a test can cut: one port before another."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

__all__ = ["Wire"]


class Wire:
    """Passes on bytes between whoever connects to ``port`` and the server; two threads a connection.

    Cut, it ends every connection at once and refuses new ones, until it is mended.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._whole = True
        self._ends: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._listener.close()
        for thread in self._threads:
            thread.join(30)

    def cut(self) -> None:
        """End all connections, and refuse others."""
        with self._lock:
            self._whole = False
            for end in self._ends:
                _shut(end)

    def mend(self) -> None:
        """Take connections again."""
        with self._lock:
            self._whole = True

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        with self._lock:
            far = None
            if self._whole:
                with suppress(OSError):
                    far = socket.create_connection(self._target)
            if far is None:
                near.close()
                return
            self._ends |= {near, far}
            # Each way has a thread; the first that ends, ends both.
            left = [2]
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pass_on, args=(source, sink, left))
                thread.daemon = True
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, left: list[int]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with self._lock:
            _shut(source)
            _shut(sink)
            left[0] -= 1
            if not left[0]:
                self._ends -= {source, sink}
                source.close()
                sink.close()


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
