"""Values as JSON, as deep as a log may have them."""

from __future__ import annotations

import json
from typing import Any

from sessiontail.format.dumping import dump


def test_a_value_stays_what_the_log_had() -> None:
    assert dump({"a": float("nan"), "b": "é\u2028"}) == '{"a": NaN, "b": "é\u2028"}'
    assert json.loads(dump({"a": "\ud800"})) == {"a": "\ud800"}
    assert dump("é\n") == '"é\\n"'
    assert dump([1, {"a": 2}], indent=2) == '[\n  1,\n  {\n    "a": 2\n  }\n]'


def test_what_is_nested_as_deeply_as_a_line_can_be_is_written() -> None:
    value: Any = 1
    for _ in range(990):
        value = [value]

    assert dump({"payload": value}) == '{"payload": ' + "[" * 990 + "1" + "]" * 990 + "}"
