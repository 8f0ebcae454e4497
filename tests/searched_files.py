"""Session files spelled in every way that JSON has, and a slow, plain search of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from samples import ID, MOMENT

__all__ = ["Speller", "plain_search", "spelled_session"]

_SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}  # fmt: skip


class Speller:
    """Spells texts as JSON, each letter as it happens.

    Args:
        seed: what happens.
        odd: how many letters of a hundred are not spelled plainly.
    """

    def __init__(self, seed: int, odd: int) -> None:
        self._random = Random(seed)
        self._odd = odd

    def text(self, text: str) -> str:
        return '"' + "".join(map(self._letter, text)) + '"'

    def _letter(self, letter: str) -> str:
        escaped = self._random.randrange(100) < self._odd
        must = letter in '"\\' or letter < " "
        if letter in _SHORT and (must or escaped) and self._random.random() < 0.6:
            return _SHORT[letter]
        if not (must or escaped):
            return letter
        units = letter.encode("utf-16-be", "surrogatepass")
        codes = [units[i : i + 2].hex() for i in range(0, len(units), 2)]
        return "".join("\\u" + "".join(map(self._digit, code)) for code in codes)

    def _digit(self, digit: str) -> str:
        return self._random.choice((digit, digit.upper()))


def spelled_session(records: list[dict[str, Any]], speller: Speller) -> bytes:
    """A session of chunks; arguments that are a dict are JSON inside of JSON."""
    header = (
        f'{{"record_type": "header", "schema_version": 1, "id": "{ID}", "created_at": "{MOMENT}", '
        '"parent_session_ids": [], "lineage_operator": "implicit", "lineage_kind": "unknown", '
        '"lineage_extras": [], "sandbox_backend": null, "sandbox_spec": null, '
        '"sandbox_handle_id": null}\n'
    )
    lines = [header]
    for index, record in enumerate(records):
        payload = _spelled(record["payload"], speller)
        lines.append(
            f'{{"record_type": "chunk", "index": {index}, "kind": "{record["kind"]}", '
            f'"payload": {payload}}}\n'
        )
    return "".join(lines).encode("utf-8", "surrogatepass")


def _spelled(value: Any, speller: Speller) -> str:
    if isinstance(value, str):
        return speller.text(value)
    if isinstance(value, list):
        return "[" + ", ".join(_spelled(one, speller) for one in value) + "]"
    if isinstance(value, dict):
        parts = []
        for key, one in value.items():
            inner = key == "arguments" and isinstance(one, dict)
            text = _spelled(one, speller)
            parts.append(f'"{key}": {speller.text(text) if inner else text}')
        return "{" + ", ".join(parts) + "}"
    return json.dumps(value)


def plain_search(data: bytes, lines_of: Callable[[str], list[int]]) -> list[tuple[int, str, int]]:
    """Every line read with the standard library: (line of the file, field, line of the text).

    Args:
        data: a session file.
        lines_of: says which lines of a text match, from 1.
    """
    found = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        record = json.loads(line)
        if record["record_type"] == "chunk":
            for field, texts in _texts(record["kind"], record["payload"]):
                for text in texts:
                    hits = lines_of(text)
                    found += [(number, field, hit) for hit in hits]
                    if hits:
                        break
                    if field == "arguments" and "\\" in text:
                        for value in _strings(json.loads(text)):
                            found += [(number, field, hit) for hit in lines_of(value)]
    return found


def _texts(kind: str, payload: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    if kind == "tool_result":
        yield "result", [payload["content"]]
        return
    if payload.get("reasoning_content"):
        yield "reasoning", [payload["reasoning_content"]]
    if payload["content"] is not None:
        yield "text", [payload["content"]]
    for call in payload.get("tool_calls") or ():
        yield "arguments", [call["function"]["arguments"]]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
