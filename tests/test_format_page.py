"""A page in HTML: one file, no scripts, and what an agent wrote is text in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

from hypothesis import given, strategies as st

from samples import ID
from scribes import MOMENT, call, says, written
from sessiontail import (
    Damage,
    DamageReason,
    Header,
    Record,
    SessionState,
    TokenUsage,
    Trailer,
)
from sessiontail.format.facts import Facts
from sessiontail.format.laid_out import page_text
from sessiontail.format.page import Page

FACTS = Facts(name="a.jsonl", state=SessionState.CLOSED, size_bytes=1234)
HOSTILE = "</pre></p></details><script>alert(1)</script><img src=x onerror=y>&amp;\"'\x1b\u202e\x00"
VOID = {"meta"}
KNOWN = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "h1", "h2", "h3", "dl", "dt",
    "dd", "article", "p", "pre", "code", "details", "summary", "small", "strong", "a",
}  # fmt: skip


class Reader(HTMLParser):
    """Reads a page: its outline, its texts, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts.append((tag, ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.texts.append(("", ""))  # what follows is not its text

    def handle_data(self, data: str) -> None:
        if self.texts:
            tag, text = self.texts[-1]
            self.texts[-1] = tag, text + data

    def of(self, *tags: str) -> list[str]:
        """The texts of all elements of a kind, up to the first element inside."""
        return [text for tag, text in self.texts if tag in tags]


def page(*records: Record, facts: Facts = FACTS, **options: Any) -> str:
    return written(Page(), *records, facts=facts, **options)


def body(text: str) -> str:
    return text.partition("<main>\n")[2].removesuffix("</main>\n</body>\n</html>\n")


def test_a_whole_session_reads_as_it_went() -> None:
    damage = Damage(
        line=4, offset=99, length=3, reason=DamageReason.INVALID_JSON, message="no <x>", raw=b"{x"
    )
    text = page(
        says("user", "Why?"),
        says("assistant", "I look.", tool_calls=[call("run", '{"path": 1}')], reasoning="Hm."),
        damage,
        says("tool_result", "FAILED", tool_call_id="c", name="run"),
        says("assistant", None),
        Trailer(closed_at=MOMENT, final_chunk_count=4, cumulative_usage=TokenUsage(10, 5, 15)),
        torn_bytes=7,
        left_out=2,
    )

    assert body(text) == (
        '<p class="aside">2 rows from <code>4f2d</code> left out: they are copies.</p>\n'
        '<article class="user" id="row-2">\n'
        '<h2>user<small><a href="#row-2">row 2</a></small></h2>\n'
        '<p class="said" dir="auto">Why?</p>\n'
        "</article>\n"
        '<article class="assistant" id="row-3">\n'
        '<h2>assistant<small><a href="#row-3">row 3</a></small></h2>\n'
        "<details><summary>thought<small>1 line, 3 letters</small></summary>\n"
        '<p class="said thought" dir="auto">Hm.</p>\n'
        "</details>\n"
        '<p class="said" dir="auto">I look.</p>\n'
        "<details open><summary>calls <strong><code>run</code></strong></summary>\n"
        "<h3>Arguments</h3>\n"
        '<pre dir="auto">\n{\n  &quot;path&quot;: 1\n}</pre>\n'
        "<h3>Result</h3>\n"
        '<pre dir="auto">\nFAILED</pre>\n'
        "</details>\n"
        "</article>\n"
        '<article class="damage"><h2>Damage<small>line 4 (byte 99), 3 bytes</small></h2>\n'
        '<p class="said">invalid-json: no &lt;x&gt;</p>\n'
        '<pre dir="auto">\n{x</pre>\n'
        "</article>\n"
        '<article class="assistant" id="row-5">\n'
        '<h2>assistant<small><a href="#row-5">row 5</a></small></h2>\n'
        '<p class="aside">Empty.</p>\n'
        "</article>\n"
        '<p class="aside">Closed 2026-01-02T00:00:00+00:00: 4 rows, '
        "tokens: 15 (10 prompt, 5 completion).</p>\n"
        '<article class="damage"><h2>Torn end</h2>\n'
        '<p class="said">7 bytes after the last whole line, no record.</p></article>\n'
    )
    assert Reader(text).open == []


def test_the_head_says_what_is_known_and_what_is_not() -> None:
    header = Header(id=ID, created_at=MOMENT, parent_session_ids=(UUID(int=7),))
    known = Reader(page(header=header))
    nothing = Reader(page(header=None, facts=Facts(name="<odd>.jsonl")))

    assert dict(zip(known.of("dt"), known.of("dd"), strict=True)) == {
        "State": "closed",
        "Created": "2026-01-02T00:00:00+00:00",
        "Lineage": "implicit/unknown",
        "Parent": "00000000-0000-0000-0000-000000000007",
        "Tokens": "unknown",
        "File": "a.jsonl, 1,234 bytes",
    }
    assert known.of("title") == ["Session 4f2c0000"]
    assert nothing.of("h1", "code") == ["No session: ", "<odd>.jsonl"]
    assert dict(zip(nothing.of("dt"), nothing.of("dd"), strict=True)) == {
        "State": "unknown",
        "Tokens": "unknown",
    }


def test_it_is_one_file_that_runs_and_loads_nothing() -> None:
    read = Reader(page(says("user", HOSTILE)))
    policies = [attrs["content"] for tag, attrs in read.tags if "http-equiv" in attrs]

    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert {tag for tag, _ in read.tags} <= KNOWN
    assert all(
        (attrs.get("href") or "#").startswith("#")
        and not {name for name in attrs if name.startswith("on") or name in {"src", "style"}}
        for _, attrs in read.tags
    )


def test_the_rows_are_articles_below_one_heading_each() -> None:
    read = Reader(page(says("system", "a"), says("user", "b"), facts=FACTS))
    tags = [tag for tag, _ in read.tags if tag in {"h1", "h2", "article", "main", "header"}]

    assert tags == ["header", "h1", "main", "article", "h2", "article", "h2"]
    assert ("html", {"lang": "en"}) in read.tags
    assert [attrs["id"] for tag, attrs in read.tags if tag == "article"] == ["row-0", "row-1"]


def test_rows_that_are_inherited_are_marked() -> None:
    text = page(says("user", "a"), says("user", "b"), facts=Facts(name="a", inherited=1))

    assert re.findall(r'class="(user[ \w]*)"', text) == ["user inherited", "user"]
    assert "row 0, inherited</a>" in text


def test_what_is_long_is_folded_and_whole() -> None:
    long, wide = "\n".join(map(str, range(50))), "x" * 5000

    text = page(says("user", long), says("tool_result", wide))

    assert f"<summary>text<small>50 lines, {len(long)} letters</small></summary>" in text
    assert Reader(text).of("p", "pre")[:2] == [long, "\n" + wide]


def test_hostile_text_is_text_everywhere() -> None:
    asks = says("assistant", HOSTILE, tool_calls=[call(HOSTILE, HOSTILE)], reasoning=HOSTILE)
    damage = Damage(
        line=1,
        offset=0,
        length=9,
        reason=DamageReason.INVALID_UTF8,
        message=HOSTILE,
        raw=HOSTILE.encode() + b"\xff",
    )
    header = Header(id=ID, created_at=MOMENT, lineage_operator=HOSTILE)

    text = page(
        says("user", HOSTILE),
        asks,
        damage,
        says("tool_result", HOSTILE, tool_call_id="?", name=HOSTILE),
        header=header,
        facts=Facts(name=HOSTILE, size_bytes=1),
    )

    read = Reader(text)
    assert read.open == []
    assert {tag for tag, _ in read.tags} <= KNOWN
    assert "script" not in {tag for tag, _ in read.tags}
    assert not any(sign in text for sign in "\x1b\u202e\x00")
    shown = page_text(HOSTILE)
    assert read.of("p").count(shown) == 3  # the user's, the assistant's, what it thought
    assert text.encode()


@given(st.text(max_size=60), st.sampled_from(["user", "assistant", "system", "tool_result"]))
def test_no_text_becomes_more_than_text(text: str, kind: str) -> None:
    made = page(says(kind, text), says("user", "next"))
    read = Reader(made)

    shown = page_text(text)
    assert read.open == []
    # A reader drops the newline right behind <pre>.
    texts = [one[1:] for one in read.of("pre")] + read.of("p")
    assert sorted(texts) == sorted([shown or "Empty.", "next"])
    assert made.encode().decode() == made
