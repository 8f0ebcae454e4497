from __future__ import annotations

import platform
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from redises import anyio_backend
from sessiontail import MissingExtra, PersistenceError, mirror_sessions, relay_sessions
from sessiontail.relay.relayed import host_name

__all__ = ["anyio_backend"]

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("node", "name"), [("build-7.example", "build-7.example"), ("büro 1", "b-ro-1"), ("", "host")]
)
def test_a_relay_is_called_like_its_machine_as_far_as_a_key_may_have_it(
    node: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: node)

    assert host_name() == name


async def test_without_redis_py_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("sessiontail.relay.")]:
        if name != "sessiontail.relay.relayed":
            monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(MissingExtra, match="need redis: pip install redis"):
        await relay_sessions("redis://host", directory=tmp_path)
    with pytest.raises(MissingExtra, match="need redis: pip install redis"):
        await mirror_sessions("redis://host", tmp_path)


def test_redis_py_is_not_imported_before_it_is_needed() -> None:
    code = "import sys; from sessiontail import relay_sessions; print('redis' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert run.stdout == "False\n"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"timeout": 0}, ValueError, "timeout is more than 0"),
        ({"expire": timedelta(0)}, ValueError, "expire is at least a second"),
        ({"name": "a b"}, PersistenceError, "a relay's name is 1 to 64 of"),
        ({"prefix": ":"}, PersistenceError, "a prefix is 1 to 64 of"),
        ({"directory": "s3://bucket/x"}, PersistenceError, "sessions are not relayed"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    options: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        await relay_sessions("redis://host", **{"directory": tmp_path, **options})


async def test_a_single_text_is_no_choice_of_sessions(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="only: give a collection"):
        await mirror_sessions("redis://host", tmp_path, only="4f2c")


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_one_line_says_that_it_needs_asyncio(tmp_path: Path) -> None:
    with pytest.raises(PersistenceError, match="Redis is reached on asyncio alone"):
        await relay_sessions("redis://host", directory=tmp_path)
    with pytest.raises(PersistenceError, match="Redis is reached on asyncio alone"):
        await mirror_sessions("redis://host", tmp_path / "mirror")
