"""What handlers share is made once for an application."""

from __future__ import annotations

from pathlib import Path

from sessiontail import SessionStore
from sessiontail.service.context import Context, Limits


class Part:
    def __init__(self, context: Context) -> None:
        self.context = context


def test_a_part_is_made_once_and_when_it_is_asked_for(tmp_path: Path) -> None:
    one, other = (Context(SessionStore(tmp_path), Limits()) for _ in range(2))

    assert one.part(Part) is one.part(Part)
    assert one.part(Part).context is one
    assert other.part(Part) is not one.part(Part)


def test_a_part_can_ask_for_another(tmp_path: Path) -> None:
    def pair(context: Context) -> tuple[Part, Part]:
        return context.part(Part), context.part(Part)

    first, second = Context(SessionStore(tmp_path), Limits()).part(pair)

    assert first is second
