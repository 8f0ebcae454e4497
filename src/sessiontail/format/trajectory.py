"""records of a session -> an ATIF trajectory (Agent Trajectory Interchange Format, v1.8), as JSON.

A row is a step, but that a result belongs to the step that asks for it, however far behind it comes; one
that no step asks for is an observation of a system step. What is unknown is left out, and ``notes`` say
so: tokens of a session without a trailer, model and version of the agent, times of rows.
Source: ATIF v1.8 (harbor, rfcs/0001-trajectory-format.md), as the ``atif`` package has it.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from sessiontail.format.brief import counted
from sessiontail.format.content import as_text
from sessiontail.format.depth import too_deep
from sessiontail.format.facts import Facts, state_text
from sessiontail.format.inert import inert_json
from sessiontail.format.plain import plain
from sessiontail.format.records import (
    Chunk,
    ChunkKind,
    Damage,
    Header,
    Record,
    ToolCall,
    Trailer,
)
from sessiontail.format.trajectory_content import as_content, well_formed
from sessiontail.format.turns import asked_id

__all__ = ["Trajectory"]

_VERSION = "ATIF-v1.8"
# Of arguments: readers of JSON take 200 or more (pydantic), and a trajectory has some of its own.
_MOST_LEVELS = 100
_SOURCES = {ChunkKind.SYSTEM: "system", ChunkKind.USER: "user", ChunkKind.ASSISTANT: "agent"}


class Trajectory:
    """Writes the trajectory of one session; it holds all of it until the end."""

    def __init__(self) -> None:
        self._steps: list[dict[str, Any]] = []
        self._header: Header | None = None
        self._facts = Facts(name="")
        self._trailer: Trailer | None = None
        self._rows = 0
        self._damage: list[dict[str, Any]] = []
        # Steps that ask and have no answer so far, by the id of the call.
        self._asking: dict[str, deque[dict[str, Any]]] = {}

    def begin(self, header: Header | None, facts: Facts) -> Iterator[str]:
        """Take what is known of the session; nothing can be written before the end."""
        self._header, self._facts = header, facts
        yield from ()

    def left_out(self, rows: int, origin: str) -> Iterator[str]:  # noqa: ARG002 - as other forms
        """Count rows that are left out."""
        self._rows += rows
        yield from ()

    def take(self, records: Iterable[Record]) -> Iterator[str]:
        """Take the next records."""
        for record in records:
            if isinstance(record, Chunk):
                self._row(record)
            elif isinstance(record, Trailer):
                self._trailer = record
            elif isinstance(record, Damage):
                place = {"line": record.line, "offset": record.offset, "length": record.length}
                self._damage.append({**place, "reason": record.reason.value})
        yield from ()

    def end(self, torn_bytes: int) -> Iterator[str]:
        """Yield the trajectory, a step a line."""
        head: dict[str, Any] = {"schema_version": _VERSION}
        if self._header is not None:
            head["session_id"] = head["trajectory_id"] = str(self._header.id)
        head["agent"] = {"name": "openrath", "version": "unknown"}
        yield _json(head)[:-1] + ', "steps": ['
        for number, step in enumerate(self._steps):
            yield (",\n" if number else "\n") + _json(step)
        steps = len(self._steps)
        self._steps.clear()
        metrics = self._metrics(steps)
        tail = {"notes": self._notes(torn_bytes), "final_metrics": metrics, "extra": self._extra()}
        yield "\n], " + _json(tail)[1:] + "\n"

    def _row(self, chunk: Chunk) -> None:
        inherited = self._facts.inherited
        copied = inherited is not None and self._rows < inherited
        row, self._rows = self._rows, self._rows + 1
        if chunk.kind is ChunkKind.TOOL_RESULT:
            result: dict[str, Any] = {"content": as_content(chunk.payload.get("content"))}
            wanted = well_formed(asked_id(chunk))
            asking = self._asking.get(wanted)
            if asking:
                result = {"source_call_id": wanted, **result}
                asking.popleft().setdefault("observation", {"results": []})["results"].append(
                    result
                )
                if not asking:
                    del self._asking[wanted]
                return
            name = chunk.payload.get("name")
            extra = {"tool_call_id": wanted, "name": "" if name is None else as_text(name)}
            if any(extra.values()):
                result["extra"] = {key: well_formed(text) for key, text in extra.items() if text}
            step = self._step("system", "", row, copied=copied)
            step["observation"] = {"results": [result]}
            return
        source = _SOURCES[chunk.kind]
        step = self._step(source, as_content(chunk.payload.get("content")), row, copied=copied)
        if source != "agent":
            return
        if chunk.reasoning is not None:
            step["reasoning_content"] = well_formed(chunk.reasoning)
        calls = chunk.tool_calls
        if calls:
            step["tool_calls"] = [_call(call) for call in calls]
        for call in calls:
            self._asking.setdefault(well_formed(call.id), deque()).append(step)

    def _step(self, source: str, message: Any, row: int, *, copied: bool) -> dict[str, Any]:
        step = {"step_id": len(self._steps) + 1, "source": source, "message": message}
        if copied:
            step["is_copied_context"] = True
        step["extra"] = {"row": row}
        self._steps.append(step)
        return step

    def _metrics(self, steps: int) -> dict[str, Any]:
        metrics: dict[str, Any] = {"total_steps": steps}
        usage = self._trailer.cumulative_usage if self._trailer is not None else None
        if usage is not None:
            metrics["total_prompt_tokens"] = usage.prompt_tokens
            metrics["total_completion_tokens"] = usage.completion_tokens
            metrics["extra"] = {"total_tokens": usage.total_tokens}
        return metrics

    def _notes(self, torn_bytes: int) -> str:
        notes = ["The log has no model, agent version or time of a step."]
        if self._trailer is None or self._trailer.cumulative_usage is None:
            notes.append("Tokens are unknown: the session has no trailer with them.")
        elif self._facts.inherited:
            notes.append("Tokens are of this session alone, without the steps that are copied.")
        if self._facts.inherited is None:
            notes.append("Which steps are copied is unknown.")
        if self._damage:
            lines = counted(len(self._damage), "damaged line")
            notes.append(f"{lines} left out: no record; extra has their places.")
        if torn_bytes:
            notes.append(f"{counted(torn_bytes, 'byte')} after the last whole line left out.")
        return " ".join(notes)

    def _extra(self) -> dict[str, Any]:
        facts, header, trailer = self._facts, self._header, self._trailer
        extra: dict[str, Any] = {"state": state_text(facts.state)}
        if header is not None:
            extra["created_at"] = plain(header.created_at)
            extra["lineage_operator"] = well_formed(header.lineage_operator)
            extra["lineage_kind"] = header.lineage_kind.value
            extra["parent_session_ids"] = [str(parent) for parent in header.parent_session_ids]
        if trailer is not None and trailer.closed_at is not None:
            extra["closed_at"] = plain(trailer.closed_at)
        if self._damage:
            extra["damage"] = self._damage
        return extra


def _call(call: ToolCall) -> dict[str, Any]:
    told: dict[str, Any] = {
        "tool_call_id": well_formed(call.id),
        "function_name": well_formed(call.name),
    }
    values = call.parsed()
    if not isinstance(values, dict) or too_deep(values, _MOST_LEVELS):  # as the model wrote it
        return {**told, "arguments": {}, "extra": {"arguments": well_formed(call.arguments)}}
    return {**told, "arguments": _plain(values)}


def _plain(value: Any) -> Any:
    """Return a value as every reader of JSON takes it: no NaN, no half characters."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {well_formed(str(key)): _plain(one) for key, one in value.items()}
    return value


def _json(value: Any) -> str:
    return inert_json(json.dumps(value, ensure_ascii=False))
