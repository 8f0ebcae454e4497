"""names of sessions -> how they stand, as Redis says now."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from redis import exceptions as said
from redis.asyncio import Redis

from sessiontail.relay.connecting import call
from sessiontail.relay.copying import Name
from sessiontail.relay.entries import Keys
from sessiontail.relay.hosts import Hosts
from sessiontail.relay.metas import FIELDS, Meta, meta_in
from sessiontail.relay.scripts import FIELDS_OF

__all__ = ["Asking"]


class Asking:
    """Asks how sessions stand.

    Args:
        keys: of the prefix.
        hosts: the relays; what one that is gone for long says is running is abandoned.
        only: how names of files begin that are wanted; empty: all are.
        tell: takes a line about what no relay can have written.
    """

    def __init__(
        self, keys: Keys, hosts: Hosts, only: tuple[str, ...], tell: Callable[[str], None]
    ) -> None:
        self._keys = keys
        self._hosts = hosts
        self._only = only
        self._tell = tell
        #: Of which no relay can have written what there is.
        self.strange: set[Name] = set()

    def wants(self, name: Name) -> bool:
        """Say whether a session is wanted."""
        return not self._only or name[1].startswith(self._only)

    async def ask(self, client: Redis, names: Iterable[Name]) -> list[tuple[Name, Meta]]:
        """Ask; those that are not wanted, not there, or strange are left out."""
        wanted = [name for name in names if self.wants(name)]
        keys = [self._keys.session(host, stem) for host, stem in wanted]
        rows = await call(client.eval(FIELDS_OF, len(keys), *keys, *FIELDS)) if wanted else []
        found: list[tuple[Name, Meta]] = []
        for name, row in zip(wanted, rows, strict=True):
            if isinstance(row, said.RedisError):
                if "WRONGTYPE" not in str(row):
                    raise row
                self._note_strange(name)
                continue
            try:
                meta = meta_in(row)
            except ValueError:
                self._note_strange(name)
                continue
            self.strange.discard(name)
            if meta is None:
                continue
            if meta.state == "live" and name[0] in self._hosts.forsaken:
                meta = msgspec.structs.replace(meta, state="abandoned")
            found.append((name, meta))
        return found

    def _note_strange(self, name: Name) -> None:
        if name not in self.strange:
            self.strange.add(name)
            self._tell(
                f"{name[1]} of {name[0]} is left out: no relay has written what Redis has of it"
            )
