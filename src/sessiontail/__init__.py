"""Read what agents write, while they write it.

    async for record in tail_session(session_id): ...

``__all__`` stands in the order of the data's way: bytes -> lines -> records -> session -> store.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessiontail.decoding import Batch, RecordDecoder
    from sessiontail.errors import (
        CursorInvalid,
        DamagedSession,
        InvalidSessionId,
        MissingExtra,
        PersistenceError,
        SessionBusy,
        SessionEnded,
        SessionNotFound,
    )
    from sessiontail.following import DirectoryTail
    from sessiontail.framing import MAX_LINE_BYTES, Block, LineFramer, LongLine
    from sessiontail.layout import (
        SESSION_FILE_SUFFIX,
        SESSION_PARTIAL_SUFFIX,
        SESSIONS_DIR_NAME,
        ensure_sessions_dir,
        session_file,
        session_partial_file,
        sessions_dir,
    )
    from sessiontail.listing import Scan
    from sessiontail.meta import PersistedSessionMeta, SessionState
    from sessiontail.migrations import (
        CURRENT_SCHEMA_VERSION,
        register_chunk_migration,
        register_header_migration,
    )
    from sessiontail.observing import EventKind, SessionEvent, SessionWatch
    from sessiontail.pruning import Pruned, PrunePlan
    from sessiontail.reading import SessionReader
    from sessiontail.records import (
        Chunk,
        ChunkKind,
        Damage,
        DamageReason,
        Header,
        LineageKind,
        Record,
        SandboxSpec,
        TokenUsage,
        ToolCall,
        Trailer,
    )
    from sessiontail.session import (
        ChunkTable,
        Outcome,
        PersistedSession,
        PersistedSessionHeader,
    )
    from sessiontail.stats import StoreStats
    from sessiontail.store import (
        SessionStore,
        delete_session,
        list_persisted_sessions,
        load_session,
        prune_sessions,
        read_session,
        tail_session,
    )
    from sessiontail.tailing import SessionTail
    from sessiontail.writing import SessionWriter

__all__ = [
    # framing
    "MAX_LINE_BYTES",
    "Block",
    "LineFramer",
    "LongLine",
    # decoding
    "Batch",
    "RecordDecoder",
    # records
    "Chunk",
    "ChunkKind",
    "Damage",
    "DamageReason",
    "Header",
    "LineageKind",
    "Record",
    "SandboxSpec",
    "TokenUsage",
    "ToolCall",
    "Trailer",
    # migrations
    "CURRENT_SCHEMA_VERSION",
    "register_chunk_migration",
    "register_header_migration",
    # session
    "ChunkTable",
    "Outcome",
    "PersistedSession",
    "PersistedSessionHeader",
    # meta
    "PersistedSessionMeta",
    "SessionState",
    # errors
    "CursorInvalid",
    "DamagedSession",
    "InvalidSessionId",
    "MissingExtra",
    "PersistenceError",
    "SessionBusy",
    "SessionEnded",
    "SessionNotFound",
    # layout
    "SESSION_FILE_SUFFIX",
    "SESSION_PARTIAL_SUFFIX",
    "SESSIONS_DIR_NAME",
    "ensure_sessions_dir",
    "session_file",
    "session_partial_file",
    "sessions_dir",
    # reading
    "SessionReader",
    # tailing
    "SessionTail",
    # writing
    "SessionWriter",
    # listing
    "Scan",
    # pruning
    "Pruned",
    "PrunePlan",
    # following
    "DirectoryTail",
    # observing
    "EventKind",
    "SessionEvent",
    "SessionWatch",
    # stats
    "StoreStats",
    # store
    "SessionStore",
    "delete_session",
    "list_persisted_sessions",
    "load_session",
    "prune_sessions",
    "read_session",
    "tail_session",
]

# Where the names come from, in the same order; loaded when first asked for, so that
# ``sessiontail --help`` does not load the reader.
_MODULES = (
    "framing",
    "decoding",
    "records",
    "migrations",
    "session",
    "meta",
    "errors",
    "layout",
    "reading",
    "tailing",
    "writing",
    "listing",
    "pruning",
    "following",
    "observing",
    "stats",
    "store",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in _MODULES:
            home = import_module(f"{__name__}.{module}")
            if name in home.__all__:
                value = globals()[name] = getattr(home, name)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
