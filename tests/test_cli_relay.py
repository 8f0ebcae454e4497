"""``sessiontail relay``: published there, read anywhere else, by the commands as they are typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from commands import ONE, TWO, chunk, closed, command, header, run
from redises import RedisServer, server, url

__all__ = ["server", "url"]


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def ended(process: subprocess.Popen[str], number: int) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def told(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_what_one_command_publishes_another_one_reads_and_nothing_is_left(
    url: str, tmp_path: Path
) -> None:
    directory, temporary = tmp_path / "sessions", tmp_path / "tmp"
    directory.mkdir()
    temporary.mkdir()
    wal = directory / f"{ONE}.jsonl.__partial__"
    wal.write_bytes(header(ONE) + chunk(0, "first"))
    relay = start("relay", "--to", url, "--dir", directory, "--name", "one")
    assert told(relay) == (
        f"sessiontail: publishing the sessions of {directory} as one; Ctrl-C stops\n"
    )

    tail = start("tail", "-f", "-n", "all", "-o", "jsonl", "--from", url, TMPDIR=str(temporary))
    assert tail.stdout is not None
    texts = [json.loads(tail.stdout.readline()).get("record_type") for _ in range(2)]
    with wal.open("ab") as file:
        file.write(chunk(1, "second"))
    last = json.loads(tail.stdout.readline())

    assert texts == ["header", "chunk"]
    assert (last["session_id"], last["payload"]) == (ONE, {"content": "second"})
    assert len(list(temporary.iterdir())) == 1
    code, out, err = ended(tail, signal.SIGTERM)
    assert (code, out) == (143, "")
    assert err.startswith(f"sessiontail: watching 1 running session in {temporary}/sessiontail-mir")
    assert list(temporary.iterdir()) == []
    assert ended(relay, signal.SIGTERM) == (0, "", "")


def test_an_interrupted_relay_says_nothing(url: str, tmp_path: Path) -> None:
    relay = start("relay", "--to", url, "--dir", tmp_path / "none", "--name", "one")
    assert told(relay) == (
        f"sessiontail: publishing the sessions of {tmp_path}/none, which is not there yet as one; "
        "Ctrl-C stops\n"
    )

    assert ended(relay, signal.SIGINT) == (130, "", "")


def test_one_session_of_another_machine_is_followed_to_its_end(url: str, tmp_path: Path) -> None:
    directory, kept = tmp_path / "sessions", tmp_path / "kept"
    directory.mkdir()
    closed(directory, ONE, "one")
    closed(directory, TWO, "two")
    relay = start("relay", "--to", url, "--dir", directory, "--all")
    told(relay)
    tail: list[str | Path] = [
        "tail",
        "--until-end",
        "--wait",
        TWO,
        "--from",
        url,
        "--dir",
        kept,
        "-k",
        "user",
    ]

    first, second = run(*tail), run(*tail)
    ended(relay, signal.SIGTERM)

    for done in (first, second):
        assert (done.returncode, done.stdout.count("two"), done.stdout.count("one")) == (0, 1, 0)
    assert sorted(path.name for path in kept.iterdir()) == [
        ".sessiontail-mirror", f"{TWO}.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["relay"], 2, "--to"),
        (["relay", "--to", "http://me:secret@host"], 1, "the address of a Redis is redis://HOST"),
        (["relay", "--to", "redis://host", "--prefix", "a b"], 1, "a prefix is 1 to 64 of"),
        (["relay", "--to", "redis://host", "--name", ""], 1, "a relay's name is 1 to 64 of"),
        (["relay", "--to", "redis://host", "--expire", "0s"], 2, "--expire is at least 1s"),
        (["tail", "--from", "redis://host"], 2, "--from needs -f"),
        (["tail", "-f", "--from", "redis://host", "./a.jsonl"], 2, "paths are not there"),
        (["tail", "-f", "--from", "http://host"], 1, "the address of a Redis is redis://HOST"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    arguments: list[str], code: int, words: str, tmp_path: Path
) -> None:
    done = run(*arguments, "--dir", tmp_path)

    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_a_taken_name_is_one_line(url: str, tmp_path: Path) -> None:
    relay = start("relay", "--to", url, "--dir", tmp_path, "--name", "one")
    told(relay)

    done = run("relay", "--to", url, "--dir", tmp_path, "--name", "one")
    ended(relay, signal.SIGTERM)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"sessiontail: a relay named one runs already (process {relay.pid}, here): give this one "
        "another --name, or stop that one\n"
    )


def test_a_password_that_is_wrong_is_told_and_not_shown(
    server: RedisServer, tmp_path: Path
) -> None:
    address = f"redis://nobody:secret@127.0.0.1:{server.port}/0"
    relay = start("relay", "--to", address, "--dir", tmp_path)

    line = told(relay)

    assert line == (
        f"sessiontail: redis://127.0.0.1:{server.port}/0: it refuses the user or the password: give "
        "redis://USER:PASSWORD@HOST, or the password in SESSIONTAIL_REDIS_PASSWORD; tried again "
        "until it works\n"
    )
    assert ended(relay, signal.SIGTERM) == (0, "", "")
