"""a session's file -> how many of its first rows are an earlier session's. Blocks: for threads.

Where its first parent is there, that alone is compared. Where it is not, all that came before it in
the directory is, by content: a tree of rows, which is kept, and reads of each session what it takes
to tell it from the others.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Set as AbstractSet
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from uuid import UUID

from sessiontail import checks
from sessiontail.directory.names import session_names
from sessiontail.errors import PersistenceError
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.inheritance import Match, common
from sessiontail.format.row_tree import OutOfOrder, RowTree, Walk
from sessiontail.session.kept_rows import KeptRows
from sessiontail.session.rows import Looks, RowsChanged
from sessiontail.session.sieve import NOT_YET, NOTHING, UNKNOWN, Find, Inherited
from sessiontail.system.kept import Kept
from sessiontail.system.objects import begun_ahead
from sessiontail.system.paths import path_paths, split_name, stem_paths
from sessiontail.system.stamps import SETTLED_S, FileId, id_of_name
from sessiontail.system.statuses import directory_changed_ns

__all__ = ["Ancestry", "ancestry_of", "finder", "inherited_count"]

# How often what changes under our feet is looked at anew.
_TRIES = 3
# Files that were asked about and are not listed: where all name their parents, nothing is listed.
_MOST_UNLISTED = 1000
# How old a listing may be for a session that is in it: what was copied in since is looked for.
_LISTED_S = 1.0


class Ancestry:
    """Which rows of a directory's sessions are copies of earlier ones'. One thread at a time.

    Args:
        directory: where the session files lie.
        max_line_bytes: a longer line is no row.
    """

    def __init__(self, directory: Path, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._directory = directory
        self._max_line_bytes = max_line_bytes
        #: Is given each file's rows before they are read, and may know what is in it.
        self.recall: Callable[[KeptRows], object] | None = None
        self._lock = threading.Lock()
        self._looks = Looks()
        self._forget()

    def _forget(self) -> None:
        self._tree = RowTree()
        self._rows: dict[FileId, KeptRows] = {}
        self._walks: dict[FileId, Walk] = {}
        # Which file a name led to, when it was listed.
        self._files: dict[str, FileId] = {}
        self._listed: set[FileId] = set()
        # When to list again; what the directory was like, and whether a change would show.
        self._stale_s = 0.0
        self._changed_ns = -1
        self._trusted = False
        # Listed, and not in the tree: without a header so far; and the others, the oldest last.
        self._headless: list[KeptRows] = []
        self._waiting: list[KeptRows] = []

    def _begin_anew(self) -> None:
        """Compare all that was read once more, in order."""
        self._tree = RowTree()
        self._walks.clear()
        self._headless = [*self._rows.values()]
        self._waiting.clear()
        self._take_begun()

    def known_among(self, files: Iterable[FileId]) -> int:
        """Return of how many of these files something was read."""
        with self._lock:
            return sum(file_id in self._rows for file_id in files)

    @property
    def has_compared(self) -> bool:
        """Whether anything was read here."""
        with self._lock:
            return bool(self._rows or self._walks)

    def look_anew(self) -> None:
        """List the directory at the next question, however short ago that was."""
        with self._lock:
            self._changed_ns, self._stale_s = -1, 0.0

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let nobody read on meanwhile."""
        with self._lock:
            yield

    def inherited(self, names: tuple[str, ...], file_id: FileId) -> Inherited:
        """Return what of a session is inherited, as far as it is written now.

        Args:
            names: those that its file has, or may get.
            file_id: which file it is.
        """
        with self._lock:
            for i in range(_TRIES):
                try:
                    return self._inherited(names, file_id)
                except RowsChanged:
                    if i:
                        self._forget()
                    self._changed_ns = -1  # a file is gone, or another: list again
                    self._stale_s = 0.0
                except OutOfOrder:
                    self._begin_anew()
                except (OSError, PersistenceError):
                    break  # what cannot be read hides nothing
            return UNKNOWN

    def _inherited(self, names: tuple[str, ...], file_id: FileId) -> Inherited:
        self._looks.number += 1
        if len(self._rows) > len(self._listed) + _MOST_UNLISTED:
            self._rows = {one: rows for one, rows in self._rows.items() if one in self._listed}
        rows = self._rows_of(names, file_id)
        if not rows.begun():
            return NOTHING if rows.finished else NOT_YET
        if not rows.may_inherit:
            return NOTHING
        if not rows.is_there():
            if file_id in map(id_of_name, names):
                raise RowsChanged(rows.name)  # rewritten where it lies
            return UNKNOWN
        self._rows[file_id] = rows
        # Of several generations of a parent, the one that has more of it.
        parents = [common(rows, parent) for parent in self._parents(rows)]
        match = max(parents, key=_count) if parents else self._by_content(rows)
        origin = match.origin
        assert origin is None or isinstance(origin, KeptRows)
        if origin is not None and not origin.is_there():
            raise RowsChanged(origin.name)
        return _as_inherited(rows, match, origin)

    def _rows_of(self, names: tuple[str, ...], file_id: FileId) -> KeptRows:
        """Return the rows of a file, as they were read before, or unread."""
        rows = self._rows.get(file_id)
        if rows is not None and names[0] not in rows.names and not rows.is_there():
            self._bury(file_id)  # a file that is gone had this number
            rows = None
        return rows or self._unread(names, file_id)

    def _unread(self, names: tuple[str, ...], file_id: FileId) -> KeptRows:
        rows = KeptRows(names, file_id, self._looks, self._max_line_bytes)
        if self.recall is not None:
            self.recall(rows)
        return rows

    def _parents(self, rows: KeptRows) -> list[KeptRows]:
        """Return the files of its first parent that are there, and came before it.

        Sessions that name each other would leave their rows out both.
        """
        found: list[KeptRows] = []
        if rows.parent_text is None:
            return found
        names = stem_paths(rows.parent_text, self._directory).oldest_first
        for name in names[:2]:
            file_id = id_of_name(name)
            if file_id is None or file_id == rows.file_id:
                continue
            one = self._rows_of(names, file_id)
            if one.begun() and one.order < rows.order:
                self._rows[file_id] = one
                found.append(one)
        return found

    def _by_content(self, rows: KeptRows) -> Match:
        """Compare a session with all that came before it."""
        # Who was listed before has its forebears beside it: they are older.
        if rows.file_id not in self._listed or time.monotonic() >= self._stale_s:
            self._list()
        waiting, order = self._waiting, rows.order
        while waiting and waiting[-1].order < order:
            earlier = waiting.pop()
            if not earlier.gone:
                self._walk(earlier)
        return self._walk(rows).match()

    def _walk(self, rows: KeptRows) -> Walk:
        """Compare what a session has by now."""
        walk = self._walks.get(rows.file_id)
        if walk is None:
            walk = self._walks[rows.file_id] = self._tree.add(rows)
        else:
            walk.go_on()
        return walk

    def _list(self) -> None:
        """Look which files there are by now."""
        changed_ns = directory_changed_ns(str(self._directory))
        self._stale_s = time.monotonic() + _LISTED_S
        if changed_ns != self._changed_ns or not self._trusted:
            names = session_names(self._directory)
            self._changed_ns = changed_ns
            self._trusted = time.time_ns() - changed_ns >= SETTLED_S * 10**9
            gone = self._files.keys() - names
            for name in names:
                if name not in self._files:
                    self._meet(name, gone)
            if gone:
                self._take_leave(gone)
        self._take_begun()

    def _meet(self, name: str, gone: AbstractSet[str]) -> None:
        path = os.path.join(self._directory, name)  # noqa: PTH118 - text, a tenth of the time
        file_id, split = id_of_name(path), split_name(name)
        if file_id is None or split is None:
            return
        known = self._rows.get(file_id)
        renamed = known is None or path in known.names
        if not renamed and any(self._files[other] == file_id for other in gone):
            self._bury(file_id)  # another file has got the number of one that is gone
            known = None
        if known is None:
            names = stem_paths(split[0], self._directory).oldest_first
            known = self._unread(names, file_id)
            self._rows[file_id] = known
        self._files[name] = file_id
        if file_id not in self._listed:
            self._listed.add(file_id)
            self._headless.append(known)

    def _take_begun(self) -> None:
        """Put those that have a header by now in their places."""
        headless = begun_ahead(self._headless, lambda one: "" if one.id_text else one.name)
        begun = [found for found in headless if found.begun()]
        if begun:
            self._headless = [
                found for found in self._headless if found.id_text is None and not found.gone
            ]
            self._waiting += begun
            self._waiting.sort(key=_order, reverse=True)

    def _take_leave(self, names: AbstractSet[str]) -> None:
        """Forget the files that do not have these names any more, unless they have others."""
        gone = {self._files.pop(name) for name in names}
        self._listed = {*self._files.values()}
        gone -= self._listed
        for file_id in gone:
            self._bury(file_id)

    def _bury(self, file_id: FileId) -> None:
        """Forget a file that is gone; what others have copied of it counts with them."""
        self._listed.discard(file_id)
        rows = self._rows.pop(file_id, None)
        walk = self._walks.pop(file_id, None)
        if rows is not None:
            rows.gone = True
        if walk is not None:
            walk.rows.gone = True
            walk.leave()


_order = attrgetter("order")
_count = attrgetter("count")


def _as_inherited(rows: KeptRows, match: Match, origin: KeptRows | None) -> Inherited:
    return Inherited(
        match.count,
        rows.end(match.count),
        None if origin is None or origin.id_text is None else UUID(origin.id_text),
        rows.end(match.undecided),
        match.settled,
    )


#: Of the directories that were asked about last; who follows one holds it.
_known: Kept[tuple[str, int], Ancestry] = Kept(32)
_making = threading.Lock()


def ancestry_of(directory: Path, max_line_bytes: int = MAX_LINE_BYTES) -> Ancestry:
    """Return what is known of a directory in this process."""
    with _making:
        key = str(directory), max_line_bytes
        found = _known.get(key)
        if found is None:
            found = Ancestry(directory, max_line_bytes)
            _known.put(key, found)
        return found


def finder(inherited: str, directory: Path, max_line_bytes: int) -> Find | None:
    """Return what says which rows of a directory's files are to be left out; None: none are.

    Raises:
        ValueError: ``inherited`` is neither "include" nor "skip".
    """
    checks.one_of("inherited", inherited, ("include", "skip"))
    return ancestry_of(directory, max_line_bytes).inherited if inherited == "skip" else None


def inherited_count(path: Path, max_line_bytes: int) -> int | None:
    """Return how many of a file's first rows are an earlier session's; None: unknown."""
    file_id = id_of_name(str(path))
    if file_id is None:
        return None
    names = path_paths(path).oldest_first
    return ancestry_of(path.parent, max_line_bytes).inherited(names, file_id).count
