"""what a message says, any JSON value -> its text: parts are drawn, other values stay JSON.

The parts are those of chat APIs: OpenAI's (``text``, ``image_url``, ``input_audio``, ``file``, and
the ``input_`` names of its Responses), Anthropic's (``source``) and MCP's (``data``, ``mimeType``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["as_text", "content_text", "strings_in", "texts_of"]

_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_MEDIA = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "input_audio": "audio",
    "audio": "audio",
    "file": "file",
    "input_file": "file",
    "document": "file",
}
# Where the thing itself stands, or what leads to it.
_PLACES = ("url", "image_url", "file_url", "file_data", "data")
_NAMES = ("filename", "format", "media_type", "mimeType", "file_id")
# An address that is signed can be longer than what is said about it.
_ADDRESS = 200


def content_text(content: Any) -> str:
    """Return a content as text.

    Text is what it is. Of a list of parts, the texts and the drawn others follow each other, each
    on a line of its own: ``[image png, 34 kB]``, ``[image https://...]``, ``[audio wav, 12 kB]``.
    Any other value is JSON.
    """
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [_part(part) for part in parts]
    if content != [] and all(text is None for text in texts):
        return as_text(content)
    return "\n".join(
        as_text(part) if text is None else text for part, text in zip(parts, texts, strict=True)
    )


def texts_of(content: Any) -> Iterator[str]:
    """Yield each text of a content by itself, as it was written.

    Of parts that are drawn, images and files, there is none. What is neither text nor a part has
    the texts that are in it.
    """
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in _TEXTS and _TEXTS[kind] in part:
            yield from strings_in(part[_TEXTS[kind]])
        elif not (isinstance(kind, str) and kind in _MEDIA):
            yield from strings_in(part)


def strings_in(value: Any) -> Iterator[str]:
    """Yield the texts in any JSON value, names too, and whole numbers as texts; in order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += reversed([text for pair in one.items() for text in pair])
        elif isinstance(one, list):
            waiting += reversed(one)
        elif isinstance(one, int) and not isinstance(one, bool):
            yield as_text(one)


def as_text(value: Any) -> str:
    """Return any JSON value as text: text as it is, others as JSON, "..." if nested too deeply."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):  # ValueError: an integer of more digits than are taken
        return "..."


def _part(part: Any) -> str | None:
    """Return a part of a message as text; None for what is no part."""
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return None
    kind: str = part["type"]
    if kind in _TEXTS and _TEXTS[kind] in part:
        return as_text(part[_TEXTS[kind]])
    what = _MEDIA.get(kind)
    if what is None:
        return None
    nested = (part.get(key) for key in (kind, "source"))
    inner: dict[str, Any] = next((one for one in nested if isinstance(one, dict)), part)
    return f"[{what}{_described(inner)}]"


def _described(inner: dict[str, Any]) -> str:
    name = next((inner[key] for key in _NAMES if isinstance(inner.get(key), str)), "")
    place = next((inner[key] for key in _PLACES if isinstance(inner.get(key), str)), None)
    name = name.rpartition("/")[2]
    if place is None:
        return f" {name}" if name else ""
    head, comma, data = place.partition(",")
    if comma and head[:5].lower() == "data:":
        media = head[5:].partition(";")[0].rpartition("/")[2]
        count = _decoded(data) if head.lower().endswith(";base64") else len(data)
        return f"{_worded(name or media)}, {_weight(count)}"
    if "://" in place[:16]:
        return f" {place[:_ADDRESS]}{'...' if len(place) > _ADDRESS else ''}"
    return f"{_worded(name)}, {_weight(_decoded(place))}"


def _worded(name: str) -> str:
    return f" {name}" if name else ""


def _decoded(base64: str) -> int:
    """Return how many bytes a text stands for."""
    return len(base64.rstrip("=")) * 3 // 4


def _weight(count: int) -> str:
    """Return a number of bytes as files are told: 512 B, 34 kB, 1.2 MB."""
    if count < 1000:
        return f"{count} B"
    if count < 999_500:
        return f"{count / 1000:.0f} kB"
    return f"{count / 1_000_000:.1f} MB"
