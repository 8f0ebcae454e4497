from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio
import anyio.to_thread
import pytest
from rath.backend import registry as backends
from rath.backend.abc import Backend, BackendSandbox, BackendSandboxSpec
from rath.backend.local import LocalBackend
from rath.backend.persistence.registry import PersistentSandboxRegistry
from rath.session.chunk import ChunkTable
from rath.session.persistence import SessionWriter as RealWriter, load_session as real_load
from rath.session.session import Session

from agents import Agent, calls, says
from samples import ID, chunk_line, header_line, trailer_line
from sessiontail import (
    Chunk,
    ChunkKind,
    Header,
    MissingExtra,
    Outcome,
    Record,
    SandboxSpec,
    TokenUsage,
    Trailer,
    load_session,
    tail_session,
)
from sessiontail.openrath import from_openrath
from sessiontail.session.writer import SessionWriter

pytestmark = pytest.mark.anyio

SPEC: dict[str, Any] = {
    "image": "python:3.11",
    "entrypoint": ["sh", "-c"],
    "env": {"A": "1"},
    "timeout_seconds": 90.0,
    "working_dir": "/w",
}
REAL_SPEC = BackendSandboxSpec(
    image="python:3.11",
    entrypoint=("sh", "-c"),
    env={"A": "1"},
    timeout=timedelta(seconds=90),
    working_dir="/w",
)


@pytest.fixture(autouse=True)
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sessions directory of openrath, and of us."""
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    (tmp_path / "sessions").mkdir()
    return tmp_path / "sessions"


def rows(table: Any) -> list[tuple[str, dict[str, Any]]]:
    """What a chunk table says, ours or openrath's."""
    return [(row.kind.value, row.payload) for row in table]


def as_records(session_id: UUID) -> list[Record]:
    """A closed session as openrath's own loader loads it."""
    loaded = real_load(session_id)
    header, usage, trailer = loaded.header, loaded.cumulative_usage, loaded.trailer_raw
    return [
        Header(
            id=header.id,
            created_at=header.created_at,
            parent_session_ids=header.parent_session_ids,
            lineage_operator=header.lineage_operator,
            lineage_kind=header.lineage_kind.value,
            sandbox_backend=header.sandbox_backend,
        ),
        *(
            Chunk(kind=ChunkKind(kind), payload=payload, index=index)
            for index, (kind, payload) in enumerate(rows(loaded.chunk_table))
        ),
        Trailer(
            closed_at=datetime.fromisoformat(trailer["closed_at"]),
            final_chunk_count=trailer["final_chunk_count"],
            cumulative_usage=TokenUsage(
                usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
            ),
            raw=trailer,
        ),
    ]


async def test_a_running_agent_is_followed_turn_by_turn_and_then_resumed() -> None:
    agent = Agent([calls(city="Zürich"), says("In Zürich ist es 晴れ.")])
    session = agent.start(
        Session.from_user_message("Wie ist das Wetter?"), Session.from_agent_prompt("Kurz.")
    )
    seen: list[Record] = []
    with anyio.fail_after(30):
        async with tail_session(session.id, wait=True) as tail:
            seen += [await anext(tail), await anext(tail)]  # the header, and what the user said
            agent.step()
            seen += [await anext(tail), await anext(tail)]  # the call, and what the tool said
            agent.step()
            seen += [record async for record in tail]

    assert tail.outcome is Outcome.CLOSED
    assert seen == as_records(session.id)
    assert [type(record).__name__ for record in seen] == ["Header"] + ["Chunk"] * 4 + ["Trailer"]

    user, system = await (await load_session(session.id)).to_resumable_pair(agent_prompt="Lang.")
    again = Agent([says("Noch immer.")])
    resumed = await anyio.to_thread.run_sync(again.run, user, system)

    persisted = await load_session(resumed.id)
    assert rows(persisted.chunk_table[:4]) == rows(session.chunk_table)
    assert rows(persisted.chunk_table) == rows(resumed.chunk_table)
    assert persisted.header.parent_session_ids == (user.id, system.id)
    assert [(m.role, m.content) for m in again.requests[0].messages] == [
        ("system", "Lang."),
        ("user", "Wie ist das Wetter?"),
        ("assistant", None),
        ("tool", '{"city": "Zürich", "sky": "晴れ"}'),
        ("assistant", "In Zürich ist es 晴れ."),
    ]


@pytest.mark.parametrize("prompt", [None, "given", ""])
@pytest.mark.parametrize(
    "head",
    [
        (),
        (chunk_line(0, "first", "system"), chunk_line(1, "second", "system")),
        (chunk_line(0, None, "system"), chunk_line(1, "second", "system")),
        (chunk_line(0, ["parts"], "system"),),
    ],
)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sandbox_backend": "local", "sandbox_spec": SPEC, "sandbox_handle_id": str(ID)},
        {"sandbox_backend": "opensandbox", "sandbox_spec": SPEC},
        {"sandbox_backend": "opensandbox", "sandbox_spec": {}, "sandbox_handle_id": "no uuid"},
    ],
)
async def test_the_pair_is_the_one_that_openrath_builds(
    fields: dict[str, Any], head: tuple[bytes, ...], prompt: str | None, sessions: Path
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    (sessions / f"{ID}.jsonl").write_bytes(
        header_line(**fields)
        + b"".join(head)
        + chunk_line(2, "hi")
        + chunk_line(3, None, "assistant", tool_calls=[call])
        + trailer_line(4)
    )

    user, agent = await (await load_session(ID)).to_resumable_pair(agent_prompt=prompt)

    real_user, real_agent = real_load(ID).to_resumable_pair(agent_prompt=prompt)
    for ours, real in ((user, real_user), (agent, real_agent)):
        assert type(ours) is Session
        assert ours.chunk_table == real.chunk_table
        assert ours.sandbox is None
        assert ours.sandbox_backend == real.sandbox_backend
        assert ours._sandbox_open_spec == real._sandbox_open_spec


async def test_the_spec_of_a_session_is_opened_when_it_is_first_used(
    sessions: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    (sessions / f"{ID}.jsonl").write_bytes(
        header_line(sandbox_backend="local", sandbox_spec={"working_dir": str(work)})
    )

    user, _ = await (await load_session(ID)).to_resumable_pair()

    assert user.sandbox is None
    assert not work.exists()
    sandbox = await anyio.to_thread.run_sync(user.require_sandbox)
    assert (sandbox.backend.name, Path(sandbox.handle)) == ("local", work)
    assert work.is_dir()
    await anyio.to_thread.run_sync(user.close_sandbox)


@dataclass
class Attached:
    """What a backend was asked to attach to, and where."""

    remote_id: str
    spec: BackendSandboxSpec | None
    thread: int


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Attached]]:
    """A registered backend whose sandboxes outlive the process; what it was asked."""
    log: list[Attached] = []

    class Remote(LocalBackend):  # type: ignore[misc]  # openrath ships no types
        def attach(
            self, remote_id: str, *, spec: BackendSandboxSpec | None = None
        ) -> BackendSandbox:
            log.append(Attached(remote_id, spec, threading.get_ident()))
            return BackendSandbox(backend=self, handle=remote_id, spec=spec)

    known: dict[str, type[Backend]] = {**backends._REGISTRY}
    monkeypatch.setattr(backends, "_REGISTRY", known)
    backends.register("remote")(Remote)
    yield log
    backends._INSTANCES.pop("remote", None)


async def test_a_recorded_sandbox_is_attached_again_in_a_thread(
    attached: list[Attached], sessions: Path
) -> None:
    registry = PersistentSandboxRegistry()
    handle = registry.record_remote("remote", "container-7", REAL_SPEC)
    recorded = registry.load_remote(handle)
    (sessions / f"{ID}.jsonl").write_bytes(
        header_line(sandbox_backend="opensandbox", sandbox_handle_id=str(handle))
        + chunk_line(0, "hi")
    )

    user, _ = await (await load_session(ID)).to_resumable_pair()

    assert [(a.remote_id, a.spec) for a in attached] == [("container-7", REAL_SPEC)]
    assert attached[0].thread != threading.get_ident()
    assert user.sandbox is not None
    assert (user.sandbox.handle, user.sandbox.refcount) == ("container-7", 1)
    assert (user.sandbox_backend, user._sandbox_open_spec) == ("remote", REAL_SPEC)
    touched = registry.load_remote(handle)
    assert recorded is not None
    assert touched is not None
    assert touched.last_used_at > recorded.last_used_at


async def test_a_sandbox_that_the_registry_does_not_know_is_an_error(
    attached: list[Attached], sessions: Path
) -> None:
    (sessions / f"{ID}.jsonl").write_bytes(
        header_line(sandbox_backend="opensandbox", sandbox_handle_id=str(uuid4()))
    )
    session = await load_session(ID)

    with pytest.raises(KeyError, match="no remote sandbox recorded"):
        await session.to_resumable_pair()

    assert attached == []


@pytest.mark.parametrize(
    ("missing", "error", "message"),
    [
        ("rath", MissingExtra, "resuming needs openrath: pip install openrath"),
        ("pydantic", ModuleNotFoundError, "import of pydantic halted; None in sys.modules"),
    ],
)
async def test_without_openrath_the_error_says_what_to_install(
    missing: str,
    error: type[Exception],
    message: str,
    sessions: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (sessions / f"{ID}.jsonl").write_bytes(header_line())
    session = await load_session(ID)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rath"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(error) as caught:
        await session.to_resumable_pair()

    assert str(caught.value) == message


async def test_a_header_taken_from_a_session_is_the_one_that_its_writer_writes(
    tmp_path: Path,
) -> None:
    session = Session.from_user_message("hi").fork()
    session._sandbox_open_spec = REAL_SPEC
    session.lineage_extras = (("k", [1, None]),)
    with RealWriter(session, sandbox_handle_id="h-1") as real:
        pass
    expected = real.path.read_bytes().splitlines()[0]
    moment = real_load(session.id).header.created_at

    header = from_openrath(session, sandbox_handle_id="h-1", created_at=moment)

    async with SessionWriter(header, directory=tmp_path / "ours") as writer:
        assert writer.partial_path.read_bytes() == expected + b"\n"
    assert header.sandbox_spec == SandboxSpec(
        image="python:3.11",
        entrypoint=("sh", "-c"),
        env={"A": "1"},
        timeout=timedelta(seconds=90),
        working_dir="/w",
    )


async def test_a_header_taken_from_a_bare_session_begins_now() -> None:
    before = datetime.now(UTC)

    header = from_openrath(Session(chunk_table=ChunkTable(), id=ID))

    assert before <= header.created_at <= datetime.now(UTC)
    assert header == Header(id=ID, created_at=header.created_at)
