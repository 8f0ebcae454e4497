"""A value and a JSON schema -> what of it is not as it is described."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from sessiontail.service.api.schemas import Schema

__all__ = ["faults"]


def faults(value: Any, schema: Schema) -> list[str]:
    """What is wrong, a sentence each; formats count."""
    validator = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True)
    return [fault.message for fault in validator.iter_errors(value)]
