"""Each form has what writes it, and all are used alike."""

from __future__ import annotations

import json

import pytest

from hostile import CASES
from odd_lines import one_by_one
from sessiontail import Header
from sessiontail.format.exporting import FORMS, SKIPPING, ExportForm, scribe
from sessiontail.format.facts import Facts


@pytest.mark.parametrize("form", FORMS)
def test_every_hostile_file_is_written_as_valid_text_however_it_is_read(form: ExportForm) -> None:
    for name, case in CASES.items():
        records = [record for record, _, _ in one_by_one(case.data)]
        header = next((record for record in records if isinstance(record, Header)), None)
        texts = []
        for size in (1, 1000):
            one = scribe(form)
            pieces = [*one.begin(header, Facts(name=name))]
            for at in range(0, len(records), size):
                pieces += one.take(records[at : at + size])
            pieces += one.end(case.torn_bytes)
            texts.append("".join(pieces))

        assert texts[0] == texts[1]
        assert texts[0].encode().endswith(b"\n")
        if form in {"messages", "atif"}:
            json.loads(texts[0])


def test_what_people_read_leaves_out_what_is_elsewhere() -> None:
    assert FORMS == ("messages", "markdown", "html", "atif")
    assert set(SKIPPING) == {"markdown", "html"}
