"""What sessions cost, by day. Prices are given, since a session does not say which model it used."""

import argparse
import asyncio
import sys
from collections import defaultdict
from datetime import UTC, date

from sessiontail import PersistedSessionMeta, PersistenceError, TokenUsage, list_persisted_sessions


def line(name: object, metas: list[PersistedSessionMeta], prompt: float, completion: float) -> str:
    """Return one line of the report: what is known, and of how many sessions nothing is."""
    # Each session counts its own tokens only, so the sum counts none twice.
    known: list[TokenUsage] = [meta.cumulative_usage for meta in metas if meta.cumulative_usage]
    asked = sum(usage.prompt_tokens for usage in known)
    said = sum(usage.completion_tokens for usage in known)
    cost = (asked * prompt + said * completion) / 1_000_000
    # Not closed, or closed without a count: never 0.
    unknown = len(metas) - len(known)
    told = f"{name!s:10}  {len(metas):5} sessions  {asked:10} + {said:9} tokens  {cost:10.4f}"
    return told + (f"  and {unknown} unknown" if unknown else "")


async def main() -> str | None:
    """Print the report; return what went wrong, if something did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", help="the sessions (default: where openrath puts them)")
    parser.add_argument(
        "--prompt", type=float, required=True, help="price of a million tokens read"
    )
    parser.add_argument("--completion", type=float, required=True, help="of a million written")
    given = parser.parse_args()
    try:
        metas = await list_persisted_sessions(directory=given.dir)
    except PersistenceError as error:
        return str(error)
    days: dict[date, list[PersistedSessionMeta]] = defaultdict(list)
    for meta in metas:  # the oldest first
        days[meta.created_at.astimezone(UTC).date()].append(meta)
    for day, of_day in days.items():
        print(line(day, of_day, given.prompt, given.completion))
    print(line("total", metas, given.prompt, given.completion))
    return None


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
