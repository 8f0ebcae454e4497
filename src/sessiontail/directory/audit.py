"""a directory -> the audit of each of its sessions, folded by all processors, streamed.

Files are folded where ``audit_executors`` says, and only folds come back. What was folded before is
not read again (``audit_files``). What the sessions say of each other is known when all are folded: one
that names a parent, or may begin with another's rows, comes then; the others come as they are found.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from enum import Enum, auto
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Self

from anyio import CancelScope
from anyio.abc import AsyncResource
from anyio.lowlevel import checkpoint

from sessiontail import checks
from sessiontail.directory.ancestry import ancestry_of
from sessiontail.directory.audit_executors import AuditExecutor, check_executor, lanes_of
from sessiontail.directory.audit_files import Audited, AuditFiles
from sessiontail.directory.audit_kin import ALONE, AuditKin, in_order, told
from sessiontail.directory.audit_progress import AuditProgress
from sessiontail.directory.folding_out import FoldingOut, Lane
from sessiontail.format.audit import SessionAudit
from sessiontail.format.brief import place
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.session.pulling import AsyncEntered, AsyncPulled, OneTask
from sessiontail.system.cache import Cache
from sessiontail.system.calls import Call
from sessiontail.system.files import in_thread
from sessiontail.system.paths import sessions_dir
from sessiontail.system.signals import Home, Signal
from sessiontail.system.workers import Workers

__all__ = ["AuditPass", "audit_sessions"]

# Sessions that are asked for their kin in one hop into a thread: 5 ms.
_AT_ONCE = 64
# Bytes that are folded before they are kept: an interrupted pass loses a second of work.
_KEEP_BYTES = 256 * 1024 * 1024


class _Phase(Enum):
    """What is done next.

    BEGIN -> FOLD -> ASK -> KEEP -> DONE, each until there is nothing of it left to do.
    """

    BEGIN = auto()
    FOLD = auto()
    ASK = auto()
    KEEP = auto()
    DONE = auto()


class AuditPass(AsyncPulled, AsyncEntered, AsyncIterator[SessionAudit], AsyncResource):
    """The audits of a directory's sessions, in no order, as they are found.

    A pull-only iterator, entered so that its workers end when it is left. A step that is cancelled
    can be tried again; workers go on with what they have meanwhile.
    """

    def __init__(
        self,
        directory: Path,
        *,
        jobs: int | None,
        executor: AuditExecutor,
        cache: Cache | None,
        on_progress: Callable[[AuditProgress], object] | None,
        max_line_bytes: int,
    ) -> None:
        """Prepare; nothing is read before the first is asked for."""
        self.directory = directory
        self._place = str(directory)
        self._jobs = jobs
        self._executor = executor
        self._cache = cache
        self._on_progress = on_progress
        self._max_line_bytes = max_line_bytes
        self._phase = _Phase.BEGIN
        self._ready: deque[Audited] = deque()
        self._stack = ExitStack()
        self._call: Call[Any] | None = None
        self._one_task = OneTask("AuditPass")
        self._came = Signal()
        # From the first step on.
        self._files: AuditFiles
        self._out: FoldingOut
        self._lanes: list[Lane] = []
        self._kin: AuditKin | None = None
        # All that were audited; and those of them that wait for what the others say.
        self._audited: list[Audited] = []
        self._waiting: deque[Audited] = deque()
        self._bytes_done = self._bytes_unkept = 0

    def __repr__(self) -> str:
        return f"<AuditPass {place(self.directory)}, {self._phase.name.lower()}>"

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """Keep what was folded, and release everything; iterating ends."""
        with CancelScope(shield=True):
            if self._phase in {_Phase.FOLD, _Phase.ASK}:  # what was folded is not lost: 20 ms
                if self._call is not None:
                    await self._call.settled()
                await in_thread(self._files.keep_folds, place=self._place)
            # To leave a cluster waits for another machine.
            await in_thread(self.close, place=self._place)

    def __del__(self) -> None:
        self.close()

    @property
    def worker_pids(self) -> list[int]:
        """The processes that help now."""
        workers = [lane.executor for lane in self._lanes if isinstance(lane.executor, Workers)]
        return [pid for one in workers for pid in one.pids]

    def close(self) -> None:
        """End the workers; what is asked for then is not there."""
        self._phase = _Phase.DONE
        if hasattr(self, "_out"):
            self._out.close()
        if self._kin is not None:
            self._kin.close()
        call, self._call = self._call, None
        if call is None:
            self._stack.close()
        else:
            call.leave(self._stack.close)  # a thread may be opening what is closed then

    async def __anext__(self) -> SessionAudit:
        """Return the next session's audit.

        Raises:
            StopAsyncIteration: that was all.
            PersistenceError: the directory cannot be read; one that is absent is empty. Or there is
                no scheduler at the address, or it is gone.
            MissingExtra: the address is a scheduler's, and Dask is not installed.
            StreamBusy: another task waits for the next one.
        """
        with self._one_task:
            while not self._ready:
                await self._step()
            if not len(self._ready) % _AT_ONCE:
                await checkpoint()  # there may be 10,000, and each takes 2 us
            return told(self._ready.popleft())

    async def _step(self) -> None:
        match self._phase:
            case _Phase.BEGIN:
                await self._begin()
            case _Phase.FOLD:
                await self._fold()
            case _Phase.ASK:
                await self._ask()
            case _Phase.KEEP:
                await self._keep()
            case _Phase.DONE:
                raise StopAsyncIteration

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run one call; who is cut short, and comes again, gets the result of the same one."""
        call = self._call = self._call or Call(self._place, function, *args)
        await call.settled()
        if self._phase is _Phase.DONE:  # closed by another task meanwhile
            raise StopAsyncIteration
        self._call = None
        return call.result()

    async def _begin(self) -> None:
        files, self._lanes = await self._in_thread(self._open)
        home, signal = Home(), self._came
        self._out = FoldingOut(
            files.to_fold,
            files.sizes,
            self._lanes,
            max_line_bytes=self._max_line_bytes,
            came=lambda: home.soon(signal.set),
        )
        self._phase = _Phase.FOLD
        self._out.send()
        self._tell()

    def _open(self) -> tuple[AuditFiles, list[Lane]]:
        """Look what there is to do, and who does it; in a thread."""
        files = self._files = AuditFiles(self.directory, self._cache)
        to_read = files.bytes_to_fold
        lanes = lanes_of(self._executor, self._jobs, self._place, to_read, self._stack)
        self._meet(files.known)
        return files, lanes

    async def _fold(self) -> None:
        """Wait until some files came back."""
        while self._call is None and not (self._out.some_back or self._out.over):
            await self._came.wait()
        audited = await self._in_thread(self._take)
        self._out.send()
        if self._out.over:
            self._phase = _Phase.ASK
        self._meet(audited)
        self._tell()

    def _take(self) -> list[Audited]:
        """Take what came back; in a thread."""
        folded = self._out.take()
        done = sum(self._files.sizes.get(one.file, 0) for one in folded)
        self._bytes_done += done
        self._bytes_unkept += done
        audited = self._files.take(folded)
        if self._bytes_unkept >= _KEEP_BYTES:
            self._bytes_unkept = 0
            self._files.keep_folds()
        return audited

    def _meet(self, audited: Sequence[Audited]) -> None:
        """Hand over those that need nothing of the others, or of whom that is known."""
        self._audited += audited
        for one in audited:
            if one.stands_alone:
                one.kin = ALONE
            elif one.kin is None or not self._files.kin_holds:
                self._waiting.append(one)
                continue
            self._ready.append(one)

    async def _ask(self) -> None:
        """Ask some what the others say of them, all being folded; the oldest first."""
        if self._kin is None:
            self._kin, self._waiting = await self._in_thread(self._begin_asking)
        some = [*islice(self._waiting, _AT_ONCE)]
        if not some:
            self._phase = _Phase.KEEP
            return
        await self._in_thread(self._kin.ask, some)
        for _ in some:
            self._ready.append(self._waiting.popleft())
        self._tell()

    def _begin_asking(self) -> tuple[AuditKin, deque[Audited]]:
        """Return who is asked, and of whom, in order; in a thread."""
        ancestry = ancestry_of(self.directory, self._max_line_bytes)
        kin = AuditKin(self._audited, ancestry, self._max_line_bytes)
        return kin, deque(sorted(self._waiting, key=in_order))

    async def _keep(self) -> None:
        """Keep what was found, if it is not what was kept before."""
        if self._files.to_fold or not self._files.kin_holds:
            await self._in_thread(self._files.keep, self._audited)
        await in_thread(self.close, place=self._place)

    def _tell(self) -> None:
        if self._on_progress is not None:
            files = self._files
            progress = AuditProgress(
                len(files.known) + len(files.to_fold),
                len(self._audited),
                files.bytes_to_fold,
                self._bytes_done,
                len(files.known),
            )
            self._on_progress(progress)


def audit_sessions(
    *,
    directory: str | PathLike[str] | None = None,
    jobs: int | None = None,
    executor: AuditExecutor = None,
    cache: bool = True,
    on_progress: Callable[[AuditProgress], object] | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> AuditPass:
    """Audit the sessions of a directory.

    Args:
        directory: where the session files lie; by default where openrath puts them.
        jobs: how many files are folded at once; by default as many as there are processors.
        executor: by default this process begins, and others help where there is much to read;
            "processes" (others help in any case), "thread" (this process alone), the address of a
            Dask scheduler ("tcp://..."), or a ``concurrent.futures.Executor``. Where a migration
            is registered, this process alone: the others do not know it.
        cache: whether what was folded is kept in the user's cache directory, so that the next pass
            reads only what has changed.
        on_progress: called now and then with how far it is.
        max_line_bytes: a longer line is one ``Damage``.

    Returns:
        An async iterator and context manager over ``SessionAudit``, in no order; ``summarize``
        takes them. A file that cannot be read is among them, with a finding that says why.

    Raises:
        PersistenceError: ``OPENRATH_HOME`` names something that is no directory.
        TypeError, ValueError: a number is none, or not positive; ``executor`` is none.
    """
    check_executor(executor)
    if jobs is not None:
        checks.positive("jobs", jobs, int)
    checks.positive("max_line_bytes", max_line_bytes, int)
    return AuditPass(
        sessions_dir(directory),
        jobs=jobs,
        executor=executor,
        cache=Cache() if cache else None,
        on_progress=on_progress,
        max_line_bytes=max_line_bytes,
    )
