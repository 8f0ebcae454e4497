"""What the bytes mean: lines, records, sessions, cursors.

Nothing here waits, opens a file or looks at a clock. For who reads session bytes that lie in no
file, these are public: ``LineFramer`` cuts bytes into blocks of lines, ``RecordDecoder`` makes
batches of records of them.
"""

from typing import TYPE_CHECKING

from sessiontail._lazy import lazy

if TYPE_CHECKING:
    from sessiontail.format.batch import Batch as Batch
    from sessiontail.format.decoding import RecordDecoder as RecordDecoder
    from sessiontail.format.framing import (
        MAX_LINE_BYTES as MAX_LINE_BYTES,
        Block as Block,
        LineFramer as LineFramer,
        LongLine as LongLine,
    )
    from sessiontail.format.marks import Mark as Mark
    from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION as CURRENT_SCHEMA_VERSION

# Where each name comes from; loaded when first asked for.
_HOMES = {
    "CURRENT_SCHEMA_VERSION": "migrations",
    "MAX_LINE_BYTES": "framing",
    "Block": "framing",
    "LineFramer": "framing",
    "LongLine": "framing",
    "Mark": "marks",
    "Batch": "batch",
    "RecordDecoder": "decoding",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - they are text

__getattr__, __dir__ = lazy(globals(), _HOMES)
