"""A process that a benchmark has started -> its lines, and what it takes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

__all__ = ["cpu_s", "line_of", "resident_kb", "tell"]


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that it prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} has ended")
    return line.strip()


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Give it a line."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def cpu_s(pid: int, *, children: bool = False) -> float:
    """Return the processor time of a process, and of the children that it still has (``tail``)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    if not children:
        return own
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return own + sum(cpu_s(int(child), children=True) for child in found)


def resident_kb(pid: int) -> float:
    """Return how much memory of a process is resident."""
    text = Path(f"/proc/{pid}/status").read_text("ascii")
    return float(re.findall(r"VmRSS:\s+(\d+) kB", text)[0])
