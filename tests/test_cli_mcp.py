"""``sessiontail mcp`` as its clients start it: the SDK's own, and an agent that waits for another one."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from rath.flow.tool import FlowToolCall
from rath.llm import RathLLMChatRequest, RathLLMChatResponse
from rath.session import create_system_session, create_user_session
from rath.session.session import Session

from agents import Agent, calls, says
from commands import ONE, closed, command, run
from sessiontail import Chunk, SessionStore
from test_mcp_server import Waiting
from test_mcp_stdio import INITIALIZE, INITIALIZED, call, lines
from toolmates import asked, refused

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def connected(directory: Path, program: Sequence[str] = ()) -> AsyncIterator[ClientSession]:
    first, *arguments = program or command("mcp", "--dir", directory)
    there = StdioServerParameters(command=first, args=arguments, env={**os.environ})
    async with stdio_client(there) as (read, write), ClientSession(read, write) as client:
        await client.initialize()
        yield client


def test_nothing_but_the_protocol_is_on_stdout_and_the_end_of_stdin_ends_it(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "hello")
    asks = lines(INITIALIZE, INITIALIZED, call(1, "list_sessions"), call(2, "wait_for", text="x"))

    done = subprocess.run(
        command("mcp", "--dir", tmp_path), input=asks, capture_output=True, timeout=60, check=False
    )

    answers = {one["id"]: one["result"] for one in map(json.loads, done.stdout.splitlines())}
    assert sorted(answers) == [0, 1, 2]
    assert answers[1]["structuredContent"]["sessions"][0]["id"] == ONE
    assert answers[2]["isError"]
    assert (done.returncode, done.stderr) == (0, b"")


def test_at_a_terminal_it_says_what_it_waits_for(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("mcp", "--dir", tmp_path), stdin=theirs, stdout=-1, stderr=-1
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        said = process.stderr.readline()
        os.close(ours)  # the terminal is gone

        assert said.decode() == (
            f"sessiontail: an MCP server for {tmp_path}; a client's messages are expected on stdin\n"
        )
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)],
)
def test_a_signal_ends_it_cleanly_while_a_call_waits(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        command("mcp", "--dir", tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    asks = call(1, "wait_for", timeout_s=300)
    asks["params"]["_meta"] = {"progressToken": "t"}
    process.stdin.write(lines(INITIALIZE, INITIALIZED, asks))
    process.stdin.flush()
    process.stdout.readline()
    begun = json.loads(process.stdout.readline())

    process.send_signal(number)
    answer = json.loads(process.stdout.readline())

    assert begun["method"] == "notifications/progress"
    assert answer["id"] == 1
    told = answer["result"]["content"][0]["text"]
    assert told.startswith("the server stops. Nothing is lost: call again with after=")
    assert process.wait(30) == code
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the server has a loop of its own
async def test_a_wait_that_a_signal_ends_is_answered_and_goes_on_without_a_gap(
    tmp_path: Path,
) -> None:
    pid = tmp_path / "pid"
    wrapped = ["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(pid), *command("mcp", "--dir", tmp_path)]
    async with connected(tmp_path, program=wrapped) as client, anyio.create_task_group() as tasks:
        waiting = Waiting(client, text="now")
        tasks.start_soon(waiting.run)
        await waiting.begun()
        os.kill(int(pid.read_text()), signal.SIGTERM)
    closed(tmp_path, ONE, "now")
    begin, cursor = waiting.text.removesuffix(" once it is back").split(" after=")
    async with connected(tmp_path) as client:
        found = await asked(client, "wait_for", text="now", after=cursor)

    assert begin == "the server stops. Nothing is lost: call again with"
    assert (found["session_id"], found["record"]["line"]) == (ONE, 2)


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_wait_whose_client_sends_nothing_more_is_answered(tmp_path: Path) -> None:
    """The end of standard input is how a client says that the server is to end."""
    three = ["sh", "-c", 'sed -u 3q | "$0" "$@"', *command("mcp", "--dir", tmp_path)]
    async with connected(tmp_path, program=three) as client:
        told = await refused(client, "wait_for", text="now", timeout_s=300)

    assert told.startswith("the server stops. Nothing is lost: call again with ")


@pytest.mark.slow
def test_a_client_that_takes_no_answers_ends_it(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        command("mcp", "--dir", tmp_path),
        input=lines(INITIALIZE),
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(theirs)

    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] == "mcp" or name.startswith("sessiontail.mcp"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)

    done = run("mcp", "--dir", tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "sessiontail: the tools for agents need the package mcp: pip install 'mcp>=1.22,<2'\n"
    )


def test_with_an_sdk_of_another_major_version_it_says_which_one_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith("sessiontail.mcp"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(metadata, "version", lambda _: "2.3.0")

    done = run("mcp", "--dir", tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "sessiontail: the tools for agents need mcp 1, and mcp 2.3.0 is here: "
        "pip install 'mcp>=1.22,<2'\n"
    )


def test_the_help_has_what_is_pasted_into_a_client() -> None:
    text = run("mcp", "--help").stdout
    begin = text.index("{\n")
    pasted = json.loads(text[begin : text.index("The client starts it")])

    assert pasted["mcpServers"]["sessiontail"]["args"][0] == "mcp"


class Watcher(Agent):
    """An agent whose tool waits for another agent, and that says what it was told."""

    def __init__(self, directory: Path, other: subprocess.Popen[bytes]) -> None:
        super().__init__([calls(city="anywhere")])
        self._directory, self._other = directory, other
        self.step()

    def complete(self, req: RathLLMChatRequest) -> RathLLMChatResponse:
        if not self._replies:
            return says(f"They say: {json.loads(str(req.messages[-1].content))}")
        return super().complete(req)

    def dispatch_tool(
        self,
        session: Session,  # noqa: ARG002 - openrath's signature
        tool: FlowToolCall,  # noqa: ARG002 - openrath's signature
        arguments: Mapping[str, Any],  # noqa: ARG002 - openrath's signature
    ) -> Any:
        return anyio.run(self._wait)

    async def _wait(self) -> str:
        async def begun(progress: float, total: float | None, message: str | None) -> None:
            """It is waited: now the other agent may speak."""
            if self._other.stdin is not None and not self._other.stdin.closed:
                self._other.stdin.close()

        async with connected(self._directory) as client:
            arguments = {"kinds": ["assistant"], "text": "the build", "timeout_s": 120}
            result = await client.call_tool("wait_for", arguments, progress_callback=begun)
            assert result.structuredContent is not None
            found = result.structuredContent
            again = await asked(
                client, "read_session", session=found["session_id"], line=found["record"]["line"]
            )
        assert again["records"][0]["text"] == found["record"]["text"]
        text: str = found["record"]["text"]
        return text


OTHER = """
import sys
from rath.session import create_system_session, create_user_session
from agents import Agent, says
sys.stdin.read()  # until somebody waits
agent = Agent([says("I have run it: The build is green.")])
agent.run(create_user_session("Is it green?"), create_system_session("Look."))
"""


@pytest.mark.slow  # openrath is loaded twice, the SDK three times
def test_an_agent_waits_for_what_another_one_writes_in_another_process_and_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, env=environment
    ) as other:
        session = Watcher(tmp_path / "sessions", other).start(
            create_user_session("Tell me when the build is green."), create_system_session("Wait.")
        )
        session.synchronize()
        assert other.wait(60) == 0

    async def said() -> list[str | None]:
        records = SessionStore(tmp_path / "sessions").read(session.id)
        return [record.text async for record in records if isinstance(record, Chunk)]

    assert anyio.run(said)[-2:] == [
        '"I have run it: The build is green."',
        "They say: I have run it: The build is green.",
    ]
