"""Delete what is old, but never what is being written; for a timer. Tell what went and what stayed."""

import argparse
import asyncio
import sys
from datetime import timedelta

from sessiontail import PersistenceError, SessionStore


async def main() -> str | None:
    """Prune; return what went wrong, if something did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", help="the sessions (default: where openrath puts them)")
    parser.add_argument("--days", type=float, default=30, help="older ones go (30)")
    parser.add_argument("--keep", type=int, default=100, metavar="N", help="the newest stay (100)")
    parser.add_argument("--dry-run", action="store_true", help="delete nothing")
    given = parser.parse_args()
    store = SessionStore(given.dir)
    try:
        plan = await store.plan_prune(older_than=timedelta(days=given.days), keep_last=given.keep)
        for decision in plan.remove:
            meta = decision.meta
            print(f"{meta.id}  {meta.created_at:%Y-%m-%d}  {meta.size_bytes} bytes  {decision.why}")
        if given.dry_run:
            print(f"sessions to delete: {len(plan.remove)}, {plan.bytes_to_free} bytes")
            return None
        done = await store.prune(plan)
    except PersistenceError as error:
        return str(error)
    print(f"sessions deleted: {len(done.removed)}, {done.freed_bytes} bytes")
    for decision in done.kept:  # it was written since the plan was made, or somebody holds it
        print(f"{decision.meta.id} stays: {decision.why}")
    return None


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
