"""The page in Chromium: what a person sees of agents at work, on a server in a process of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from actors import Actor
from browsers import Watched, browser, faults, open_page, usual, violations
from samples import chunk_line, header_line, session_bytes, trailer_line
from served import Served, mounted
from wires import Wire
from writers import real_writer

__all__ = ["browser", "faults", "open_page", "usual"]

Open = Callable[..., Page]

# Whatever a browser says of a server that is away.
AWAY = r"net::ERR_(CONNECTION_|EMPTY_RESPONSE|INCOMPLETE_CHUNKED|SOCKET)"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sessions of all tests: each makes its own."""
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """A server for one test alone; asked for before ``open_page``, it outlives the pages."""
    with Served("--dir", tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def served(directory: Path) -> Iterator[Served]:
    """The command, at work."""
    with Served("--dir", directory) as server:
        yield server


def show(page: Page, session_id: UUID | str, line: int | None = None) -> None:
    """Go to a session in a page that is open, as a link does."""
    page.evaluate("hash => { location.hash = hash; }", place(session_id, line))


def place(session_id: UUID | str, line: int | None = None) -> str:
    return f"#/s/{session_id}" + (f"?line={line}" if line else "")


def record(page: Page, line: int) -> Locator:
    return page.locator(f'#records .record[data-line="{line}"]')


def said(page: Page) -> list[tuple[int, str]]:
    """What messages are drawn: line and text."""
    found = page.evaluate(
        "[...document.querySelectorAll('#records .record')].flatMap(row => {"
        " const text = row.querySelector('.said'); return text ? [[+row.dataset.line, text.textContent]] : []; })"
    )
    return [tuple(one) for one in found]


def until(page: Page, condition: str, value: Any = None) -> None:
    """Wait until JavaScript says yes."""
    page.wait_for_function(condition, arg=value)


def live(page: Page) -> None:
    """Wait until the page hears of news."""
    expect(page.locator("#connection-word")).to_have_text("connected")


def listed(page: Page, session_id: UUID) -> Locator:
    return page.locator(f'#session-list a[href="{place(session_id)}"]')


def shown_whole(page: Page, writer: Actor) -> list[tuple[int, str]]:
    """All messages of a session as the page has them, a screenful after the other."""
    found: dict[int, str] = {}
    lines = writer.data.count(b"\n")
    for line in range(2, lines + 1, 40):
        show(page, writer.id, line)
        record(page, line).wait_for()
        until(page, "() => !document.querySelector('#rows .pending')")
        found |= said(page)
    return sorted(found.items())


def written(writer: Actor) -> list[tuple[int, str]]:
    """What a writer has said: line and text."""
    lines = [json.loads(line) for line in bytes(writer.data).splitlines()]
    return [
        (number, line["payload"]["content"])
        for number, line in enumerate(lines, 1)
        if line["record_type"] == "chunk"
    ]


def test_what_a_writer_appends_appears_as_it_is_written_in_order_and_once(
    open_page: Open, served: Served, directory: Path
) -> None:
    writer, session_id = real_writer(), uuid4()
    writer("open", home=directory, session_id=session_id)
    page = open_page(f"{served.url}/{place(session_id)}")
    record(page, 1).wait_for()
    shown = []
    for number in range(8):
        writer("write", text=f"text {number}")
        record(page, number + 2).wait_for()
        shown.append(said(page))
    writer("close")
    expect(page.locator("#outcome")).to_have_text("This session is closed. Nothing more comes.")

    texts = [(number + 2, f"text {number}") for number in range(8)]
    assert shown == [texts[: number + 1] for number in range(8)]
    assert said(page) == texts


def test_sessions_that_start_grow_close_and_crash_move_in_the_list(
    open_page: Open, served: Served, directory: Path
) -> None:
    page = open_page(served.url)
    live(page)
    with Actor(directory, uuid4()) as one, Actor(directory, uuid4()) as other:
        one.open().say("Why is the sky blue?")
        other.open().say("And the sea?")
        row, below = listed(page, one.id), listed(page, other.id)
        expect(row.locator(".title")).to_have_text("Why is the sky blue?")
        expect(row.locator(".state")).to_have_text("live")
        expect(below.locator(".state")).to_have_text("live")
        expect(row.locator(".tokens")).to_have_text("— tok")
        one.say("x" * 5000)
        expect(row.locator(".size")).to_have_text(f"{len(one.data) / 1000:.1f} kB")
        one.write(trailer_line(2, (1000, 234, 1234)))
        one.kill()
        one.rename()
        other.kill()

        expect(row.locator(".state")).to_have_text("closed")
        expect(row.locator(".tokens")).to_have_text("1.2k tok")
        expect(below.locator(".state")).to_have_text("abandoned")
        one.final.unlink()
        expect(row).to_have_count(0)


def test_a_session_that_is_deleted_is_told_and_shown_when_it_is_there_again(
    open_page: Open, faults: Watched, served: Served, directory: Path
) -> None:
    faults.expect("status of 404")
    session_id = uuid4()
    page = open_page(f"{served.url}/{place(session_id, 2)}")
    expect(page.locator("#missing-why")).to_contain_text(f"There is no session {session_id}.")
    live(page)  # it listens all the same
    with Actor(directory, session_id) as writer:
        writer.open().say("here")
        expect(record(page, 2)).to_contain_text("here")
        expect(page.locator("#kinds")).to_have_text("user1")  # it is followed
        live(page)
        writer.kill()
        writer.wal.unlink()
        expect(page.locator("#outcome")).to_contain_text("This session was deleted.")
        left = said(page)
    with Actor(directory, session_id) as again:
        again.open().say("new", "newer")
        record(page, 3).wait_for()

        assert left == [(2, "here")]
        assert said(page) == [(2, "new"), (3, "newer")]


def test_a_session_that_another_one_takes_the_place_of_begins_anew(
    open_page: Open, served: Served, directory: Path
) -> None:
    with Actor(directory, uuid4()) as writer:
        writer.open().say("old")
        page = open_page(f"{served.url}/{place(writer.id)}")
        expect(record(page, 2)).to_contain_text("old")
        expect(page.locator("#kinds")).to_have_text("user1")  # it is followed
        live(page)
        writer.kill()
        with Actor(directory, writer.id) as other:
            writer.wal.unlink()
            other.open().say("new", "newer")
            record(page, 3).wait_for()

            assert said(page) == [(2, "new"), (3, "newer")]


class Chatter:
    """A writer that goes on, whatever happens to those who read."""

    def __init__(self, writer: Actor) -> None:
        import threading

        self._writer = writer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        # So many that a page has some of them, and so few that a slow machine gets through.
        while not self._stop.wait(0.02) and number < 500:
            self._writer.say(f"word {number}")
            number += 1


def test_a_server_that_is_killed_and_started_anew_costs_no_record_and_repeats_none(
    own: Served, open_page: Open, faults: Watched, tmp_path: Path
) -> None:
    faults.expect(AWAY)
    with Actor(tmp_path, uuid4()) as writer:
        writer.open()
        page = open_page(f"{own.url}/{place(writer.id)}", height=3000)
        record(page, 1).wait_for()
        with Chatter(writer):
            live(page)
            own.kill()
            page.locator("#lost").wait_for()
            own.start()
            live(page)
        writer.say("the last")
        record(page, len(written(writer)) + 1).wait_for()

        count = page.locator('#kinds [data-kind="user"] .amount')
        expect(count).to_have_text(str(len(written(writer))))
        assert shown_whole(page, writer) == written(writer)


def test_a_record_that_was_counted_before_it_came_is_counted_once(
    open_page: Open, served: Served, directory: Path
) -> None:
    with Actor(directory, uuid4()) as writer:
        writer.open().say("one")
        page = open_page(served.url)
        streams: list[Route] = []
        followed = re.compile(r"/api/events\?session=")
        page.route(followed, lambda route: streams.append(route))  # noqa: PLW0108 - it marks what it calls
        show(page, writer.id)
        expect(page.locator("#kinds")).to_have_text("user1")
        writer.say("two")
        page.reload(wait_until="domcontentloaded")
        expect(page.locator("#kinds")).to_have_text("user2")
        streams[0].abort()
        streams[-1].continue_(url=streams[0].request.url)  # from before the second
        writer.say("three")
        record(page, 4).wait_for()

        expect(page.locator("#kinds")).to_have_text("user3")
        page.unroute(followed)


def test_a_connection_that_is_cut_is_told_and_taken_up_where_it_was(
    open_page: Open, faults: Watched, served: Served, directory: Path
) -> None:
    faults.expect(AWAY)
    with Wire(served.port) as wire, Actor(directory, uuid4()) as writer:
        writer.open()
        url = f"http://127.0.0.1:{wire.port}/{place(writer.id)}"
        page = open_page(url, height=3000)
        record(page, 1).wait_for()
        with Chatter(writer):
            for _ in range(2):
                live(page)
                wire.cut()
                expect(page.locator("#lost")).to_contain_text("Reconnecting…")
                wire.mend()
            live(page)
        writer.say("the last")
        record(page, len(written(writer)) + 1).wait_for()
        page.locator("#lost").wait_for(state="hidden")

        assert shown_whole(page, writer) == written(writer)


# Each tells by window.owned, by a dialog or by the page's policy that it was taken for more than text.
HOSTILE = [
    "<script>window.owned = 1; alert(1)</script>",
    '<img src=x onerror="window.owned = 1">',
    "</textarea></title></script><svg onload=window.owned=1>",
    '<a href="javascript:window.owned=1">a</a> [b](javascript:window.owned=1)',
    "```html\n<iframe srcdoc='<script>parent.owned=1</script>'></iframe>\n```",
    '"><style>*{display:none}</style><base href=//example.org><meta http-equiv=refresh content=0>',
]
UNSAFE = [
    ("\u202egnp.exe\u202c \u2066x\u2069 \u200f", r"\u202egnp.exe\u202c \u2066x\u2069 \u200f"),
    ("nul \x00 bell \x07 esc \x1b[2J", r"nul \x00 bell \x07 esc \x1b[2J"),
    ("half \ud83d of a letter", r"half \ud83d of a letter"),
]


def hostile_session(session_id: UUID) -> bytes:
    """A session that is hostile in every part; damage on lines 2 and 3."""
    name = '<img src=x onerror="window.owned = 1">'
    call = {"id": name, "type": "function", "function": {"name": name, "arguments": ""}}
    calls = [
        call | {"function": {"name": name, "arguments": text}}
        for text in (
            '{"__proto__": {"owned": 1}, "<b>": "</script><script>window.owned = 1</script>"}',
            "<script>window.owned = 1</script>",
            "[" * 400 + "]" * 400,
        )
    ]
    calls.append({"id": "constructor", "function": {"name": "__proto__", "arguments": "{}"}})
    texts = [*HOSTILE, *(text for text, _ in UNSAFE), "W" * 3000, "a\u0301" + "\u0338" * 2000]
    chunks = [
        *({"kind": "user", "payload": {"content": text}} for text in texts),
        {"kind": "assistant", "payload": {"content": HOSTILE[0], "tool_calls": calls}},
        {"kind": "tool_result", "payload": {"tool_call_id": name, "name": name, "content": name}},
        {"kind": "tool_result", "payload": {"tool_call_id": "__proto__", "name": {}, "content": 1}},
        {"kind": "user", "payload": {"content": [{"type": name}, {"text": name}, [[[]]], None, 5]}},
        {
            "kind": "assistant",
            "payload": {"content": {"a": name}, "tool_calls": [None, 1, {}, "x"]},
        },
        {"kind": "system", "payload": {}},
    ]
    lines = [
        # Escapes: a lone surrogate has no bytes.
        json.dumps({"record_type": "chunk", "index": index, **chunk}).encode() + b"\n"
        for index, chunk in enumerate(chunks)
    ]
    head = header_line(session_id, lineage_operator=name, lineage_extras=[[name, name]])
    damaged = [f"{HOSTILE[1]}\n".encode(), b'{"record_type": "<b>\xff\n']
    return b"".join([head, *damaged, *lines, trailer_line(len(lines))])


def test_hostile_text_is_text_and_nothing_else(
    open_page: Open, served: Served, directory: Path
) -> None:
    session_id = uuid4()
    (directory / f"{session_id}.jsonl").write_bytes(hostile_session(session_id))
    page = open_page(f"{served.url}/{place(session_id)}", height=6000)
    record(page, 21).wait_for()
    listed(page, session_id).wait_for()
    page.locator("#usage-fold summary").click()
    expect(page.locator("#usage")).to_contain_text("calls")

    for line, text in enumerate(HOSTILE, 4):
        expected = text.removeprefix("```html\n").removesuffix("\n```")
        assert record(page, line).locator(".said, .code").inner_text() == expected
    for line, (_, text) in enumerate(UNSAFE, 4 + len(HOSTILE)):
        assert record(page, line).locator(".said").inner_text() == text
    assert record(page, 2).locator(".output").inner_text() == HOSTILE[1]
    assert page.evaluate("window.owned ?? ({}).owned ?? null") is None
    assert (
        page.locator("img, iframe, object, embed, base, #rows :is(script, style, form)").count()
        == 0
    )
    assert page.locator("a[href^='javascript:' i], a[href^='data:' i]").count() == 0
    assert page.title().startswith("<script>window.owned = 1; alert(1)</script>")
    # What is unsafe is nowhere, not even where it does not show.
    assert not re.search("[\x00\x07\x1b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page.content())
    wider = "id => { const e = document.querySelector(id); return e.scrollWidth - e.clientWidth; }"
    assert [page.evaluate(wider, part) for part in ("html", "#left", "#records")] == [0, 0, 0]
    assert page.locator("#left").bounding_box() is not None
    box = record(page, 13).bounding_box()
    assert box is not None
    assert box["height"] < 2500


def test_a_line_of_3_mb_is_cut_in_the_list_and_whole_where_somebody_asks(
    open_page: Open, served: Served, directory: Path
) -> None:
    text = "".join(f"<b>{number:1000}</b>\n" for number in range(3000))
    with Actor(directory, uuid4()) as writer:
        writer.open().say("short")
        page = open_page(f"{served.url}/{place(writer.id)}")
        record(page, 2).wait_for()
        writer.say(text, "behind it")
        record(page, 4).wait_for()
        show(page, writer.id, 3)
        assert len(record(page, 3).inner_text()) < 5000
        record(page, 3).get_by_role("button", name="Show all: ").click()
        viewer = page.locator("#viewer-text")
        expect(page.locator("#viewer-status")).to_contain_text("shown; scroll on for more")
        begun = viewer.text_content() or ""
        page.locator("#viewer-more").evaluate("more => { while (!more.hidden) more.click(); }")

        assert 10_000 < len(begun) < 200_000
        expect(page.locator("#viewer-status")).to_have_text("All is shown")
        assert viewer.text_content() == text
        page.keyboard.press("Escape")
        page.locator("#viewer").wait_for(state="hidden")
        expect(viewer).to_have_text("")


def long_session(session_id: UUID, records: int) -> bytes:
    """Questions, calls, results and answers, in turn; of line N the text says N."""
    lines = [header_line(session_id)]
    for line in range(2, records + 2):
        match line % 4:
            case 2:
                lines.append(chunk_line(line - 2, f"question on line {line}"))
            case 3:
                function = {"name": "look", "arguments": f'{{"line": {line}}}'}
                calls = [{"id": f"call-{line}", "type": "function", "function": function}]
                lines.append(chunk_line(line - 2, None, "assistant", tool_calls=calls))
            case 0:
                named = {"tool_call_id": f"call-{line - 1}", "name": "look"}
                lines.append(chunk_line(line - 2, f"seen on line {line}", "tool_result", **named))
            case _:
                lines.append(chunk_line(line - 2, f"answer on line {line}", "assistant"))
    return b"".join([*lines, trailer_line(records)])


@pytest.fixture(scope="module")
def long_id(directory: Path) -> UUID:
    """A session of 100,000 records."""
    session_id = uuid4()
    (directory / f"{session_id}.jsonl").write_bytes(long_session(session_id, 100_000))
    return session_id


def in_view(page: Page, line: int) -> bool:
    """Whether the line is where one looks: inside of the list's own window."""
    inside: bool = page.evaluate(
        """line => {
          const row = document.querySelector(`#records .record[data-line="${line}"]`);
          if (!row) return false;
          const [seen, box] = [row.getBoundingClientRect(), document.querySelector("#records").getBoundingClientRect()];
          return seen.bottom > box.top + 1 && seen.top < box.bottom - 1;
        }""",
        line,
    )
    return inside


# What is wrong with the rows that are drawn: a gap, an overlap, an order, a part of the list without a row.
CRACKS = """() => {
  const list = document.querySelector("#records").getBoundingClientRect();
  const rows = [...document.querySelectorAll("#rows > *")];
  const boxes = rows.map((row) => row.getBoundingClientRect());
  const cracks = [];
  for (let at = 1; at < rows.length; at += 1) {
    if (Math.abs(boxes[at].top - boxes[at - 1].bottom) > 1) cracks.push(`a gap above row ${at}`);
    const [before, line] = [rows[at - 1], rows[at]].map((row) => Number(row.dataset.line));
    if (line !== before + 1) cracks.push(`line ${line} below ${before}`);
  }
  if (boxes[0].top > list.top + 1) cracks.push("nothing at the top");
  if (boxes.at(-1).bottom < list.bottom - 1) cracks.push("nothing at the bottom");
  return cracks;
}"""


def test_records_are_shown_before_it_is_known_how_many_there_are(
    open_page: Open, served: Served, long_id: UUID
) -> None:
    page = open_page(served.url)
    counted: list[Route] = []
    brief = re.compile(r"counts=false$")
    page.route(brief, lambda route: counted.append(route))  # noqa: PLW0108 - it marks what it calls
    rows = page.locator("#rows .record")
    for line, shown in ((None, 1), (50_002, 50_002)):
        page.evaluate("() => { location.hash = '#/'; }")
        show(page, long_id, line)
        record(page, shown).wait_for()
        show(page, long_id, 99_990)
        rows.last.wait_for()
        counted.pop().continue_()
        expect(record(page, 99_990)).to_have_class(re.compile(r"\bmarked\b"))
    page.unroute(brief)


def test_100_000_records_are_a_few_rows_whichever_is_looked_at(
    open_page: Open, served: Served, long_id: UUID
) -> None:
    page = open_page(f"{served.url}/{place(long_id)}")
    acts: list[tuple[Callable[[], object], int | None]] = [
        (lambda: None, 1),
        (lambda: page.keyboard.press("G"), 100_002),
        (lambda: show(page, long_id, 50_002), 50_002),
        (lambda: page.mouse.wheel(0, -30_000), None),
        (lambda: page.keyboard.press("g"), 1),
        (lambda: show(page, long_id, 99_990), 99_990),
    ]
    rows = []
    for act, line in acts:
        act()
        if line is not None:
            record(page, line).wait_for()
            assert in_view(page, line)
        # A wheel's turn is answered behind it: rows are placeholders until their page is there.
        until(page, f"() => !document.querySelector('#rows .pending') && !({CRACKS})().length")
        rows.append(page.locator("#rows > *").count())
    texts = dict(said(page))

    assert max(rows) < 80
    assert texts[99_990] == "question on line 99990"
    assert all(text.endswith(f"on line {line}") for line, text in texts.items())


def test_a_link_to_a_line_shows_and_marks_it_and_the_way_back_leads_back(
    open_page: Open, faults: Watched, served: Served, long_id: UUID, directory: Path
) -> None:
    brief = uuid4()
    (directory / f"{brief}.jsonl").write_bytes(session_bytes(session_id=brief))
    faults.expect("status of 404")
    page = open_page(f"{served.url}/{place(long_id, 90_002)}")
    expect(record(page, 90_002)).to_have_class(re.compile(r"\bmarked\b"))
    seen = [in_view(page, 90_002)]
    record(page, 90_002).locator("a.line").click()
    show(page, long_id, 123)
    expect(record(page, 123)).to_have_class(re.compile(r"\bmarked\b"))
    seen.append(in_view(page, 123))
    show(page, brief)
    expect(page.locator("#session-title")).to_have_text("hi")
    page.go_back()
    expect(record(page, 123)).to_have_class(re.compile(r"\bmarked\b"))
    seen.append(in_view(page, 123))
    page.go_back()
    expect(record(page, 90_002)).to_have_class(re.compile(r"\bmarked\b"))
    seen.append(in_view(page, 90_002))

    assert seen == [True] * 4
    assert page.locator("#records .marked").count() == 1
    assert dict(said(page))[90_002] == "question on line 90002"
    show(page, uuid4())
    expect(page.locator("#missing-why")).to_contain_text("There is no session")


def test_each_key_of_the_help_does_what_it_says(
    own: Served, open_page: Open, tmp_path: Path
) -> None:
    one, two = UUID(int=1), UUID(int=2)
    for session_id in (one, two):
        (tmp_path / f"{session_id}.jsonl").write_bytes(long_session(session_id, 400))
    page = open_page(own.url)
    expect(page.locator("#session-list a")).to_have_count(2)
    selected = page.locator("#records .selected")
    follow = page.locator("#follow")
    current = page.locator('#session-list a[aria-current="page"]')
    shown: dict[str, None] = {}

    def press(key: str) -> None:
        shown[key] = None
        page.keyboard.press({"Esc": "Escape"}.get(key, key))

    press("?")
    page.locator("#help").wait_for()
    press("Esc")
    page.locator("#help").wait_for(state="hidden")
    for key, session_id in (("n", two), ("n", one), ("p", two), ("J", one), ("K", two)):
        press(key)
        expect(current).to_have_attribute("href", place(session_id))
    record(page, 1).wait_for()
    for key, line in (("j", 1), ("j", 2), ("j", 3), ("k", 2)):
        press(key)
        expect(selected).to_have_attribute("data-line", str(line))
    for key, line in (("G", 402), ("g", 1)):
        press(key)
        record(page, line).wait_for()
        assert in_view(page, line)
    for pressed in ("true", "false"):
        press("f")
        expect(follow).to_have_attribute("aria-pressed", pressed)
    for key, field in (("s", page.locator("#query")), ("/", page.locator("#filter"))):
        press(key)
        expect(field).to_be_focused()
        page.keyboard.type("no such")
        press("Esc")
        expect(field).not_to_be_focused()
        press(key)
        page.keyboard.type("nothing")  # in place of what was there
        expect(field).to_have_value("nothing")
        press("Esc")
        press("Esc")
        expect(field).to_have_value("")
    show(page, two, 3)
    expect(selected).to_have_attribute("data-line", "3")
    fold = record(page, 3).locator("details")
    opened = [fold.evaluate("one => one.open")]
    for key in ("o", "o", "Enter", "Enter"):
        press(key)
        opened.append(fold.evaluate("one => one.open"))

    assert opened == [opened[0], not opened[0], opened[0], not opened[0], opened[0]]
    assert {*shown} == {*page.locator("#help kbd").all_text_contents()}


def test_records_are_filtered_by_kind_and_by_text(
    open_page: Open, served: Served, long_id: UUID
) -> None:
    page = open_page(f"{served.url}/{place(long_id)}")
    record(page, 1).wait_for()
    kinds = ["user25,000", "assistant50,000", "tool result25,000"]
    expect(page.locator("#kinds button")).to_have_text(kinds)
    page.locator("#filter").fill("ON LINE 7777")
    expect(page.locator("#found")).to_have_text("8 records")
    matching = said(page)
    page.locator('#kinds [data-kind="user"]').click()
    expect(page.locator("#found")).to_have_text("3 records")
    users = said(page)
    page.locator("#filter").fill("nobody said this")
    page.locator("#no-record").wait_for()
    page.locator("#clear-filter").click()
    record(page, 77_771).wait_for()  # the place stays
    page.locator("#no-record").wait_for(state="hidden")

    lines = [n for n in (7777, *range(77770, 77780)) if n % 4 in {1, 2}]
    assert [line for line, _ in matching] == lines
    assert users == [(n, f"question on line {n}") for n in lines if n % 4 == 2]
    assert page.locator("#rows mark").count() == 0


def test_who_reads_further_up_is_told_how_much_is_new_and_stays_there(
    open_page: Open, served: Served, directory: Path
) -> None:
    with Actor(directory, uuid4()) as writer:
        writer.open().say(*(f"text {n}" for n in range(60)))
        page = open_page(f"{served.url}/{place(writer.id)}")
        record(page, 61).wait_for()
        jump = page.locator("#jump")
        jump.wait_for(state="hidden")
        show(page, writer.id, 20)
        record(page, 20).wait_for()
        before = record(page, 20).bounding_box()
        writer.say("new")
        expect(jump).to_contain_text("1 new, jump to the end")
        writer.say("newer", "newest")
        expect(jump).to_contain_text("3 new, jump to the end")
        after = record(page, 20).bounding_box()
        jump.click()
        record(page, 64).wait_for()
        jump.wait_for(state="hidden")
        writer.say("followed")
        record(page, 65).wait_for()

        assert before == after
        assert in_view(page, 65)


def talk(session_id: UUID, *, closed: bool = True, **fields: Any) -> bytes:
    """A session with everything in it that a page shows: a call and its result, damage on line 7."""
    function = {"name": "read_file", "arguments": '{"path": "dates.py", "lines": [1, 20]}'}
    calls = [
        {"id": "call_1", "type": "function", "function": function},
        {"id": "call_2", "type": "function", "function": {"name": "bash", "arguments": "{"}},
    ]
    lines = [
        header_line(session_id, **fields),
        chunk_line(0, "You fix failing tests.", "system"),
        chunk_line(1, "Why does the test fail?\n```python\nassert 1 == 2\n```\nPlease look."),
        chunk_line(2, None, "assistant", tool_calls=calls, reasoning_content="Hm."),
        chunk_line(3, "1\n" * 30, "tool_result", tool_call_id="call_1", name="read_file"),
        chunk_line(4, "", "tool_result", tool_call_id="call_0", name="bash"),
        b"no record\n",
        chunk_line(5, "Because 1 is not 2.", "assistant", tool_calls=None),
    ]
    return b"".join([*lines, *([trailer_line(6)] if closed else [])])


def test_a_call_and_its_result_lead_to_each_other_and_fold(
    open_page: Open, served: Served, directory: Path
) -> None:
    session_id = uuid4()
    (directory / f"{session_id}.jsonl").write_bytes(talk(session_id))
    page = open_page(f"{served.url}/{place(session_id)}", height=2500)
    call, result = record(page, 4).locator(".call"), record(page, 5)
    expect(call.first.locator("a.partner")).to_have_text("result, line 5")
    result.locator("a.partner").click()
    expect(record(page, 4)).to_have_class(re.compile("marked"))
    call.first.locator("summary").click()
    json_shown = call.first.locator(".json").inner_text()
    call.first.locator("summary").click()
    call.first.locator(".json").wait_for(state="hidden")
    call.nth(1).locator("summary").click()
    lines = result.locator(".output").inner_text().count("\n")
    result.get_by_role("button", name="Show all 31 lines").click()
    expect(result.get_by_role("button", name="Show less")).to_be_focused()

    assert json_shown == '{\n  "path": "dates.py",\n  "lines": [\n    1,\n    20\n  ]\n}'
    assert call.nth(1).locator(".partner").inner_text() == "no result known"
    assert call.nth(1).locator(".output").inner_text() == "{"
    assert record(page, 6).locator(".partner").inner_text() == "its call is not known here"
    assert result.locator(".output").inner_text().count("\n") > lines
    assert record(page, 4).locator(".thought").inner_text() == "reasoning"
    assert record(page, 7).locator("strong").inner_text() == "This line is no record: invalid-json"
    assert record(page, 7).locator(".output").inner_text() == "no record"
    assert record(page, 3).locator(".code").inner_text() == "assert 1 == 2"


def test_tokens_that_nobody_has_told_are_unknown_and_not_0(
    open_page: Open, served: Served, directory: Path
) -> None:
    session_id = uuid4()
    (directory / f"{session_id}.jsonl").write_bytes(talk(session_id))
    page = open_page(f"{served.url}/{place(session_id)}")
    expect(record(page, 9)).to_be_attached()
    facts = page.locator("#session-facts > div")
    tokens = facts.filter(has_text="Tokens").locator("dd")
    page.locator("#usage-fold summary").click()
    expect(page.locator("#usage")).to_contain_text("— tokens: unknown")

    assert tokens.inner_text() == "—"
    assert listed(page, session_id).locator(".tokens").inner_text() == "— tok"
    assert record(page, 9).inner_text().endswith("tokens unknown")


def test_a_crash_in_the_middle_of_a_line_and_a_tool_that_failed_are_seen(
    open_page: Open, served: Served, directory: Path
) -> None:
    session_id = uuid4()
    failed = chunk_line(0, '{"exit_code": 2}', "tool_result", tool_call_id="a", name="deploy")
    fine = chunk_line(1, '{"exit_code": 0}', "tool_result", tool_call_id="b", name="deploy")
    path = directory / f"{session_id}.jsonl.__partial__"
    path.write_bytes(header_line(session_id) + failed + fine + b'{"record_t')
    page = open_page(f"{served.url}/{place(session_id)}")
    facts = page.locator("#session-facts > div")
    expect(facts.filter(has_text="Torn").locator("dd")).to_have_text("10 B")
    expect(record(page, 2).locator(".failed")).to_have_text("failed")
    record(page, 3).locator(".amount").wait_for()
    expect(record(page, 3).locator(".failed")).to_have_count(0)


def test_all_records_are_searched_and_a_match_leads_to_its_line(
    open_page: Open, served: Served, directory: Path
) -> None:
    session_id = uuid4()
    word = f"needle-{session_id}"
    lines = [header_line(session_id), chunk_line(0, "Look"), chunk_line(1, f"a <b>{word}</b>")]
    (directory / f"{session_id}.jsonl").write_bytes(b"".join([*lines, trailer_line(2)]))
    page = open_page(served.url)
    page.locator("#query").fill(word.upper())
    page.locator("#no-match").wait_for()
    page.locator("#query").press("Enter")
    expect(page.locator("#search-status")).to_contain_text("1 line in 1 of ")
    expect(page.locator("#results h3")).to_have_text("Look")  # the list does not have it
    found = page.locator("#results a.found")
    texts = (page.locator("#results h3").inner_text(), found.locator("mark").inner_text())
    found.click()
    expect(record(page, 3)).to_have_class(re.compile("marked"))
    page.keyboard.press("Escape")
    page.locator("#sessions").wait_for()

    assert texts == ("Look", word)


TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def tools(directory: Path) -> Iterator[Served]:
    """Inside of another application: open, locked and empty."""
    with mounted(directory, TOKEN) as server:
        yield server


def test_a_page_below_a_path_asks_for_the_token_once(
    open_page: Open, faults: Watched, tools: Served, directory: Path
) -> None:
    faults.expect("status of 401")
    session_id = uuid4()
    with Actor(directory, session_id) as writer:
        writer.open().say("hello")
        page = open_page(f"{tools.url}/tools/locked/{place(session_id, 2)}")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Open").click()
        page.get_by_role("alert").wait_for()
        assert TOKEN not in page.content()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Open").click()
        expect(record(page, 2)).to_have_class(re.compile("marked"))
        writer.say("live")
        record(page, 3).wait_for()
        page.reload()
        record(page, 3).wait_for()
        urls = [page.url]
        hidden = page.evaluate("document.cookie")
        page = open_page(f"{tools.url}/tools/locked/?token={TOKEN}")
        live(page)
        urls.append(page.url)

        assert hidden == ""
        assert urls == [
            f"{tools.url}/tools/locked/{place(session_id, 2)}",
            f"{tools.url}/tools/locked/",
        ]


def test_a_page_below_a_path_is_whole(open_page: Open, tools: Served, directory: Path) -> None:
    session_id = uuid4()
    with Actor(directory, session_id) as writer:
        writer.open().say("hello")
        page = open_page(f"{tools.url}/tools/open/")
        listed(page, session_id).click()
        record(page, 2).wait_for()
        writer.say("live")
        record(page, 3).wait_for()
        page.locator("#lineage-fold summary").click()
        expect(page.locator("#lineage")).to_contain_text("No other session is its kin.")
        page.locator("#query").fill("hello")
        page.locator("#query").press("Enter")
        expect(page.locator("#search-status")).to_contain_text("line")


def test_axe_finds_nothing_in_light_and_dark_wherever_one_looks(
    open_page: Open, faults: Watched, served: Served, tools: Served, directory: Path
) -> None:
    root, child = uuid4(), uuid4()
    (directory / f"{root}.jsonl").write_bytes(talk(root))
    child_path = directory / f"{child}.jsonl"
    child_path.write_bytes(talk(child, parent_session_ids=[str(root)]))
    page = open_page(f"{served.url}/{place(child, 7)}")
    record(page, 7).wait_for()
    page.locator("#usage-fold summary").click()
    page.locator("#lineage-fold summary").click()
    page.locator("#lineage svg.kin").wait_for()
    found = {}

    def look(name: str, *, dark: bool = False) -> None:
        page.emulate_media(color_scheme="light")
        found[name] = violations(page)
        if dark:  # there are other colours, and nothing else
            page.emulate_media(color_scheme="dark")
            found[f"{name}, dark"] = violations(page, rules=("color-contrast",))

    live(page)
    page.locator("#kinds button").first.wait_for()
    until(page, "() => document.querySelector('#session-list').ariaBusy === 'false'")
    page.evaluate("() => { document.querySelector('#session-list').ariaBusy = 'true'; }")
    expect(page.locator("#session-list").locator("..")).to_have_css(
        "border-top-color", "rgb(9, 105, 218)"
    )
    look("a session, and a list that waits", dark=True)
    page.evaluate("() => { document.querySelector('#session-list').ariaBusy = 'false'; }")
    page.keyboard.press("?")
    look("the help")
    page.keyboard.press("Escape")
    page.locator("#query").fill("because 1 is")
    page.locator("#query").press("Enter")
    expect(page.locator("#search-status")).to_contain_text(" in ")
    look("a search")
    page.locator("#end-search").click()
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("() => { location.hash = '#/'; }")
    look("the list on a phone")
    open_page(f"{tools.url}/tools/empty/")
    page.locator("#no-sessions").wait_for()
    look("an empty directory")
    faults.expect("status of 401")
    open_page(f"{tools.url}/tools/locked/")
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    page.get_by_role("alert").wait_for()
    look("a refused login", dark=True)

    assert {name: told for name, told in found.items() if told} == {}


def test_a_phone_shows_the_list_or_a_session_and_nothing_is_wider_than_it(
    open_page: Open, faults: Watched, served: Served, tools: Served, directory: Path
) -> None:
    session_id = uuid4()
    (directory / f"{session_id}.jsonl").write_bytes(hostile_session(session_id))
    page = open_page(served.url, width=390, height=844, has_touch=True, is_mobile=True)
    listed(page, session_id).wait_for()
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    page.locator("#welcome").wait_for(state="hidden")
    listed(page, session_id).tap()
    record(page, 1).wait_for()
    page.locator("#left").wait_for(state="hidden")
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    widths.append(page.evaluate("document.querySelector('#records').scrollWidth"))
    page.locator("a.back").tap()
    listed(page, session_id).wait_for()
    faults.expect("status of 401")
    page = open_page(f"{tools.url}/tools/locked/", width=390, height=844, is_mobile=True)
    page.get_by_label("Token").wait_for()
    widths.append(page.evaluate("document.documentElement.scrollWidth"))

    assert widths == [390, 390, 390, 390]
