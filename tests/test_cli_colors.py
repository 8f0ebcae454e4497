"""Who decides whether there are colours, and colours of sessions that are told apart anywhere."""

from __future__ import annotations

from itertools import combinations
from uuid import UUID

import pytest

from sessiontail.cli.colors import (
    SESSION_COLORS,
    Painted,
    When,
    session_style,
    styled,
    wants_color,
)


@pytest.mark.parametrize(
    ("when", "env", "terminal", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, True),  # regardless of its value, says the standard
        ("auto", {"FORCE_COLOR": ""}, False, False),
        ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_the_option_goes_before_no_color_and_that_before_force_color(
    monkeypatch: pytest.MonkeyPatch,
    when: When,
    env: dict[str, str],
    *,
    terminal: bool,
    wanted: bool,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    assert wants_color(when, terminal=terminal) is wanted


def test_what_is_painted_is_clean_beneath() -> None:
    painted = styled("\x1b[2J", "red", "match")

    assert painted == "\x1b[31;7m\\x1b[2J\x1b[0m"
    assert isinstance(painted, Painted)
    assert (styled("a"), styled("", "red")) == ("a", "")


def test_a_session_has_its_colour_in_each_run_and_not_all_have_the_same() -> None:
    assert session_style("4f2c0000-0000-4000-8000-000000000001") == "session-199"
    assert {session_style(str(UUID(int=i))) for i in range(200)} == {
        f"session-{color}" for color in SESSION_COLORS
    }
    assert session_style("a file \udcff")


def rgb(color: int) -> tuple[float, ...]:
    """Return a colour of the cube that terminals with 256 have, as light."""
    steps = (0, 95, 135, 175, 215, 255)
    parts = divmod(color - 16, 36)
    values = (parts[0], *divmod(parts[1], 6))
    shares = [steps[value] / 255 for value in values]
    return tuple(s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)


def luminance(color: int) -> float:
    red, green, blue = rgb(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def lab(color: int) -> tuple[float, float, float]:
    red, green, blue = rgb(color)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    x, y, z = (
        v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, luminance(color), z)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_the_colours_of_sessions_are_read_on_black_and_on_white() -> None:
    for color in SESSION_COLORS:
        light = luminance(color)

        assert (light + 0.05) / 0.05 >= 3
        assert 1.05 / (light + 0.05) >= 3


def test_the_colours_of_sessions_are_told_apart() -> None:
    for one, other in combinations(SESSION_COLORS, 2):
        distance = sum((a - b) ** 2 for a, b in zip(lab(one), lab(other), strict=True)) ** 0.5

        assert distance >= 20, (one, other)
