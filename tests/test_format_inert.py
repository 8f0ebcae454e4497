"""Text that commands nothing; every sign of Unicode is gone through in test_cli_escaping."""

from __future__ import annotations

import json

from sessiontail.format.inert import inert, inert_json


def test_what_commands_or_hides_is_shown_and_the_rest_stays() -> None:
    text = "a\tb\n\x1b[2J\u202eevil\U000e0041\ud83d\u2028 שלום 🙂"

    assert inert(text) == ("a\tb\n\\x1b[2J\\u202eevil\\U000e0041\\ud83d\\u2028 שלום 🙂")


def test_json_that_is_made_inert_is_the_same_value() -> None:
    value = "\u202e\U000e0041\x7f\u2028"

    text = inert_json(json.dumps(value, ensure_ascii=False))

    assert text.isascii()
    assert json.loads(text) == value
