"""How is a job timed beside its rival, and how is that shown?

Rivals take turns (A B A B ...) in one run, so that what disturbs one disturbs the other. Figures are
medians, in a Markdown table with the targets; misses are in it too. Nothing here fails: it prints.
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

__all__ = [
    "HEAD",
    "Budget",
    "Row",
    "figure",
    "interleave",
    "percentile",
    "quiet",
    "table",
    "timed",
    "versions",
]


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
        got = self.ratio if self.budget.of_ratio else median(self.ours)
        upward = self.budget.of_ratio or self.more_is_better
        reached = [
            bound is not None and (got >= bound if upward else got <= bound)
            for bound in (self.budget.aim, self.budget.must)
        ]
        return "aim" if reached[0] else "must" if reached[1] else "no"

    def cells(self) -> list[str]:
        """Return the table's cells; the target is what must be reached."""
        target = met = ""
        if self.budget is not None:
            sign = ">=" if self.budget.of_ratio or self.more_is_better else "<="
            unit = "x" if self.budget.of_ratio else self.unit
            target = f"{sign} {self.budget.must:g} {unit}"
            met = "no" if self.met == "no" else "yes"
        return [
            self.job,
            f"{self.rival_name} {figure(median(self.rival))} {self.unit}",
            f"{figure(median(self.ours))} {self.unit}",
            f"{self.ratio:.{0 if self.ratio >= 10 else 1 if self.ratio >= 1 else 2}f} x",
            target,
            met,
            str(len(self.ours)),
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


HEAD = ("job", "rival", "sessiontail", "ratio", "target", "met", "rounds")


def table(rows: Iterable[Row]) -> str:
    """Return the medians as the Markdown table of the README; ``--json`` has every round."""
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def figure(value: float) -> str:
    """Return a figure with three digits, or all that are before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


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
