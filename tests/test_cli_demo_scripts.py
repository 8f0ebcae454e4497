"""The demo's conversations: what a page has to show is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from sessiontail.cli.demo_agents import Turn
from sessiontail.cli.demo_scripts import SCRIPTS, WORDS, Delegation, filled
from sessiontail.format.records import ChunkKind

ALL_WORDS = {**{name: among[0] for name, among in WORDS.items()}, "ticket": "17"}


def turns() -> Iterator[Turn]:
    """All that is said, children's parts too, with words."""
    for script in SCRIPTS:
        for turn in (script.system, *(turn for exchange in script.exchanges for turn in exchange)):
            parts = turn.turns if isinstance(turn, Delegation) else (turn,)
            yield from (filled(part, ALL_WORDS) for part in parts)


TEXTS = [str(turn.payload.get("content")) for turn in turns()]


@pytest.mark.parametrize(
    "sample",
    ["```python", "| place | safe? |", "研究", "محلل", "<b>", '"exit_code": 1', "## 2."],
    ids=["code", "table", "Chinese", "Arabic", "HTML", "a tool that failed", "a heading"],
)
def test_what_a_page_has_to_show_is_said(sample: str) -> None:
    assert [text for text in TEXTS if sample in text]


def test_a_result_is_long() -> None:
    assert max(map(len, TEXTS)) > 20_000


def test_no_word_is_left_open() -> None:
    said = json.dumps([turn.payload for turn in turns()])

    assert "$" not in said.replace("$/", "")


def test_each_call_has_arguments_and_its_result() -> None:
    called, answered = [], []
    for turn in turns():
        for call in turn.payload.get("tool_calls") or ():
            json.loads(call["function"]["arguments"])
            called.append(call["id"])
        if turn.kind is ChunkKind.TOOL_RESULT:
            answered.append(turn.payload["tool_call_id"])

    assert called == answered


def test_each_conversation_is_another_one() -> None:
    for script in SCRIPTS:
        first = script.exchanges[0][0]
        assert isinstance(first, Turn)
        assert "$ticket" in first.payload["content"]
