"""A Host header is a name of ours, or the request is somebody else's."""

from __future__ import annotations

import socket

import pytest

from sessiontail.service.guard.hosts import LOOPBACK, Hosts, host_of, hosts_for, is_loopback


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"127.0.0.1", "127.0.0.1"),
        (b"LocalHost:8642", "localhost"),
        (b"localhost:", "localhost"),
        (b"[::1]:8642", "::1"),
        (b"[::1]", "::1"),
        (b"[::FFFF:7f00:1]", "::ffff:7f00:1"),
        (b"::1", None),  # without brackets the port is not told apart
        (b"[localhost]", None),
        (b"[fe80::1%25eth0]", None),
        (b"", None),
        (b":8642", None),
        (b"localhost:http", None),
        (b"localhost:123456", None),
        (b"localhost:8642:8642", None),
        (b"me@localhost", None),
        (b"localhost/", None),
        (b"local host", None),
        (b"localhost\\evil", None),
        (b"localhost, evil", None),
    ],
)
def test_a_header_is_a_host_and_perhaps_a_port(value: bytes, host: str | None) -> None:
    assert host_of([value]) == host


def test_no_header_and_two_of_them_are_none() -> None:
    assert host_of([]) is None
    assert host_of([b"localhost", b"localhost"]) is None


def test_loopback_is_all_of_it_and_nothing_beside() -> None:
    hosts = Hosts(LOOPBACK)

    assert all(map(hosts.allow, ["localhost", "127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1"]))
    assert not any(
        map(
            hosts.allow,
            [
                "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "::2",
                "0.0.0.0", "2130706433", "0x7f.1", "127.1", "127.0.0.01", "localhost.", "",
            ],
        )
    )  # fmt: skip


def test_names_are_allowed_whole_and_without_regard_to_case() -> None:
    hosts = Hosts(["Agents.example", "10.0.0.0/8", "[fd00::]"])

    assert hosts.allow("agents.example")
    assert hosts.allow("10.1.2.3")
    assert hosts.allow("fd00::")
    assert not hosts.allow("a.agents.example")
    assert not hosts.allow("xagents.example")
    assert not hosts.allow("localhost")


@pytest.mark.parametrize("name", ["http://agents.example", "agents.example:80", "a b", "", "*/8"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a host"):
        Hosts([name])


@pytest.mark.parametrize(
    ("bound", "inside"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("agents.example", False),
    ],
)
def test_an_address_is_of_this_machine_alone_or_of_the_net(bound: str, *, inside: bool) -> None:
    assert is_loopback(bound) is inside


def test_what_others_reach_goes_by_any_address_and_the_machine_s_name() -> None:
    assert hosts_for("127.0.0.1", ["a.example"]) == (*LOOPBACK, "a.example")

    hosts = Hosts(hosts_for("::", ["a.example"]))
    name = socket.gethostname().lower()
    assert all(map(hosts.allow, ["a.example", "localhost", "8.8.8.8", "2001:db8::1", name]))
    assert not hosts.allow("evil.example")
