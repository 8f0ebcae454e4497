"""what a message says -> the parts that ATIF has for it: text, images, audio.

What it has no part for is drawn as text. Source: ATIF v1.8, ``ContentPart``.
"""

from __future__ import annotations

from typing import Any

from sessiontail.format.content import content_text

__all__ = ["Content", "as_content", "well_formed"]

Content = str | list[dict[str, Any]]

_IMAGES = {
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/png": "image/png",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
}
_ENDINGS = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif",
            "webp": "image/webp"}  # fmt: skip
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "ogg": "audio/ogg",
          "aac": "audio/aac", "webm": "audio/webm", "aiff": "audio/aiff"}  # fmt: skip


def as_content(value: Any) -> Content:
    """Return a content: text, or parts where one of them is no text."""
    if value is None:
        return ""
    if not isinstance(value, list):
        return well_formed(content_text(value))
    parts = [_media(part) for part in value]
    if not any(parts):
        return well_formed(content_text(value))
    return [
        part or {"type": "text", "text": well_formed(content_text(one))}
        for part, one in zip(parts, value, strict=True)
    ]


def well_formed(text: str) -> str:
    r"""Return text that is UTF-8: half a character, which ATIF's readers refuse, as ``\ud83d``."""
    return text.encode("utf-8", "backslashreplace").decode()


def _media(part: Any) -> dict[str, Any] | None:
    """Return an image or a sound as ATIF has it; None for what is none, or of an unknown type."""
    if not isinstance(part, dict):
        return None
    if part.get("type") == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else image
        media = _image_type(url) if isinstance(url, str) else None
        if isinstance(url, str) and media is not None:
            return _part("image", media, well_formed(url))
    sound = part.get("input_audio")
    if part.get("type") == "input_audio" and isinstance(sound, dict):
        data, media = sound.get("data"), _AUDIO.get(str(sound.get("format")))
        if isinstance(data, str) and media is not None:
            return _part("audio", media, f"data:{media};base64,{well_formed(data)}")
    return None


def _part(kind: str, media: str, path: str) -> dict[str, Any]:
    return {"type": kind, "source": {"media_type": media, "path": path}}


def _image_type(url: str) -> str | None:
    head, colon, rest = url.partition(":")
    if colon and head.lower() == "data":
        return _IMAGES.get(rest.partition(",")[0].partition(";")[0].lower())
    path = url.partition("?")[0].partition("#")[0]
    return _ENDINGS.get(path.rpartition(".")[2].lower())
