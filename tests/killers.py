"""Functions for worker processes: what they do to them is real."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

__all__ = [
    "double",
    "fail_oddly",
    "kill_myself",
    "leave",
    "modules",
    "pid_of",
    "shout",
    "unsendable",
]


class OddError(Exception):
    """Is sent, and cannot be made again from what was sent."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} {other}")


def kill_myself(_: Any) -> None:
    """Die as out of memory, or by an operator's hand."""
    os.kill(os.getpid(), signal.SIGKILL)


def leave(_: Any) -> None:
    """End the process without an answer."""
    os._exit(3)


def double(value: Any) -> Any:
    return value * 2


def shout(text: str) -> None:
    """Print, which is not the answer; then fail."""
    print(text * 1000)  # noqa: T201 - what is tested
    raise ValueError(text)


def fail_oddly(_: Any) -> None:
    """Raise what does not come back from a pickle."""
    raise OddError(1, 2)


def unsendable(_: Any) -> Any:
    """Return what no pickle takes."""
    return lambda: None


def pid_of(_: Any) -> int:
    return os.getpid()


def modules(_: Any) -> list[str]:
    return [*sys.modules]
