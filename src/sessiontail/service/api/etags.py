"""a body of JSON -> an answer that is not sent again to who has it: ETag, If-None-Match, 304."""

from __future__ import annotations

from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response

from sessiontail.service.api.bodies import answer

__all__ = ["NOT_MODIFIED", "is_known", "with_etag"]

#: In words, for the description.
NOT_MODIFIED = "As it was when the client got its ETag."


def with_etag(request: Request, body: bytes) -> Response:
    """Return the answer with this body, or that the client has it already."""
    etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if is_known(request, etag):
        return Response(None, 304, headers)
    return answer(request, body, headers)


def is_known(request: Request, etag: str) -> bool:
    """Say whether a client has what this ETag names, quotes included."""
    for value in request.headers.getlist("if-none-match"):
        # Ours have no comma in them; a proxy that compresses may have made them weak.
        given = [one.strip().removeprefix("W/") for one in value.split(",")]
        if etag in given or "*" in given:
            return True
    return False
