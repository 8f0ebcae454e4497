"""The server's socket, and how it ends: with streams open, with clients that take nothing."""

from __future__ import annotations

import resource
import select
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from samples import ID, chunk_line, header_line
from services import get
from serving import Stream, connected, program, request
from sessiontail.service.server import CannotListen, listen, url_of


class Process:
    """``serve`` in a process of its own, whose stderr is read at its end."""

    def __init__(self, directory: Path, **limits: float) -> None:
        self.process = subprocess.Popen(
            program(directory, nofile=None, **limits),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().decode().strip()
        self.port = int(self.url.rpartition(":")[2])

    def end(self, *numbers: int) -> tuple[int, bytes]:
        """Send these signals; return its exit code and what it said on stderr."""
        for number in numbers:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """A session that goes on, of 4 MB."""
    path = tmp_path / f"{ID}.jsonl.__partial__"
    path.write_bytes(header_line() + chunk_line(0, "x" * 4_000_000))
    return path


def test_an_address_that_is_in_use_says_what_to_do() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(CannotListen) as caught:
            listen("127.0.0.1", port)

    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: address already in use; "
        "give another --port, or --port 0 to have a free one picked"
    )


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.0.2.1", "cannot listen on 192.0.2.1:0: cannot assign requested address; give another --host"),
        ("2001:db8::1", "cannot listen on [2001:db8::1]:0: cannot assign requested address; give another --host"),
        ("no.such.host.invalid", "--host no.such.host.invalid: "),
    ],
)  # fmt: skip
def test_an_address_of_another_machine_is_refused(host: str, said: str) -> None:
    with pytest.raises(CannotListen) as caught:
        listen(host, 0)

    assert str(caught.value).startswith(said)


def test_no_other_port_is_advised_where_the_address_is_another_machines() -> None:
    with pytest.raises(CannotListen) as caught:
        listen("192.0.2.1", 8642)

    assert str(caught.value) == (
        "cannot listen on 192.0.2.1:8642: cannot assign requested address; give another --host"
    )


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:"),
     ("::", "http://[::1]:"), ("localhost", "http://")],
)  # fmt: skip
def test_the_url_is_one_that_this_machine_reaches(host: str, url: str) -> None:
    with listen(host, 0) as listener:
        port = listener.getsockname()[1]

        assert url_of(listener).startswith(url)
        assert url_of(listener).endswith(f":{port}")


def test_every_address_is_reached_by_the_fourth_and_the_sixth_version() -> None:
    with listen("::", 0) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)):
                pass


def test_a_signal_ends_every_stream_cleanly_and_then_the_server(running: Path) -> None:
    process = Process(running.parent)
    url = f"{process.url}/api/sessions/{ID}"
    last = f"Last-Event-ID: {get(url).json()['cursor']}"
    with ExitStack() as stack:
        streams = [stack.enter_context(Stream(process.port, last)) for _ in range(200)]
        for stream in streams:
            stream.read_until(b"retry: 1000\n")
        for _ in range(3):  # they take nothing: 4 MB wait for each
            stuck = stack.enter_context(Stream(process.port))
            stuck.read_until(b"event: header")
        stack.enter_context(connected(process.port, b"GET /heal"))
        refused = stack.enter_context(connected(process.port, b"nonsense\r\n\r\n"))
        while refused.recv(65536):
            pass  # it may still send
        process.process.send_signal(signal.SIGTERM)
        ends = [stream.read_to_end() for stream in streams]
        clean = [stream.ended_cleanly for stream in streams]
        code, said = process.end()

    assert (ends, clean) == ([[]] * 200, [True] * 200)
    assert (code, said) == (0, b"")


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    process = Process(tmp_path)
    with connected(process.port, request("/api/events")) as stream:
        assert stream.recv(1)
        process.process.send_signal(signal.SIGINT)
        while stream.recv(65536):
            pass  # the first one has come
        code, said = process.end(signal.SIGINT)

    assert code in {0, -signal.SIGINT}  # it may be through with the first one
    assert said == b""


def test_a_client_that_stops_reading_is_gone_after_the_timeout_and_another_gets_everything(
    running: Path,
) -> None:
    process = Process(running.parent, send_timeout_s=2)
    with ExitStack() as stack:
        stuck = stack.enter_context(Stream(process.port))
        other = stack.enter_context(Stream(process.port))
        stuck.read_until(b"event: header")
        other.read_until(b'"line": 2}')
        # The other one keeps up, in small and in large.
        with running.open("ab") as file:
            for number in range(1, 8):
                file.write(chunk_line(number, "y" * 300_000))
                file.flush()
                other.read_until(b'"line": %d}' % (number + 2))
        until_s = time.monotonic() + 60
        while (left := connections_of(process.process.pid)) > 1 and time.monotonic() < until_s:
            time.sleep(0.05)
        got = stuck.read_to_end()
        clean = stuck.ended_cleanly
        with running.open("ab") as file:
            file.write(chunk_line(8, "the last one"))
        other.read_until(b"the last one")
        code, said = process.end(signal.SIGTERM)

    assert (left, clean) == (1, False)
    assert [event.event for event in got] in (["header"], ["header", "chunk"])
    assert (code, said) == (0, b"")


def connections_of(pid: int) -> int:
    """How many connections a process has open."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            sockets.add(str(link.readlink()))
    count = 0
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]:
            fields = line.split()
            count += fields[3] != "0A" and f"socket:[{fields[9]}]" in sockets  # 0A: listens
    return count


def test_without_descriptors_it_rests_says_so_once_and_goes_on(tmp_path: Path) -> None:
    process = Process(tmp_path)
    pid = process.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len([*Path(f"/proc/{pid}/fd").iterdir()]), hard))
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connected(process.port))
        assert process.process.stderr is not None
        assert select.select([process.process.stderr], [], [], 60)[0]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        answer = get(f"{process.url}/healthz", timeout=60)
        code, said = process.end(signal.SIGTERM)

    assert answer.status_code == 200
    assert code == 0
    assert [line.rpartition(b" (")[0] for line in said.splitlines()] == [
        b"socket.accept() out of system resource: OSError: [Errno 24] Too many open files"
    ]


def test_what_is_asked_again_and_again_in_vain_is_told_once(tmp_path: Path) -> None:
    """A line an answer would fill a log; or, where nobody reads it, a pipe, and then the server waits."""
    (tmp_path / f"{ID}.jsonl").symlink_to("/etc/hostname")
    process = Process(tmp_path)
    for _ in range(20):
        assert get(f"http://127.0.0.1:{process.port}/api/sessions/{ID}").status_code == 503
    _, said = process.end(signal.SIGTERM)

    assert said.decode().splitlines() == [
        f"{tmp_path}/{ID}.jsonl: a symbolic link; give the file that it points to"
    ]
