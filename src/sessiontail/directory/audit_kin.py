"""audits of a directory's sessions -> what the others say of each: rows, parents, circles. Blocks.

What is inherited is found by content (``ancestry``), by what stands for the rows since they were folded.
What the first rows of a session are is known where they are all of another's; else they are folded
once more, up to where they end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from sessiontail.directory.ancestry import Ancestry
from sessiontail.directory.audit_files import Audited, Kin
from sessiontail.directory.circles import circles_in
from sessiontail.directory.kept_folds import numbers_of
from sessiontail.format.audit import SessionAudit
from sessiontail.format.audit_state import AuditState
from sessiontail.format.concluding import with_lineage
from sessiontail.format.rows_read import RowsKept
from sessiontail.format.tally import Tally
from sessiontail.session.auditing import ToFold, answer_of, fold_batch, request_of
from sessiontail.session.kept_rows import KeptRows
from sessiontail.system.objects import begun_ahead
from sessiontail.system.paths import path_paths
from sessiontail.system.stamps import FileId
from sessiontail.system.statuses import status_of

__all__ = ["ALONE", "AuditKin", "in_order", "told"]

_decode = msgspec.msgpack.Decoder(RowsKept).decode

#: There is nobody to ask.
ALONE = Kin(Tally(), None, (), in_cycle=False)


class AuditKin:
    """Who is whose parent, among all sessions of a directory.

    Args:
        audited: all of them.
        ancestry: compares rows.
        max_line_bytes: a longer line is no row.
    """

    def __init__(self, audited: Sequence[Audited], ancestry: Ancestry, max_line_bytes: int) -> None:
        self._ancestry = ancestry
        self._max_line_bytes = max_line_bytes
        parents: dict[str, list[str]] = {}
        for one in audited:
            name = one.audit.id_text
            if one.audit.created_at is not None and name is not None:  # it has a header
                parents.setdefault(name, []).extend(one.audit.parent_texts)
        self._ids = parents.keys()
        # By id and number of rows: a session that has no more than another has copied of it. Not where
        # two files are of one id.
        files = Counter(one.audit.id_text for one in audited)
        self._whole = {
            (one.audit.id_text, one.audit.rows): one.audit.tally
            for one in audited
            if files[one.audit.id_text] == 1
            and one.audit.lines == one.audit.rows + 1 + one.audit.closed
        }
        self._in_cycle = {name for circle in circles_in(parents, parents) for name in circle}
        self._by_file = {one.audit.file: one for one in audited if one.rows}
        ancestry.look_anew()  # what was put there within the last second counts too
        if ancestry.recall is None:
            ancestry.recall = self._restore

    def close(self) -> None:
        """Give the ancestry nothing more."""
        if self._ancestry.recall == self._restore:
            self._ancestry.recall = None

    def _restore(self, rows: KeptRows) -> None:
        """Give the ancestry what was read of a file's rows, if the file is as it was then."""
        for name in rows.names[:2]:
            one = self._by_file.get(name)
            if one is None or FileId(*one.status[:2]) != rows.file_id:
                continue
            with suppress(OSError):
                status = status_of(name)
                if numbers_of(status) == one.status:
                    rows.restore(_decode(one.rows), status)
                    return

    def ask(self, audited: Sequence[Audited]) -> None:
        """Find out what the others say of some."""
        for one in begun_ahead(audited, lambda one: one.audit.file):
            one.kin = ALONE if one.stands_alone else self._kin(one)

    def _kin(self, one: Audited) -> Kin:
        audit = one.audit
        inherited, origin = self._inherited(one) if one.may_inherit else (Tally(), None)
        return Kin(
            inherited,
            origin,
            tuple(dict.fromkeys(name for name in audit.parent_texts if name not in self._ids)),
            audit.created_at is not None and audit.id_text in self._in_cycle,
        )

    def _inherited(self, one: Audited) -> tuple[Tally | None, str | None]:
        file = one.audit.file
        names = path_paths(file).oldest_first
        found = self._ancestry.inherited(names, FileId(*one.status[:2]))
        if found.count is None:
            return None, None
        if not found.count:
            return Tally(), None
        origin = None if found.origin is None else str(found.origin)
        before = one.kin.inherited if one.kin is not None else None
        if before is not None and before.rows == found.count:
            return before, origin  # as it was counted before: the file has not changed
        tally = self._whole.get((origin, found.count)) or self._folded(file, found.end)
        if tally.rows != found.count:
            return None, None  # it is another file by now
        # Those that its own rows answer are not unanswered.
        unanswered = sum(row <= found.count for row in one.open_rows)
        return msgspec.structs.replace(tally, unanswered_calls=unanswered), origin

    def _folded(self, file: str, until: int) -> Tally:
        """Count the first rows of a file."""
        request = request_of([ToFold(file, until=until)], max_line_bytes=self._max_line_bytes)
        (folded,) = answer_of(fold_batch(request))
        return AuditState.from_bytes(folded.state).tally if folded.state else Tally()


def in_order(one: Audited) -> tuple[bool, float, str]:
    """Return what sorts sessions by when they were created; those without a header come last.

    In whatever order files come back: who has the same rows as two others is the child of the same one.
    """
    created_at = one.audit.created_at
    return created_at is None, created_at.timestamp() if created_at else 0.0, one.audit.file


def told(one: Audited) -> SessionAudit:
    """Return the audit of a session, with what the others say of it."""
    kin = one.kin
    assert kin is not None
    if kin.inherited is not None and not (kin.inherited.rows or kin.missing or kin.in_cycle):
        if one.audit.inherited is not None:
            return one.audit
        return msgspec.structs.replace(one.audit, inherited=kin.inherited)
    return with_lineage(
        one.audit,
        inherited=kin.inherited,
        origin=kin.origin,
        missing=kin.missing,
        in_cycle=kin.in_cycle,
    )
