"""The style of a page: nothing is loaded, and what is read stands out from what is behind it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from sessiontail.reports.style import POLICY, STYLE

# Light, dark, paper: each sets the colours by name.
SCHEMES = [
    dict(re.findall(r"--(\w+):#(\w+)", block)) for block in re.findall(r":root\{([^}]*)\}", STYLE)
]


def luminance(color: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = color if len(color) == 6 else "".join(one * 2 for one in color)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES, ids=["light", "dark", "paper"])
def test_what_is_read_and_drawn_stands_out(scheme: dict[str, str]) -> None:
    for text in ("text", "quiet", "error", "warning", "info", "link"):
        for ground in ("page", "panel"):
            assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)
    for ground in ("page", "panel"):
        assert contrast(scheme["bar"], scheme[ground]) >= 3


def test_each_colour_is_set_in_each_scheme() -> None:
    used = set(re.findall(r"var\(--(\w+)\)", STYLE))

    assert len(SCHEMES) == 3
    assert all(used == {*scheme} for scheme in SCHEMES)


def test_a_browser_may_show_this_style_and_nothing_else() -> None:
    digest = b64encode(sha256(STYLE.encode()).digest()).decode()

    assert (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    ) == POLICY
    assert not re.search(r"url\(|@import|<", STYLE)
    assert STYLE.count("{") == STYLE.count("}")


def test_a_table_that_goes_on_beyond_a_narrow_screen_shows_a_shadow_there_but_not_on_paper() -> (
    None
):
    shown, printed = re.findall(r"\n\.scroll\{([^}]*)\}", STYLE)

    assert "overflow-x:auto" in shown
    # What covers the shadows moves with the table; they stay at the edges.
    assert shown.count(" local") == shown.count("var(--page)") == shown.count("var(--quiet)") == 2
    assert "background:none" in printed
