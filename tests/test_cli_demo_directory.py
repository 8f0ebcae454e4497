"""A directory that lives as long as it is entered, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import pytest

from sessiontail import SessionStore
from sessiontail.cli.demo_directory import demo_directory

pytestmark = pytest.mark.anyio


async def test_sessions_move_in_it_and_then_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with anyio.fail_after(60):
        async with demo_directory() as directory:
            store = SessionStore(directory)
            before = len(await store.list())
            async with store.watch() as watch:
                while (await anext(watch)).kind != "started":
                    pass

    assert before >= 10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(signal.SIGKILL, id="SIGKILL"),
        pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.slow),
    ],
)
async def test_it_goes_with_its_process(tmp_path: Path, kill: signal.Signals) -> None:
    code = (
        "import anyio\n"
        "from sessiontail.cli.demo_directory import demo_directory\n"
        "async def main():\n"
        "    async with demo_directory() as directory:\n"
        "        print(directory, flush=True)\n"
        "        await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    # The last of its processes closes this pipe.
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        directory = Path(process.stdout.readline().decode().strip())
        process.send_signal(kill)
        said = process.stderr.read()

    assert directory.parent == tmp_path
    assert said == b""
    assert not directory.exists()


async def test_agents_that_do_not_start_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(OSError, match="the demo's agents do not start"):
        async with demo_directory():
            pass

    assert list(tmp_path.iterdir()) == []
