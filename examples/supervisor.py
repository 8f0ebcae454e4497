"""Wait for another agent's answer, and print it. The session need not have begun."""

import argparse
import asyncio
import sys

from sessiontail import Chunk, ChunkKind, PersistenceError, Record, SessionStore


def is_answer(record: Record) -> bool:
    """Say whether the agent has come to an answer: it speaks, and calls no tool."""
    return (
        isinstance(record, Chunk)
        and record.kind is ChunkKind.ASSISTANT
        and bool(record.text)
        and not record.tool_calls
    )


async def main() -> str | None:
    """Print the answer; return what went wrong, if something did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("session_id", help="of the agent that is waited for")
    parser.add_argument("--dir", help="where its session lies (default: where openrath puts it)")
    parser.add_argument("--after", metavar="CURSOR", help="only what it says behind this cursor")
    parser.add_argument("--timeout", type=float, default=60, metavar="S", help="seconds (60)")
    given = parser.parse_args()
    try:
        answer = await SessionStore(given.dir).wait_for(
            given.session_id,
            is_answer,
            after=given.after,
            timeout=given.timeout,
            inherited="skip",  # not what the turns before it have answered
        )
    except TimeoutError:
        return f"{given.session_id} has not answered within {given.timeout:g} s"
    except PersistenceError as error:  # it ended without an answer, or there is no such id
        return str(error)
    assert isinstance(answer, Chunk)
    print(answer.text)
    return None


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
