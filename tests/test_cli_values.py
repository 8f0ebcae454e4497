"""Each word on the command line is the value that its user means, or is refused with what to write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from sessiontail.cli.values import Moment, NewFile, Size, Span, Window, WindowType


def meant(kind: Any, text: str) -> Any:
    return kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("1.5h", timedelta(minutes=90)),
        (" 3d ", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("0s", timedelta(0)),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert meant(Span(), text) == span


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T08:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00+02:00", datetime(2026, 1, 31, 6, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31).astimezone()),
    ],
)
def test_a_moment_is_a_date_that_is_local_without_an_offset(text: str, moment: datetime) -> None:
    assert meant(Moment(), text) == moment
    assert meant(Moment(), text).tzinfo is UTC


def test_a_moment_is_so_long_ago() -> None:
    before = datetime.now(UTC)
    moment = meant(Moment(), "2h")
    after = datetime.now(UTC)

    assert before <= moment + timedelta(hours=2) <= after


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("500K", 512_000),
        ("1.5k", 1536),
        ("200MB", 200 * 1024**2),
        ("10GiB", 10 * 1024**3),
        ("1T", 1024**4),
    ],
)
def test_a_size_is_bytes_or_powers_of_1024(text: str, size: int) -> None:
    assert meant(Size(), text) == size


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("10", Window(last=10)),
        ("0", Window(last=0)),
        ("+10", Window(first=10)),
        ("+0", Window()),
        ("all", Window()),
        ("9" * 18, Window(last=10**18 - 1)),
    ],
)
def test_a_window_is_the_last_or_from_one_on_or_all(text: str, window: Window) -> None:
    assert meant(WindowType(), text) == window


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Span(), text) for text in ("", "5", "h", "-1h", "1h30m", "1y", "1e9d", "9" * 400 + "w")),
        *((Moment(), text) for text in ("", "soon", "2026-13-01", "999999999w", "999999d", "0001")),
        *((Size(), text) for text in ("", "K", "-1", "1P", "1 K", "0x10", "1e3")),
        *((WindowType(), text) for text in ("", "-1", "+", "1.5", "ALL", "9" * 19, "\u0663")),
    ],
    ids=lambda value: str(value)[:12] if isinstance(value, str) else value.name,
)
def test_what_is_none_is_refused_with_what_to_write(kind: Any, text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"write .*\d"):
        meant(kind, text)


def test_what_is_a_value_already_stays() -> None:
    for kind, value in (
        (Span(), timedelta(1)),
        (Moment(), datetime.now(UTC)),
        (WindowType(), Window(last=3)),
    ):
        assert kind.convert(value, None, None) is value


def test_a_file_is_called_what_is_typed_but_a_dash_is_refused_with_what_to_do() -> None:
    assert meant(NewFile(), "./-") == "./-"
    with pytest.raises(click.BadParameter, match="'-' is no file; leave out --to to print"):
        meant(NewFile(), "-")
    with pytest.raises(click.BadParameter, match="'-' is no file; name a new one"):
        meant(NewFile(printed=False), "-")
