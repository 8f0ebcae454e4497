"""Read what agents write, while they write it.

async for record in tail_session(session_id): ...
"""

from typing import TYPE_CHECKING

from sessiontail._lazy import lazy

if TYPE_CHECKING:
    from sessiontail.by_id import OnAbandoned as OnAbandoned, SessionsById as SessionsById
    from sessiontail.directory.activity import SessionActivity as SessionActivity
    from sessiontail.directory.activity_sums import DirectoryActivity as DirectoryActivity
    from sessiontail.directory.audit import (
        AuditPass as AuditPass,
        audit_sessions as audit_sessions,
    )
    from sessiontail.directory.audit_progress import AuditProgress as AuditProgress
    from sessiontail.directory.conversations import ConversationTurn as ConversationTurn
    from sessiontail.directory.diagrams import draw_dot as draw_dot, draw_mermaid as draw_mermaid
    from sessiontail.directory.events import (
        SessionEvent as SessionEvent,
        SessionWatch as SessionWatch,
    )
    from sessiontail.directory.exports import Export as Export, export_session as export_session
    from sessiontail.directory.lineage import (
        Lineage as Lineage,
        LineageEdge as LineageEdge,
        LineageNode as LineageNode,
    )
    from sessiontail.directory.monitor import (
        SessionMonitor as SessionMonitor,
        monitor_sessions as monitor_sessions,
    )
    from sessiontail.directory.outlines import SessionOutline as SessionOutline
    from sessiontail.directory.picture import draw_svg as draw_svg
    from sessiontail.directory.plan import (
        PruneDecision as PruneDecision,
        PrunePlan as PrunePlan,
    )
    from sessiontail.directory.prune import Pruned as Pruned
    from sessiontail.directory.repairs import repair_session as repair_session
    from sessiontail.directory.retelling import Conversation as Conversation
    from sessiontail.directory.scan import Scan as Scan
    from sessiontail.directory.search import Search as Search, search as search
    from sessiontail.directory.search_following import FollowingSearch as FollowingSearch
    from sessiontail.directory.search_options import SearchOptions as SearchOptions
    from sessiontail.directory.tail import DirectoryTail as DirectoryTail
    from sessiontail.directory.tracing import read_lineage as read_lineage
    from sessiontail.errors import (
        CursorInvalid as CursorInvalid,
        DamagedSession as DamagedSession,
        InvalidPattern as InvalidPattern,
        InvalidSessionId as InvalidSessionId,
        LineNotFound as LineNotFound,
        MissingExtra as MissingExtra,
        PatternTooSlow as PatternTooSlow,
        PersistenceError as PersistenceError,
        SessionBusy as SessionBusy,
        SessionEnded as SessionEnded,
        SessionNotFound as SessionNotFound,
    )
    from sessiontail.format.audit import (
        DirectoryAudit as DirectoryAudit,
        SessionAudit as SessionAudit,
        summarize as summarize,
    )
    from sessiontail.format.findings import Finding as Finding, Severity as Severity
    from sessiontail.format.folding import (
        ChunkTable as ChunkTable,
        PersistedSession as PersistedSession,
        PersistedSessionHeader as PersistedSessionHeader,
    )
    from sessiontail.format.lifecycle import (
        EventKind as EventKind,
        Outcome as Outcome,
        SessionState as SessionState,
    )
    from sessiontail.format.mending import Mend as Mend, MendAction as MendAction
    from sessiontail.format.migrations import (
        Migration as Migration,
        register_chunk_migration as register_chunk_migration,
        register_header_migration as register_header_migration,
    )
    from sessiontail.format.records import (
        Chunk as Chunk,
        ChunkKind as ChunkKind,
        Damage as Damage,
        DamageReason as DamageReason,
        Header as Header,
        LineageKind as LineageKind,
        Record as Record,
        SandboxSpec as SandboxSpec,
        TokenUsage as TokenUsage,
        ToolCall as ToolCall,
        Trailer as Trailer,
    )
    from sessiontail.format.tally import Tally as Tally, UsageTotal as UsageTotal
    from sessiontail.persistence import (
        delete_session as delete_session,
        list_persisted_sessions as list_persisted_sessions,
        load_session as load_session,
        prune_sessions as prune_sessions,
        read_session as read_session,
        tail_session as tail_session,
    )
    from sessiontail.relay.relayed import (
        mirror_sessions as mirror_sessions,
        relay_sessions as relay_sessions,
    )
    from sessiontail.reports.csv_table import audits_to_csv as audits_to_csv
    from sessiontail.reports.page import audits_to_html as audits_to_html
    from sessiontail.reports.parquet import audits_to_parquet as audits_to_parquet
    from sessiontail.reports.sql import (
        QueryResult as QueryResult,
        query_audits as query_audits,
    )
    from sessiontail.session.asides import Settled as Settled
    from sessiontail.session.asking import Match as Match
    from sessiontail.session.feed import RecordFeed as RecordFeed
    from sessiontail.session.meta import PersistedSessionMeta as PersistedSessionMeta
    from sessiontail.session.pulling import StreamBusy as StreamBusy
    from sessiontail.session.reading import SessionReader as SessionReader
    from sessiontail.session.repairing import Repaired as Repaired
    from sessiontail.session.sieve import Inherited as Inherited
    from sessiontail.session.tail import SessionTail as SessionTail
    from sessiontail.session.writer import SessionWriter as SessionWriter
    from sessiontail.store import SessionStore as SessionStore
    from sessiontail.system.paths import (
        session_file as session_file,
        session_partial_file as session_partial_file,
        sessions_dir as sessions_dir,
    )
    from sessiontail.system.stamps import FileId as FileId
    from sessiontail.system.stats import StoreStats as StoreStats

# Where each name comes from, in the order of the data's way: bytes -> records -> session -> store.
# It is loaded when first asked for, so that ``sessiontail --help`` does not load the reader.
_HOMES = {
    "CursorInvalid": "errors",
    "DamagedSession": "errors",
    "InvalidPattern": "errors",
    "InvalidSessionId": "errors",
    "LineNotFound": "errors",
    "MissingExtra": "errors",
    "PatternTooSlow": "errors",
    "PersistenceError": "errors",
    "SessionBusy": "errors",
    "SessionEnded": "errors",
    "SessionNotFound": "errors",
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
    "Mend": "format.mending",
    "MendAction": "format.mending",
    "Migration": "format.migrations",
    "register_chunk_migration": "format.migrations",
    "register_header_migration": "format.migrations",
    "ChunkTable": "format.folding",
    "PersistedSession": "format.folding",
    "PersistedSessionHeader": "format.folding",
    "Severity": "format.findings",
    "Finding": "format.findings",
    "Tally": "format.tally",
    "UsageTotal": "format.tally",
    "SessionAudit": "format.audit",
    "DirectoryAudit": "format.audit",
    "summarize": "format.audit",
    "Outcome": "format.lifecycle",
    "SessionState": "format.lifecycle",
    "EventKind": "format.lifecycle",
    "session_file": "system.paths",
    "session_partial_file": "system.paths",
    "sessions_dir": "system.paths",
    "FileId": "system.stamps",
    "StoreStats": "system.stats",
    "PersistedSessionMeta": "session.meta",
    "Settled": "session.asides",
    "RecordFeed": "session.feed",
    "StreamBusy": "session.pulling",
    "Match": "session.asking",
    "Inherited": "session.sieve",
    "SessionReader": "session.reading",
    "Repaired": "session.repairing",
    "SessionTail": "session.tail",
    "SessionWriter": "session.writer",
    "Scan": "directory.scan",
    "SessionOutline": "directory.outlines",
    "ConversationTurn": "directory.conversations",
    "Conversation": "directory.retelling",
    "Lineage": "directory.lineage",
    "LineageEdge": "directory.lineage",
    "LineageNode": "directory.lineage",
    "read_lineage": "directory.tracing",
    "draw_dot": "directory.diagrams",
    "draw_mermaid": "directory.diagrams",
    "draw_svg": "directory.picture",
    "repair_session": "directory.repairs",
    "Export": "directory.exports",
    "export_session": "directory.exports",
    "PruneDecision": "directory.plan",
    "PrunePlan": "directory.plan",
    "Pruned": "directory.prune",
    "Search": "directory.search",
    "FollowingSearch": "directory.search_following",
    "SearchOptions": "directory.search_options",
    "search": "directory.search",
    "DirectoryTail": "directory.tail",
    "SessionEvent": "directory.events",
    "SessionWatch": "directory.events",
    "SessionActivity": "directory.activity",
    "DirectoryActivity": "directory.activity_sums",
    "SessionMonitor": "directory.monitor",
    "monitor_sessions": "directory.monitor",
    "AuditProgress": "directory.audit_progress",
    "AuditPass": "directory.audit",
    "audit_sessions": "directory.audit",
    "audits_to_csv": "reports.csv_table",
    "audits_to_html": "reports.page",
    "audits_to_parquet": "reports.parquet",
    "QueryResult": "reports.sql",
    "query_audits": "reports.sql",
    "OnAbandoned": "by_id",
    "SessionsById": "by_id",
    "SessionStore": "store",
    "mirror_sessions": "relay.relayed",
    "relay_sessions": "relay.relayed",
    "delete_session": "persistence",
    "list_persisted_sessions": "persistence",
    "load_session": "persistence",
    "prune_sessions": "persistence",
    "read_session": "persistence",
    "tail_session": "persistence",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - they are text

__getattr__, __dir__ = lazy(globals(), _HOMES)
