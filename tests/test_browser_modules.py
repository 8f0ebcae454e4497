"""What the page computes, in a browser: its modules by themselves, without a service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from browsers import browser
from sessiontail.format.tool_errors import says_failed
from sessiontail.service.guard.security import HEADERS

__all__ = ["browser"]

STATIC = resources.files("sessiontail.service").joinpath("static")
ORIGIN = "http://page.example"
TYPES = {"js": "text/javascript", "css": "text/css", "html": "text/html"}


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page that may import the page's modules, under its policy."""

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(f"{ORIGIN}/")
        body = STATIC.joinpath(name).read_bytes() if "." in name else b"<!doctype html>"
        kind = TYPES[name.rpartition(".")[2]] if "." in name else "text/html"
        route.fulfill(body=body, headers={**HEADERS, "content-type": kind})

    context = browser.new_context(viewport={"width": 800, "height": 600})
    context.route(f"{ORIGIN}/**", answer)
    page = context.new_page()
    page.goto(f"{ORIGIN}/")
    yield page
    context.close()


def run(page: Page, module: str, body: str, value: Any = None) -> Any:
    """Run JavaScript with a module as ``m`` and a value, and return what it returns."""
    return page.evaluate(
        f"async (value) => {{ const m = await import('./{module}.js'); {body} }}", value
    )


def test_heights_agree_with_plain_sums_whatever_is_measured_and_forgotten(page: Page) -> None:
    wrong = run(
        page,
        "heights",
        """
        let seed = 7;
        const random = (below) => (seed = (seed * 16807) % 2147483647) % below;
        const heights = new m.Heights(50);
        let plain = [];
        const wrong = [];
        const size = (count) => {
          heights.resize(count);
          plain = Array.from({ length: count }, (_, at) => (at < plain.length ? plain[at] : null));
        };
        size(900);
        for (let step = 0; step < 1200; step += 1) {
          const at = random(plain.length);
          const act = random(100);
          if (act < 80) heights.set(at, (plain[at] = random(4) ? random(300) : 0));
          else if (act < 92) heights.forget(at), (plain[at] = null);
          else if (act < 96) size(plain.length + random(400));
          else if (act < 98) size(plain.length - random(300));
          else if (act < 99) heights.forgetAll(), plain.fill(null);
          else heights.estimate = 30 + random(60);
          if (step % 10) continue;
          const begins = [0];
          for (const one of plain) begins.push(begins.at(-1) + (one ?? heights.estimate));
          const probe = random(plain.length + 1);
          if (heights.offset(probe) !== begins[probe]) wrong.push(["offset", step, probe]);
          if (heights.total !== begins.at(-1)) wrong.push(["total", step]);
          const y = random(heights.total + 100);
          const row = Math.max(0, begins.slice(0, -1).findLastIndex((begin) => begin <= y));
          if (heights.at(y) !== row) wrong.push(["at", step, y, heights.at(y), row]);
        }
        return wrong;
        """,
    )

    assert wrong == []


def test_a_stream_gives_the_same_events_wherever_it_is_cut(page: Page) -> None:
    text = (
        'retry: 1000\n\n: \n\nid: a1\nevent: chunk\ndata: {"é": "日本"}\n\n'
        "event: end\r\ndata: one\r\ndata: two\r\n\r\nevent: lost\n\ndata:x\n\nid: a2\ndata: not ended\n"
    )
    events = run(
        page,
        "sse",
        """
        const bytes = new TextEncoder().encode(value);
        const seen = new Set();
        for (let cut = 0; cut <= bytes.length; cut += 1) {
          const decoder = new m.EventDecoder();
          const events = [bytes.slice(0, cut), bytes.slice(cut)].flatMap((part) => decoder.feed(part));
          seen.add(JSON.stringify(events));
        }
        return [...seen];
        """,
        text,
    )

    assert [json.loads(one) for one in events] == [
        [
            {"event": "chunk", "data": '{"é": "日本"}', "id": "a1"},
            {"event": "end", "data": "one\ntwo", "id": "a1"},
            {"event": "message", "data": "x", "id": "a1"},
        ]
    ]


PRETTY = [
    ("{}", "{}"),
    ('{"a":[1,2.50,{"b":null}],"c":""}', '{\n  "a": [\n    1,\n    2.50,\n    {\n      "b": null\n    }\n  ],\n  "c": ""\n}'),
    ("12345678901234567890", "12345678901234567890"),
    ('{"n":NaN,"i":-Infinity,"t":"NaN: {,}"}', '{\n  "n": NaN,\n  "i": -Infinity,\n  "t": "NaN: {,}"\n}'),
    (' [ "a\\"]" , true ] ', '[\n  "a\\"]",\n  true\n]'),
    ("{not json", None),
    ("", None),
    ("[1,]", None),
]  # fmt: skip


def test_json_is_indented_with_all_its_digits_and_what_is_none_is_told(page: Page) -> None:
    body = "return value.map((text) => m.pretty(text)?.map((piece) => piece.text).join('') ?? null)"
    compact = run(
        page, "json", "return value.map((text) => m.compact(text))", [a for a, _ in PRETTY]
    )
    deep = "[" * 20_000 + "]" * 20_000

    assert run(page, "json", body, [text for text, _ in PRETTY]) == [shown for _, shown in PRETTY]
    assert compact[1] == '{"a": [1, 2.50, {"b": null}], "c": ""}'
    assert compact[3] == '{"n": NaN, "i": -Infinity, "t": "NaN: {,}"}'
    assert run(page, "json", "return m.pretty(value)?.length ?? 0", deep) == 79_998
    assert run(page, "json", "return m.parse(value)", '{"a": NaN, "b": "NaN"}') == {
        "a": "NaN",
        "b": "NaN",
    }


def test_what_is_unknown_is_a_dash_and_no_number(page: Page) -> None:
    body = """
    const now = Date.parse("2026-11-30T12:00:00Z");
    const ago = (seconds) => new Date(now - seconds * 1000).toISOString();
    return {
      size: [null, undefined, 0, 999, 1000, 9949, 9951, 999_499, 999_500, 3e6, 2e12].map(m.size),
      short: [null, 0, 999, 1000, 12_345, 999_499, 999_500].map((one) => m.short(one)),
      count: [null, 0, 1234567].map((one) => m.count(one)),
      age: [-5, 1, 2, 119, 120, 7199, 7200, 172_800].map((one) => m.age(ago(one), now)).concat(m.age(null, now), m.age("x", now)),
      moment: [m.moment(null), m.moment("x")],
    };
    """

    assert run(page, "format", body) == {
        "size": ["—", "—", "0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "3.0 MB", "2000 GB"],
        "short": ["—", "0", "999", "1.0k", "12k", "999k", "1.0M"],
        "count": ["—", "0", "1,234,567"],
        "age": ["now", "now", "2s", "119s", "2m", "119m", "2h", "2d", "—", "—"],
        "moment": ["—", "—"],
    }  # fmt: skip


def test_text_that_commands_or_hides_is_shown_as_its_escape(page: Page) -> None:
    text = "a\x00\x1b[2J\u202ex\u2069\ufeff\U000e0041\n\té日本"
    inert = run(page, "format", "return m.inert(value + '\\ud83d' + '\\ud83d\\ude00')", text)
    lines = run(page, "format", "return [m.oneLine(' a \\n b '), m.oneLine('x'.repeat(9), 4)]")

    shown = "\\u{e0041}\n\té日本\\ud83d\U0001f600"
    assert inert == f"a\\x00\\x1b[2J\\u202ex\\u2069\\ufeff{shown}"
    assert lines == ["a b", "xxxx…"]


def test_news_comes_into_the_list_where_it_belongs_and_keeps_the_title(page: Page) -> None:
    body = """
    const meta = (id, created_at, more = {}) => ({ id, created_at, state: "live", lineage_operator: "loop", ...more });
    const metas = new m.Metas();
    metas.reset({ sort: "-created", states: [], text: "" });
    metas.page({ sessions: [meta("c", "3", { title: "See" }), meta("b", "2")], next: "more" });
    const told = [
      metas.news("changed", meta("c", "3", { size_bytes: 9 })), // without a title
      metas.news("started", meta("d", "4", { title: "Dee" })),
      metas.news("changed", meta("a", "1")), // behind what is listed
      metas.news("deleted", meta("b", "2")),
      metas.news("deleted", meta("b", "2")),
    ];
    const ids = metas.sorted().map((one) => one.id);
    const kept = [metas.get("c").title, metas.get("c").size_bytes];
    metas.reset({ sort: "created", states: ["live"], text: "SEE" });
    told.push(metas.news("started", meta("e", "5", { title: "I see" })));
    told.push(metas.news("closed", meta("e", "5", { state: "closed", title: "I see" })));
    return [told, ids, kept, metas.size];
    """

    assert run(page, "metas", body) == [
        [True, True, False, True, False, True, True],
        ["d", "c"],
        ["See", 9],
        0,
    ]


def test_a_result_belongs_to_the_last_call_above_it_in_whatever_order_they_come(page: Page) -> None:
    body = """
    const call = (line, id) => ({ line, kind: "assistant", payload: { tool_calls: [{ id, function: { name: `n${line}`, arguments: "{}" } }, null, {}] } });
    const result = (line, id) => ({ line, kind: "tool_result", payload: { tool_call_id: id, content: "ab" } });
    const calls = new m.Calls();
    const news = [result(9, "x"), call(7, "x"), call(2, "x"), result(4, "x"), result(4, "x"), call(5, "")].map((one) => calls.learn(one));
    return [news, [4, 9, 2].map((line) => calls.callOf("x", line)?.name ?? null), [2, 7, 9].map((line) => calls.resultOf("x", line)?.line ?? null), calls.linesOf("x")];
    """

    assert run(page, "calls", body) == [
        [["x"], ["x"], ["x"], ["x"], [], []],
        ["n2", "n7", None],
        [4, 9, None],
        [2, 7, 4, 9],
    ]


# 100,000 rows of 20 to 83 pixels, which are not known before they are drawn.
SCALED = """
const scroller = document.createElement("div");
const runway = document.createElement("div");
const box = document.createElement("div");
Object.assign(scroller.style, { height: "600px", overflowY: "auto", overflowAnchor: "none", position: "relative" });
Object.assign(runway.style, { position: "relative", overflow: "hidden" });
Object.assign(box.style, { position: "absolute", top: "0", left: "0", right: "0" });
document.body.replaceChildren(scroller);
scroller.append(runway);
runway.append(box);
const list = new m.WindowedList(scroller, runway, box, {
  render: (at) => {
    const row = document.createElement("div");
    row.dataset.at = at;
    row.style.height = `${20 + ((at * 37) % 64)}px`;
    return row;
  },
  want: () => {},
  moved: () => {},
});
list.longest = value;
list.reset(100_000);
const frame = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
const seen = () => {
  const [top, bottom] = [scroller.getBoundingClientRect().top, scroller.getBoundingClientRect().bottom];
  const rows = [...box.children].filter((row) => {
    const place = row.getBoundingClientRect();
    return place.bottom > top + 0.5 && place.top < bottom - 0.5;
  });
  return [Number(rows[0].dataset.at), Number(rows.at(-1).dataset.at), rows.length];
};
await frame();
const found = {};
found.first = seen()[0];
list.toEnd();
await frame();
found.last = seen()[1];
list.show(50_000);
await frame();
found.middle = seen()[0] <= 50_000 && seen()[1] >= 50_000;
// A small step by the wheel moves what is seen by just that.
const row = box.querySelector("[data-at='50000']");
const before = row.getBoundingClientRect().top;
scroller.scrollTop -= 40;
await frame();
found.step = Math.round(row.getBoundingClientRect().top - before);
scroller.scrollTop = 0;
await frame();
found.top = seen()[0];
scroller.scrollTop = scroller.scrollHeight;
await frame();
found.bottom = seen()[1];
scroller.scrollTop = scroller.scrollHeight / 2;
await frame();
found.dragged = Math.abs(seen()[0] - 50_000) < 3000;
list.resize(100_005);
await frame();
found.stays = Math.abs(seen()[0] - 50_000) < 3000;
list.toEnd();
await frame();
list.resize(100_010);
for (let frames = 0; frames < 1000 && seen()[1] !== 100_009; frames += 1) await frame(); // rows come together
found.follows = seen()[1];
found.few = box.children.length < 120;
found.long = scroller.scrollHeight <= value;
return found;
"""


@pytest.mark.parametrize("longest", [15_000_000, 200_000])
def test_a_list_shows_the_row_that_is_asked_for_also_where_its_bar_is_scaled(
    page: Page, longest: int
) -> None:
    assert run(page, "list", SCALED, longest) == {
        "first": 0,
        "last": 99_999,
        "middle": True,
        "step": 40,
        "top": 0,
        "bottom": 99_999,
        "dragged": True,
        "stays": True,
        "follows": 100_009,
        "few": True,
        "long": True,
    }


def test_a_search_says_how_far_it_is_and_goes_on_where_it_was_stopped(page: Page) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        after = route.request.url.partition("after=")[2]
        asked.append(after)
        step = int(after or 0) + 1
        body = {
            "records": [{"line": 7}] if step == 3 else [],
            "next": str(step) if step < 4 else None,
        }
        told = {"sessiontail-searched": str(step * 1_000_000), "sessiontail-behind": str(step)}
        route.fulfill(json=body, headers=told)

    page.route(f"{ORIGIN}/api/**", answer)
    body = """
    const { showFound } = await import("./found.js");
    const { h } = await import("./dom.js");
    const parts = [["p", "found"], ["button", "stop-filter"], ["div", "records"]];
    document.body.replaceChildren(...parts.map(([name, id]) => h(name, { id })));
    const told = [];
    const tell = (matches) => {
      showFound(matches, { size_bytes: 4e6 });
      const stop = document.querySelector("#stop-filter");
      told.push([document.querySelector("#found").textContent, stop.hidden ? null : stop.textContent]);
      wake();
    };
    let wake;
    const next = () => new Promise((resolve) => (wake = resolve));
    const matches = new m.Matches("x", { kinds: [], text: "seven" }, tell, (error) => told.push(String(error)));
    const first = next();
    matches.more();
    await first;
    matches.stop();
    await next();
    matches.more(); // somebody scrolls: it is stopped all the same
    matches.goOn();
    await next();
    while (matches.searching) await next();
    matches.more();
    while (!matches.complete || matches.searching) await next();
    matches.grew(); // only what is new is looked at
    await next();
    return [told, matches.lines];
    """

    told, lines = run(page, "matches", body)

    assert lines == [7]
    assert asked[:2] == ["", "1"]
    assert asked[-4:] == ["1", "2", "3", "4"]
    assert told[0] == ["Looking… 1.0 MB of 4.0 MB", "Stop"]
    assert told[1] == ["0 records in the first 1.0 MB of 4.0 MB", "Go on"]
    assert told[-3:] == [["1 record so far", None], *[["1 record", None]] * 2]
    assert {one for one, _ in told[2:-3]} == {"Looking… 2.0 MB of 4.0 MB"}


def test_a_result_has_failed_on_the_page_where_the_audit_says_so(page: Page) -> None:
    texts = [
        '{"ok": false}', '{"ok": true}', '{"ok": 0}', ' {"exit_code": 2}', '{"exit_code": 0}',
        '{"exit_code": true}', '{"exit_code": -0.5}', '{"exit_code": "1"}', '{"error": "no"}', '{"error": ""}',
        '{"error": null}', '{"error": false}', '{"error": {}}', '{"error": {"a": 1}}', '{"error": []}', '{"error": 0}',
        '[{"ok": false}]', '{"ok": false', "failed", "",
    ]  # fmt: skip
    payloads: list[dict[str, Any]] = [
        *({"content": text} for text in texts),
        {"content": "fine", "is_error": True},
        {"content": "fine", "isError": True},
        {"content": "fine", "is_error": "true"},
        {"content": None},
        {"content": [{"text": '{"ok": false}'}]},
        {},
    ]

    shown = run(
        page, "calls", "return value.map((payload) => m.saysFailed({ payload }));", payloads
    )

    assert shown == [says_failed(payload) for payload in payloads]
    assert sum(shown) == 7
    cut = {"payload": {"content": '{"ok": false}'}, "cut": True}
    assert run(page, "calls", "return m.saysFailed(value);", cut) is False
