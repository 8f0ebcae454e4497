"""Which sessions are meant, where no id says so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from listed import MOMENT, meta_of, put
from samples import session_bytes
from sessiontail import SessionState
from sessiontail.cli.choosing import Choice


@pytest.mark.parametrize(
    ("choice", "state", "taken"),
    [
        (Choice(), "live", True),
        (Choice(), "unknown", True),
        (Choice(), "closed", False),
        (Choice(), "abandoned", False),
        (Choice(["closed"]), "closed", True),
        (Choice(["closed"]), "live", False),
        (Choice(["live", "abandoned"]), "abandoned", True),
        (Choice(since=MOMENT), "live", True),
        (Choice(since=MOMENT + timedelta(seconds=1)), "live", False),
        (Choice(since=MOMENT), "closed", False),
        (Choice(["closed"], MOMENT), "closed", True),
        (Choice(["closed"], MOMENT + timedelta(seconds=1)), "closed", False),
    ],
)
def test_a_session_is_taken_by_its_state_and_its_age(
    tmp_path: Path, choice: Choice, state: str, *, taken: bool
) -> None:
    meta = meta_of(put(tmp_path, "a.jsonl", session_bytes()), state=SessionState(state))

    assert choice.takes(meta) is taken


def test_a_choice_is_made_by_either() -> None:
    assert not Choice().made
    assert Choice(["live"]).made
    assert Choice(since=MOMENT).made
