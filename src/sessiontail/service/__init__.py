"""The sessions of a directory over HTTP: a page for people, an interface for programs.

``create_app(store)`` is an ASGI application; it needs the extra ``serve``.
"""

from __future__ import annotations

from sessiontail.errors import MissingExtra

try:
    from sessiontail.service.app import create_app
    from sessiontail.service.context import Limits
    from sessiontail.service.live.clients import end_streams
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in {"prometheus_client", "starlette"}:
        raise
    raise MissingExtra(
        "the service needs starlette, uvicorn and prometheus-client: "
        "pip install starlette uvicorn prometheus-client"
    ) from error

__all__ = ["Limits", "create_app", "end_streams"]
