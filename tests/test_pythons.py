"""The default tests under every other Python that the project names and this machine has.

``pytest -m slow tests/test_pythons.py -rA`` says of each version what its tests said.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSIONS = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))


def interpreter(version: str) -> Path | None:
    """The first one of this version that runs: a shim may stand for one that is not there."""
    places = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep)]
    places += sorted(Path.home().glob(".pyenv/versions/*/bin"))
    for place in places:
        path = place / f"python{version}"
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            said = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if said.returncode == 0 and said.stdout.strip() == version:
            return path
    return None


def test_every_version_from_the_least_on_is_named() -> None:
    least = re.findall(r'requires-python = ">=(3\.\d+)"', (ROOT / "pyproject.toml").read_text())

    assert least == VERSIONS[:1]
    assert "{}.{}".format(*sys.version_info) in VERSIONS


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_default_tests_pass(tmp_path: Path, version: str) -> None:
    if version == "{}.{}".format(*sys.version_info):
        pytest.skip("it runs these tests already")
    python = interpreter(version)
    if python is None:
        pytest.skip("this machine does not have it")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    own = tmp_path / "bin" / "python"

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-200:])
        return done.stdout

    run(python, "-m", "venv", tmp_path)
    run(own, "-m", "pip", "install", "-q", "-e", f"{ROOT}[dev]")
    said = run(own, "-m", "pytest", "-q", "-p", "no:cacheprovider")

    print(f"{version} ({python}): {said.splitlines()[-1]}")  # noqa: T201 - shown with -rA
