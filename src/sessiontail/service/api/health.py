"""``/healthz``: whether the service can do its work, and nothing else; open to everybody."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sessiontail.service.api.endpoints import Answer, Endpoint
from sessiontail.service.api.parameters import read
from sessiontail.service.context import context_of
from sessiontail.system.files import in_thread
from sessiontail.urls import UrlPath

__all__ = ["ENDPOINTS"]


# A directory that does not answer within this is as good as gone.
_PATIENCE_S = 2.0


async def _health(request: Request) -> Response:
    """Say whether the sessions can be read."""
    read(request, ())
    directory = context_of(request).store.directory
    with anyio.move_on_after(_PATIENCE_S):
        # A place of its own: those who read sessions may have all threads of theirs.
        if await in_thread(_readable, directory, place=f"{directory}\0health"):
            return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "unavailable"}, 503)


def _readable(directory: Path) -> bool:
    """Say whether a directory can be listed; one that is not there yet is empty."""
    if isinstance(directory, UrlPath):
        return True  # to ask a bucket costs money, and each request says how it went
    try:
        os.scandir(directory).close()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _status(word: str) -> dict[str, object]:
    return {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"const": word}},
        "additionalProperties": False,
    }


ENDPOINTS = (
    Endpoint(
        path="/healthz",
        handle=_health,
        is_open=True,
        operation_id="health",
        summary="Says whether the service can read the sessions.",
        responses={
            200: Answer(about="It runs.", schema=_status("ok")),
            503: Answer(about="The sessions cannot be read.", schema=_status("unavailable")),
        },
    ),
)
