"""a relay's name -> held by one relay, for as long as it says that it lives."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import anyio
from redis.asyncio import Redis

from sessiontail.relay.connecting import RelayError, call
from sessiontail.relay.entries import Keys
from sessiontail.relay.scripts import LET_GO, RENEW

__all__ = ["HOLD_S", "HeldName", "machine"]

#: A relay that says nothing for so long is gone.
HOLD_S = 15.0
_LOOK_S = 0.25


def machine() -> str:
    """Return what tells this machine, as its processes see it, from others; '' if nothing does."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


@dataclass(slots=True)
class HeldName:
    """The lock of a name; also what readers know by that a relay lives.

    Args:
        keys: of the prefix.
        host: the name.
        hold_s: how long it is held without a word.
    """

    keys: Keys
    host: str
    hold_s: float = HOLD_S
    token: bytes = field(
        default_factory=lambda: json.dumps(
            {"pid": os.getpid(), "machine": machine(), "token": token_hex(8)}
        ).encode()
    )

    @property
    def _key(self) -> str:
        return self.keys.of(self.host, "lock")

    async def take(self, client: Redis) -> None:
        """Take the name; wait for one who may be dead, as long as he may be alive.

        Raises:
            RelayError: another relay lives under this name.
        """
        hold_ms = int(1000 * self.hold_s)
        other, left_ms = b"", 0
        while True:
            if await call(client.set(self._key, self.token, nx=True, px=hold_ms)):
                return
            found, now_ms = await call(client.get(self._key)), await call(client.pttl(self._key))
            if found == self.token:
                # Not PEXPIRE, which a Redis without memory for us does all the same.
                if await call(client.set(self._key, self.token, xx=True, px=hold_ms)):
                    return
                continue
            if found is None:
                continue
            if _is_dead(found):
                await call(client.eval(LET_GO, 1, self._key, found))
                continue
            if _is_alive(found) or (found == other and now_ms > left_ms):
                raise RelayError(
                    f"a relay named {self.host} runs already ({_whose(found)}): give this one "
                    "another --name, or stop that one"
                )
            other, left_ms = found, now_ms
            await anyio.sleep(_LOOK_S)

    async def keep(self, client: Redis) -> None:
        """Say that we live, until cancelled or until the name is not ours; then return."""
        hold_ms = int(1000 * self.hold_s)
        keys = [self._key, self.keys.of(self.host, "info"), self.keys.hosts]
        while True:
            if not await call(client.eval(RENEW, 3, *keys, self.token, hold_ms, self.host)):
                return
            await anyio.sleep(self.hold_s / 3)

    async def let_go(self, client: Redis) -> None:
        """Give the name back."""
        await call(client.eval(LET_GO, 1, self._key, self.token))


def _read(token: bytes) -> tuple[int, str]:
    try:
        said = json.loads(token)
        return int(said["pid"]), str(said["machine"])
    except (ValueError, KeyError, TypeError):
        return 0, ""


def _whose(token: bytes) -> str:
    pid, where = _read(token)
    here = "here" if where and where == machine() else "on another machine"
    return f"process {pid}, {here}"


def _lives(token: bytes) -> bool | None:
    """Say whether who holds it lives; None: that cannot be seen from here."""
    pid, where = _read(token)
    if not pid or not where or where != machine():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return None
    return True


def _is_dead(token: bytes) -> bool:
    return _lives(token) is False


def _is_alive(token: bytes) -> bool:
    # Another one in this process too: two tasks.
    return _lives(token) is True
