"""a Host header -> whether it is a name of ours: a page elsewhere can have its own name lead here.

That is DNS rebinding: the browser then takes what we answer for that page's own. An address cannot be
made to lead elsewhere, a name can; so names are allowed one by one, and addresses by networks.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from typing import TypeAlias

__all__ = ["LOOPBACK", "Hosts", "host_of", "hosts_for", "is_loopback"]

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The names and the networks of a machine's own loopback.
LOOPBACK = ("localhost", "127.0.0.0/8", "::1")
# Every address: of a server that others reach.
_ANY = ("0.0.0.0/0", "::/0")

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:\[\]@/?#\\]+))(?::\d{0,5})?", re.IGNORECASE)


class Hosts:
    """Names and networks under which a service is reached.

    Args:
        allowed: names, addresses, and networks as ``10.0.0.0/8``.

    Raises:
        ValueError: one is none of these, as one with a port.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[_Network] = []
        for one in allowed:
            text = one.strip("[]")
            try:
                self._networks.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                if host_of([one.encode()]) != one.lower():
                    raise ValueError(
                        f"no name of a host: {one!r}; write it without a scheme and a port"
                    ) from None
                self._names.add(one.lower())

    def allow(self, host: str) -> bool:
        """Say whether a name or an address, as ``host_of`` gives it, is one of these."""
        if host in self._names:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def host_of(values: Sequence[bytes]) -> str | None:
    """Return the name or the address in a request's Host headers, in small letters, without a port.

    Args:
        values: of each header of that name.

    Returns:
        None where there is none, more than one, or no host in it.
    """
    if len(values) != 1:
        return None
    match = _HOST.fullmatch(values[0].decode("latin-1"))
    if match is None:
        return None
    return (match[1] or match[2]).lower()


def is_loopback(bound: str) -> bool:
    """Say whether only this machine reaches what is bound to an address."""
    if bound == "localhost":
        return True
    try:
        return ipaddress.ip_address(bound).is_loopback
    except ValueError:
        return False


def hosts_for(bound: str, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the hosts to allow where an address is bound.

    Args:
        bound: the address. Where it is no loopback, any address may stand for it, and the machine's
            own name.
        more: names that are allowed besides.
    """
    others = () if is_loopback(bound) else (*_ANY, socket.gethostname(), bound)
    # A name that no header can have, as a machine's may be, is left out.
    named = (one for one in others if one in _ANY or host_of([_bytes(one)]) == one.lower())
    return (*LOOPBACK, *named, *more)


def _bytes(host: str) -> bytes:
    return (f"[{host}]" if ":" in host else host).encode("utf-8", "replace")
