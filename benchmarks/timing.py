"""How is a job timed beside its rival, and how is that shown?

Rivals take turns (A B A B ...) in one run, so that what disturbs one disturbs the other. Figures are
medians; the range is beside them. Nothing here passes or fails: it prints.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

__all__ = ["Budget", "Row", "interleave", "percentile", "quiet", "table", "timed", "versions"]


@dataclass(frozen=True)
class Budget:
    """What a job must reach, and what it aims at: its own figure, or how much better it is."""

    must: float
    aim: float | None = None
    of_ratio: bool = True


@dataclass(frozen=True)
class Row:
    """One job: the figures of all rounds, the rival's beside ours."""

    job: str
    unit: str
    rival_name: str
    rival: Sequence[float]
    ours: Sequence[float]
    more_is_better: bool = False
    budget: Budget | None = None

    @property
    def ratio(self) -> float:
        """How many times better than the rival the median is."""
        ours, rival = median(self.ours), median(self.rival)
        return ours / rival if self.more_is_better else rival / ours

    @property
    def met(self) -> str:
        """``aim``, ``must`` or ``no``; empty where there is no budget."""
        if self.budget is None:
            return ""
        figure = self.ratio if self.budget.of_ratio else median(self.ours)
        upward = self.budget.of_ratio or self.more_is_better
        reached = [
            bound is not None and (figure >= bound if upward else figure <= bound)
            for bound in (self.budget.aim, self.budget.must)
        ]
        return "aim" if reached[0] else "must" if reached[1] else "no"

    def cells(self) -> list[str]:
        """Return the table's cells."""
        budget = ["", ""]
        if self.budget is not None:
            sign = (">= " if self.more_is_better else "<= ") if not self.budget.of_ratio else ""
            unit = "x" if self.budget.of_ratio else f" {self.unit}"
            budget = [
                "" if bound is None else f"{sign}{bound:g}{unit}"
                for bound in (self.budget.must, self.budget.aim)
            ]
        return [
            self.job,
            f"{self.rival_name} {median(self.rival):.4g} {self.unit}",
            f"{min(self.rival):.4g}-{max(self.rival):.4g}",
            f"{median(self.ours):.4g} {self.unit}",
            f"{min(self.ours):.4g}-{max(self.ours):.4g}",
            f"{self.ratio:.2f}x",
            *budget,
            self.met,
        ]

    def as_json(self) -> dict[str, Any]:
        """Return what the table shows, and every round's figure."""
        return {
            "job": self.job,
            "unit": self.unit,
            "rival": {"name": self.rival_name, "median": median(self.rival), "all": [*self.rival]},
            "ours": {"median": median(self.ours), "all": [*self.ours]},
            "ratio": self.ratio,
            "must": self.budget and self.budget.must,
            "aim": self.budget and self.budget.aim,
            "met": self.met,
        }


HEAD = ("job", "rival, median", "range", "ours, median", "range", "ratio", "must", "aim", "met")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as aligned text."""
    lines = [list(HEAD), *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def timed(job: Callable[[], object]) -> float:
    """Return the seconds that a job takes."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def interleave(
    rounds: int,
    jobs: Mapping[str, Callable[[], float]],
    *,
    warm: bool = True,
    before: Callable[[], None] | None = None,
) -> dict[str, list[float]]:
    """Run each job once a round, in turn, and return what each gave.

    Args:
        rounds: how often.
        jobs: name -> what runs and returns its own figure.
        warm: whether a first round goes before, and is not counted.
        before: runs before every job.
    """
    figures: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(-1 if warm else 0, rounds):
        for name, job in jobs.items():
            quiet()
            if before is not None:
                before()
            figure = job()
            if number >= 0:
                figures[name].append(figure)
    return figures


def quiet() -> None:
    """Leave nothing of the job before to the collector of the next."""
    gc.collect()


def percentile(figures: Iterable[float], share: float) -> float:
    """Return the figure that ``share`` of all (0 to 1) do not exceed."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def versions() -> dict[str, str]:
    """Return what the figures depend on."""
    names = ("openrath", "msgspec", "anyio")
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": str(os.cpu_count()),
    }
