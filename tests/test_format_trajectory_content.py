"""Contents as ATIF's own models take them."""

from __future__ import annotations

from typing import Any

import pytest
from atif import ContentPart

from sessiontail.format.trajectory_content import as_content, well_formed

PNG = "data:image/png;base64,iVBORw0="


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def image(path: str, media_type: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "source": {"media_type": media_type, "path": path}}


def audio(path: str, media_type: str) -> dict[str, Any]:
    return {"type": "audio", "source": {"media_type": media_type, "path": path}}


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (None, ""),
        ("hi", "hi"),
        ("\ud83d", "\\ud83d"),
        ([text("a"), text("b")], "a\nb"),
        ([], ""),
        ({"a": 1}, '{"a": 1}'),
        (
            [text("a\ud83d"), {"type": "image_url", "image_url": {"url": PNG}}],
            [text("a\\ud83d"), image(PNG)],
        ),
        (
            [{"type": "image_url", "image_url": "https://x/y.JPG?z=1#a"}],
            [image("https://x/y.JPG?z=1#a", "image/jpeg")],
        ),
        (
            [{"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}}, 5],
            [audio("data:audio/mpeg;base64,QQ==", "audio/mpeg"), text("5")],
        ),
        # What ATIF has no type for is drawn.
        ([{"type": "image_url", "image_url": {"url": "https://x/y"}}], "[image https://x/y]"),
        ([{"type": "image_url", "image_url": {"url": 5}}], "[image]"),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,QQ=="}}],
            "[image tiff, 1 B]",
        ),
        (
            [{"type": "input_audio", "input_audio": {"data": "QQ==", "format": "x"}}],
            "[audio x, 1 B]",
        ),
        ([{"type": "input_audio", "input_audio": [1]}], "[audio]"),
    ],
)
def test_a_content_is_text_or_parts(value: Any, content: Any) -> None:
    assert as_content(value) == content
    for part in content if isinstance(content, list) else []:
        ContentPart.model_validate(part)


def test_half_a_character_is_escaped_and_whole_ones_stay() -> None:
    assert well_formed("é🙂\ud83d") == "é🙂\\ud83d"
