"""A page in Markdown, read by a Markdown reader: what an agent wrote is in fences and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import given, settings, strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

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
from sessiontail.format.markdown import Markdown

HOSTILE = (
    "<script>alert(1)</script>\n```\n~~~\n````` x\n# heading\n- [link](javascript:x) `\x1b\u202e"
)


def page(*records: Record, **options: Any) -> str:
    return written(Markdown(), *records, **options)


def tokens(text: str) -> Sequence[Token]:
    """What a reader sees below the front matter."""
    return MarkdownIt().parse(text.split("\n---\n", 1)[1])


def fences(text: str) -> list[str]:
    return [token.content for token in tokens(text) if token.type == "fence"]


def headings(text: str) -> list[str]:
    found = tokens(text)
    return [inline.content for opened, inline in pairwise(found) if opened.type == "heading_open"]


def test_a_whole_session_reads_as_it_went() -> None:
    asks = says("assistant", "I look.", tool_calls=[call("run", '{"path": "a"}')], reasoning="Hm.")
    damage = Damage(
        line=4, offset=99, length=3, reason=DamageReason.INVALID_JSON, message="no `x`", raw=b"{x"
    )
    usage = TokenUsage(10, 5, 15)
    header = Header(
        id=ID,
        created_at=MOMENT,
        parent_session_ids=(UUID(int=7),),
        lineage_operator='say: "x"',
    )

    text = page(
        says("user", "Why?"),
        asks,
        damage,
        says("tool_result", "FAILED\n", tool_call_id="c", name="run"),
        says("assistant", None),
        Trailer(closed_at=MOMENT, final_chunk_count=4, cumulative_usage=usage),
        header=header,
        facts=Facts(
            name="a.jsonl", state=SessionState.CLOSED, usage=usage, closed_at=MOMENT, inherited=3
        ),
        torn_bytes=7,
        left_out=2,
    )

    assert text == (
        "---\n"
        "id: 4f2c0000-0000-4000-8000-000000000001\n"
        "state: closed\n"
        "created_at: 2026-01-02T00:00:00+00:00\n"
        "closed_at: 2026-01-02T00:00:00+00:00\n"
        'lineage: "say: \\"x\\"/unknown"\n'
        "parents: [00000000-0000-0000-0000-000000000007]\n"
        "tokens: 15\n"
        "prompt_tokens: 10\n"
        "completion_tokens: 5\n"
        "---\n"
        "\n# Session 4f2c0000\n"
        "\n*2 rows from 4f2d left out: they are copies.*\n"
        "\n## user, row 2 (inherited)\n"
        "\n```text\nWhy?\n```\n"
        "\n## assistant, row 3\n"
        "\nThought:\n\n```text\nHm.\n```\n"
        "\n```text\nI look.\n```\n"
        "\n### Call of `run`\n"
        '\n```json\n{\n  "path": "a"\n}\n```\n'
        "\nResult:\n\n```text\nFAILED\n```\n"
        "\n## Damage: line 4 (byte 99), 3 bytes\n"
        "\ninvalid-json: `` no `x` ``\n"
        "\n```text\n{x\n```\n"
        "\n## assistant, row 5\n"
        "\n*Empty.*\n"
        "\n## Closed\n"
        "\nClosed 2026-01-02T00:00:00+00:00: 4 rows, tokens: 15 (10 prompt, 5 completion).\n"
        "\n## Torn end\n"
        "\n7 bytes after the last whole line, no record.\n"
    )


def test_what_is_unknown_is_said_to_be_and_is_no_number() -> None:
    text = page(header=None, facts=Facts(name="odd\x1b name.jsonl"))

    assert text == (
        '---\nfile: "odd\\u001b name.jsonl"\nstate: unknown\ntokens: unknown\n---\n'
        "\n# No session: `odd\\x1b name.jsonl`\n"
    )


def test_hostile_text_stays_in_its_fence_and_a_hostile_name_in_its_heading() -> None:
    asks = says("assistant", HOSTILE, tool_calls=[call(HOSTILE, HOSTILE)])
    result = says("tool_result", HOSTILE, tool_call_id="x", name=HOSTILE)

    text = page(says("user", HOSTILE), asks, result)

    shown = page_text(HOSTILE) + "\n"
    assert fences(text) == [shown, shown, shown, shown]
    assert [heading.partition("`")[0] for heading in headings(text)] == [
        "Session 4f2c0000",
        "user, row 0",
        "assistant, row 1",
        "Call of ",
        "tool_result of ",
    ]
    assert {token.type for token in tokens(text)} <= {
        "heading_open", "heading_close", "inline", "fence", "paragraph_open", "paragraph_close",
    }  # fmt: skip
    inner = {child.type for token in tokens(text) for child in token.children or ()}
    assert inner <= {"text", "code_inline", "em_open", "em_close"}


@settings(max_examples=50)
@given(st.text(alphabet=st.sampled_from("`~#<>\n\t a\\*_-[]()\r\u2028\u0085"), max_size=40))
def test_no_text_gets_out_of_its_fence(text: str) -> None:
    made = page(says("user", text), says("user", "next"))

    shown = page_text(text)
    wanted = [shown.removesuffix("\n") + "\n"] if shown else []
    # A Markdown reader shows an empty fence as nothing.
    assert [one or "\n" for one in fences(made)] == [*wanted, "next\n"]
    assert headings(made) == ["Session 4f2c0000", "user, row 0", "user, row 1"]


@settings(max_examples=50)
@given(st.text(alphabet=st.sampled_from("`~#<>\n\t a\\*_-[]()\r\u2028"), max_size=20))
def test_no_name_gets_out_of_its_heading(name: str) -> None:
    made = page(says("assistant", "x", tool_calls=[call(name, "{}")]), says("user", "next"))

    found = headings(made)
    assert len(found) == 4
    assert found[2].startswith("Call of `")
    assert fences(made) == ["x\n", "{}\n", "next\n"]
