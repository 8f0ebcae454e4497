"""``sessiontail demo``: the main job, on a machine with nothing on it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID, uuid4

import anyio
import click
from anyio.abc import Process

from sessiontail.cli.cat import print_session
from sessiontail.cli.listing import print_table
from sessiontail.cli.printing import Printer
from sessiontail.cli.slices import FileSlices
from sessiontail.cli.targets import Target, shorten
from sessiontail.cli.terminal import Output, note
from sessiontail.cli.values import Window
from sessiontail.cli.window import print_window
from sessiontail.store import SessionStore
from sessiontail.system.paths import split_name

__all__ = ["command"]

# The agents take 6 s; on a busy machine twice that.
_LIMIT_S = 18.0


@click.command(
    epilog="""\
\b
Examples:
  sessiontail demo                  see it at work, and leave nothing behind
  sessiontail demo --keep ./demo    keep its four sessions in ./demo, to try commands on

\b
Exit codes: 0 fine, 1 it did not end in time or DIR cannot be made, 2 usage, 130 interrupted.
"""
)
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the sessions into DIR, which is made if it is not there, and leave them; it may "
    "hold no sessions yet.  [default: a temporary directory, removed at the end]",
)
def command(*, keep: Path | None) -> int:
    """Watch agents at work, in about eight seconds.

    Three agents in processes of their own write four sessions into a temporary directory, or into
    that of --keep; their records are shown as they come. One agent is killed in the middle of a
    line. Then the sessions are listed, and the one that crashed is shown. No model is asked.
    """
    if keep is not None:
        _make(keep)
        return anyio.run(_demo, keep, True)
    with tempfile.TemporaryDirectory(prefix="sessiontail-demo-") as directory:
        return anyio.run(_demo, Path(directory), False)


def _make(directory: Path) -> None:
    """Make the directory that is kept."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        names = [path.name for path in directory.iterdir()]
    except OSError as error:
        raise click.ClickException(f"--keep {directory}: {error.strerror}; give another") from None
    if any(map(split_name, names)):
        raise click.UsageError(f"--keep {directory}: it holds sessions already; give another")


async def _demo(directory: Path, kept: bool) -> int:  # noqa: FBT001 - passed through anyio.run
    demo = Demo(directory, kept=kept)
    with anyio.move_on_after(_LIMIT_S):
        await demo.run()
        return 0
    note(f"the agents took longer than {_LIMIT_S:.0f} s; is the machine busy? try again")
    return 1


class Demo:
    """One showing."""

    def __init__(self, directory: Path, *, kept: bool) -> None:
        self._directory = directory
        self._kept = kept
        self._output = Output()
        self._printer = Printer(self._output)
        self._store = SessionStore(directory)

    async def run(self) -> None:
        """Show it all."""
        coder, researcher, planner, collector = (uuid4() for _ in range(4))
        self._say(f"Three agents start, each in its own process, writing to {self._directory}")
        self._say(f"  {_short(coder)} fixes a test, {_short(researcher)} does research in Chinese,")
        self._say(f"  {_short(planner)} plans, and hands a part to its child {_short(collector)}.")
        self._say("Their records, as they are written (sessiontail tail -f):")
        async with AsyncExitStack() as stack:
            await self._start(stack, "coder", coder)
            victim = await self._start(stack, "researcher", researcher)
            await self._start(stack, "planner", planner, collector)
            await stack.enter_async_context(self._store)
            async with anyio.create_task_group() as group:
                for session_id in (coder, researcher, planner, collector):
                    group.start_soon(self._follow, session_id)
                group.start_soon(self._kill_in_mid_line, victim, researcher)
        self._say("All four have ended. What lies in the directory (sessiontail ls):")
        outlines = (await self._store.outlines())[::-1]
        print_table(self._output, outlines, shorten({one.meta.id_text for one in outlines}))
        self._say("A listing says abandoned only after ten minutes: a writer may be in another")
        self._say("container, and would not show.")
        self._say(
            f"The one that crashed, with what is left (sessiontail cat {_short(researcher)}):"
        )
        async with self._store.read(researcher) as feed:
            await print_session(feed, Printer(self._output))
        self._say("The whole records came once each, and the half line is no record.")
        self._say_what_to_try(coder, researcher)

    def _say_what_to_try(self, closed: UUID, crashed: UUID) -> None:
        if not self._kept:
            self._say("Now yours: sessiontail ls, sessiontail tail -f, sessiontail --help")
            return
        command = f"sessiontail --dir {shlex.quote(str(self._directory))}"
        self._say(f"They stay in {self._directory}. Try on them:")
        self._say(f"  {command} ls --verify")
        self._say(f"  {command} cat {_short(closed)} -k assistant -n 1")
        self._say(f"  {command} cat {_short(closed)} {_short(crashed)} --json")
        self._say(f"  {command} tail --state closed -n 1")
        self._say(f"  {command} prune --keep-last 1 --dry-run")

    async def _start(self, stack: AsyncExitStack, role: str, *ids: UUID) -> Process:
        command = [sys.executable, "-m", "sessiontail.cli.demo_agents", role, str(self._directory)]
        process = await anyio.open_process(
            [*command, *map(str, ids)], stdin=subprocess.DEVNULL, stderr=None
        )
        stack.push_async_callback(_end, process)
        return process

    async def _follow(self, session_id: UUID) -> None:
        target = Target(session_id, None)
        async with self._store.tail(session_id, wait=True, inherited="skip") as feed:
            with FileSlices(feed) as file:
                await print_window(feed, file, Window(), self._printer, target=target)
            torn = f", {feed.torn_bytes} bytes of a line are left" if feed.torn_bytes else ""
            self._say(f"{target.name} ended: {feed.outcome}{torn}")

    async def _kill_in_mid_line(self, victim: Process, session_id: UUID) -> None:
        """Kill the agent when it says that it has written half a line."""
        assert victim.stdout is not None
        await victim.stdout.receive()
        self._say(f"{_short(session_id)} is killed (SIGKILL) in the middle of a line")
        victim.kill()

    def _say(self, text: str) -> None:
        self._output.line(self._output.styled(f"# {text}", "bold"))
        self._output.flush()


async def _end(process: Process) -> None:
    """End an agent that has not ended by itself."""
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            process.kill()
        await process.aclose()


def _short(session_id: UUID) -> str:
    return str(session_id)[:8]
