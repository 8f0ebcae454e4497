"""What a message says as a text: parts of chat APIs, and every other JSON value."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sessiontail import Chunk, ChunkKind
from sessiontail.format.content import as_text, content_text


def encoded(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


PARTS = [
    ("a text", "hi", "hi"),
    ("no part", [], ""),
    ("one text", [{"type": "text", "text": "hi"}], "hi"),
    ("texts of other names", [{"type": "input_text", "text": "a"}, "b"], "a\nb"),
    ("a refusal", [{"type": "refusal", "refusal": "no"}], "no"),
    (
        "an image between texts",
        [
            {"type": "text", "text": "what is\nthis?"},
            {
                "type": "image_url",
                "image_url": {"url": "data:image/png;base64," + encoded(34_000)},
            },
            {"type": "text", "text": "say"},
        ],
        "what is\nthis?\n[image png, 34 kB]\nsay",
    ),
    (
        "an image elsewhere",
        [{"type": "image_url", "image_url": {"url": "https://a.example/b.png?c=1,2"}}],
        "[image https://a.example/b.png?c=1,2]",
    ),
    (
        "a long address",
        [{"type": "image_url", "image_url": {"url": "https://" + "a" * 500}}],
        "[image https://" + "a" * 192 + "...]",
    ),
    (
        "an image by its url alone",
        [{"type": "input_image", "image_url": "data:image/jpeg;base64," + encoded(1_234_567)}],
        "[image jpeg, 1.2 MB]",
    ),
    (
        "a picture as text",
        [{"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}],
        "[image svg+xml, 6 B]",
    ),
    (
        "audio",
        [{"type": "input_audio", "input_audio": {"data": encoded(12_345), "format": "wav"}}],
        "[audio wav, 12 kB]",
    ),
    (
        "a file",
        [
            {
                "type": "file",
                "file": {
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64," + encoded(999),
                },
            }
        ],
        "[file a.pdf, 999 B]",
    ),
    ("a file that lies there", [{"type": "file", "file": {"file_id": "file-1"}}], "[file file-1]"),
    (
        "Anthropic's image",
        [
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/webp", "data": encoded(2000)},
            }
        ],
        "[image webp, 2 kB]",
    ),
    (
        "MCP's image",
        [{"type": "image", "data": encoded(2000), "mimeType": "image/gif"}],
        "[image gif, 2 kB]",
    ),
    ("a part of its own", {"type": "text", "text": "hi"}, "hi"),
    ("an image of nothing", [{"type": "image_url", "image_url": None}], "[image]"),
    (
        "an unknown part beside a text",
        [{"type": "text", "text": "hi"}, {"type": "poll", "n": None}, 5],
        'hi\n{"type": "poll", "n": null}\n5',
    ),
    ("a text part without a text", [{"type": "text"}], '[{"type": "text"}]'),
    ("a text that is none", [{"type": "text", "text": ["é", True]}], '["é", true]'),
    ("values", [1, None, {"a": "é"}], '[1, null, {"a": "é"}]'),
    ("an object", {"a": [1.5, False]}, '{"a": [1.5, false]}'),
    ("a type that is none", [{"type": ["text"], "text": "hi"}], '[{"type": ["text"], "text": "hi"}]'),
    ("a number", 5, "5"),
    ("truth", True, "true"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "text"), [case[1:] for case in PARTS], ids=[case[0] for case in PARTS]
)
def test_a_content_is_a_text_and_never_python_s_words(content: Any, text: str) -> None:
    assert content_text(content) == text
    assert Chunk(kind=ChunkKind.USER, payload={"content": content}).text == text


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_499, "999 kB"), (999_501, "1.0 MB")],
)
def test_a_weight_is_told_as_of_files(count: int, shown: str) -> None:
    (part,) = [{"type": "input_audio", "input_audio": {"data": encoded(count)}}]

    assert content_text([part]) == f"[audio, {shown}]"


def test_what_is_too_deep_or_too_long_for_json_is_three_dots() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]

    assert (as_text(deep), as_text(10**5000), content_text([deep])) == ("...", "...", "...")
