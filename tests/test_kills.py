"""A real writer process, killed at seeded moments, resumed by a second one and finished."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from actors import WriterServer, records_of
from sessiontail import (
    Chunk,
    Damage,
    Outcome,
    Record,
    SessionStore,
    Trailer,
)
from sessiontail.session import ending


@pytest.fixture(autouse=True)
def a_minute_of_quiet_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    # A writer that is killed before its lock was seen has only the quiet to tell.
    monkeypatch.setattr(ending, "QUIET_S", 0.5)


pytestmark = pytest.mark.anyio

SEED = 20260101


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WriterServer]:
    with WriterServer(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(params=["events", "polling"])
def store(request: pytest.FixtureRequest, server: WriterServer) -> SessionStore:
    directory = server.home / "sessions"
    return SessionStore(directory, events=request.param == "events", poll_interval_s=0.01)


@pytest.mark.parametrize(
    ("sessions", "at_once"), [(25, 25), pytest.param(200, 25, marks=pytest.mark.slow)]
)
async def test_every_record_of_a_killed_and_resumed_writer_arrives_once(
    server: WriterServer, store: SessionStore, sessions: int, at_once: int
) -> None:
    rng = random.Random(SEED + sessions)
    counts = dict.fromkeys(("torn", "glued", "killed", "loaded"), 0)
    slots = anyio.CapacityLimiter(at_once)

    async def one(seed: int) -> None:
        async with slots:
            with anyio.fail_after(60):
                await kill_and_resume(server, store, seed, counts)

    async with anyio.create_task_group() as tasks:
        for _ in range(sessions):
            tasks.start_soon(one, rng.getrandbits(32))

    print(f"{sessions} kills: {counts}")  # noqa: T201 - shown with -s
    assert counts["killed"] >= sessions // 2
    assert counts["torn"]


async def kill_and_resume(
    server: WriterServer, store: SessionStore, seed: int, counts: dict[str, int]
) -> None:
    rng = random.Random(seed)
    session_id = uuid4()
    moments: tuple[dict[str, object], ...] = (
        {"kill_at_byte": int(10 ** rng.uniform(0, 3))},
        {"kill_at_byte": int(10 ** rng.uniform(2.6, 3.4))},
        {"kill_after_s": rng.uniform(0.005, 0.06)},
        {"kill_before_rename": True},
        {"kill_at_byte": int(10 ** rng.uniform(3.5, 6)), "burst": 5000},
        {"kill_before_rename": True, "burst": rng.choice((511, 512, 513, 5000))},
    )
    moment = rng.choice(moments)
    final = store.directory / f"{session_id}.jsonl"
    wal = store.directory / f"{session_id}.jsonl.__partial__"

    tail = store.tail(session_id, wait=60)
    server.start(id=str(session_id), seed=seed, chunks=rng.randint(1, 8), **moment)
    got: list[Record] = [record async for record in tail]

    if tail.outcome is Outcome.CLOSED:  # it was faster than its killer
        assert got == records_of(final.read_bytes())
        return
    data = wal.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    counts["killed"] += 1
    counts["torn"] += whole != data
    assert (tail.outcome, tail.torn_bytes) == (Outcome.ABANDONED, len(data) - len(whole))
    assert got == records_of(whole)

    rest = store.tail(session_id, after=tail.cursor, on_abandoned="wait")
    cut = rng.random() < 0.5
    burst = rng.choice((0, 0, 600))
    server.start(id=str(session_id), seed=seed + 1, chunks=rng.randint(1, 8), burst=burst, cut=cut)
    got += [record async for record in rest]

    data = final.read_bytes()
    # Glued to a torn header, no line is a record: then there is no trailer either.
    closed = any(isinstance(record, Trailer) for record in got)
    outcome = Outcome.CLOSED if closed else Outcome.ABANDONED
    assert (rest.outcome, rest.torn_bytes) == (outcome, 0)
    assert got == records_of(data)
    counts["glued"] += any(isinstance(r, Damage) and r.reason == "invalid-json" for r in got)
    if not any(isinstance(record, Damage) for record in got):
        counts["loaded"] += 1
        texts = [record.text for record in got if isinstance(record, Chunk)]
        if "\u2028" not in "".join(map(str, texts)):  # which the reference splits at
            assert server.load(Path(final)) == [texts, True]
