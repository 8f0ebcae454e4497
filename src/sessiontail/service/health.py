"""``/healthz``: that the service runs, and nothing else; open to everybody."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sessiontail.service.endpoints import Answer, Endpoint
from sessiontail.service.parameters import read

__all__ = ["ENDPOINTS"]


async def _health(request: Request) -> Response:
    """Say that the service runs."""
    read(request, ())
    return JSONResponse({"status": "ok"})


ENDPOINTS = (
    Endpoint(
        path="/healthz",
        handle=_health,
        operation_id="health",
        summary="Say that the service runs.",
        responses={
            200: Answer(
                about="It runs.",
                schema={
                    "type": "object",
                    "required": ["status"],
                    "properties": {"status": {"const": "ok"}},
                    "additionalProperties": False,
                },
            )
        },
    ),
)
