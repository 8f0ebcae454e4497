"""what somebody calls a session, and the metas of a directory -> the sessions that are meant.

A session is called by its id, by any beginning of it, with or without dashes, or by the stem of its
file's name. Nothing here opens or waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from uuid import UUID

from sessiontail.session.meta import PersistedSessionMeta
from sessiontail.system.paths import split_name

__all__ = ["SessionNames", "named_after_it", "shorten", "whole_id"]

# Shown of an id where no more is needed to tell it from the others.
_SHORT = 8
# Ids that are alike begin or end with the same letters; so many of these are compared.
_ALIKE = 2
_COMPARED = 1000


class SessionNames:
    """Finds the sessions of a directory by what they are called.

    Args:
        metas: of all its files.
    """

    def __init__(self, metas: Sequence[PersistedSessionMeta]) -> None:
        self._metas = metas
        self._known: dict[UUID | str, list[PersistedSessionMeta]] = {}
        for meta in metas:
            for key in (meta.id, _stem(meta)):
                self._known.setdefault(key, []).append(meta)

    def called(self, text: str) -> dict[UUID, PersistedSessionMeta]:
        """Return the sessions that are called so, each by its id, with the file that is meant.

        Of several files of one session, that is the one that is named after it.
        """
        exactly = self._known.get(text, [])
        whole = whole_id(text)
        if whole is not None:
            return _one_file_each([*self._known.get(whole, []), *exactly])
        digits = text.lower().replace("-", "")
        if not digits:
            return _one_file_each(exactly)
        begun = [meta for meta in self._metas if meta.id.hex.startswith(digits)]
        return _one_file_each(begun + exactly)

    def nearest(self, text: str, most: int) -> list[UUID]:
        """Return ids that look like this one, the most alike first; none where none does.

        Args:
            text: an id, or the beginning of one, that no session has.
            most: so many at most.
        """
        digits = text.lower().replace("-", "")
        ends = digits[:_ALIKE], digits[-_ALIKE:]
        by_begin: dict[str, UUID] = {}
        for meta in self._metas:
            begin = meta.id.hex[: len(digits)]
            # The comparison takes 50 us: not of each of 100,000.
            if begin.startswith(ends[0]) or begin.endswith(ends[1]):
                by_begin.setdefault(begin, meta.id)
            if len(by_begin) == _COMPARED:
                break
        return [by_begin[begin] for begin in get_close_matches(digits, by_begin, n=most)]


def named_after_it(meta: PersistedSessionMeta) -> bool:
    """Say whether a session's file has its id for a name, so that the id leads to it."""
    return _stem(meta) == meta.id_text


def whole_id(text: str) -> UUID | None:
    """Return the id that a text is, None where it is none, or only the beginning of one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def shorten(ids: Iterable[str]) -> dict[str, str]:
    """Return for each id the shortest beginning, of eight letters at least, that is its own."""
    ordered = sorted(set(ids))
    short = {}
    for i, one in enumerate(ordered):
        length = _SHORT
        # Who shares most with it stands beside it.
        for other in (*ordered[max(0, i - 1) : i], *ordered[i + 1 : i + 2]):
            while other.startswith(one[:length]) and length < len(one):
                length += 1
        short[one] = one[:length]
    return short


def _one_file_each(metas: Iterable[PersistedSessionMeta]) -> dict[UUID, PersistedSessionMeta]:
    found: dict[UUID, PersistedSessionMeta] = {}
    for meta in metas:
        if meta.id not in found or named_after_it(meta):
            found[meta.id] = meta
    return found


def _stem(meta: PersistedSessionMeta) -> str:
    split = split_name(meta.path.name)
    assert split is not None
    return split[0]
