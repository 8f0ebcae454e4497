from __future__ import annotations

import resource
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from commands import ONE, closed
from redises import anyio_backend, server, url
from relays import files_in, relaying
from sessiontail.cli import mirrored
from sessiontail.cli.mirrored import mirror_directory, mirroring

__all__ = ["anyio_backend", "server", "url"]

pytestmark = pytest.mark.anyio


def test_a_mirror_without_a_directory_is_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with mirror_directory("redis://host", None) as made:
        assert made is not None
        (Path(made) / "a.jsonl").touch()
    assert list(tmp_path.iterdir()) == []

    with mirror_directory("redis://host", "named") as named, mirror_directory(None, None) as none:
        assert (named, none) == ("named", None)
    assert list(tmp_path.iterdir()) == []


async def test_the_directory_is_complete_when_it_is_entered(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "source", tmp_path / "mirror"
    source.mkdir()
    for i in range(250):
        closed(source, str(UUID(int=i)), "a")
    monkeypatch.setattr(mirrored, "_TELL_S", 0.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async with relaying(url, source, include_closed=True):
        with anyio.fail_after(60):
            while True:
                async with mirroring(url, target):
                    there = files_in(target)
                if len(there) == 250:
                    break

    assert there == files_in(source)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "sessiontail: mirrored 200 of 250 sessions\n" in capfd.readouterr().err


async def test_without_a_source_nothing_is_mirrored(tmp_path: Path) -> None:
    closed(tmp_path, ONE, "a")

    async with mirroring(None, tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [f"{ONE}.jsonl"]
