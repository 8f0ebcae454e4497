"""A table in a pipe and at terminals of any width; letters are as wide as they are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from commands import ONE, TWO, at_terminal, closed, header, run
from sessiontail.cli.table import Column, print_rows
from sessiontail.cli.terminal import Output

Streams = pytest.CaptureFixture[bytes]

COLUMNS = [
    Column("NAME"),
    Column("N", right=True, spare=1),
    Column("SIZE", right=True, spare=2),
    Column("TEXT"),
]
ROWS = [["一二", "1", "4 K", "a"], ["abcd", "20", "512 B", "🎉 a text that is long 一二三"]]


class Wide(Output):
    """An output of so many columns."""

    def __init__(self, columns: int | None) -> None:
        super().__init__()
        self._columns = columns

    @property
    def width(self) -> int | None:
        return self._columns


def table(streams: Streams, width: int | None) -> tuple[list[str], str]:
    output = Wide(width)
    print_rows(output, COLUMNS, ROWS)
    output.flush()
    out, err = streams.readouterr()
    return out.decode().splitlines(), err.decode()


def test_a_pipe_gets_everything_aligned(capsysbinary: Streams) -> None:
    assert table(capsysbinary, None) == (
        [
            "NAME   N   SIZE  TEXT",
            "一二   1    4 K  a",
            "abcd  20  512 B  🎉 a text that is long 一二三",
        ],
        "",
    )


def test_the_last_column_gives_way_first(capsysbinary: Streams) -> None:
    assert table(capsysbinary, 43)[0][2] == "abcd  20  512 B  🎉 a text that is long 一…"
    assert table(capsysbinary, 31) == (
        ["NAME   N   SIZE  TEXT", "一二   1    4 K  a", "abcd  20  512 B  🎉 a text tha…"],
        "",
    )


def test_then_those_go_that_can_be_spared_and_that_is_told(capsysbinary: Streams) -> None:
    assert table(capsysbinary, 25) == (
        ["NAME   N  TEXT", "一二   1  a", "abcd  20  🎉 a text that…"],
        "sessiontail: 25 columns have no place for SIZE\n",
    )
    assert table(capsysbinary, 19) == (
        ["NAME  TEXT", "一二  a", "abcd  🎉 a text th…"],
        "sessiontail: 19 columns have no place for N, SIZE\n",
    )


def test_the_others_stay_and_wrap(capsysbinary: Streams) -> None:
    assert table(capsysbinary, 5)[0][1:] == ["一二  a", "abcd  🎉 a text t…"]


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_no_row_is_wider_than_the_terminal(tmp_path: Path, columns: int) -> None:
    closed(tmp_path, ONE, "one")
    wide = header(TWO).replace(b'"run"', '"👩\u200d👧 你好你好你好你好\\n\\t end"'.encode())
    (tmp_path / f"{TWO}.jsonl").write_bytes(wide)

    code, got = at_terminal("ls", "--dir", tmp_path, env={"COLUMNS": str(columns)})

    lines = re.sub(r"\x1b\[[\d;]*m", "", got.decode()).splitlines()
    assert code == 0
    assert len(lines) == 3
    assert all(cell_len(line) <= columns for line in lines), lines
    for line, name in zip(lines[1:], ("4f2c0000", "4f2d0000"), strict=True):
        assert name in line


def test_colours_do_not_move_a_column(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "one")

    plain = run("ls", "--dir", tmp_path)
    painted = run("ls", "--dir", tmp_path, "--color", "always")

    assert "\x1b[1mSTATE\x1b[0m" in painted.stdout
    assert "\x1b[2mclosed\x1b[0m" in painted.stdout
    assert re.sub(r"\x1b\[\d*m", "", painted.stdout) == plain.stdout
