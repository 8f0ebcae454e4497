"""What is not shown is told in one line: how much it is, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessiontail.cli.telling import tell_skipped, tell_why_none
from sessiontail.errors import DamagedSession
from sessiontail.urls import as_path

Streams = pytest.CaptureFixture[bytes]


def told(streams: Streams) -> list[str]:
    return streams.readouterr().err.decode().splitlines()


def test_files_are_told_by_what_is_wrong_with_them_three_names_each(capsysbinary: Streams) -> None:
    errors = [DamagedSession("no header", path=f"/s/{name}.jsonl") for name in "dbca"]

    tell_skipped([*errors, DamagedSession("a FIFO", path="/s/pipe")])
    tell_skipped(errors[:1])
    tell_skipped([])

    assert told(capsysbinary) == [
        "sessiontail: 5 files skipped: 4 x no header (a.jsonl, b.jsonl, c.jsonl, ...); 1 x a FIFO (pipe)",
        "sessiontail: 1 file skipped: 1 x no header (d.jsonl)",
    ]


def test_why_there_are_none_is_said(tmp_path: Path, capsysbinary: Streams) -> None:
    bucket = as_path("s3://a/b")

    for place, count in [(tmp_path, 2), (tmp_path, 0), (tmp_path / "no", 0), (bucket, 0)]:
        tell_why_none(place, count, by_option=False)

    assert told(capsysbinary) == [
        f"sessiontail: none of the 2 sessions in {tmp_path} fits",
        f"sessiontail: no sessions in {tmp_path}; name the directory where they lie",
        f"sessiontail: {tmp_path}/no: no such directory; name the one where sessions lie",
        "sessiontail: no sessions in s3://a/b; name the directory where they lie",
    ]


def test_who_takes_the_directory_as_an_option_is_told_its_name(
    tmp_path: Path, capsysbinary: Streams
) -> None:
    tell_why_none(tmp_path, 0)
    tell_why_none(tmp_path / "no", 0)

    assert told(capsysbinary) == [
        f"sessiontail: no sessions in {tmp_path}; give another directory with --dir",
        f"sessiontail: {tmp_path}/no: no such directory; give the one where sessions lie with --dir",
    ]
