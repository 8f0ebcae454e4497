"""Programs of the machine that some tests start: found, or the reason why a test is skipped."""

from __future__ import annotations

import os
import shutil

import pytest

__all__ = ["needed"]


def needed(program: str) -> str:
    """The path of a program; where the machine has none, the test is skipped and says so.

    Where ``SESSIONTAIL_NEEDS`` names it (``chromium,redis-server``), as `.ci/run` does once it has
    installed both, the test fails instead: what nobody runs must show.
    """
    path = shutil.which(program)
    if path is not None:
        return path
    reason = f"there is no {program}; on Debian: apt-get install --no-install-recommends {program}"
    if program in os.environ.get("SESSIONTAIL_NEEDS", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)
