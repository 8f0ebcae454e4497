"""``sessiontail prune``: delete sessions by rule, after showing what goes and what stays."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import click

from sessiontail.cli.options import directory_option, output_option, states_option
from sessiontail.cli.progress import Meter
from sessiontail.cli.rendering import age
from sessiontail.cli.telling import tell_skipped
from sessiontail.cli.terminal import Output, confirm, note
from sessiontail.cli.values import Size, Span
from sessiontail.directory.plan import PruneDecision, PrunePlan
from sessiontail.directory.prune import Pruned
from sessiontail.reports.amounts import size
from sessiontail.store import SessionStore

__all__ = ["command"]


@click.command(
    epilog="""\
\b
Examples:
  sessiontail prune --older-than 30d --dry-run       only shows what would go
  sessiontail prune --older-than 30d                 what is older goes; asks first
  sessiontail prune --older-than 30d --keep-last 100 but the newest hundred stay
  sessiontail prune --max-size 10G --yes             the oldest go until 10 GiB are left
  sessiontail prune --state abandoned                what crashed

\b
What is being written always stays. Each file is looked at again before it goes; one that was
written meanwhile stays and is told. What a deletion that was killed left aside is put right first.

\b
Exit codes: 0 done, or nothing to delete, or --dry-run; 1 not confirmed (where nobody can be
asked, add --yes), or something was kept; 2 usage; 130 interrupted.
"""
)
@directory_option
@click.option(
    "--older-than", type=Span(), help="What was created longer ago goes: 90s, 15m, 12h, 30d, 8w."
)
@click.option(
    "--keep-last",
    type=click.IntRange(min=0),
    metavar="N",
    help="The N newest of all stay in any case; without another rule, all others go.",
)
@click.option(
    "--max-size",
    type=Size(),
    help="The oldest go until all together take no more bytes: 4096, 500K, 200M, 10G; K is 1024.",
)
@states_option("Only sessions in this state go; may be repeated.")
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@click.option(
    "--dry-run", is_flag=True, help="Only show the plan; delete nothing, and ask nothing."
)
@output_option("text", "json", text="text: for people. json: the plan, and what was done.")
def command(
    *,
    directory: str | None,
    older_than: timedelta | None,
    keep_last: int | None,
    max_size: int | None,
    states: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    output: str,
) -> int:
    """Delete old sessions by rule.

    Shows the plan: how many go, how much that frees, what stays and why. Deletes only with --yes
    or when confirmed at a terminal; otherwise nothing is deleted, and the exit code is 1. With
    --dry-run the plan is all that was asked for, and the exit code is 0.
    """
    if dry_run and yes:
        raise click.UsageError("give --dry-run or --yes, not both")
    if older_than is None and keep_last is None and max_size is None and not states:
        raise click.UsageError("give a rule: --older-than, --keep-last, --max-size or --state")
    store = SessionStore(directory)
    if not store.directory.is_dir():
        raise click.ClickException(f"{store.directory}: no such directory; give another with --dir")

    async def plan_it() -> PrunePlan:
        return await store.plan_prune(
            older_than=older_than,
            keep_last=keep_last,
            max_total_bytes=max_size,
            states=states or None,
        )

    plan = anyio.run(plan_it)
    out = Output()
    if output == "text":
        _print_plan(out, plan)
        out.flush()
        tell_skipped(plan.skipped)
    pruned = None
    if (plan.remove or plan.left_aside) and not dry_run and confirm(_question(plan), yes=yes):
        pruned = anyio.run(_apply, store, plan)
        for settled in pruned.settled:
            note(str(settled))
        for decision in pruned.kept:
            note(f"{decision.meta.path.name} stays: {decision.why}")
        if plan.remove:
            note(f"{len(pruned.removed)} deleted, {size(pruned.freed_bytes)} freed")
    if output == "json":
        out.line(out.json(json.dumps(_as_builtins(plan, pruned), indent=2, ensure_ascii=False)))
        out.flush()
    if not plan.remove:
        note("nothing to delete")
    if dry_run and (plan.remove or plan.left_aside):
        note("nothing was deleted: --dry-run only shows the plan")
    if dry_run or not (plan.remove or plan.left_aside):
        return 0
    if pruned is None or pruned.kept:
        return 1
    return 0 if all(settled.done for settled in pruned.settled) else 1


def _question(plan: PrunePlan) -> str:
    sessions, aside = len(plan.remove), len(plan.left_aside)
    parts = [f"delete {sessions} sessions"] * bool(sessions)
    parts += [f"put right {aside} that a deletion left aside"] * bool(aside)
    return " and ".join(parts).capitalize() + "?"


async def _apply(store: SessionStore, plan: PrunePlan) -> Pruned:
    meter = Meter("deleting sessions")
    try:
        return await store.prune(plan, progress=lambda done: meter.show(done, len(plan.remove)))
    finally:
        meter.close()


def _print_plan(out: Output, plan: PrunePlan) -> None:
    out.line(_summary("goes", plan.remove))
    for why, group in _grouped(plan.remove):
        out.line(f"  {_summary(why, group)}")
    out.line(_summary("stays", plan.keep))
    for why, group in _grouped(plan.keep):
        out.line(f"  {_summary(why, group)}")


def _summary(what: str, decisions: tuple[PruneDecision, ...]) -> str:
    """Return count, bytes, oldest and newest on a line."""
    if not decisions:
        return f"{what}: nothing"
    now = datetime.now(UTC)
    created = [decision.meta.created_at for decision in decisions]
    total = size(sum(decision.meta.size_bytes for decision in decisions))
    sessions = f"{len(decisions)} session" + "s" * (len(decisions) != 1)
    return (
        f"{what}: {sessions}, {total}, "
        f"oldest {age(min(created), now)} ({min(created):%Y-%m-%d}), "
        f"newest {age(max(created), now)} ({max(created):%Y-%m-%d})"
    )


def _grouped(decisions: tuple[PruneDecision, ...]) -> list[tuple[str, tuple[PruneDecision, ...]]]:
    counts = Counter(decision.why for decision in decisions)
    return [
        (why, tuple(decision for decision in decisions if decision.why == why))
        for why, _ in counts.most_common()
    ]


def _as_builtins(plan: PrunePlan, pruned: Pruned | None) -> dict[str, Any]:
    done = None if pruned is None else pruned.to_dict()
    return {**plan.to_dict(), "applied": pruned is not None, "pruned": done}
