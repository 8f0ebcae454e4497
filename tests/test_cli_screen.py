"""The whole screen of a terminal: shown once, cut to its size, and given back as it was."""

from __future__ import annotations

import re
import signal

import pytest

from sessiontail.cli.colors import Painted
from sessiontail.cli.screen import Screen
from sessiontail.cli.terminal import Output


class Kept(Output):
    """An output that keeps what is written."""

    def __init__(self, color: str = "always") -> None:
        super().__init__(color)  # type: ignore[arg-type]  # one of its words
        self.got = b""

    def bytes(self, data: bytes) -> None:
        self.got += data

    def flush(self) -> None:
        """Nothing waits."""


@pytest.fixture(autouse=True)
def size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setenv("LINES", "3")
    monkeypatch.setenv("TERM", "xterm")


def drawn(out: Kept) -> list[str]:
    """The lines of the last picture, without styles."""
    text = out.got.decode().rpartition("\x1b[H")[2]
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).split("\n")]


def test_lines_are_cut_and_the_screen_is_filled() -> None:
    out = Kept()
    with Screen(out) as screen:
        assert screen.size == (10, 3)
        screen.show([Painted("a line that is long"), Painted("結果結果結果結果")])

        assert drawn(out) == ["a line tha", "結果結果結", ""]
        screen.show([Painted(f"{i}") for i in range(9)])
        assert drawn(out) == ["0", "1", "2"]


def test_what_is_on_the_screen_is_not_written_again() -> None:
    out = Kept()
    with Screen(out) as screen:
        screen.show([Painted("one")])
        out.got = b""
        screen.show([Painted("one")])
        assert out.got == b""
        screen._console.size = (12, 3)
        screen.show([Painted("one")])
        assert b"one" in out.got


@pytest.mark.parametrize("color", ["always", "never"])
def test_styles_are_those_of_the_output_and_markup_is_text(color: str) -> None:
    out = Kept(color)
    with Screen(out) as screen:
        screen.show([Painted("[red]" + out.styled("x", "red"))])

    assert drawn(out)[0].startswith("[red]x")
    assert (b"\x1b[31mx" in out.got) == (color == "always")


def test_it_is_left_as_it_was_also_by_an_error() -> None:
    out = Kept()
    with pytest.raises(ZeroDivisionError), Screen(out):
        1 / 0  # noqa: B018 - anything that goes wrong

    assert out.got.startswith(b"\x1b[?1049h")
    assert out.got.rfind(b"\x1b[?1049l") > out.got.rfind(b"\x1b[?1049h")
    assert out.got.rfind(b"\x1b[?25h") > out.got.rfind(b"\x1b[?25l")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_gives_it_back_first(number: signal.Signals) -> None:
    out = Kept()
    before = signal.getsignal(number)

    with pytest.raises(SystemExit) as ended, Screen(out):
        signal.raise_signal(number)

    assert ended.value.code == 128 + number
    assert out.got.endswith(b"\x1b[?1049l") or b"\x1b[?1049l" in out.got
    assert signal.getsignal(number) is before


def test_half_of_a_letter_of_two_is_written_as_what_it_is() -> None:
    out = Kept()
    with Screen(out) as screen:
        screen.show([Painted("\ud83d")])

    assert b"\\ud83d" in out.got
