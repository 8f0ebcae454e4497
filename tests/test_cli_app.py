"""The command as a process: its help, its mistakes in one line, its exit codes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from commands import ONE, closed, command, run
from sessiontail.cli.app import COMMANDS, application


def test_help_imports_neither_the_reader_nor_what_it_needs() -> None:
    code = (
        "import sys; sys.argv = ['sessiontail', '--help']\n"
        "from sessiontail.cli import main\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), sep='\\n', file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )

    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "Usage: sessiontail" in done.stdout
    assert loaded & {"msgspec", "anyio", "aiofiles", "asyncio", "rich"} == set()
    assert "sessiontail.session.reading" not in done.stderr.split()


def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(tmp_path: Path) -> None:
    closed(tmp_path, ONE)
    code = (
        "import sys; sys.modules[sys.argv[1]] = None; del sys.argv[1]\n"
        "sys.stdout.isatty = lambda: True\n"
        "from sessiontail.cli import main; sys.exit(main())"
    )

    for name in ("click", "rich"):
        done = subprocess.run(
            [sys.executable, "-c", code, name, "ls", "--dir", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

        assert (done.returncode, done.stdout, done.stderr) == (
            2,
            "",
            "sessiontail: the command needs the extra `cli`: in its checkout, pip install -e '.[cli]'\n",
        )


def test_every_command_teaches_with_examples() -> None:
    for name in COMMANDS:
        done = run(name, "--help")

        assert (done.returncode, done.stderr) == (0, "")
        assert "Examples:" in done.stdout
        assert "Exit codes: 0 " in done.stdout
        assert run("help", name).stdout == done.stdout
    for name in ("ls", "cat", "tail", "rm", "prune"):
        said = " ".join(run(name, "--help").stdout.split())
        assert "else ./.openrath/sessions, else ~/.openrath/sessions" in said


def test_every_option_is_explained() -> None:
    with click.Context(application, info_name="sessiontail") as above:
        for name in COMMANDS:
            command = application.get_command(above, name)
            assert command is not None
            options = [one for one in command.params if isinstance(one, click.Option)]
            assert [one.name for one in options if not one.help] == []


def test_a_usage_error_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    file = closed(tmp_path, ONE)
    mistakes = [
        (("frob",), "no such command 'frob'; see 'sessiontail --help'"),
        (("help", "frob"), "no such command 'frob'; see 'sessiontail --help'"),
        (("tial",), "no such command 'tial'; did you mean 'tail'?"),
        (("ls", "--frob"), "no such option '--frob'; see 'sessiontail ls --help'"),
        (("ls", "--sicne", "2h"), "no such option '--sicne'; did you mean '--since'?"),
        (("cat",), "missing argument 'ID...'; see 'sessiontail cat --help'"),
        (
            ("prune",),
            (
                "give a rule: --older-than, --keep-last, --max-size or --state; "
                "see 'sessiontail prune --help'"
            ),
        ),
        (("tail", ONE, "--wait"), "--wait needs -f; see 'sessiontail tail --help'"),
        (
            ("ls", "--dir", str(file)),
            (
                f"invalid value for '--dir': {file} is no directory; give the one where sessions lie; "
                "see 'sessiontail ls --help'"
            ),
        ),
        (
            ("ls", "--since", "soon"),
            (
                "invalid value for '--since': 'soon' is no time; write 2h, 3d, 2026-01-31 or "
                "2026-01-31T08:00; see 'sessiontail ls --help'"
            ),
        ),
    ]

    for arguments, message in mistakes:
        done = run(*arguments)

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"sessiontail: {message}\n"


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, *(["x" * 1000] * 2000))
    shell = shutil.which("bash")
    assert shell is not None

    done = subprocess.run(
        [shell, "-c", 'set -o pipefail; "$@" | head -n 1', "bash", *command("cat", path)],
        capture_output=True,
        timeout=100,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"header      4f2c0000")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "one")

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("cat", path), stdout=full, stderr=subprocess.PIPE, timeout=100, check=False
        )

    assert done.returncode == 1
    assert done.stderr == b"sessiontail: cannot write: No space left on device\n"


def test_a_closed_output_is_one_line(tmp_path: Path) -> None:
    path = closed(tmp_path, ONE, "one")

    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command("cat", path)],
        stderr=subprocess.PIPE,
        timeout=100,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == b"sessiontail: standard output is closed: nowhere to write to\n"


def test_a_file_that_may_not_be_read_is_one_line() -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = closed(Path(directory), ONE, "one")
        path.chmod(0)
        # As another user, once everything is imported: the interpreter may lie in root's home.
        code = (
            "import anyio, concurrent.futures.thread, os, sys\n"
            "import sessiontail.cli.app, sessiontail.cli.cat\n"
            "anyio.run(anyio.sleep, 0)\n"
            "os.getuid() or os.setuid(65534)\n"
            "from sessiontail.cli import main; sys.exit(main())"
        )

        done = subprocess.run(
            [sys.executable, "-c", code, "cat", str(path)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"sessiontail: {path}: permission denied: look at its owner and mode\n"
