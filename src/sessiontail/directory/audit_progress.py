"""How far an audit of a directory is: files, bytes, and what had not to be read again."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["AuditProgress"]


class AuditProgress(Struct, frozen=True):
    """How far a pass is."""

    #: Files of the directory, and how many are folded.
    files: int
    files_done: int
    #: Bytes that were to be read, and how many are read: what is known is not read.
    bytes: int
    bytes_done: int
    #: Files that had not changed since they were audited before.
    files_known: int
