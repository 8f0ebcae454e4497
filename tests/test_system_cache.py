"""What is kept of files comes back as it was, or not at all; what goes wrong is told once."""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from sessiontail.system import cache as caching
from sessiontail.system.cache import Cache, cache_path

STAMP = b"s" * 40
ENTRIES = {f"{i:05}.jsonl": (STAMP, b"%d" % i * 60) for i in range(300)}

WORKER = """
import os, signal, sys
from pathlib import Path
from sessiontail.system.cache import Cache
cache = Cache(Path(sys.argv[1]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "user" / "cache-1.sqlite"


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was said up to now."""
    caplog.set_level(logging.DEBUG, "sessiontail")
    return lambda: [record.getMessage() for record in caplog.records]


def child(code: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", WORKER + code, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    said = process.communicate("go\n", timeout=60)
    assert process.returncode == code, said
    return said


# --- what is kept


def test_what_was_written_is_read_by_name_and_others_are_not(
    path: Path, warned: Callable[[], list[str]]
) -> None:
    cache = Cache(path)
    before = cache.read("fold", "/a")
    cache.write("fold", "/a", ENTRIES)
    cache.write("fold", "/b", {"x": (b"1", b"2")})
    cache.write("meta", "/a", {"x": (b"3", b"")})

    assert before == {}
    assert Cache(path).read("fold", "/a") == ENTRIES
    assert Cache(path).read("fold", "/b") == {"x": (b"1", b"2")}
    assert Cache(path).read("meta", "/a") == {"x": (b"3", b"")}
    assert Cache(path).read("meta", "/b") == {}
    assert warned() == []


def test_a_later_write_replaces_and_what_is_gone_is_forgotten(path: Path) -> None:
    cache = Cache(path)
    cache.write("fold", "/a", {"x": (b"1", b"old"), "y": (b"2", b""), "z": (b"3", b"")})
    cache.write("fold", "/a", {"x": (b"4", b"new")}, gone=iter(["y", "never"]))

    assert cache.read("fold", "/a") == {"x": (b"4", b"new"), "z": (b"3", b"")}


NAMES = st.binary(min_size=1, max_size=9).map(lambda name: os.fsdecode(name.replace(b"\0", b"-")))
NUMBERS = count()


@settings(max_examples=15)
@given(
    st.dictionaries(
        NAMES,
        st.tuples(st.binary(max_size=50), st.binary(max_size=50)),
        max_size=6,
    )
)
def test_any_name_that_a_file_can_have_comes_back(
    tmp_path: Path, entries: dict[str, tuple[bytes, bytes]]
) -> None:
    cache = Cache(tmp_path / "cache.sqlite")
    directory = f"/{next(NUMBERS)}\udcff"
    cache.write("fold", directory, entries)

    assert cache.read("fold", directory) == entries


def test_nobody_else_can_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        Cache(path).write("fold", "/a", ENTRIES)
    finally:
        os.umask(before)

    modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    assert modes == {path.name: 0o600, f"{path.name}.lock": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_threads_write_and_read_one_cache_at_once(
    path: Path, warned: Callable[[], list[str]]
) -> None:
    cache = Cache(path)

    def work(number: int) -> None:
        for i in range(10):
            cache.write("fold", "/a", {f"{number}-{i}": (STAMP, b"")})
            cache.read("fold", "/a")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(cache.read("fold", "/a")) == {f"{n}-{i}" for n in range(4) for i in range(10)}
    assert warned() == []


def test_processes_make_one_cache_at_once_and_lose_nothing_of_each_other(path: Path) -> None:
    code = """
print("ready", flush=True)
sys.stdin.readline()
for i in range(20):
    cache.write("fold", "/a", {f"{sys.argv[2]}-{i}-{j}": (b"", b"x" * 300) for j in range(50)})
    assert len(cache.read("fold", "/a")) >= 50 * (i + 1)
"""
    children = [child(code, path, name) for name in "abc"]
    for one in children:
        assert one.stdout is not None
        one.stdout.readline()
    for one in children:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()

    assert [finished(one) for one in children] == [("", "")] * 3
    assert len(Cache(path).read("fold", "/a")) == 3 * 20 * 50


# --- where it is


@pytest.mark.parametrize("word", ["", "off"])
def test_none_is_kept_where_the_user_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("SESSIONTAIL_CACHE", word)
    cache = Cache()
    cache.write("fold", "/a", ENTRIES)

    assert cache.read("fold", "/a") == {}
    assert [*tmp_path.iterdir()] == []


def test_it_is_in_the_users_cache_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SESSIONTAIL_CACHE")
    found = []
    for configured in (str(tmp_path), "relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", configured)
        found.append(cache_path())
    monkeypatch.setattr(sys, "platform", "darwin")
    found.append(cache_path())
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    found.append(cache_path())

    assert found == [
        one / "sessiontail" / "cache-1.sqlite"
        for one in (
            tmp_path,
            home / ".cache",
            home / ".cache",
            home / "Library" / "Caches",
            tmp_path / "local",
        )
    ]


def test_a_file_that_is_named_is_taken_from_where_the_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SESSIONTAIL_CACHE", "here.sqlite")
    cache = Cache()
    cache.write("fold", "/a", ENTRIES)

    assert Cache(tmp_path / "here.sqlite").read("fold", "/a") == ENTRIES


# --- what goes wrong


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "no database":
        data[:] = random.Random(1).randbytes(len(data))
    elif how == "cut":
        del data[len(data) // 2 :]
    elif how == "cut in the first page":
        del data[300:]
    elif how == "a value":
        at = data.index(ENTRIES["00099.jsonl"][1])
        data[at + 5] ^= 1
    else:
        data[4096:] = random.Random(2).randbytes(len(data) - 4096)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "how", ["no database", "cut", "cut in the first page", "a value", "all but the beginning"]
)
def test_a_damaged_cache_gives_nothing_is_told_once_and_is_made_anew(
    path: Path, warned: Callable[[], list[str]], how: str
) -> None:
    Cache(path).write("fold", "/a", ENTRIES)
    damage(path, how)
    damaged = path.read_bytes()
    cache = Cache(path)
    found = cache.read("fold", "/a")
    cache.write("fold", "/a", ENTRIES)

    assert found == {}
    assert Cache(path).read("fold", "/a") == ENTRIES
    assert path.with_name("cache-1.sqlite.damaged").read_bytes() == damaged
    assert warned() == [
        (
            f"going without the cache {path}: it is damaged, and now cache-1.sqlite.damaged; "
            "a new one is made"
        )
    ]


def test_a_damaged_cache_of_which_sqlite_cannot_say_what_is_wrong_is_told_too(
    path: Path, warned: Callable[[], list[str]]
) -> None:
    """What it would say has bytes of the damage, which are no text."""
    Cache(path).write("fold", "/a", ENTRIES)
    data = path.read_bytes()
    at = data.index(b"CREATE TABLE entry")
    path.write_bytes(data[:at] + b"CREATE \xd8ABLE entry" + data[at + 18 :])

    assert Cache(path).read("fold", "/a") == {}
    assert [text.split("is damaged")[0] for text in warned()] == [
        f"going without the cache {path}: it "
    ]


@settings(max_examples=30)
@given(st.integers(0, 2**20), st.integers(1, 200), st.integers(0, 2**32))
def test_bytes_that_changed_anywhere_give_what_was_written_or_nothing(
    tmp_path: Path, at: int, length: int, seed: int
) -> None:
    path = tmp_path / "cache.sqlite"
    path.unlink(missing_ok=True)
    Cache(path).write("fold", "/a", ENTRIES)
    data = bytearray(path.read_bytes())
    at %= len(data)
    data[at : at + length] = random.Random(seed).randbytes(min(length, len(data) - at))
    path.write_bytes(data)
    found = Cache(path).read("fold", "/a")

    # A name that changed is that of no file, or has the stamp of another.
    assert {one: ENTRIES[one] for one in found if one in ENTRIES} == {
        name: value for name, value in found.items() if name in ENTRIES
    }


def test_a_damaged_cache_is_not_renamed_under_another_process(
    path: Path, warned: Callable[[], list[str]]
) -> None:
    code = """
from sessiontail.system.shared_database import opened
from sessiontail.system.cache import _SCHEMA
with opened(Path(sys.argv[1]), _SCHEMA):
    print("ready", flush=True)
    sys.stdin.readline()
"""
    Cache(path).write("fold", "/a", ENTRIES)
    other = child(code, path)
    assert other.stdout is not None
    other.stdout.readline()
    damage(path, "a value")
    found = [Cache(path).read("fold", "/a")]
    there = path.exists()
    finished(other)
    found.append(Cache(path).read("fold", "/a"))

    assert there
    assert found == [{}, {}]
    assert not path.exists()
    assert warned() == [f"going without the cache {path}: it is damaged; a new one is made"]


@pytest.mark.parametrize(
    ("pragma", "why"),
    [
        ("user_version = 2", "made by a newer version; upgrade, or name another file"),
        ("application_id = 7", "another program's database; name another file"),
    ],
)
def test_a_cache_that_is_not_ours_is_left_alone_and_told_once(
    path: Path, warned: Callable[[], list[str]], pragma: str, why: str
) -> None:
    Cache(path).write("fold", "/a", ENTRIES)
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA {pragma}")
    database.close()
    before = path.read_bytes()
    for _ in range(2):
        cache = Cache(path)
        assert cache.read("fold", "/a") == {}
        cache.write("fold", "/a", ENTRIES)

    assert path.read_bytes() == before
    assert warned() == [f"going without the cache {path}: {why}, or set SESSIONTAIL_CACHE=off"]


def test_what_is_no_file_is_left_alone_with_nothing_beside_it(
    tmp_path: Path, warned: Callable[[], list[str]]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    Cache(pipe).write("fold", "/a", ENTRIES)

    assert pipe.is_fifo()
    assert [*tmp_path.iterdir()] == [pipe]
    assert warned() == [
        (
            f"going without the cache {pipe}: no regular file; name another, "
            "or set SESSIONTAIL_CACHE=off"
        )
    ]


def test_an_empty_file_becomes_a_cache(tmp_path: Path, warned: Callable[[], list[str]]) -> None:
    path = tmp_path / "made-by-mktemp"
    path.touch()
    Cache(path).write("fold", "/a", ENTRIES)

    assert Cache(path).read("fold", "/a") == ENTRIES
    assert warned() == []


def test_a_writer_that_is_killed_in_the_middle_has_written_nothing(path: Path) -> None:
    code = """
class Entries(dict):
    def items(self):
        for i in range(20_000):
            yield str(i), (b"", b"x" * 300)
        os.kill(os.getpid(), signal.SIGKILL)
cache.write("fold", "/a", Entries(x=1), gone=["00000.jsonl"])
"""
    Cache(path).write("fold", "/a", ENTRIES)
    finished(child(code, path), -signal.SIGKILL)
    cache = Cache(path)
    found = cache.read("fold", "/a")
    cache.write("fold", "/a", {"x": (STAMP, b"later")})

    assert found == ENTRIES
    assert cache.read("fold", "/a") == {**ENTRIES, "x": (STAMP, b"later")}


def test_a_process_that_is_killed_while_it_makes_the_cache_leaves_none(path: Path) -> None:
    code = """
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
cache.write("fold", "/a", {"x": (b"", b"")})
"""
    finished(child(code, path), -signal.SIGKILL)
    there = path.exists()
    Cache(path).write("fold", "/a", ENTRIES)

    assert not there
    assert Cache(path).read("fold", "/a") == ENTRIES
    assert {one.name for one in path.parent.iterdir()} == {path.name, f"{path.name}.lock"}


USE = """
entries = {f"{i:06}": (b"", b"x" * 300) for i in range(20_000)}
found = cache.read("fold", "/a")
for _ in range(2):
    Cache(Path(sys.argv[1])).write("fold", "/a", entries)
print(len(found), len(Cache(Path(sys.argv[1])).read("fold", "/a")))
"""


@pytest.mark.parametrize("size", ["8k", "48k", "400k"])
def test_a_full_disk_is_told_once_and_what_is_there_stays(tmp_path: Path, size: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root mounts a disk that is full at once")
    path = disk / "cache.sqlite"
    try:
        if size == "400k":
            Cache(path).write("fold", "/a", ENTRIES)
        there, said = finished(child(USE, path))
    finally:
        subprocess.run(["umount", str(disk)], check=True)

    kept = len(ENTRIES) if size == "400k" else 0
    assert there == f"{kept} {kept}\n"
    assert len(said.splitlines()) == 1
    assert said.startswith(f"going without the cache {path}: ")
    assert said.endswith("; free some space, or set SESSIONTAIL_CACHE=off\n")


def test_a_directory_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("another user is needed, who may not write")
    tmp_path.chmod(0o755)
    for one in tmp_path.parents:
        if one.stat().st_mode & 0o005 != 0o005:
            one.chmod(one.stat().st_mode | 0o005)
    path = tmp_path / "cache.sqlite"
    there, said = finished(child("os.setuid(65534)\n" + USE, path))

    assert there == "0 0\n"
    assert said == (
        f"going without the cache {path}: Permission denied; look at its owner and mode, "
        "or set SESSIONTAIL_CACHE=off\n"
    )


def test_a_cache_that_others_keep_locked_is_told_once(
    path: Path, warned: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiontail.system.shared_database._WAIT_S", 0.05)
    Cache(path).write("fold", "/a", ENTRIES)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache = Cache(path)
    cache.write("fold", "/a", {"x": (b"", b"")})
    found = Cache(path).read("fold", "/a")
    other.close()

    assert found == ENTRIES
    assert warned() == [
        (
            f"going without the cache {path}: other processes keep it locked, "
            "or set SESSIONTAIL_CACHE=off"
        )
    ]


# --- how much of it


def test_a_directory_that_nobody_asks_for_is_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [1_000_000_000.0]
    monkeypatch.setattr("time.time", lambda: now_s[0])
    cache = Cache(path)
    cache.write("fold", "/read", ENTRIES)
    cache.write("fold", "/unused", ENTRIES)
    now_s[0] += 80 * 86400
    cache.read("fold", "/read")
    now_s[0] += 20 * 86400
    cache.write("fold", "/new", {"x": (b"", b"")})

    found = {name: len(cache.read("fold", name)) for name in ("/read", "/unused", "/new")}
    assert found == {"/read": 300, "/unused": 0, "/new": 1}


def test_above_the_limit_the_directories_that_were_used_first_go_and_the_file_shrinks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [1_000_000_000.0]
    monkeypatch.setattr("time.time", lambda: now_s[0])
    monkeypatch.setattr(caching, "_MOST_BYTES", 300_000)
    cache = Cache(path)
    for name in "abcde":
        cache.write("fold", name, ENTRIES)
        now_s[0] += 1

    assert [len(cache.read("fold", name)) for name in "abcde"] == [0, 0, 300, 300, 300]
    assert path.stat().st_size <= 300_000


def test_one_directory_above_the_limit_is_told_and_nothing_of_it_is_kept(
    path: Path, warned: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "_MOST_BYTES", 50_000)
    cache = Cache(path)
    cache.write("fold", "a", ENTRIES)

    assert Cache(path).read("fold", "a") == {}
    assert warned() == [
        (
            f"going without the cache {path}: what is to be kept of one directory takes more than "
            "0 MiB, or set SESSIONTAIL_CACHE=off"
        )
    ]
