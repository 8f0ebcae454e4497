"""Every row of the API can be described: it has a name of its own, and its path's names are known."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from sessiontail import SessionStore
from sessiontail.service import create_app
from sessiontail.service.api.endpoints import Endpoint
from sessiontail.service.context import Context


def rows(directory: Path) -> tuple[Endpoint, ...]:
    context: Context = create_app(SessionStore(directory)).state.context
    return context.endpoints


def test_each_row_has_a_name_and_a_path_of_its_own(tmp_path: Path) -> None:
    for names in (
        [row.operation_id for row in rows(tmp_path)],
        [(row.method, row.path) for row in rows(tmp_path)],
    ):
        assert [name for name, times in Counter(names).items() if times > 1] == []


def test_each_row_says_in_a_sentence_what_it_gives(tmp_path: Path) -> None:
    for row in rows(tmp_path):
        assert row.summary.endswith(".")
        assert row.responses
        assert all(one.about.endswith(".") for one in row.parameters), row.path


def test_what_is_in_braces_is_a_parameter_of_the_path(tmp_path: Path) -> None:
    for row in rows(tmp_path):
        in_path = [one.name for one in row.parameters if one.place == "path"]
        assert in_path == re.findall(r"{(\w+)", row.path)
