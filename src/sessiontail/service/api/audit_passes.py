"""Those who ask for an audit -> passes over the directory: one at a time, each for all who wait.

Who asks gets a pass that begins after that: what was written before is in it. While one runs, those
who ask wait for the next one together. There is no task of its own: whoever needs a session that is
not there yet takes the next step for all, and the pass is left with the last of them, with its
workers. What was found stays for those who read slowly: they do not hold up the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from sessiontail.directory.audit import AuditPass, audit_sessions
from sessiontail.format.audit import SessionAudit
from sessiontail.service.api.slots import Slots
from sessiontail.service.context import Context

__all__ = ["AuditPasses", "SharedPass"]


class AuditPasses:
    """The passes of one application."""

    def __init__(self, context: Context) -> None:
        self._directory = context.store.directory
        self._slots = Slots("audits", context.limits.audits)
        self._last: SharedPass | None = None

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[SharedPass]:
        """Give a pass that begins after now; inside, it is kept.

        Raises:
            Problem: 429, too many have one.
        """
        with self._slots.hold():
            last = self._last
            if last is None or last.began or not last.users:
                audits = audit_sessions(directory=self._directory)
                last = self._last = SharedPass(audits, last)
            async with last.used():
                yield last


class SharedPass:
    """One pass, for several.

    Args:
        audits: the pass, not begun.
        before: the one that is waited for, while somebody uses it.
    """

    def __init__(self, audits: AuditPass, before: SharedPass | None) -> None:
        self._audits = audits
        self._before = before
        self._found: list[SessionAudit] = []
        self._over = False
        self._error: Exception | None = None
        self._step = anyio.Lock()
        #: How many have it.
        self.users = 0
        #: Whether something was read: what is written now may be missing in it.
        self.began = False

    @asynccontextmanager
    async def used(self) -> AsyncIterator[None]:
        """Keep it inside; the last one who leaves it ends it."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            if not self.users:
                self._over, self._before, self._found = True, None, []
                await self._audits.aclose()

    async def beyond(self, count: int) -> list[SessionAudit]:
        """Return what was found besides the first ``count``, one at least; none: that was all.

        Raises:
            PersistenceError: the directory cannot be read.
        """
        while len(self._found) <= count:
            async with self._step:
                if len(self._found) > count:
                    break
                if not self._over:
                    await self._next()
                if self._over and len(self._found) <= count:
                    if self._error is not None:
                        raise self._error
                    return []
        return self._found[count:]

    async def all(self) -> list[SessionAudit]:
        """Return all audits.

        Raises:
            PersistenceError: the directory cannot be read.
        """
        count = 0
        while some := await self.beyond(count):
            count += len(some)
        return self._found[:count]

    async def _next(self) -> None:
        if self._before is not None:
            await self._wait_for(self._before)
            self._before = None
        self.began = True
        try:
            self._found.append(await anext(self._audits))
        except StopAsyncIteration:
            self._over = True
        except Exception as error:  # noqa: BLE001 - everybody gets it
            self._over, self._error = True, error

    async def _wait_for(self, before: SharedPass) -> None:
        """Take the steps of the pass before, whose readers may be slow, while it has some."""
        if not before.users:
            return
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(before.used())
            count = 0
            while before.users > 1:
                try:
                    some = await before.beyond(count)
                except Exception:  # noqa: BLE001 - it is told to those who read it
                    return
                if not some:
                    return
                count += len(some)
