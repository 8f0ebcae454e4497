"""How much of a long work is done: shown at a terminal, once it takes long, and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from sessiontail.cli.progress import Meter


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
