"""The page: one file, nothing that runs or is loaded, headings in order, bounded."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from audits import HOSTILE, audit, family, tally
from pages import Page
from sessiontail.format.audit import SessionAudit
from sessiontail.format.findings import finding
from sessiontail.reports.page import audits_to_html
from sessiontail.reports.style import POLICY, STYLE


def hostile() -> list[SessionAudit]:
    """Sessions that try it wherever they have a word."""
    tools = tally(user=1)
    tools.tool_calls = {f"{HOSTILE}{number}": 1 for number in range(40)}
    return [
        *family(),
        audit(5, finding("name-differs", HOSTILE), file=f"/x/{HOSTILE}", id_text=None, tally=tools),
        audit(6, lineage_operator=HOSTILE, created_at=datetime(1, 1, 1, tzinfo=UTC)),
        audit(7, created_at=datetime(9999, 12, 31, tzinfo=UTC)),
    ]


@pytest.mark.parametrize("audits", [[], family(), hostile()], ids=["none", "family", "hostile"])
def test_nothing_runs_and_nothing_is_loaded(audits: list[SessionAudit]) -> None:
    text = audits_to_html(audits, directory=HOSTILE, made_at=datetime(2026, 1, 1, tzinfo=UTC))
    page = Page(text)

    assert text.startswith("<!DOCTYPE html>\n")
    assert page.texts["style"] == [STYLE]
    assert {tag for tag, _ in page.elements}.isdisjoint(
        {
            "script",
            "img",
            "link",
            "iframe",
            "object",
            "embed",
            "form",
            "base",
            "use",
            "image",
            "foreignobject",
        }
    )
    assert all(href.startswith("#") for href in page.attributes("href"))
    assert not {name for _, said in page.elements for name in said if name.startswith("on")}
    assert not page.attributes("src")
    assert not page.attributes("style")
    assert {"http-equiv": "Content-Security-Policy", "content": POLICY} in page.all("meta")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize("audits", [[], family(), hostile()], ids=["none", "family", "hostile"])
def test_a_screen_reader_finds_its_way(audits: list[SessionAudit]) -> None:
    page = Page(audits_to_html(audits))

    assert page.all("html") == [{"lang": "en"}]
    assert [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)] == [
        "h1",
        *["h2"] * len(page.all("section")),
    ]
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
    ids = page.attributes("id")
    assert len(ids) == len({*ids})
    for names in page.attributes("aria-labelledby"):
        assert {*names.split()} <= {*ids}
    assert {href.removeprefix("#") for href in page.attributes("href")} <= {*ids}
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in cell for cell in page.all("th"))
    assert all(svg["role"] == "img" for svg in page.all("svg"))


def test_the_first_numbers_are_those_that_one_looks_for() -> None:
    page = Page(audits_to_html(family()))

    assert dict(zip(page.texts["dt"], page.texts["dd"], strict=True)) == {
        "Sessions": "41 could not be read",
        "Conversations": "2",
        "Rows": "8and 4 copies",
        "Size": "15 K7 B torn",
        "Tokens": "60of 2 sessions; unknown of 1",
        "Tool calls": "31 of 2 results failed",
        "With errors": "2sessions, something in them lost",
        "With warnings": "0sessions, and no error",
    }


def test_where_and_when_are_said_if_they_are_known() -> None:
    page = Page(
        audits_to_html([], directory="/a/b", made_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    )

    assert page.texts["p"][:2] == ["of /a/b on 2026-01-02 at 03:04 UTC", "There are no sessions."]
    assert page.all("time") == [{"datetime": "2026-01-02T03:04:00Z"}]
    assert 'class="quiet"' not in audits_to_html([])


def test_a_page_of_many_sessions_is_bounded() -> None:
    few, many = (
        audits_to_html(audit(number, finding("torn-tail", "x" * 50)) for number in range(count))
        for count in (300, 1500)
    )

    assert len(many) < 1.1 * len(few) < 220_000
