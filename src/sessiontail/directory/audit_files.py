"""a directory, and what was folded before -> what is known of its files, and what is to be folded.

A file that is as it was is not opened; of one that has grown, only what was added is folded. What
was counted of the whole directory, who inherits what and whose parent is missing, holds for as long as
no file of it has changed. Blocks: for threads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

import msgspec

from sessiontail.directory.kept_folds import KeptFolds, numbers_of
from sessiontail.directory.names import prefix_of, session_names
from sessiontail.format.audit import SessionAudit
from sessiontail.format.audit_state import STATE_VERSION, AuditState
from sessiontail.format.concluding import FileFacts, conclude, of_unread
from sessiontail.format.lifecycle import SessionState
from sessiontail.format.migrations import any_registered
from sessiontail.format.tally import Tally
from sessiontail.session.auditing import Folded, ToFold
from sessiontail.session.meta import state_of
from sessiontail.system.cache import Cache
from sessiontail.system.files import explain
from sessiontail.system.locks import LockTable, table_for
from sessiontail.system.mounts import look_up
from sessiontail.system.paths import WAL_ENDING, split_name
from sessiontail.system.stamps import lasting_stamp, stamp_bytes
from sessiontail.system.statuses import status_of
from sessiontail.system.threads import NoThread, threads
from sessiontail.urls import as_path

__all__ = ["AuditFiles", "Audited", "Kin"]


class Kin(msgspec.Struct, frozen=True, array_like=True):
    """What the other sessions of the directory say of one."""

    #: Its first rows, where an earlier session has them; None: it is not known.
    inherited: Tally | None
    #: The session that has them.
    origin: str | None
    #: Its parents that are not there.
    missing: tuple[str, ...]
    in_cycle: bool


class Audited(msgspec.Struct, array_like=True):
    """One file that was folded, and all that is known of it."""

    #: As of its file alone.
    audit: SessionAudit
    #: Whether it can begin with another's rows.
    may_inherit: bool
    #: Whether a file with its other name was beside it.
    has_twin: bool
    #: What the others say; None: nobody was asked so far.
    kin: Kin | None = None
    #: Rows, from 1, of the calls that have no result.
    open_rows: list[int] = []
    #: As the file was when it was folded (``Folded.status``).
    status: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    #: What stands for its rows (``RowsKept``), encoded; empty: that was not found, or is too long.
    rows: bytes = b""

    @property
    def stands_alone(self) -> bool:
        """Whether there is nothing to ask the others."""
        return not (self.may_inherit or self.audit.parent_texts)


_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], Audited] = msgspec.msgpack.Decoder(Audited).decode

#: Stamp and value by name, as the cache has them.
_Kept: TypeAlias = dict[str, tuple[bytes, bytes]]

_AUDITS = f"audits-{STATE_VERSION}"
# 1,000 rows, 24 bytes each: those of 10,000 sessions are half of what the cache holds.
_MOST_ROWS_BYTES = 24_000
# Under no file's name: what the whole directory was like.
_WHOLE = ""


def _to_keep(one: Audited) -> Audited:
    """Return what is worth its place: what the others say stands in ``kin``, of whom they say something."""
    return msgspec.structs.replace(
        one,
        audit=msgspec.structs.replace(one.audit, inherited=None),
        kin=None if one.stands_alone else one.kin,
        rows=one.rows if len(one.rows) <= _MOST_ROWS_BYTES else b"",
    )


class AuditFiles:
    """The session files of a directory, as they are when this is made. One thread at a time.

    Args:
        directory: where they lie.
        cache: has what was folded before; None: nothing is kept.

    Raises:
        PersistenceError: the directory cannot be read; one that is absent is empty.
    """

    def __init__(self, directory: Path, cache: Cache | None) -> None:
        self._directory = str(directory)
        self._prefix = prefix_of(directory)
        # What a migration has made of a file, another program would read differently.
        self._cache = cache = None if any_registered() else cache
        #: What is known without a read, and what is to be folded.
        self.known: list[Audited] = []
        self.to_fold: list[ToFold] = []
        #: Bytes that are to be folded.
        self.bytes_to_fold = 0
        #: By file: how many bytes are to be folded.
        self.sizes: dict[str, int] = {}
        self._looked_ns = time.time_ns()
        # Files whose status the system does not give: who opens them is told why.
        self._hidden: list[str] = []
        self._statuses = self._stat_all(session_names(directory))
        self._names = frozenset([*self._statuses, *self._hidden])
        # Closed files that have a WAL beside them; seldom any.
        wals = {name.removesuffix(WAL_ENDING) for name in self._names if name.endswith(WAL_ENDING)}
        self._twins = wals & self._names
        # Those that were taken: name, device, inode.
        self._taken: set[tuple[str, int, int]] = set()
        locks = self._ask_for_locks()
        self._same_clock = look_up(self._directory).same_clock
        self._whole = self._fingerprint()
        kept: _Kept = cache.read(_AUDITS, self._directory) if cache else {}
        self._folds = KeptFolds(self._directory, cache)
        #: Whether no file of the directory has changed since all of them were asked of each other.
        self.kin_holds = kept.pop(_WHOLE, (b"", b""))[0] == self._whole
        self._gone = kept.keys() - self._names
        before = self._decode(kept)
        self._locks = locks()
        self._sort(before)

    def _stat_all(self, names: Iterable[str]) -> dict[str, os.stat_result]:
        found: dict[str, os.stat_result] = {}
        seen: set[tuple[int, int]] = set()
        for name in names:
            try:
                status = status_of(self._prefix + name)
            except FileNotFoundError:
                continue  # renamed, or gone
            except OSError:
                self._hidden.append(name)
                continue
            key = status.st_dev, status.st_ino
            if key not in seen:  # during the rename of a close, one file has both names
                seen.add(key)
                found[name] = status
        return found

    def _fingerprint(self) -> bytes:
        digest = blake2b(digest_size=16)
        for name in sorted(self._statuses):
            digest.update(os.fsencode(name))
            digest.update(stamp_bytes(self._statuses[name]))
        return digest.digest()

    def _ask_for_locks(self) -> Callable[[], LockTable]:
        """Have the lock table read; return what waits for it: 8 ms, in which there is much to do."""
        if not any(name.endswith(WAL_ENDING) for name in self._names):
            return lambda: LockTable(b"")  # only a WAL is held by a writer
        try:
            beside = threads().submit_at("", table_for, self._directory)
        except NoThread:
            return lambda: table_for(self._directory)
        # What no thread has begun by then is not waited for: all of them may wait like this one.
        return lambda: table_for(self._directory) if beside.cancel() else beside.result()

    def _decode(self, kept: _Kept) -> dict[str, Audited]:
        """Return what was found before of files that have not changed, by name."""
        found: dict[str, Audited] = {}
        for name, status in self._statuses.items():
            entry = kept.get(name)
            if entry is not None and entry[0] == stamp_bytes(status):
                with suppress(msgspec.MsgspecError):  # of another version: it is read anew
                    found[name] = _decode(entry[1])
        return found

    def _sort(self, before: Mapping[str, Audited]) -> None:
        """Tell what is known from what is to be folded."""
        for name, status in self._statuses.items():
            file = self._prefix + name
            audited = before.get(name)
            if audited is not None:
                audited = self._still(audited, file, status)
            if audited is not None:
                self.known.append(audited)
                continue
            state = self._folds.state_of(name, status)
            size = max(0, status.st_size - (state[1] if state else 0))
            self.to_fold.append(ToFold(file, state[0] if state else None))
            self.sizes[file] = size
            self.bytes_to_fold += size
        for name in self._hidden:
            self.to_fold.append(ToFold(self._prefix + name))
            self.sizes[self._prefix + name] = 0
        # The largest first, so that the last of several workers does not begin with it.
        self.to_fold.sort(key=lambda one: self.sizes[one.file], reverse=True)

    def _still(self, audited: Audited, file: str, status: os.stat_result) -> Audited | None:
        """Return what was known of a file that is as it was, if it stands beside the same ones."""
        if self._has_twin(file) != audited.has_twin:
            return None
        audit = audited.audit
        state = self._state_of(file, status, closed=audit.closed)
        if state is not audit.state:
            audited.audit = msgspec.structs.replace(audit, state=state)
        return audited

    def take(self, folded: Sequence[Folded]) -> list[Audited]:
        """Return what was found in files that were to be folded; the gone ones are left out."""
        return [one for one in map(self._take, folded) if one is not None]

    def _take(self, folded: Folded) -> Audited | None:
        file = folded.file
        name = os.path.basename(file)  # noqa: PTH119 - names that are no text
        if not folded.state:
            error = OSError(folded.errno, folded.error) if folded.errno else None
            if isinstance(error, FileNotFoundError):
                return None
            why = explain(error, as_path(file)).message if error else folded.error
            status = self._statuses.get(name)
            return self.unread(file, why, status.st_size if status else 0)
        device, inode, size, mtime_ns, _ = folded.status
        if (name, device, inode) in self._taken:
            return None  # a WAL that was closed meanwhile, over an older file
        self._taken.add((name, device, inode))
        state = AuditState.from_bytes(folded.state)
        mtime_s = -(-mtime_ns // 10**9)
        status = os.stat_result((0, inode, device, 1, 0, 0, size, 0, mtime_s, 0))
        closed = state.trailer_line is not None
        facts = self._facts(file, size, self._state_of(file, status, closed=closed))
        self._folds.note(name, folded, state.mark.offset)
        return Audited(
            conclude(state, facts),
            state.header is not None and state.header.may_inherit,
            facts.has_twin,
            open_rows=state.calls.rows,
            status=folded.status,
            rows=folded.rows,
        )

    def unread(self, file: str, why: str, size: int) -> Audited:
        """Return what there is to say of a file that could not be read."""
        facts = self._facts(file, size, SessionState.UNKNOWN)
        return Audited(of_unread(facts, why), may_inherit=False, has_twin=facts.has_twin)

    def keep_folds(self) -> None:
        """Keep what was folded since this was last called: an interrupted pass loses no more."""
        self._folds.keep()

    def keep(self, audited: Sequence[Audited]) -> None:
        """Keep what is known of all files, and forget those that are gone.

        Args:
            audited: all of the directory; what the others say of each is known.
        """
        if self._cache is None:
            return
        self._folds.keep(among=self._names)
        entries: _Kept = {}
        for one in audited:
            name = os.path.basename(one.audit.file)  # noqa: PTH119 - names that are no text
            status = self._statuses.get(name)
            if status is None or numbers_of(status) != one.status:
                continue  # it has grown since, or could not be read
            stamp = lasting_stamp(status, self._looked_ns, same_clock=self._same_clock)
            # A name that is no UTF-8 cannot be kept: it is audited anew each time.
            if stamp is not None and one.audit.file.isprintable():
                entries[name] = stamp, _encode(_to_keep(one))
        gone = {*self._gone}
        if len(entries) == len(self._names):
            entries[_WHOLE] = self._whole, b""
        else:  # what is said here may be of those that are not kept
            gone.add(_WHOLE)
        self._cache.write(_AUDITS, self._directory, entries, gone)

    def _facts(self, file: str, size: int, state: SessionState) -> FileFacts:
        split = split_name(os.path.basename(file))  # noqa: PTH119 - names that are no text
        assert split is not None
        return FileFacts(
            file=file,
            stem=split[0],
            is_wal=split[1],
            has_twin=self._has_twin(file),
            size_bytes=size,
            state=state,
        )

    def _has_twin(self, file: str) -> bool:
        if not self._twins:
            return False
        return os.path.basename(file).removesuffix(WAL_ENDING) in self._twins  # noqa: PTH119 - names that are no text

    def _state_of(self, file: str, status: os.stat_result, *, closed: bool) -> SessionState:
        """Return how a session stands, as a listing says it."""
        return state_of(
            status,
            is_wal=file.endswith(WAL_ENDING),
            closed=closed,
            locks=self._locks,
            now_s=self._looked_ns / 1e9,
        )[0]
