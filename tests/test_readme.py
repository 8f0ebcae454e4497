"""Every block of the README runs and prints what it says; its links, names and pictures are there."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import anyio
import httpx
import msgspec
import pytest

import sessiontail
from actors import Actor
from chats import FIRST, Chats, rows
from commands import at_terminal, closed, command, end, read_until, run as run_command
from programs import needed
from served import Served
from sessiontail import (
    Chunk,
    ChunkKind,
    Header,
    LineageKind,
    SessionStore,
    SessionWriter,
    TokenUsage,
)
from sessiontail.service import create_app
from sessiontail.service.api.openapi import api_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = [block.strip() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SESSION_ID = UUID("4f2c8a10-0000-4000-8000-000000000001")
CODE = "def next_month(day): return day.replace(month=day.month + 1)"
ANSWER = "31 January has no 31 February to go to."


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    (tmp_path / "sessions").mkdir()
    return tmp_path / "sessions"


async def write_session(directory: Path, *, damaged: bool) -> None:
    """Write the session of the README's first example."""
    functions = [
        {"name": "run_tests", "arguments": '{"path": "tests/test_dates.py"}'},
        {"name": "read_file", "arguments": '{"path": "dates.py"}'},
    ]
    calls = [
        {"id": f"c{i}", "type": "function", "function": one} for i, one in enumerate(functions)
    ]
    header = Header(
        id=SESSION_ID,
        created_at=datetime(2026, 11, 20, 9, tzinfo=UTC),
        lineage_operator="run_session_loop",
        lineage_kind=LineageKind.OP_SESSION_LOOP,
    )
    async with SessionWriter(header, directory=directory) as writer:
        said: list[tuple[ChunkKind, dict[str, Any]]] = [
            (ChunkKind.USER, {"content": "Why does tests/test_dates.py fail?"}),
            (
                ChunkKind.ASSISTANT,
                {"content": "I run it, and look at the code.", "tool_calls": calls},
            ),
            *(
                (ChunkKind.TOOL_RESULT, {"tool_call_id": f"c{i}", "name": name, "content": said})
                for i, (name, said) in enumerate(
                    [("run_tests", "FAILED test_end_of_month"), ("read_file", CODE)]
                )
            ),
        ]
        for kind, payload in said:
            await writer.write(Chunk(kind=kind, payload=payload))
        with writer.partial_path.open("ab") as file:
            file.write(b"" if not damaged else b'{"record_type": "chunk", "ind\n')
        await writer.write(Chunk(kind=ChunkKind.ASSISTANT, payload={"content": ANSWER}))


@pytest.mark.anyio
async def test_the_first_example_prints_what_stands_below_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await write_session(home, damaged=True)
    shown = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[0]
    compiled = compile(PYTHON[0], "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    made = eval(compiled, {"session_id": SESSION_ID})
    if inspect.iscoroutine(made):
        await made

    assert capsys.readouterr().out == shown


# The programs: each is written to the file that its first line names, and run as a reader would.


def name_of(code: str) -> str:
    return code.partition("\n")[0].removeprefix("# ").partition(" ")[0]


PROGRAMS = {name_of(code): code for code in PYTHON[1:]}


def start(
    home: Path, name: str, *arguments: object, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program of the README in a directory of its own."""
    place = home.parent / "programs"
    place.mkdir(exist_ok=True)
    (place / name).write_text(PROGRAMS[name], "utf-8")
    return subprocess.Popen(
        [sys.executable, name, *map(str, arguments)],
        cwd=place,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def lines_of(process: subprocess.Popen[bytes]) -> list[str]:
    """Wait for a program; return what it printed."""
    code, out, err = end(process)
    assert (code, err.decode()) == (0, "")
    return out.decode().splitlines()


def lines_until(process: subprocess.Popen[bytes], word: str) -> list[str]:
    """Read what a program prints up to a line with a word in it; end the program."""
    assert process.stdout is not None
    lines: list[str] = []
    while word not in "".join(lines):
        lines.append(process.stdout.readline().decode())
        assert lines[-1], lines
    interrupt(process)
    return lines


def types_of(lines: list[str]) -> list[str]:
    return [line.partition("(")[0] for line in lines]


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C: the program ends without a word."""
    process.send_signal(signal.SIGINT)
    code, _, err = end(process)
    assert (code, err.decode()) == (0, "")


def test_every_block_names_its_file_and_is_run_here() -> None:
    started = re.findall(r'start\(\s*home,\s*"(\w+\.py)"', Path(__file__).read_text("utf-8"))

    assert sorted(PROGRAMS) == sorted({*started})
    for name, code in PROGRAMS.items():
        assert code.startswith(f"# {name}")
        assert ("sys.argv[1]" in code) == (code.partition("\n")[0] == f"# {name} ID")


def test_a_newcomer_sees_his_first_live_records_with_ten_lines_of_code(home: Path) -> None:
    statements = [
        node for node in ast.walk(ast.parse(PROGRAMS["first.py"])) if isinstance(node, ast.stmt)
    ]

    lines = lines_of(start(home, "first.py"))

    assert len(statements) <= 10
    assert types_of(lines) == ["Header", "Chunk", "Chunk", "Trailer"]
    assert "Which day is it?" in lines[1]
    assert "Monday." in lines[2]
    (file,) = home.iterdir()
    assert file.suffix == ".jsonl"


def test_a_watch_tells_the_ids_of_what_runs_and_what_happens_to_it(home: Path) -> None:
    anyio.run(lambda: write_session(home, damaged=False))
    other = UUID("9b1d0c22-0000-4000-8000-000000000002")

    process = start(home, "watch.py")
    got = read_until(process, b"closed\n")
    with Actor(home, other).open().say("hi") as actor:
        got += read_until(process, b"live\n")
        actor.close()
        got += read_until(process, b"closed\n")
    interrupt(process)

    assert got.decode().splitlines() == [
        f"started {SESSION_ID} closed",
        f"started {other} live",
        f"closed {other} closed",
    ]


def test_a_session_is_followed_once_and_then_only_what_is_new(home: Path) -> None:
    anyio.run(lambda: write_session(home, damaged=True))

    first = lines_of(start(home, "follow.py", SESSION_ID))
    again = lines_of(start(home, "follow.py", SESSION_ID))

    assert types_of(first) == [
        "Header", "Chunk", "Chunk", "Chunk", "Chunk", "Damage", "Chunk", "Trailer", "closed",
    ]  # fmt: skip
    assert again == ["closed"]


def test_all_sessions_are_followed_and_gone_on_with(home: Path) -> None:
    with Actor(home, SESSION_ID).open().say("Which day?") as actor:
        process = start(home, "follow_all.py")
        first = lines_until(process, "Which day?")
        actor.say("Monday.")
        process = start(home, "follow_all.py")
        again = lines_until(process, "Monday.")

    assert types_of(first) == [f"{SESSION_ID} Header", f"{SESSION_ID} Chunk"]
    assert {*types_of(again)} == {f"{SESSION_ID} Chunk"}


def test_an_answer_is_waited_for(home: Path) -> None:
    with Actor(home, SESSION_ID).open().say("no answer"):
        process = start(home, "wait_for_answer.py", SESSION_ID)
        line = {
            "record_type": "chunk",
            "index": 1,
            "kind": "assistant",
            "payload": {"content": ANSWER},
        }
        with (home / f"{SESSION_ID}.jsonl.__partial__").open("a") as file:
            file.write(json.dumps(line) + "\n")
        assert lines_of(process) == [ANSWER]


def test_the_last_words_are_read(home: Path) -> None:
    anyio.run(lambda: write_session(home, damaged=False))

    assert lines_of(start(home, "last_words.py", SESSION_ID)) == [
        f"tool_result {CODE}",
        f"assistant {ANSWER}",
    ]


def test_a_listing_finds_the_damage(home: Path) -> None:
    anyio.run(lambda: write_session(home, damaged=True))

    listed, found = lines_of(start(home, "listing.py"))

    assert listed == f"{SESSION_ID} closed 5 None"
    assert found.startswith(f"{SESSION_ID} 5 (Damage(")
    assert found.endswith(" 0")


def test_whole_conversations_are_read_each_message_once(home: Path) -> None:
    chats = Chats(home)
    for turns in range(1, 4):
        chats.write(turns, rows(*FIRST[:turns]))

    assert lines_of(start(home, "conversations.py")) == [
        "hello",
        "    user hello", "    assistant Hi.",
        "    user more", "    assistant Yes.",
        "    user and", "    assistant No.",
    ]  # fmt: skip


def test_what_is_old_and_not_among_the_newest_goes(home: Path) -> None:
    for number in range(101):
        closed(home, str(UUID(int=number + 1, version=4)), "hi")

    *gone, told = lines_of(start(home, "tidy.py"))

    assert len(list(home.iterdir())) == 100
    assert gone == [f"{UUID(int=1, version=4)} older than 30 days"]
    assert re.fullmatch(r"1 gone, \d+ bytes; 100 stay", told)


def test_a_session_is_written(home: Path) -> None:
    (path,) = lines_of(start(home, "write.py"))

    loaded = anyio.run(lambda: sessiontail.load_session(path=path))

    assert [chunk.text for chunk in loaded.chunk_table] == ["Which day is it?", "Monday."]
    assert loaded.closed


@contextmanager
def model() -> Iterator[tuple[str, list[Any]]]:
    """Serve a model that always says the same; give its address, and what it was asked."""
    asked: list[Any] = []
    message = {"role": "assistant", "content": "Tuesday."}
    reply = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "served",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", asked
        finally:
            server.shutdown()
            thread.join()


def test_openrath_goes_on_with_a_session(home: Path) -> None:
    anyio.run(lambda: write_session(home, damaged=True))

    with model() as (address, asked):
        lines = lines_of(
            start(
                home,
                "resume.py",
                SESSION_ID,
                env={"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "none", "NO_PROXY": "*"},
            )
        )

    assert types_of(lines) == ["Header"] + ["Chunk"] * 7 + ["Trailer"]
    assert "Tuesday." in lines[-2]
    (request,) = asked
    assert [message["role"] for message in request["messages"]] == [
        "system", "user", "assistant", "tool", "tool", "assistant", "user",
    ]  # fmt: skip


def test_who_moves_over_finds_the_same(home: Path) -> None:
    anyio.run(lambda: write_session(home, damaged=False))

    assert lines_of(start(home, "moved.py", SESSION_ID)) == ["True 5 None"]


# The commands.


async def write_for_the_terminal(directory: Path) -> None:
    """Write the sessions of the README's terminal."""
    now = datetime.now(UTC).replace(microsecond=0)

    def header(session_id: str, hours: float) -> Header:
        return Header(
            id=UUID(session_id),
            created_at=now - timedelta(hours=hours),
            lineage_operator="run_session_loop",
            lineage_kind=LineageKind.OP_SESSION_LOOP,
        )

    async def write(head: Header, *said: tuple[ChunkKind, dict[str, Any]]) -> SessionWriter:
        writer = SessionWriter(head, directory=directory)
        await writer.open()
        for kind, payload in said:
            await writer.write(Chunk(kind=kind, payload=payload))
        return writer

    async def close(writer: SessionWriter, usage: TokenUsage) -> None:
        await writer.close(usage)
        await writer.abandon()

    call = {"name": "run_tests", "arguments": '{"path": "tests/test_dates.py"}'}
    calls = [{"id": "c1", "type": "function", "function": call}]
    failed = "FAILED test_end_of_month\nE   ValueError: day is out of range for month"
    result = {"tool_call_id": "c1", "name": "run_tests", "content": failed}
    fixed: list[tuple[ChunkKind, dict[str, Any]]] = [
        (ChunkKind.USER, {"content": "Why does tests/test_dates.py fail?"}),
        (ChunkKind.ASSISTANT, {"content": None, "tool_calls": calls}),
        (ChunkKind.TOOL_RESULT, result),
        (ChunkKind.ASSISTANT, {"content": ANSWER}),
    ]
    notes = (ChunkKind.USER, {"content": "Write the release notes."})
    for session_id, hours in (("c01d", 41.5 * 24), ("01d0", 95.5 * 24)):
        old = header(f"{session_id}0000-0000-4000-8000-000000000003", hours)
        await close(await write(old, notes), TokenUsage(80, 9, 89))
    await close(await write(header(str(SESSION_ID), 18.5), *fixed), TokenUsage(310, 42, 352))
    more = (
        (ChunkKind.USER, {"content": "Then mend it."}),
        (ChunkKind.ASSISTANT, {"content": "Done: a month ends with its last day."}),
    )
    turn = header("7a90be11-0000-4000-8000-000000000004", 18.45)
    turn = msgspec.structs.replace(turn, parent_session_ids=(UUID(int=4),))
    await close(await write(turn, *fixed, *more), TokenUsage(402, 12, 414))
    crashed = await write(header("9b1d0c22-0000-4000-8000-000000000002", 18.4), notes)
    await crashed.abandon()
    wal = crashed.partial_path
    line = '{"record_type": "chunk", "index": 1, "kind": "assistant", "payload": {"content": "根'
    with wal.open("ab") as file:
        file.write(line.encode()[:-1])
    os.utime(wal, (now.timestamp() - 18 * 3600,) * 2)


def commands_of(block: str) -> list[tuple[list[str], str]]:
    """The commands of a block, without the program's name, and what each prints."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert parts[0] == ""
    told = []
    for part in parts[1:]:
        line, _, output = part.partition("\n")
        program, *arguments = line.split()
        assert program == "sessiontail"
        told.append((arguments, output.rstrip("\n")))
    return told


def test_an_audit_counts_each_row_once(home: Path) -> None:
    anyio.run(write_for_the_terminal, home)

    lines = lines_of(start(home, "audit.py"))

    assert lines == [
        "5 sessions, 9 rows; 944 tokens known of 4, unknown of 1",
        "run_tests 1",
    ]
    assert (
        (home.parent / "programs" / "audit.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    )


def test_what_tools_said_is_searched(home: Path) -> None:
    anyio.run(write_for_the_terminal, home)

    found, failed = lines_of(start(home, "errors.py"))

    assert found == (
        f"{SESSION_ID} 4 run_tests E   ValueError: day is out of range for month ((9, 14),)"
    )
    assert failed == "[]"


def test_who_a_session_descends_from_is_told_and_drawn(home: Path) -> None:
    anyio.run(write_for_the_terminal, home)

    lines = lines_of(start(home, "family.py", "7a90be11-0000-4000-8000-000000000004"))

    assert lines == [
        f"{UUID(int=4)} has no file",
        f"{SESSION_ID} Why does tests/test_dates.py fail?",
    ]
    assert (home.parent / "programs" / "family.svg").read_text("utf-8").startswith("<svg")


def test_a_crashed_session_gets_a_clean_copy_and_a_page(home: Path) -> None:
    anyio.run(write_for_the_terminal, home)

    lines = lines_of(start(home, "mend.py", "9b1d0c22-0000-4000-8000-000000000002"))

    assert lines == [
        "3 cut 84 bytes after the last whole line, no record",
        "4 closed a trailer was added: 1 chunk, tokens unknown",
        "[",
        '{"role": "user", "content": "Write the release notes."}',
        "]",
    ]
    assert "Write the release notes." in (home.parent / "programs" / "clean.html").read_text(
        "utf-8"
    )


def undated(text: str) -> str:
    """Text in which each date is the same: the sessions are written when the test runs."""
    return re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\dZ)?", "DATE", text)


def print_at_terminal(arguments: list[str]) -> str:
    code, got = at_terminal(*arguments, env={"NO_COLOR": "1"}, keys=b"n\n")
    assert code in (0, 1)
    return got.decode().replace("\r\n", "\n").partition("[y/N]: ")[0] + "[y/N]:"


def print_live(home: Path, arguments: list[str], wanted: str) -> str:
    """What ``tail -f`` prints of an agent that begins once it runs."""
    anyio.run(lambda: write_session(home, damaged=False))
    file = home / f"{SESSION_ID}.jsonl"
    head, *lines = file.read_bytes().splitlines(keepends=True)
    file.unlink()
    process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE)
    with Actor(home, SESSION_ID).open(header=False) as actor:
        for line in (head, *lines[:-1]):
            actor.write(line)
        got = read_until(process, wanted.rpartition("\n")[2].encode() + b"\n")
        process.send_signal(signal.SIGINT)
        end(process)
    return got.decode().rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [told for block in CONSOLE for told in commands_of(block)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_prints_what_stands_below_it(
    home: Path, arguments: list[str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "-f" in arguments:
        got = print_live(home, arguments, wanted)
    else:
        anyio.run(write_for_the_terminal, home)
        if "prune" in arguments and "--dry-run" not in arguments:
            got = print_at_terminal(arguments)
        else:
            monkeypatch.chdir(home.parent)
            done = run_command(*arguments)
            told = done.stderr if arguments[0] == "repair" else done.stdout
            got = told.replace(str(home.parent), "/home/me").rstrip("\n")

    assert undated(got) == undated(wanted)


# The service, and what asks it.


def same(text: str) -> str:
    """Text in which each moment and each cursor is the same."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+", "MOMENT", re.sub(r"st1\.[\w-]+", "CURSOR", text))


def test_the_lines_of_curl_print_what_stands_below_them(home: Path) -> None:
    needed("curl")
    (block,) = re.findall(r"```shell-session\n(.*?)```", README, re.DOTALL)
    asked, *told = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    anyio.run(write_for_the_terminal, home)

    with Served("--dir", home) as served:
        for one in told:
            line, _, output = one.partition("\n")
            script = f"{asked.replace('http://127.0.0.1:8642', served.url)}{line}"
            run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)

            assert same(run.stdout.rstrip()) == same(output.rstrip())


def test_the_service_is_part_of_another_application(home: Path) -> None:
    assert lines_of(start(home, "agents_app.py")) == []
    app = runpy.run_path(str(home.parent / "programs" / "agents_app.py"))["app"]

    async def ask(**headers: str) -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.get("/agents/api/sessions", headers=headers)).status_code

    assert anyio.run(ask) == 401
    assert anyio.run(partial(ask, authorization="Bearer a-long-and-random-one")) == 200


def test_an_agent_awaits_another_one_through_its_tools(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath)  # as where the venv is not activated
    anyio.run(lambda: write_session(home, damaged=True))

    lines = lines_of(start(home, "await_agent.py", SESSION_ID))

    (printed,) = re.findall(r"```text\n(Between the two lines.*?)\n```", README, re.DOTALL)
    assert unnamed("\n".join(lines)) == unnamed(printed)


def unnamed(text: str) -> str:
    """What a tool said, without the fence's name, which is another one each time."""
    return re.sub(r"\b[0-9a-f]{16}\b", "NAME", same(text))


def test_the_table_of_the_api_is_the_one_that_is_served() -> None:
    app = create_app(SessionStore("none"))

    assert api_table(app.state.context.endpoints) in README


def test_what_is_to_be_typed_sets_up_and_then_does_one_thing() -> None:
    set_up = [line for line in SHELL if line.startswith("python3 ")]
    (install,) = [line for line in SHELL if line not in set_up]

    done = [
        re.fullmatch(
            r"python3 -m venv \.venv && \.venv/bin/pip install -q -e '\.\[(\w+)\]' && (.+)", line
        )
        for line in set_up
    ]
    assert [match and match.groups() for match in done] == [
        ("cli", ".venv/bin/sessiontail demo"),
        ("dev", ".venv/bin/pytest"),
        ("serve", ".venv/bin/sessiontail serve --demo"),
    ]
    extras = re.fullmatch(r"pip install '/path/to/checkout\[([\w,]+)\]'", install)
    assert extras
    assert {"cli", "dev", *extras[1].split(",")} <= {*PROJECT["optional-dependencies"]}
    assert "sessiontail" in PROJECT["scripts"]


def test_the_command_that_tests_is_the_one_that_ci_runs() -> None:
    assert SHELL[1] in (ROOT / ".ci" / "run").read_text("utf-8")


def test_nothing_says_to_install_it_from_an_index() -> None:
    for path in (ROOT / "README.md", *ROOT.glob(".github/*.md"), *ROOT.glob("src/**/*.py")):
        assert not re.search(r"pip install\W+sessiontail", path.read_text("utf-8")), path


# What it names, shows and leads to.


def test_what_the_api_table_names_exists() -> None:
    table = README[README.index("| name | gives |") :].partition("\n\n")[0]
    named = re.findall(r"^\| `(\w+)(?!\.)\b", table, re.MULTILINE)

    assert named
    assert [name for name in named if name not in sessiontail.__all__] == []


def test_the_versions_that_are_said_to_be_tested_are_those_that_the_project_names() -> None:
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line]

    assert f"with Python {', '.join(named[:-1])} and {named[-1]}." in README


def test_the_figures_are_in_the_table_that_the_benchmarks_print() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", "from benchmarks.timing import table; print(table([]))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert printed in README


@pytest.mark.parametrize("name", ["README.md", ".github/CONTRIBUTING.md"])
def test_what_is_linked_is_there(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    links = re.findall(r'\]\(([^)#:]+)\)|(?:srcset|src)="([^":]+)"', text)

    assert links
    for link, source in links:
        assert ((ROOT / name).parent / (link or source)).exists()


def texts_of(picture: Path) -> str:
    """What a picture says, line by line; it loads nothing, from nowhere."""
    svg = picture.read_text("utf-8")
    addresses = re.findall(r"[a-z]+://[^\s\"')]+|@import|@font-face|url\([^#]", svg)
    assert addresses == ["http://www.w3.org/2000/svg"]
    texts = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return "".join((text.text or "").replace("\N{NO-BREAK SPACE}", " ") for text in texts)


WORDS = ("tests/test_dates.py", "is killed (SIGKILL) in the middle of a line", "ended: closed")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_is_one_of_the_demo(theme: str) -> None:
    said = texts_of(ROOT / ".github" / f"demo-{theme}.svg")

    assert [word for word in WORDS if word not in said] == []


def test_the_demo_can_be_recorded_anew(tmp_path: Path) -> None:
    recorder = ROOT / ".github" / "record_demo.py"

    subprocess.run([sys.executable, recorder, tmp_path], check=True, timeout=100)

    light, dark = (texts_of(tmp_path / f"demo-{theme}.svg") for theme in ("light", "dark"))
    assert [word for word in WORDS if word not in light] == []
    assert light == dark
