""""""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from followers import sweeps, watched, write
from sessiontail.system import surveying
from sessiontail.system.stats import StoreStats
from sessiontail.system.watching import DirectoryWatch

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's"),
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "sessions"
    directory.mkdir()
    return directory


async def test_a_write_that_is_told_only_when_it_has_ended_is_not_missed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of megabytes grows from look to look, and the event comes behind the last byte."""
    monkeypatch.setattr(surveying, "TRUSTED_SWEEP_SHARE", 1e9)
    monkeypatch.setattr(surveying, "GRACE_S", 3600.0)
    told: list[tuple[int, str, int]] = []
    plain = DirectoryWatch.told
    async with watched(directory, sweep_s=0.01) as watch:
        stats = StoreStats()
        subscription = watch.subscribe(None, stats)
        write(directory / "a.jsonl")
        await watch.take_stock(subscription)
        monkeypatch.setattr(DirectoryWatch, "told", lambda _, *event: told.append(event))
        for _ in range(5):
            write(directory / "a.jsonl")
            await sweeps(stats, 2)
        for event in told:
            plain(watch, *event)
        monkeypatch.setattr(surveying, "GRACE_S", 0.0)
        await sweeps(stats, 3)

        assert told
        assert (stats.missed, watch.polled_because) == (0, None)
        subscription.close()
