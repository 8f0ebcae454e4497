"""The looks of a page: what stands on it can be read, in the light and in the dark."""

from __future__ import annotations

import re

import pytest

from sessiontail.format.page_style import STYLE

LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)


def brightness(color: str) -> float:
    """The relative luminance of WCAG 2."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((brightness(one), brightness(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_each_text_stands_out_from_each_ground(scheme: dict[str, str]) -> None:
    grounds = ["ground", "card", "code", "damage-ground"]
    texts = ["text", "dim", "user", "assistant", "tool", "system", "damage"]

    assert {*grounds, *texts, "line"} == {*scheme}
    for text in texts:
        for ground in grounds:
            assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)


def test_it_asks_nothing_of_a_network_and_ends_no_style_element() -> None:
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "<" not in STYLE
