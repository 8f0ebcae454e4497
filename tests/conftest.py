from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis  # before trio: loaded after it, it warns of trio's random state
import msgspec
import pytest

from samples import ID, all_of
from sessiontail import SessionStore
from writers import real_writer

# Programs that tests start are compiled once, and not each time, whatever the environment says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Nothing of a test, or of its child processes, is in the user's cache, or comes from there.
os.environ["SESSIONTAIL_CACHE"] = "off"

# How long an example takes says how busy the machine is; what fixtures make is not changed.
hypothesis.settings.register_profile(
    "sessiontail",
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.load_profile("sessiontail")


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show all of two records that differ: their repr is short."""
    if op == "==" and isinstance(left, msgspec.Struct) and isinstance(right, msgspec.Struct):
        return [f"{left!r} == {right!r}", all_of(left), all_of(right)]
    return None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Load a share of the modules first, where there are several processes.

    Else each of them would rewrite the asserts of all at the same time: in a fresh clone half a minute.
    """
    worker: dict[str, Any] | None = getattr(session.config, "workerinput", None)
    if worker and session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        number, workers = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
        for path in sorted(Path(__file__).parent.glob("test_*.py"))[number::workers]:
            importlib.import_module(path.stem)


def pytest_collection_finish() -> None:
    # What is loaded by now stays: a collection that goes through it takes 0.4 s, in each of
    # the tests that look for leaks.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Children inherit that SIGINT is ignored, as in a shell's background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture(params=["events", "polling"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SessionStore:
    """A store of an empty directory, told by events or looking by itself.

    Told by events, it looks so seldom that what no event tells is a failure.
    """
    directory = tmp_path / "sessions"
    directory.mkdir()
    return SessionStore(
        directory, events=request.param == "events", sweep_interval_s=60, poll_interval_s=0.01
    )


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """A session that openrath's own writer holds open, with one record."""
    writer = real_writer()
    writer("open", home=tmp_path, session_id=ID)
    writer("write", text="first")
    path = tmp_path / f"{ID}.jsonl.__partial__"
    yield path
    if path.exists():
        writer("abandon")


__all__ = ["anyio_backend", "hypothesis", "interruptible", "live", "store"]
