"""files and sessions that are not shown -> one line that says how many they are, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from sessiontail.cli.terminal import note
from sessiontail.errors import PersistenceError
from sessiontail.format.brief import counted

__all__ = ["tell_skipped", "tell_why_none"]

# Names that a summary of skipped files gives for each reason.
_NAMED = 3


def tell_skipped(skipped: Collection[PersistenceError]) -> None:
    """Tell how many files are no sessions, and why."""
    if not skipped:
        return
    by_reason: dict[str, list[str]] = {}
    for error in skipped:
        by_reason.setdefault(error.message, []).append(error.path.name if error.path else "?")
    parts = []
    for reason, count in Counter(
        {reason: len(by_reason[reason]) for reason in by_reason}
    ).most_common():
        names = by_reason[reason]
        more = ", ..." if count > _NAMED else ""
        parts.append(f"{count} x {reason} ({', '.join(sorted(names)[:_NAMED])}{more})")
    note(f"{counted(len(skipped), 'file')} skipped: {'; '.join(parts)}")


def tell_why_none(directory: Path, count: int, *, by_option: bool = True) -> None:
    """Tell why no session is shown.

    Args:
        directory: where they were looked for; one in a bucket is there.
        count: how many there are.
        by_option: whether the command takes another one with ``--dir``; else it is an argument.
    """
    if count:
        note(f"none of the {counted(count, 'session')} in {directory} fits")
    elif directory.is_dir():
        other = (
            "give another directory with --dir"
            if by_option
            else "name the directory where they lie"
        )
        note(f"no sessions in {directory}; {other}")
    else:
        one = (
            "give the one where sessions lie with --dir"
            if by_option
            else "name the one where sessions lie"
        )
        note(f"{directory}: no such directory; {one}")
