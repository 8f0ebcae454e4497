"""Values as JSON, as deep as a log may have them."""

from __future__ import annotations

import json
import sys
import threading
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


def test_two_threads_write_what_is_deep_one_after_the_other() -> None:
    """The limit is the process's: who puts it back while the other one is deep would end that one."""
    before = sys.getrecursionlimit()
    inside: list[str] = []
    entered = threading.Event()

    class Innermost:
        def __str__(self) -> str:
            name = threading.current_thread().name
            inside.append(name)
            if name == "first":
                second.start()
                entered.wait(0.3)  # what it would take to come here, were it let in, and more
                inside.append(name)
            else:
                entered.set()
            return "1"

    def write() -> None:
        value: Any = Innermost()
        for _ in range(1500):
            value = [value]
        dump(value, indent=1)

    first, second = (threading.Thread(target=write, name=name) for name in ("first", "second"))
    first.start()
    first.join()
    second.join()

    assert (inside, sys.getrecursionlimit()) == (["first", "first", "second"], before)
