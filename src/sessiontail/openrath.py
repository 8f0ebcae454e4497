"""openrath's sessions <-> ours: what a file holds, for the loop; what the loop has, for a file.

openrath is imported inside functions: it is an optional extra, and takes seconds to import, which
therefore happens in a thread. Works with openrath 1.3 and 2.0.
Source: openrath 2.0.0, ``PersistedSession.to_resumable_pair`` and ``build_header``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio.to_thread

from sessiontail.errors import MissingExtra
from sessiontail.format.folding import PersistedSession
from sessiontail.format.records import ChunkKind, Header, LineageKind, SandboxSpec

if TYPE_CHECKING:
    from rath.session.session import Session

__all__ = ["from_openrath", "resumable_pair"]


async def resumable_pair(
    session: PersistedSession, *, agent_prompt: str | None = None
) -> tuple[Session, Session]:
    """Build ``(user_session, agent_session)``; see ``PersistedSession.to_resumable_pair``.

    Raises:
        MissingExtra: openrath is not installed.
        KeyError: the recorded sandbox handle is unknown to openrath's registry.
        Exception: whatever the sandbox's backend raises when it is attached to.
    """
    # Under anyio's limiter, not in our threads: it may attach a remote sandbox, for as long as
    # that takes.
    return await anyio.to_thread.run_sync(_pair, session, agent_prompt)


def from_openrath(
    session: Session,
    *,
    sandbox_handle_id: str | None = None,
    created_at: datetime | None = None,
) -> Header:
    """Return the header that openrath's own writer gives this session.

    Args:
        session: a ``rath.session.session.Session``.
        sandbox_handle_id: under which openrath's registry knows its sandbox.
        created_at: now, if not given.
    """
    spec = session._sandbox_open_spec  # noqa: SLF001 - openrath's own writer reads it there
    return Header(
        id=session.id,
        created_at=created_at or datetime.now(UTC),
        parent_session_ids=tuple(session.parent_session_ids),
        lineage_operator=session.lineage_operator,
        lineage_kind=LineageKind(session.lineage_kind.value),
        lineage_extras=tuple(session.lineage_extras),
        sandbox_backend=session.sandbox_backend,
        sandbox_spec=spec
        and SandboxSpec(
            image=spec.image,
            entrypoint=None if spec.entrypoint is None else tuple(spec.entrypoint),
            env=None if spec.env is None else dict(spec.env),
            timeout=spec.timeout,
            working_dir=spec.working_dir,
        ),
        sandbox_handle_id=sandbox_handle_id,
    )


def _pair(session: PersistedSession, agent_prompt: str | None) -> tuple[Any, Any]:
    try:
        from rath.backend.abc import BackendSandboxSpec  # noqa: PLC0415 - an optional extra
        from rath.session import chunk as theirs  # noqa: PLC0415 - an optional extra
        from rath.session.session import Session  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rath":
            raise  # openrath is there, but something that it needs is not
        raise MissingExtra("resuming needs openrath: pip install openrath") from error

    header, spec = session.header, session.header.sandbox_spec
    user = Session(
        chunk_table=theirs.ChunkTable(
            rows=tuple(
                theirs.ChunkRow(kind=theirs.ChunkKind(row.kind.value), payload=dict(row.payload))
                for row in session.chunk_table
            )
        ),
        sandbox_backend=header.sandbox_backend,
        _sandbox_open_spec=spec
        and BackendSandboxSpec(
            image=spec.image,
            entrypoint=spec.entrypoint,
            env=spec.env,
            timeout=spec.timeout,
            working_dir=spec.working_dir,
        ),
    )
    handle = _handle(header)
    if handle is not None:
        from rath.backend.persistence.registry import (  # noqa: PLC0415 - only where one is named
            PersistentSandboxRegistry,
        )

        user.bind_sandbox(PersistentSandboxRegistry().reattach_remote(handle))
    if agent_prompt is None:
        agent_prompt = _system_prompt(session)
    if agent_prompt is None:
        return user, Session(chunk_table=theirs.ChunkTable())
    return user, Session.from_agent_prompt(agent_prompt)


def _handle(header: Header) -> UUID | None:
    """Return the recorded sandbox to attach to; what is no handle is ignored, as openrath does."""
    if header.sandbox_backend != "opensandbox" or not header.sandbox_handle_id:
        return None
    try:
        return UUID(str(header.sandbox_handle_id))
    except ValueError:
        return None


def _system_prompt(session: PersistedSession) -> str | None:
    rows = (row for row in session.chunk_table if row.kind is ChunkKind.SYSTEM)
    content = next((row.payload.get("content") for row in rows), None)
    try:
        # In Python's words, also where it is a list of parts: openrath asks the model so.
        return None if content is None else str(content)
    except RecursionError:
        return "..."
