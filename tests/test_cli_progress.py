"""How much of a long work is done: shown at a terminal, once it takes long, and nowhere else."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable

import pytest

from sessiontail.cli.progress import ByteMeter, Meter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_meter_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter("reading")
    meter._since_s -= 60  # long since
    meter.show(1, 2)
    meter.close()

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("since_s", [0, 60])
def test_a_meter_shows_how_far_a_long_work_is_and_is_gone_at_its_end(
    monkeypatch: pytest.MonkeyPatch, since_s: float
) -> None:
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    meter = Meter("reading")
    meter._since_s -= since_s
    meter.show(1, 2)
    meter.show(2, 2)
    meter.close()
    meter.close()  # again is no error

    assert ("reading" in stderr.getvalue()) == bool(since_s)


def test_a_meter_without_stderr_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    meter = Meter("reading")
    meter._since_s -= 60
    meter.show(1, None)
    meter.close()


def shown(
    monkeypatch: pytest.MonkeyPatch, columns: int, show: Callable[[ByteMeter], object]
) -> str:
    """What a meter of bytes shows after ten seconds."""
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    meter = ByteMeter("reading")
    meter._since_s = 90.0
    show(meter)
    meter.close()
    return stderr.getvalue()


def test_a_meter_of_bytes_says_how_much_how_fast_and_how_many_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "1,000 of 2,000 files, 50 M of 100 M, 5.0 M/s"
    done = (1000, 2000, 50 << 20, 100 << 20)

    wide, narrow = (
        shown(monkeypatch, columns, lambda meter: meter.show_files(*done)) for columns in (100, 60)
    )

    assert said in wide
    assert "━" in wide
    assert said in narrow
    assert "━" not in narrow


def test_where_nothing_is_to_be_read_only_files_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "5 of 9 files " in shown(monkeypatch, 100, lambda meter: meter.show_files(5, 9, 0, 0))


def test_of_one_file_only_bytes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    got = shown(monkeypatch, 100, lambda meter: meter.show_bytes(50 << 20, 100 << 20))

    assert "reading: 50 M of 100 M, 5.0 M/s" in got


def test_what_is_done_before_and_behind_the_counting_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def show(meter: ByteMeter) -> None:
        meter.show(0, None, what="looking at the directory")
        first = sys.stderr.getvalue()  # type: ignore[union-attr] # a ``Terminal``
        meter.show_bytes(1, 2)

        assert "looking at the directory" in first
        assert "%" not in first

    assert "reading: 1 B of 2 B" in shown(monkeypatch, 100, show)
