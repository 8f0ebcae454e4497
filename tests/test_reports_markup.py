"""Text as HTML: whatever it is, it is shown and never obeyed."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from audits import HOSTILE
from pages import Page
from sessiontail.format.inert import inert
from sessiontail.reports.markup import Html, Table, html, name, table


def test_markup_is_shown() -> None:
    assert html("<b a='1'>&\x1b\u202e") == "&lt;b a=&#x27;1&#x27;&gt;&amp;\\x1b\\u202e"
    assert html(Html("<b>")) == "<b>"


def test_a_name_turns_nothing_around_it_and_is_cut() -> None:
    assert name("שלום") == "<bdi>שלום</bdi>"
    assert name("<" * 300) == f"<bdi>{'&lt;' * 200}…</bdi>"


@given(st.text(alphabet=st.characters(), max_size=60))
@settings(max_examples=30, deadline=None)
def test_any_text_is_one_text_to_a_browser(text: str) -> None:
    page = Page(f"<p>{html(text)}</p>")

    assert page.elements == [("p", {})]
    # A browser takes a newline for what it is, and nothing else is changed.
    assert page.texts["p"] == [inert(text)]


def test_a_table_says_to_a_screen_reader_what_it_is() -> None:
    one = Table(
        "What <there> is", ["Name", "Count"], [[HOSTILE, "1"]], frozenset({1}), ["All", "1"]
    )
    page = Page(table("what", one))

    assert page.elements == [
        ("div", {"class": "scroll", "role": "group", "tabindex": "0", "aria-labelledby": "what"}),
        ("table", {}),
        ("caption", {"id": "what"}),
        ("thead", {}),
        ("tr", {}),
        ("th", {"scope": "col"}),
        ("th", {"scope": "col", "class": "n"}),
        ("tbody", {}),
        ("tr", {}),
        ("th", {"scope": "row"}),
        ("td", {"class": "n"}),
        ("tfoot", {}),
        ("tr", {}),
        ("th", {"scope": "row"}),
        ("td", {"class": "n"}),
    ]
    assert page.texts["caption"] == ["What <there> is"]
    assert page.texts["th"][2] == inert(HOSTILE)
