"""``sessiontail serve`` in a process of its own, started, killed, and started anew on its port.

    python tests/served.py DIRECTORY TOKEN

serves a directory twice from one application of somebody else's: open at ``/tools/open``, and with a
token at ``/tools/locked``; an empty one at ``/tools/empty``. It prints its URL, as the command does.
"""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self
from urllib.parse import urlsplit

from commands import command

__all__ = ["Served", "mounted"]

_PATIENCE_S = 60


class Served:
    """A server: within its context it runs, unless it is killed."""

    def __init__(self, *arguments: str | Path, program: list[str] | None = None) -> None:
        self._arguments = arguments
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        #: As it is printed: no slash at its end.
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that the system picked; it stays."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on the port that it had, and wait until it takes connections."""
        port = self.port if self.url else 0
        self._errors = TemporaryFile()  # noqa: SIM115 - closed when it is stopped
        begin = self._program or command("serve", "--port", str(port))
        self._process = subprocess.Popen(
            [*begin, *map(str, self._arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self._process.stdout is not None
        there = select.select([self._process.stdout], [], [], _PATIENCE_S)[0]
        self.url = self._process.stdout.readline().decode().strip() if there else ""
        assert self.url.startswith("http://"), self._said()

    def kill(self) -> None:
        """End it without a word, as the kernel does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as a user does; it may be gone already."""
        if self._process is not None:
            code = self._end(signal.SIGTERM)
            assert code in {0, -signal.SIGTERM}, code

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(number)
        process.communicate(timeout=_PATIENCE_S)
        self._errors.close()
        return process.returncode

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode()


def mounted(directory: Path, token: str) -> Served:
    """Applications of this package inside of another one, under paths of its own."""
    return Served(directory, token, program=[sys.executable, "-W", "error", __file__])


def _serve(directory: Path, token: str) -> None:
    import socket
    from tempfile import TemporaryDirectory

    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from sessiontail import SessionStore
    from sessiontail.service import create_app

    with TemporaryDirectory() as nothing, socket.create_server(("127.0.0.1", 0)) as listener:
        app = Starlette(
            routes=[
                Mount("/tools/open", create_app(SessionStore(directory))),
                Mount("/tools/locked", create_app(SessionStore(directory), token=token)),
                Mount("/tools/empty", create_app(SessionStore(nothing))),
            ]
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        server.run(sockets=[listener])


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])
