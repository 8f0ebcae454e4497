"""wrong tokens, and who has sent them -> how long their sender is told to wait.

Only who sends a wrong one is told: the right one is taken at once from every address, or whoever tries
tokens would keep out all who share an address with him. So this ends scripts that go on with an old token,
and shows those who try; what keeps them out is a token that is long and random.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

__all__ = ["FREE", "Attempts"]

#: So many wrong ones of an address are just wrong.
FREE = 20

# The first wait, which doubles up to the longest.
_FIRST_WAIT_S = 1.0
_MOST_WAIT_S = 300.0
# Who was wrong no more for so long begins anew.
_FORGET_S = 3600.0
# So many addresses are known, those of the last wrong ones.
_MOST_ADDRESSES = 2000
# Of an IPv6 address, the part that is one network's: within it everybody has as many as he likes.
_NETWORK_BITS = 64


class Attempts:
    """The wrong tokens of all addresses.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By address: how many were wrong, not counting those within a wait; and up to when the wait is.
        self._wrong: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._wrong)

    def wrong(self, address: str) -> int:
        """Note a wrong token; return how many seconds its sender is to wait, 0 for none.

        Args:
            address: the sender's; empty: it is not known.
        """
        whose, now_s = _network(address), self._clock()
        count, until_s = self._wrong.pop(whose, (0, now_s))
        if now_s - until_s >= _FORGET_S:
            count = 0
        if now_s >= until_s:
            count += 1
            more = count - FREE
            # 2.0 ** 1024 would be too large a number.
            wait_s = _FIRST_WAIT_S * 2.0 ** min(more - 1, 30) if more > 0 else 0.0
            until_s = now_s + min(wait_s, _MOST_WAIT_S)
        self._wrong[whose] = count, until_s
        if len(self._wrong) > _MOST_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        return math.ceil(until_s - now_s)


def _network(address: str) -> str:
    """Return what stands for an address: of IPv6 its network, of anything else itself."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> _NETWORK_BITS << _NETWORK_BITS))
