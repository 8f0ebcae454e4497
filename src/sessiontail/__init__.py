"""Read what agents write, while they write it.

async for record in tail_session(session_id): ...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessiontail.directory.events import (
        EventKind as EventKind,
    )
    from sessiontail.directory.events import (
        SessionEvent as SessionEvent,
    )
    from sessiontail.directory.events import (
        SessionWatch as SessionWatch,
    )
    from sessiontail.directory.listing import Scan as Scan
    from sessiontail.directory.prune import (
        Pruned as Pruned,
    )
    from sessiontail.directory.prune import (
        PrunePlan as PrunePlan,
    )
    from sessiontail.directory.tail import DirectoryTail as DirectoryTail
    from sessiontail.errors import (
        CursorInvalid as CursorInvalid,
    )
    from sessiontail.errors import (
        DamagedSession as DamagedSession,
    )
    from sessiontail.errors import (
        InvalidSessionId as InvalidSessionId,
    )
    from sessiontail.errors import (
        MissingExtra as MissingExtra,
    )
    from sessiontail.errors import (
        PersistenceError as PersistenceError,
    )
    from sessiontail.errors import (
        SessionBusy as SessionBusy,
    )
    from sessiontail.errors import (
        SessionEnded as SessionEnded,
    )
    from sessiontail.errors import (
        SessionNotFound as SessionNotFound,
    )
    from sessiontail.format.decoding import (
        Batch as Batch,
    )
    from sessiontail.format.decoding import (
        RecordDecoder as RecordDecoder,
    )
    from sessiontail.format.folding import (
        ChunkTable as ChunkTable,
    )
    from sessiontail.format.folding import (
        Outcome as Outcome,
    )
    from sessiontail.format.folding import (
        PersistedSession as PersistedSession,
    )
    from sessiontail.format.folding import (
        PersistedSessionHeader as PersistedSessionHeader,
    )
    from sessiontail.format.framing import (
        MAX_LINE_BYTES as MAX_LINE_BYTES,
    )
    from sessiontail.format.framing import (
        Block as Block,
    )
    from sessiontail.format.framing import (
        LineFramer as LineFramer,
    )
    from sessiontail.format.framing import (
        LongLine as LongLine,
    )
    from sessiontail.format.migrations import (
        CURRENT_SCHEMA_VERSION as CURRENT_SCHEMA_VERSION,
    )
    from sessiontail.format.migrations import (
        register_chunk_migration as register_chunk_migration,
    )
    from sessiontail.format.migrations import (
        register_header_migration as register_header_migration,
    )
    from sessiontail.format.records import (
        Chunk as Chunk,
    )
    from sessiontail.format.records import (
        ChunkKind as ChunkKind,
    )
    from sessiontail.format.records import (
        Damage as Damage,
    )
    from sessiontail.format.records import (
        DamageReason as DamageReason,
    )
    from sessiontail.format.records import (
        Header as Header,
    )
    from sessiontail.format.records import (
        LineageKind as LineageKind,
    )
    from sessiontail.format.records import (
        Record as Record,
    )
    from sessiontail.format.records import (
        SandboxSpec as SandboxSpec,
    )
    from sessiontail.format.records import (
        TokenUsage as TokenUsage,
    )
    from sessiontail.format.records import (
        ToolCall as ToolCall,
    )
    from sessiontail.format.records import (
        Trailer as Trailer,
    )
    from sessiontail.session.meta import (
        PersistedSessionMeta as PersistedSessionMeta,
    )
    from sessiontail.session.meta import (
        SessionState as SessionState,
    )
    from sessiontail.session.reading import SessionReader as SessionReader
    from sessiontail.session.tail import SessionTail as SessionTail
    from sessiontail.session.writer import SessionWriter as SessionWriter
    from sessiontail.store import (
        SessionStore as SessionStore,
    )
    from sessiontail.store import (
        delete_session as delete_session,
    )
    from sessiontail.store import (
        list_persisted_sessions as list_persisted_sessions,
    )
    from sessiontail.store import (
        load_session as load_session,
    )
    from sessiontail.store import (
        prune_sessions as prune_sessions,
    )
    from sessiontail.store import (
        read_session as read_session,
    )
    from sessiontail.store import (
        tail_session as tail_session,
    )
    from sessiontail.system.paths import (
        SESSION_FILE_SUFFIX as SESSION_FILE_SUFFIX,
    )
    from sessiontail.system.paths import (
        SESSION_PARTIAL_SUFFIX as SESSION_PARTIAL_SUFFIX,
    )
    from sessiontail.system.paths import (
        SESSIONS_DIR_NAME as SESSIONS_DIR_NAME,
    )
    from sessiontail.system.paths import (
        ensure_sessions_dir as ensure_sessions_dir,
    )
    from sessiontail.system.paths import (
        session_file as session_file,
    )
    from sessiontail.system.paths import (
        session_partial_file as session_partial_file,
    )
    from sessiontail.system.paths import (
        sessions_dir as sessions_dir,
    )
    from sessiontail.system.stats import StoreStats as StoreStats

# Where each name comes from, in the order of the data's way: bytes -> records -> session -> store.
# It is loaded when first asked for, so that ``sessiontail --help`` does not load the reader.
_HOMES = {
    "CursorInvalid": "errors",
    "DamagedSession": "errors",
    "InvalidSessionId": "errors",
    "MissingExtra": "errors",
    "PersistenceError": "errors",
    "SessionBusy": "errors",
    "SessionEnded": "errors",
    "SessionNotFound": "errors",
    "MAX_LINE_BYTES": "format.framing",
    "Block": "format.framing",
    "LineFramer": "format.framing",
    "LongLine": "format.framing",
    "Batch": "format.decoding",
    "RecordDecoder": "format.decoding",
    "Chunk": "format.records",
    "ChunkKind": "format.records",
    "Damage": "format.records",
    "DamageReason": "format.records",
    "Header": "format.records",
    "LineageKind": "format.records",
    "Record": "format.records",
    "SandboxSpec": "format.records",
    "TokenUsage": "format.records",
    "ToolCall": "format.records",
    "Trailer": "format.records",
    "CURRENT_SCHEMA_VERSION": "format.migrations",
    "register_chunk_migration": "format.migrations",
    "register_header_migration": "format.migrations",
    "ChunkTable": "format.folding",
    "Outcome": "format.folding",
    "PersistedSession": "format.folding",
    "PersistedSessionHeader": "format.folding",
    "SESSION_FILE_SUFFIX": "system.paths",
    "SESSION_PARTIAL_SUFFIX": "system.paths",
    "SESSIONS_DIR_NAME": "system.paths",
    "ensure_sessions_dir": "system.paths",
    "session_file": "system.paths",
    "session_partial_file": "system.paths",
    "sessions_dir": "system.paths",
    "StoreStats": "system.stats",
    "PersistedSessionMeta": "session.meta",
    "SessionState": "session.meta",
    "SessionReader": "session.reading",
    "SessionTail": "session.tail",
    "SessionWriter": "session.writer",
    "Scan": "directory.listing",
    "Pruned": "directory.prune",
    "PrunePlan": "directory.prune",
    "DirectoryTail": "directory.tail",
    "EventKind": "directory.events",
    "SessionEvent": "directory.events",
    "SessionWatch": "directory.events",
    "SessionStore": "store",
    "delete_session": "store",
    "list_persisted_sessions": "store",
    "load_session": "store",
    "prune_sessions": "store",
    "read_session": "store",
    "tail_session": "store",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - they are text


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
