"""What schemathesis checks of each answer besides its own: lines of streams, and that nothing leaks.

It loads this module by the name in ``SCHEMATHESIS_HOOKS``.
"""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis

from described import faults
from sessiontail.service.api.openapi import LINE_SCHEMA

__all__ = ["lines_are_as_described", "nothing_leaks"]


@schemathesis.check
def lines_are_as_described(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Each line of a stream of lines has the schema that stands for it."""
    if response.headers.get("content-type", [""])[0] != "application/x-ndjson":
        return
    answers: Any = case.operation.definition.raw["responses"]
    schema = answers["200"]["content"]["application/x-ndjson"][LINE_SCHEMA]
    for line in response.content.splitlines():
        assert faults(json.loads(line), schema) == [], line


@schemathesis.check
def nothing_leaks(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """No answer says where files lie, or where the program does."""
    for secret in os.environ.get("SESSIONTAIL_SECRETS", "Traceback").split("\n"):
        assert secret.encode() not in response.content, secret
