"""the relays of a prefix -> who publishes, who is gone and since when, who has published all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from redis import exceptions as said
from redis.asyncio import Redis

from sessiontail.relay.connecting import call, run_of
from sessiontail.relay.entries import Keys, is_name

__all__ = ["FORSAKEN_S", "Hosts"]

#: Sessions of a relay that is gone for so long are not shown as running any more.
FORSAKEN_S = 300.0


class Hosts:
    """What is known of the relays.

    Args:
        keys: of the prefix.
        tell: takes a line when one is gone, and when it is back.
    """

    def __init__(self, keys: Keys, tell: Callable[[str], None]) -> None:
        self._keys = keys
        self._tell = tell
        self.names: list[str] = []
        #: Those that are gone, and since when as far as we know (``time.monotonic``).
        self.gone: dict[str, float] = {}
        #: Of these, those that are gone for long.
        self.forsaken: set[str] = set()

    async def look(self, client: Redis) -> bool:
        """Look who lives; return whether sessions of any are to be looked at anew."""
        found = await call(client.smembers(self._keys.hosts))
        names = sorted(name.decode("ascii", "replace") for name in found)
        self.names = [name for name in names if is_name(name)]
        pipeline = client.pipeline(transaction=False)
        pipeline.time()
        for name in self.names:
            pipeline.exists(self._keys.of(name, "lock"))
            pipeline.hget(self._keys.of(name, "info"), "seen")
        now, *answers = await pipeline.execute(raise_on_error=False)
        if isinstance(now, said.RedisError):
            raise now
        now_s, changed = now[0], False
        for name, lives, seen in zip(self.names, answers[::2], answers[1::2], strict=True):
            changed = self._judge(name, lives == 1, _since_s(seen, now_s)) or changed
        return changed

    def _judge(self, name: str, lives: bool, silent_s: float | None) -> bool:  # noqa: FBT001 - an answer
        if lives:
            if self.gone.pop(name, None) is None:
                return False
            self.forsaken.discard(name)
            self._tell(f"the relay {name} is back")
            return True
        now_s, changed = time.monotonic(), False
        if name not in self.gone:
            self.gone[name], changed = now_s, True
            self._tell(f"the relay {name} is gone: what is written there is not seen")
        if silent_s is None:
            silent_s = now_s - self.gone[name]
        if silent_s >= FORSAKEN_S and name not in self.forsaken:
            self.forsaken.add(name)
            self._tell(f"the relay {name} is gone for long: its sessions are not shown as running")
            return True
        return changed

    async def caught_up(self, client: Redis) -> set[str]:
        """Return those that have published all that they have, since this Redis was started."""
        run = (await run_of(client)).encode()
        pipeline = client.pipeline(transaction=False)
        for name in self.names:
            pipeline.hget(self._keys.of(name, "info"), "caught_up")
        answers = await pipeline.execute(raise_on_error=False) if self.names else []
        return {name for name, said_ in zip(self.names, answers, strict=True) if said_ == run}


def _since_s(seen: Any, now_s: int) -> float | None:
    """Return for how long a relay has said nothing; None: that is not known."""
    if seen is None or isinstance(seen, said.RedisError) or not seen.isdigit():
        return None
    return float(now_s - int(seen))
