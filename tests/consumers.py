"""Clients of a server that is killed and started anew, beside writers that do what writers do.

A *world* has a directory, a server in a process of its own, writers, and clients of every kind. Each
client does what its seed says: reads slowly, leaves in mid-event, comes back with any id that it ever
had. What it has got of a session is a list of records; at the end that is what the file says, once and
in order, and of a file that was deleted or replaced before its end, the beginning of what that one said.

    python tests/consumers.py DIRECTORY PORT RING_BYTES

serves as ``sessiontail serve`` does, with readings that keep so little.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from actors import Actor, WriterServer, records_of
from sessiontail.format.cursor import START

__all__ = ["World"]

_PATIENCE_S = 300
_AGAIN_S = 0.02


class _Gone(Exception):
    """The connection is over, or was left."""


def sound(text: str) -> Any:
    """A record as it is compared: its line counts where it is known."""
    return json.loads(text, parse_constant=lambda _: None)


def shape(record: dict[str, Any]) -> tuple[int | None, int]:
    """The line of a record, and all else of it as a number."""
    rest = {key: value for key, value in record.items() if key not in {"line", "cursor"}}
    return record["line"], hash(json.dumps(rest, sort_keys=True))


class Generation:
    """What one file of a session says."""

    def __init__(self, session_id: UUID, data: bytes) -> None:
        self.records: list[tuple[dict[str, Any], int]] = []
        for record in records_of(data):
            value = sound(json.dumps({**record.to_dict(session_id), "line": None}))
            self.records.append((value, shape(value)[1]))

    def begins_with(self, got: list[tuple[int | None, int]]) -> str | None:
        """Why it does not; None: it does."""
        if len(got) > len(self.records):
            return f"{len(got)} records of {len(self.records)}"
        for index, ((line, number), (value, wanted)) in enumerate(
            zip(got, self.records, strict=False)
        ):
            if number != wanted:
                return f"record {index} is another one than {str(value)[:200]}"
            if line is not None and line != index + 1:
                return f"record {index} is said to be line {line}"
        return None


class Got:
    """What a client has of one session."""

    def __init__(self) -> None:
        #: Of each file that it met, what it has got: records, and the id behind each.
        self.segments: list[tuple[list[tuple[int | None, int]], list[str]]] = [([], [])]

    @property
    def records(self) -> list[tuple[int | None, int]]:
        return self.segments[-1][0]

    @property
    def ids(self) -> list[str]:
        return self.segments[-1][1]

    def add(self, record: dict[str, Any], event_id: str) -> None:
        self.records.append(shape(record))
        self.ids.append(event_id)

    def anew(self) -> None:
        """Another file."""
        if self.records:
            self.segments.append(([], []))

    def back(self, rng: random.Random) -> str | None:
        """Go back to any id that it ever had, and return it."""
        records, ids = rng.choice(self.segments)
        if not ids:
            return self.ids[-1] if self.ids else None
        count = rng.randint(1, len(ids))
        self.segments.append((records[:count], ids[:count]))
        return ids[count - 1]


class World:
    """Everything, for one seed."""

    def __init__(self, home: Path, seed: int, *, ring_bytes: int, large: bool) -> None:
        self.rng = random.Random(seed)
        self.home = home
        self.directory = home / "sessions"
        self.directory.mkdir(parents=True)
        self.large = large
        self.ring_bytes = ring_bytes
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        #: By session, what its files said, oldest first; the last one is there still.
        self.files: dict[UUID, list[Generation]] = {}
        #: Sessions that are there at the end.
        self.there: set[UUID] = set()
        #: Whether all that is written was.
        self.written = False
        self.log: list[str] = []
        self.starts = 0

    # The server

    def start(self) -> None:
        program = [sys.executable, "-W", "error", __file__]
        self.process = subprocess.Popen(
            [*program, str(self.directory), str(self.port), str(self.ring_bytes)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().decode().strip()
        assert url, "the server did not start"
        self.port = int(url.rpartition(":")[2])
        self.starts += 1

    def end(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(_PATIENCE_S)
        assert code in {0, -signal.SIGKILL}, code
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    async def restart_now_and_then(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(self.rng.uniform(0.3, 1.2))
            number = self.rng.choice((signal.SIGKILL, signal.SIGTERM))
            await asyncio.to_thread(self.end, number)
            await asyncio.sleep(self.rng.choice((0, 0.1)))
            await asyncio.to_thread(self.start)

    # The writers

    async def write(self, session_id: UUID, rng: random.Random, acts: int) -> None:
        """Write one session, and whatever may happen to it."""
        actor = Actor(self.directory, session_id)
        files = self.files.setdefault(session_id, [])

        async def pause() -> None:
            await asyncio.sleep(rng.choice((0, 0, 0.01, 0.1, 0.3)))

        await pause()
        actor.open()
        self.there.add(session_id)
        for number in range(acts):
            act = rng.choices(
                ("say", "burst", "tear", "crash", "close", "delete", "replace", "rewrite"),
                (8, 4, 2, 2, 0.6, 0.5, 0.5, 0.3),
            )[0]
            text = f"{session_id.hex[-2:]}-{len(files)}-{number} "
            if act == "say":
                actor.say(
                    *(text + "é\u2028" * rng.choice((0, 5, 300)) for _ in range(rng.randint(1, 5)))
                )
            elif act == "burst":
                lines, size = rng.choice(
                    (
                        (20_000, 100),
                        (5000, 20),
                        (700, 4096),
                        (1, 3_000_000),
                        (513, 100),
                        (1, 262_145),
                    )
                    if self.large
                    else ((600, 100), (100, 20), (40, 4096), (1, 300_000), (513, 100))
                )
                data = bytearray()
                for i in range(lines):
                    if size < 100:
                        data += b'{"record_type": "%s-%d"}\n' % (text.encode(), i)
                    else:
                        data += actor.chunk(f"{text}{i} " + "x" * (size - 90))
                actor.write(bytes(data))
            elif act == "tear":
                line = actor.chunk(text + "x" * rng.choice((10, 5000, 100_000)))
                cut = rng.randint(1, len(line) - 1)
                actor.write(line[:cut])
                await pause()
                actor.write(line[cut:])
            elif act == "crash":
                line = actor.chunk(text)
                actor.write(line[: rng.randint(0, len(line) - 1)])
                actor.kill()
                await pause()
                actor.resume(cut=rng.random() < 0.5)
            else:
                if act == "close":
                    actor.close()
                    if rng.random() < 0.5:
                        return self._settle(actor, files)
                    await pause()
                    actor.final.unlink()
                elif act == "delete":
                    actor.kill()
                    actor.wal.unlink()
                else:
                    actor.kill()
                files.append(Generation(session_id, actor.whole))
                if act in ("close", "delete"):
                    self.there.discard(session_id)
                    await pause()
                    if rng.random() < 0.3:
                        return None
                    actor = Actor(self.directory, session_id)
                    actor.open()
                elif act == "replace":
                    other = self.directory.parent / f"other-{session_id}"
                    other.write_bytes(b"")
                    other.replace(actor.wal)
                    actor = Actor(self.directory, session_id)
                    actor.open()
                else:
                    os.truncate(actor.wal, 0)
                    actor = Actor(self.directory, session_id)
                    actor.open()
                self.there.add(session_id)
            await pause()
        if rng.random() < 0.6:
            actor.close()
        else:
            actor.kill()
        return self._settle(actor, files)

    def _settle(self, actor: Actor, files: list[Generation]) -> None:
        files.append(Generation(actor.id, actor.whole))

    async def write_for_real(
        self, servers: WriterServer, session_id: UUID, rng: random.Random
    ) -> None:
        """Have openrath's own writer write one session, killed and resumed."""
        self.there.add(session_id)
        job = {"id": str(session_id), "home": str(self.home), "chunks": rng.randint(1, 30)}
        final = self.directory / f"{session_id}.jsonl"
        wal = final.with_name(f"{final.name}.__partial__")
        for life in range(rng.randint(0, 3)):
            at = rng.randint(1, 5000)
            size = wal.stat().st_size if wal.exists() else 0
            if size:
                size = wal.read_bytes().rfind(b"\n") + 1
            servers.start(**job, seed=life, cut=bool(size), kill_at_byte=at)
            while not (final.exists() or (wal.exists() and wal.stat().st_size >= size + at)):
                await asyncio.sleep(0.02)
            if final.exists():
                break
            await asyncio.sleep(0.3)
        else:
            servers.start(**job, seed=9, cut=wal.exists(), burst=rng.choice((0, 600)))
            while not final.exists():
                await asyncio.sleep(0.02)
        self.files.setdefault(session_id, []).append(Generation(session_id, final.read_bytes()))

    # The clients

    async def ask(
        self, path: str, headers: dict[str, str], data: bytes | None = None, *, whole: bool = False
    ) -> tuple[int, AsyncIterator[bytes], Callable[[], None]]:
        """Ask; return the status, the pieces of the body, and what leaves."""
        method = "GET" if data is None else "POST"
        if data is not None:
            headers = {
                **headers,
                "content-type": "application/json",
                "content-length": str(len(data)),
            }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        for _ in range(int(_PATIENCE_S / _AGAIN_S)):
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self.port, limit=1 << 16
                )
                break
            except OSError:
                await asyncio.sleep(_AGAIN_S)
        else:
            raise AssertionError("no server")
        try:
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode()
                + (data or b"")
            )
            said = await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            raise _Gone from None
        except BaseException:
            writer.close()
            raise
        chunked = b"transfer-encoding: chunked" in said.lower()

        async def body() -> AsyncIterator[bytes]:
            try:
                if not chunked:
                    length = re.search(rb"content-length: (\d+)", said.lower())
                    yield await reader.readexactly(int(length[1])) if whole and length else b""
                    return
                while size := int((await reader.readline()).strip() or b"x", 16):
                    piece = await reader.readexactly(size + 2)
                    yield piece[:-2]
            except (OSError, asyncio.IncompleteReadError, ValueError):
                if whole:
                    raise _Gone from None

        return int(said.split()[1]), body(), writer.close

    async def events(
        self, pieces: AsyncIterator[bytes], form: str, rng: random.Random
    ) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
        """Parse a stream; at times read slowly, or leave anywhere."""
        left = rng.choice((10**9, 10**9, rng.randint(1, 3000), rng.randint(1, 300_000)))
        if self.calm:
            left = 10**9
        slow = rng.random() < 0.2 and not self.calm
        rest = b""
        mark = b"\n\n" if form == "sse" else b"\n"
        async for piece in pieces:
            if slow:
                await asyncio.sleep(rng.choice((0, 0.05, 0.6)))
            cut = len(piece) >= left
            rest += piece[:left]
            left -= len(piece)
            *whole, rest = rest.split(mark)
            for one in whole:
                if form == "sse":
                    fields = dict(
                        line.split(": ", 1)
                        for line in one.decode().split("\n")
                        if ": " in line and line[0] != ":"
                    )
                    if "data" in fields:
                        yield fields["event"], fields["id"], sound(fields["data"])
                elif one.strip():
                    value = sound(one.decode())
                    yield value["event"], value["id"], value["data"]
            if cut:
                return

    #: Whether clients no longer leave by themselves, and no server is killed.
    calm = False

    def complete(self, session_id: UUID, got: Got, *, whole: bool = True) -> bool:
        """Whether a client has all there is of a session."""
        if not (self.written and self.calm):
            return False
        if session_id not in self.there:
            return True
        owed, records = self.files[session_id][-1].records, got.records
        # A page has long texts cut.
        other = whole and owed and records and owed[-1][1] != records[-1][1]
        return len(owed) == len(records) and not other

    async def follow(self, session_id: UUID, rng: random.Random, form: str) -> Got:
        """A client of one session's stream, as a browser's EventSource is one, but for its whims."""
        got = Got()
        last: str | None = None
        more = 2
        while more:
            complete = self.complete(session_id, got)
            more -= complete
            headers = {"accept": "application/x-ndjson"} if form == "ndjson" else {}
            query = rng.choice(("", "?wait=1"))
            if last and rng.random() < 0.7:
                headers["last-event-id"] = last
            elif last:
                query = f"?after={last}"
            try:
                status, pieces, leave = await self.ask(
                    f"/api/sessions/{session_id}/events{query}", headers
                )
            except _Gone:
                await asyncio.sleep(_AGAIN_S)
                continue
            try:
                if status == 200:
                    outcome = None
                    async for event, event_id, data in self.events(pieces, form, rng):
                        assert outcome is None, "something behind an end"
                        last = event_id
                        if event == "end":
                            outcome = data["outcome"]
                        else:
                            assert not complete, f"{event} behind all there is: {data}"
                            got.add(data, event_id)
                    if outcome in {"deleted", "replaced"}:
                        got.anew()
                        last = None
                elif status in {404, 409}:
                    got.anew()
                    last = None
                    await asyncio.sleep(_AGAIN_S)
                elif status == 204:
                    await asyncio.sleep(_AGAIN_S)
                    if self.calm and not complete:
                        last = got.ids[-1] if got.ids else None
                else:
                    assert status == 503, status
                    await asyncio.sleep(_AGAIN_S)
            finally:
                leave()
            if not self.calm and rng.random() < 0.3:
                last = got.back(rng)
            await asyncio.sleep(rng.choice((0, 0, _AGAIN_S)))
        return got

    async def page(self, session_id: UUID, rng: random.Random) -> Got:
        """A client that asks for page after page."""
        got = Got()
        while not self.complete(session_id, got, whole=False):
            query = f"?limit={rng.choice((1, 7, 200, 1000))}"
            if got.ids:
                query += f"&after={got.ids[-1]}"
            try:
                status, body = await self.fetch(f"/api/sessions/{session_id}/records{query}")
            except _Gone:
                await asyncio.sleep(_AGAIN_S)
                continue
            if status == 200:
                for record in sound(body.decode())["records"]:
                    got.add(record, record["cursor"])
            else:
                assert status in {404, 409, 503}, status
                if status != 503:
                    got.anew()
            if not self.calm and rng.random() < 0.2:
                got.back(rng)
            await asyncio.sleep(rng.choice((0, _AGAIN_S, 0.2)))
        return got

    async def follow_directory(
        self, asked: list[UUID], rng: random.Random, form: str
    ) -> dict[UUID, Got]:
        """A client of the directory's stream, who makes another one where a session begins anew."""
        got = {one: Got() for one in asked}
        places = {one: START.encode() for one in asked}
        over: set[UUID] = set()
        listed: dict[str, str] = {}
        last: str | None = None
        #: By the id of an event, what was got then: of each session, which file and how much.
        history: list[tuple[str, dict[UUID, tuple[int, int]]]] = []
        while not (
            all(self.complete(one, got[one]) for one in asked) and listed == await self.states()
        ):
            query = [("session", str(one)) for one in asked]
            headers = {"accept": "application/x-ndjson"} if form == "ndjson" else {}
            if last is not None:
                headers["last-event-id"] = last
            else:
                query += [("after", f"{one}:{place}") for one, place in places.items()]
            try:
                status, pieces, leave = await self.ask(f"/api/events?{urlencode(query)}", headers)
            except _Gone:
                await asyncio.sleep(_AGAIN_S)
                continue
            anew: UUID | None = None
            try:
                if status != 200:
                    assert status == 503, status
                    await asyncio.sleep(_AGAIN_S)
                    continue
                async for event, event_id, data in self.until_calm(
                    self.events(pieces, form, rng), asked, got
                ):
                    last = event_id
                    places = places_in(event_id)
                    if event == "ready":
                        if not data["complete"]:
                            listed = await self.states()
                            anew = next(
                                (o for o in over if listed.get(str(o), "closed") != "closed"), None
                            )
                    elif event == "end":
                        one = UUID(data["session_id"])
                        if data["outcome"] in {"deleted", "replaced"}:
                            anew = one
                        elif data["outcome"] == "closed":
                            over.add(one)
                    elif event in {"header", "chunk", "trailer", "damage"}:
                        one = UUID(data["session_id"])
                        got[one].add(data, event_id)
                        counts = {o: (len(g.segments), len(g.records)) for o, g in got.items()}
                        history.append((event_id, counts))
                    elif event == "deleted":
                        listed.pop(data["id"], None)
                    elif event == "unreadable":
                        self.log.append(f"unreadable: {data}")
                    else:
                        assert event in {
                            "started",
                            "closed",
                            "abandoned",
                            "resumed",
                            "replaced",
                            "changed",
                        }
                        listed[data["id"]] = data["state"]
                        if event != "closed" and UUID(data["id"]) in over:
                            anew = UUID(data["id"])
                    if anew is not None:
                        break
            finally:
                leave()
            if anew is None and self.calm and self.written:
                # What ended while this was away may have begun anew, and ended again.
                places = {o: place.partition("~")[0] for o, place in places.items()}
                last = None
                over.clear()
            if anew is not None:
                got[anew].anew()
                over.discard(anew)
                places[anew] = START.encode()
                last = None
            elif not self.calm and history and rng.random() < 0.3:
                event_id, counts = rng.choice(history[-3000:])
                if all(len(got[o].segments) == segments for o, (segments, _) in counts.items()):
                    for one, (_, count) in counts.items():
                        del got[one].records[count:]
                        del got[one].ids[count:]
                    last, places = event_id, places_in(event_id)
                    over = {o for o, place in places.items() if place.endswith("~closed")}
                    history = [
                        h for h in history if all(h[1][o][1] <= c[1] for o, c in counts.items())
                    ]
                    # It is as old as the id.
                    listed = {}
                    last = None if rng.random() < 0.5 else last
        return got

    async def until_calm(
        self, events: Any, asked: list[UUID], got: dict[UUID, Got]
    ) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
        """Events; ends where nothing more is to come."""
        waiting: asyncio.Task[Any] | None = None
        calm = self.calm
        quiet = 0
        try:
            while True:
                waiting = waiting or asyncio.ensure_future(anext(events, None))
                done, _ = await asyncio.wait([waiting], timeout=0.2)
                if done:
                    value, waiting = waiting.result(), None
                    quiet = 0
                    if value is None:
                        return
                    yield value
                elif self.calm and not calm:
                    return  # once more, calmly
                elif calm and all(self.complete(one, got[one]) for one in asked):
                    quiet += 1
                    if quiet > 2:
                        return
        finally:
            if waiting is not None:
                waiting.cancel()

    async def await_users(self, session_id: UUID, rng: random.Random) -> Got:
        """An agent that waits for one user's row after another, by the tool."""
        got = Got()
        while True:
            asked: dict[str, Any] = {
                "session": str(session_id),
                "kinds": ["user"],
                "timeout_s": rng.choice((0, 1, 5)),
            }
            if got.ids:
                asked["after"] = got.ids[-1]
            call = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "wait_for", "arguments": asked},
            }
            accept = rng.choice(("application/json", "application/json, text/event-stream"))
            limit_s = 0.3 if rng.random() < 0.2 and not self.calm else 30
            try:
                async with asyncio.timeout(limit_s):
                    status, body = await self.fetch(
                        "/mcp", {"accept": accept}, json.dumps(call).encode()
                    )
            except (_Gone, TimeoutError):
                await asyncio.sleep(_AGAIN_S)
                continue
            assert status in {200, 503}, (status, body)
            if status == 503:
                await asyncio.sleep(_AGAIN_S)
                continue
            text = body.decode()
            if not text:
                continue  # cut off
            if "event-stream" in accept and not text.startswith("{"):
                found = [
                    json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")
                ]
                if not found or "id" not in found[-1]:
                    continue
                answer = found[-1]
            else:
                answer = json.loads(text)
            result = answer.get("result")
            if result is None or result.get("isError"):
                said = json.dumps(answer)
                if "stops" not in said and "stopping" not in said:
                    self.log.append(f"wait_for: {said[:300]}")
                if got.ids and ("fit" in said or "cursor" in said):
                    got.anew()
                await asyncio.sleep(_AGAIN_S)
                if self.written and self.calm and session_id not in self.there:
                    return got
                continue
            found = result["structuredContent"]
            if found["ended_by"] == "record":
                got.records.append((found["record"]["line"], 0))
                got.ids.append(found["next"])
                continue
            if found.get("outcome") in {"deleted", "replaced"}:
                got.anew()
                continue
            if got.ids:
                got.ids[-1] = found["next"]
            if self.written and self.calm:
                return got
            await asyncio.sleep(_AGAIN_S)

    async def states(self) -> dict[str, str]:
        """The state of each session as it is listed, page by page."""
        found: dict[str, str] = {}
        cursor = ""
        while True:
            try:
                status, body = await self.fetch(f"/api/sessions?sort=created&limit=7{cursor}")
            except _Gone:
                status = 503
            if status != 200:
                await asyncio.sleep(_AGAIN_S)
                continue
            page = json.loads(body)
            found.update((meta["id"], meta["state"]) for meta in page["sessions"])
            if page["next"] is None:
                return found
            cursor = f"&cursor={page['next']}"

    async def fetch(
        self, path: str, headers: dict[str, str] | None = None, data: bytes | None = None
    ) -> tuple[int, bytes]:
        """Ask for what is a whole answer."""
        status, pieces, leave = await self.ask(
            path, {"connection": "close", **(headers or {})}, data, whole=True
        )
        try:
            return status, b"".join([piece async for piece in pieces])
        finally:
            leave()

    # All of it

    async def run(
        self, sessions: int, real: int, clients: int, acts: int, restarts: int
    ) -> list[str]:
        """Run; return what is wrong."""
        rng = self.rng
        ids = [UUID(int=rng.getrandbits(128), version=4) for _ in range(sessions + real)]
        wrong: list[str] = []

        def check(who: str, session_id: UUID, got: Got) -> None:
            files = self.files[session_id]
            for number, (records, _) in enumerate(got.segments):
                faults = [one.begins_with(records) for one in files]
                if None not in faults:
                    wrong.append(f"{who} {session_id} part {number}: {faults}")
            if session_id in self.there and len(got.records) != len(files[-1].records):
                wrong.append(f"{who} {session_id}: {len(got.records)} of {len(files[-1].records)}")

        async def one(number: int) -> None:
            mine = random.Random(f"{number} {rng.random()}")
            kind = KINDS[number % len(KINDS)]
            session_id = mine.choice(ids)
            who = f"client {number} {kind}"
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await asyncio.sleep(mine.uniform(0, 1))
                    if kind in {"sse", "ndjson"}:
                        check(who, session_id, await self.follow(session_id, mine, kind))
                    elif kind == "pages":
                        got = await self.page(session_id, mine)
                        # Texts are cut there: only lines count.
                        for records, _ in got.segments:
                            lines = [line for line, _ in records]
                            if lines != [*range(1, len(lines) + 1)]:
                                wrong.append(f"{who}: {lines[:50]}")
                        if session_id in self.there and len(got.records) != len(
                            self.files[session_id][-1].records
                        ):
                            wrong.append(f"{who}: {len(got.records)}")
                    elif kind == "mcp":
                        got = await self.await_users(session_id, mine)
                        users = [
                            [i + 1 for i, (v, _) in enumerate(g.records) if v.get("kind") == "user"]
                            for g in self.files[session_id]
                        ]
                        for records, _ in got.segments:
                            lines = [line for line, _ in records]
                            if not any(lines == each[: len(lines)] for each in users):
                                wrong.append(f"{who} {session_id}: {lines[:50]}")
                    else:
                        asked = mine.sample(ids, min(len(ids), mine.randint(1, 8)))
                        form = kind.partition(" ")[2]
                        for each, got in (await self.follow_directory(asked, mine, form)).items():
                            check(who, each, got)
            except TimeoutError:
                wrong.append(f"{who} {session_id} is not done")
            except Exception as error:
                wrong.append(f"{who} {session_id}: {error!r}")
                raise

        await asyncio.to_thread(self.start)
        with WriterServer(self.home) if real else nullcontext() as writers:
            async with asyncio.TaskGroup() as all_of_it:
                for number in range(clients):
                    all_of_it.create_task(one(number))
                async with asyncio.TaskGroup() as writing:
                    for each in ids[:sessions]:
                        writing.create_task(self.write(each, random.Random(f"w{each}"), acts))
                    for each in ids[sessions:]:
                        assert writers is not None
                        writing.create_task(
                            self.write_for_real(writers, each, random.Random(f"r{each}"))
                        )
                    writing.create_task(self.restart_now_and_then(restarts))
                self.written = True
                await asyncio.sleep(0.3)
                self.calm = True
        await asyncio.to_thread(self.end, signal.SIGTERM)
        return wrong


KINDS = (
    "sse",
    "directory sse",
    "ndjson",
    "directory ndjson",
    "pages",
    "sse",
    "mcp",
    "directory sse",
)


def places_in(event_id: str) -> dict[UUID, str]:
    """The place of each session that is in the id of an event of a directory's stream."""
    return {UUID(one[:36]): one[37:] for one in event_id.split(",")[1:]}


def _serve(directory: str, port: int, ring_bytes: int) -> None:
    from functools import partial

    import anyio

    from sessiontail import SessionStore
    from sessiontail.service import Limits, create_app
    from sessiontail.service.live import sharing
    from sessiontail.service.server import listen, serve, url_of

    sharing._MOST_BYTES = sharing._LEAST_BYTES = ring_bytes
    app = create_app(SessionStore(directory), limits=Limits(heartbeat_s=0.1, send_timeout_s=0.4))
    with listen("127.0.0.1", port) as listener:

        def ready() -> None:
            sys.stdout.write(url_of(listener) + "\n")
            sys.stdout.flush()

        def tell(text: str) -> None:
            sys.stderr.write(f"server says: {text}\n")

        anyio.run(partial(serve, app, listener, ready=ready, tell=tell))


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
