from __future__ import annotations

import gc

import hypothesis  # before trio: loaded after it, it warns of trio's random state
import pytest


def pytest_collection_finish() -> None:
    # What is loaded by now stays: a collection that goes through it takes 0.4 s, in each of
    # the tests that look for leaks.
    gc.collect()
    gc.freeze()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


__all__ = ["anyio_backend", "hypothesis"]
