"""The row of the API's table: a path, what answers it, and how that is described."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from sessiontail.service.api.parameters import Parameter
from sessiontail.service.problems import PROBLEM

__all__ = ["Answer", "Endpoint", "Handler", "refusal"]

#: Raises ``Problem``, or any error of the library, for what is no answer.
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a status comes with."""

    about: str
    #: None: no body.
    media_type: str | None = "application/json"
    #: A JSON schema; None: any body of that type. Of a stream, the schema of one event or line.
    schema: Mapping[str, Any] | None = None
    #: Other media types that it may come in instead, each with its schema.
    also: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One row of the API: routed by ``app``, described by ``openapi``."""

    #: With names in braces, as ``/api/sessions/{session_id}``.
    path: str
    handle: Handler
    operation_id: str
    #: One sentence.
    summary: str
    parameters: tuple[Parameter, ...] = ()
    #: What it answers by status; problems that any endpoint may have are left out.
    responses: Mapping[int, Answer] = field(default_factory=dict)
    #: GET comes with HEAD.
    method: Literal["GET", "POST"] = "GET"
    #: Whether it is answered to who does not know the token.
    is_open: bool = False


def refusal(about: str) -> Answer:
    """Return what a status comes with that refuses: a problem."""
    return Answer(about=about, media_type=PROBLEM)
