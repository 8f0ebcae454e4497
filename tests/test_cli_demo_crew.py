"""Agents that go on and on: what they write, how they die, and that they take no room."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sessiontail import SessionState, SessionStore
from sessiontail.cli import demo_crew
from sessiontail.cli.demo_crew import Agent, prune
from sessiontail.cli.demo_scripts import CODER, PLANNER, RESEARCHER

# Pauses are a thousandth of those that are watched.
HURRY = 1000.0


@pytest.mark.anyio
async def test_each_exchange_is_a_child_of_the_one_before_with_its_rows(tmp_path: Path) -> None:
    await Agent(tmp_path, CODER, random.Random(1), hurry=HURRY).converse()

    outlines = await SessionStore(tmp_path).outlines()
    way = [(one.meta.state, one.inherited_count, one.meta.parent_texts) for one in outlines]
    ids = [one.meta.id_text for one in outlines]
    assert way == [
        (SessionState.CLOSED, inherited, parents)
        for inherited, parents in zip(
            (0, 13, 22, 28), ((), (ids[0],), (ids[1],), (ids[2],)), strict=True
        )
    ]
    assert all(one.meta.cumulative_usage for one in outlines)


@pytest.mark.anyio
async def test_a_part_is_done_by_a_fork(tmp_path: Path) -> None:
    await Agent(tmp_path, PLANNER, random.Random(1), hurry=HURRY).converse()

    metas = await SessionStore(tmp_path).list()
    parent = metas[0]
    forks = [meta for meta in metas if meta.lineage_operator == "fork"]
    assert [meta.parent_texts for meta in forks] == [(parent.id_text,)] * 2
    assert [meta.state for meta in metas] == [SessionState.CLOSED] * 4
    # Two rows before, a call and its result for each fork, and what the parent says of all.
    assert parent.chunk_count == 3 + 2 * 2 + 1


def test_one_that_is_mortal_dies_in_the_middle_of_a_line(tmp_path: Path) -> None:
    code = (
        "import anyio, random, sys; from pathlib import Path\n"
        "from sessiontail.cli.demo_crew import Agent\n"
        "from sessiontail.cli.demo_scripts import RESEARCHER\n"
        "agent = Agent(Path(sys.argv[1]), RESEARCHER, random.Random(1), hurry=1000)\n"
        "anyio.run(lambda: agent.converse(dies=True))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], check=False, timeout=60)

    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    assert done.returncode == -signal.SIGKILL
    assert path.name.endswith(".__partial__")
    assert data.count(b"\n") == len(RESEARCHER.exchanges[0]) + 1
    assert not data.endswith(b"\n")


def test_what_ended_first_goes_and_what_runs_or_was_there_before_stays(tmp_path: Path) -> None:
    for i, name in enumerate(("kept.jsonl", "1.jsonl", "2.jsonl.__partial__", "3.jsonl", "x.txt")):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (i, i))
    (tmp_path / "runs.jsonl.__partial__").write_text("x")

    prune(tmp_path, {"kept.jsonl"}, most=1)

    assert {path.name for path in tmp_path.iterdir()} == {
        "kept.jsonl",
        "3.jsonl",
        "x.txt",
        "runs.jsonl.__partial__",
    }


def test_agents_end_when_who_looks_after_them_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", demo_crew.__name__, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as crew:
        assert crew.stdout is not None
        crew.stdout.readline()
        crew.kill()

        assert crew.stdout.read() == b""
