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


def test_two_threads_raise_the_limit_one_after_the_other() -> None:
    """It is the process's: the second would put back what the first has raised, and not what was."""
    before = sys.getrecursionlimit()
    inside: list[str] = []
    both, another = threading.Barrier(2, timeout=30), threading.Event()

    class TooDeep:
        """Is so at the first try, in both threads before one of them tries again."""

        def __init__(self) -> None:
            self.tried = False

        def __str__(self) -> str:
            if not self.tried:
                self.tried = True
                both.wait()
                raise RecursionError
            name = threading.current_thread().name
            if inside:
                another.set()
            inside.append(name)
            another.wait(0.3)  # longer than the other one would need to come here, were it let in
            inside.append(name)
            return "1"

    pair = [threading.Thread(target=dump, args=(TooDeep(),)) for _ in range(2)]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()

    assert inside[0] == inside[1] != inside[2] == inside[3]
    assert sys.getrecursionlimit() == before
