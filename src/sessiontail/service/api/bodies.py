"""a body -> an answer: in one go, or, where it is large, piece by piece while its client takes it.

What a server was given in one go stays in its memory until the client has read it, which may be never.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from starlette.requests import Request
from starlette.responses import Response

from sessiontail.service.context import context_of
from sessiontail.service.live.sse import EventStream

__all__ = ["AT_ONCE_BYTES", "JSON", "answer"]

JSON = "application/json"

#: 64 KiB: 10,000 clients that read nothing hold 640 MB of such.
AT_ONCE_BYTES = 64 * 1024


def answer(
    request: Request, body: bytes, headers: Mapping[str, str] | None = None, media_type: str = JSON
) -> Response:
    """Return the answer with this body.

    Args:
        request: what is answered.
        body: all of it.
        headers: more of the answer's.
        media_type: what it is.
    """
    if len(body) <= AT_ONCE_BYTES:
        return Response(body, headers=headers, media_type=media_type)
    return EventStream(
        context_of(request),
        _whole(body),
        media_type=media_type,
        headers=headers,
        holds=len(body),
    )


async def _whole(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
