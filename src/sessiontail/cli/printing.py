"""records of a session, or of several -> those that are wanted, in the form that was asked for."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias
from uuid import UUID

from sessiontail.cli.escaping import encoded
from sessiontail.cli.rendering import EXCERPT, Renderer, as_json, kind_of, text_of
from sessiontail.cli.targets import Target
from sessiontail.cli.terminal import Output, note
from sessiontail.format.messages import message_text
from sessiontail.format.records import Chunk, Damage, Record
from sessiontail.session.sieve import Inherited

__all__ = ["Form", "Printer"]

Form: TypeAlias = Literal["text", "json", "jsonl", "raw", "messages"]


class Printer:
    """Prints records.

    Args:
        output: where to.
        form: in which form.
        kinds: only records of these.
        pattern: only records whose text matches; the matches are highlighted.
        max_lines: of the text of a record, so many lines; None: all.
    """

    def __init__(
        self,
        output: Output,
        form: Form = "text",
        *,
        kinds: tuple[str, ...] = (),
        pattern: re.Pattern[str] | None = None,
        max_lines: int | None = None,
    ) -> None:
        self._output = output
        self._form = form
        self._renderer = Renderer(output, max_lines=max_lines, pattern=pattern)
        self._kinds = kinds
        self._pattern = pattern
        #: Whether records come with their bytes.
        self.raw = form == "raw"
        #: Whether some records may not be wanted.
        self.filtered = bool(kinds) or pattern is not None
        #: Records printed so far.
        self.printed = 0
        # Damaged lines that the form has no place for.
        self._left_out = 0

    def wants(self, record: Record | None) -> bool:
        """Say whether a record passes ``-k`` and ``-g``; None stands for blank lines."""
        if record is None:
            return not self.filtered
        if self._kinds and kind_of(record) not in self._kinds:
            return False
        return self._pattern is None or self._pattern.search(text_of(record)) is not None

    def put(
        self,
        record: Record | None,
        raw: bytes = b"",
        target: Target | None = None,
        session_id: UUID | str | None = None,
    ) -> None:
        """Print a record that is wanted.

        Args:
            record: the record; None for blank lines.
            raw: its bytes, for ``raw``.
            target: whose it is, where records of several sessions are mixed.
            session_id: whose it is, where that is known.
        """
        output = self._output
        if self._form == "raw":
            output.bytes(raw)
        elif self._form == "messages":
            self._left_out += isinstance(record, Damage)
            if not isinstance(record, Chunk):
                return
            output.bytes(b",\n" if self.printed else b"[\n")
            output.bytes(encoded(message_text(record)))
        elif record is None:
            pass
        elif self._form in ("json", "jsonl"):
            owner = session_id or (target.session_id if target else None)
            text = output.json(as_json(record, owner))
            if self._form == "jsonl":
                output.line(text)
            else:
                output.bytes((b",\n" if self.printed else b"[\n") + encoded(text))
        else:
            self._renderer.record(record, *self._named(target))
        self.printed += 1

    @staticmethod
    def _named(target: Target | None) -> tuple[str, str]:
        """Return what stands before a line, and what its colour is by."""
        name = "" if target is None else target.name
        # A file is called after its session, mostly.
        return name, str((target and target.session_id) or name.partition(".jsonl")[0])

    def left_out(self, inherited: Inherited, target: Target | None = None) -> None:
        """Tell that inherited rows are left out.

        Args:
            inherited: what of a session is.
            target: whose, where records of several sessions are mixed.
        """
        rows = "1 row" if inherited.count == 1 else f"{inherited.count} rows"
        them = "it" if inherited.count == 1 else "them"
        text = f"{rows} from {str(inherited.origin)[:8]}; --inherited shows {them}"
        if self._form == "text" and not self.filtered:
            self._renderer.aside(text, *self._named(target))
        else:
            note(f"{target.name}: {text}" if target else text)

    def flush(self) -> None:
        """Hand what was printed to the reader of the output."""
        self._output.flush()

    def close(self) -> None:
        """Print the end of the form, and hand everything to the reader of the output."""
        if self._form in ("json", "messages"):
            self._output.line("\n]" if self.printed else "[]")
        self._output.flush()

    def end(self, torn_bytes: int, torn: bytes) -> None:
        """Print what a crash left behind a session's lines, ``EXCERPT`` bytes of it at most."""
        shown = self._form == "text" and not self.filtered
        if torn_bytes and shown:
            text = f"{torn_bytes} bytes after the last whole line, no record"
            if torn:
                text += ":\n" + torn[:EXCERPT].decode("utf-8", "backslashreplace")
            self._renderer.block("torn", text)
        self.flush()
        if torn_bytes and not shown:
            note(f"{torn_bytes} bytes after the last whole line left out: no record")
        if self._left_out:
            note(f"{self._left_out} damaged lines left out; -o text shows them")
