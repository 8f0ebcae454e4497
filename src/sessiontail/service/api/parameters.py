"""a request's texts -> values, or a problem that names what is wrong with which of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from starlette.requests import Request

from sessiontail.errors import InvalidSessionId
from sessiontail.format.moments import moment_of
from sessiontail.service.problems import Problem
from sessiontail.system.paths import parse_session_id

__all__ = ["SESSION_ID", "Kind", "Parameter", "read"]

#: ``moment`` is a datetime, ``session`` a UUID.
Kind: TypeAlias = Literal["text", "integer", "number", "flag", "moment", "session"]

_FLAGS = {"true": True, "1": True, "false": False, "0": False}
# 18 digits: more than any file has bytes.
_NUMBERS = {"integer": r"-?\d{1,18}", "number": r"-?\d{1,18}(\.\d{1,18})?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One text that a request may bring."""

    name: str
    #: One sentence.
    about: str
    kind: Kind = "text"
    place: Literal["query", "path", "header"] = "query"
    #: What stands for one that is not given.
    default: Any = None
    required: bool = False
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    #: Letters.
    max_length: int = 1000
    #: May be given several times; the value is then a tuple.
    repeated: bool = False
    #: How many times.
    most_values: int = 32

    def parse(self, request: Request) -> Any:
        """Return the value, or a tuple of them.

        Raises:
            Problem: 400, it is missing, given twice, or none.
        """
        texts = self._texts(request)
        if not texts:
            if self.required:
                raise Problem(400, f"{self.name} is missing: {self.about}")
            return () if self.repeated and self.default is None else self.default
        if self.repeated:
            if len(texts) > self.most_values:
                raise Problem(400, f"{self.name} may be given {self.most_values} times at most")
            return tuple(map(self._value, texts))
        if len(texts) > 1:
            raise Problem(400, f"{self.name} is given {len(texts)} times; once is enough")
        return self._value(texts[0])

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of one value."""
        if self.kind == "flag":
            return {"type": "boolean"}
        if self.kind in {"integer", "number"}:
            limits = {"minimum": self.least, "maximum": self.most}
            return {"type": self.kind, **{k: v for k, v in limits.items() if v is not None}}
        if self.kind == "session":
            return {"type": "string", "format": "uuid"}
        if self.choices:
            return {"type": "string", "enum": [*self.choices]}
        return {"type": "string", "maxLength": self.max_length}

    def _texts(self, request: Request) -> list[str]:
        if self.place == "path":
            return [str(request.path_params[self.name])]
        if self.place == "header":
            return request.headers.getlist(self.name)
        return request.query_params.getlist(self.name)

    def _value(self, text: str) -> Any:
        if len(text) > self.max_length:
            raise Problem(400, f"{self.name} has {len(text)} letters, {self.max_length} at most")
        if self.choices and text not in self.choices:
            raise Problem(400, f"{self.name} is one of {', '.join(self.choices)}")
        match self.kind:
            case "integer" | "number":
                return self._number(text)
            case "flag":
                if text not in _FLAGS:
                    raise Problem(400, f"{self.name} is true or false")
                return _FLAGS[text]
            case "moment":
                moment = moment_of(text, datetime.now(UTC))
                if moment is None:
                    raise Problem(
                        400, f"{self.name} is no time; write 2h, 3d or 2026-01-31T08:00:00Z"
                    )
                return moment
            case "session":
                return _session_id(text)
            case _:
                return text

    def _number(self, text: str) -> float:
        what = "a whole number" if self.kind == "integer" else "a number"
        if re.fullmatch(_NUMBERS[self.kind], text, re.ASCII) is None:
            raise Problem(400, f"{self.name} is {what}")
        value = int(text) if self.kind == "integer" else float(text)
        if self.least is not None and value < self.least:
            raise Problem(400, f"{self.name} is {self.least} at least")
        if self.most is not None and value > self.most:
            raise Problem(400, f"{self.name} is {self.most} at most")
        return value


#: The session that a path names.
SESSION_ID = Parameter(
    name="session_id", about="A session's id, a UUID.", kind="session", place="path", required=True
)


def read(request: Request, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return all values by name; a query parameter that nobody knows is refused.

    Raises:
        Problem: 400, names what is wrong.
    """
    known = [*parameters]
    names = [one.name for one in known if one.place == "query"]
    for name in request.query_params:
        if name not in names:
            there_are = f"there are {', '.join(names)}" if names else "there is none here"
            raise Problem(400, f"no parameter {name[:80]!r}; {there_are}")
    return {one.name: one.parse(request) for one in known}


def _session_id(text: str) -> Any:
    try:
        return parse_session_id(text)
    except InvalidSessionId:
        raise Problem(400, f"not a session id: {text[:80]!r}; an id is a whole UUID") from None
