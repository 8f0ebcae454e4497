"""a listing -> the user's pager, as git does it; the terminal itself where there is none.

Nothing of the reader is imported here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

__all__ = ["Pager", "pager_command"]

# What only a shell understands. Source: git, run-command.c, prepare_shell_cmd.
_FOR_A_SHELL = frozenset("|&;<>()$`\\\"'*?[#~=%")
# F: end where all fits the screen. R: colours. X: leave what was shown. Source: git, pager.c.
_DEFAULTS = {"LESS": "FRX", "LV": "-c"}


def pager_command(environ: Mapping[str, str]) -> list[str] | None:
    """Return the command of the user's pager; None where none is wanted, or it is not there.

    $SESSIONTAIL_PAGER goes before $PAGER, and that before less; ``cat`` or nothing is none.
    """
    wanted = environ.get("SESSIONTAIL_PAGER", environ.get("PAGER", "less")).strip()
    if wanted in {"", "cat"} or environ.get("TERM", "dumb") == "dumb":
        return None
    if _FOR_A_SHELL & {*wanted}:
        return ["sh", "-c", wanted]
    words = wanted.split()
    return words if shutil.which(words[0], path=environ.get("PATH")) else None


class Pager:
    """A pager that runs: it has the screen until its user leaves it.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the user's own word
            command, stdin=subprocess.PIPE, env={**_DEFAULTS, **os.environ}
        )

    @property
    def input(self) -> IO[bytes]:
        """What is written here is paged; BrokenPipeError once the user has left."""
        assert self._process.stdin is not None
        return self._process.stdin

    def close(self) -> None:
        """Tell the pager that this was all, and wait until its user leaves it.

        What is typed there to interrupt means the pager, which lives on; so does this.
        """
        while True:
            try:
                with suppress(BrokenPipeError):
                    self.input.close()
                self._process.wait()
            except KeyboardInterrupt:
                continue
            return
