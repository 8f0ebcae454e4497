"""Clients of every kind, beside writers of every kind, while the server is killed: each has the files' records."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from consumers import World

# Of the slow ones, so many, from this seed on.
SEED = int(os.environ.get("SESSIONTAIL_SEED", "0"))
EXAMPLES = int(os.environ.get("SESSIONTAIL_EXAMPLES", "4"))


def test_each_client_has_each_record_once_though_the_server_is_killed(tmp_path: Path) -> None:
    world = World(tmp_path, 3, ring_bytes=4000, large=False)

    assert asyncio.run(world.run(sessions=2, real=0, clients=5, acts=4, restarts=1)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + EXAMPLES))
def test_whatever_happens_each_client_has_each_record_once(tmp_path: Path, seed: int) -> None:
    ring_bytes = (2000, 65_536, 1_048_576)[seed % 3]
    world = World(tmp_path, seed, ring_bytes=ring_bytes, large=seed % 4 == 3)

    assert asyncio.run(world.run(sessions=5, real=2, clients=16, acts=12, restarts=4)) == []
