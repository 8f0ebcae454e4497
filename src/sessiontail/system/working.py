"""a worker process: calls on its standard input -> their results on its standard output.

It imports what it is asked to call, and nothing of the program that started it. It ends when its input
does, so none outlives a program that is killed. An interrupt at the terminal is not its business.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
from importlib import import_module
from typing import IO

__all__ = ["read_frame", "serve", "write_frame"]

_LENGTH_BYTES = 8


def serve() -> None:
    """Answer calls until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    calls = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # What a call prints does not get between the answers.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for good, and for nobody
    try:
        while (call := read_frame(calls)) is not None:
            write_frame(answers, _answer(call))
    except BrokenPipeError:
        return


def _answer(call: bytes) -> bytes:
    module, name, argument = pickle.loads(call)  # noqa: S301 - from who started this process
    try:
        return pickle.dumps((True, getattr(import_module(module), name)(argument)))
    except Exception as error:  # noqa: BLE001 - it belongs to who called
        try:
            return pickle.dumps((False, error))
        except Exception:  # noqa: BLE001 - it has something that cannot be sent
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame; None where the stream ends, also within one."""
    length = stream.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        return None
    size = int.from_bytes(length, "little")
    frame = stream.read(size)
    return frame if len(frame) == size else None


def write_frame(stream: IO[bytes], frame: bytes) -> None:
    """Write a frame at once."""
    stream.write(len(frame).to_bytes(_LENGTH_BYTES, "little") + frame)
    stream.flush()
