"""a file's first bytes and its last -> its header and its trailer. Blocks: for threads."""

from __future__ import annotations

from pathlib import Path

from sessiontail.errors import DamagedSession
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.folding import damaged
from sessiontail.format.framing import MAX_LINE_BYTES
from sessiontail.format.migrations import CURRENT_SCHEMA_VERSION
from sessiontail.format.records import Damage, Header, Trailer
from sessiontail.session.counting import Brief
from sessiontail.system.files import SessionFile
from sessiontail.system.paths import WAL_ENDING

__all__ = ["END_BYTES", "header_of", "no_header", "trailer_of"]


# 4 KiB: a header is some 400 bytes, a trailer some 180.
END_BYTES = 4096


def header_of(file: SessionFile, decoder: RecordDecoder, head: bytes) -> tuple[Header, int]:
    """Return the header and where the line behind it begins."""
    start, line = 0, 1
    while True:
        if head[start : start + 1].isspace():  # blank lines in one go: there may be a million
            blank = head.rfind(b"\n", start, len(head) - len(head[start:].lstrip())) + 1
            line += head.count(b"\n", start, blank)
            start = max(start, blank)
        end = head.find(b"\n", start) + 1
        if not end:
            more = file.read_now(len(head), min(max(END_BYTES, len(head)), MAX_LINE_BYTES))
            if not more or len(head) > MAX_LINE_BYTES:
                raise DamagedSession(
                    no_header(file.path, head[start:]), path=file.path, reason="no-header"
                )
            head += more
            continue
        record = decoder.decode_line(head[start:end], line=line, offset=start)
        if isinstance(record, Header):
            return record, end
        if record is not None:
            assert isinstance(record, Damage)
            raise damaged(record, file.path)
        start, line = end, line + 1


def no_header(path: Path, torn: bytes) -> str:
    """Say why a file has no header, whose only line that is not blank has no end."""
    if path.name.endswith(WAL_ENDING) and len(torn) <= MAX_LINE_BYTES:
        if not torn:
            return "empty: it is being created, or its writer died first"
        if torn.startswith(b"{"):
            return "torn header: it is being created, or its writer died within the first line"
    return "no header: not a session file"


def trailer_of(last: bytes, brief: Brief) -> None:
    """Take the trailer from the file's last bytes, if it is the last line that is not blank."""
    end = last.rfind(b"\n") + 1
    line = last[last.rfind(b"\n", 0, end - 1) + 1 : end] if end else b""
    if line.isspace():  # blank lines at the end
        line = last[:end].rstrip()
        line = line[line.rfind(b"\n") + 1 :]
    if line.startswith(b"{") and b'"trailer"' in line:
        record = RecordDecoder(header_version=CURRENT_SCHEMA_VERSION).decode_line(line)
        count = record.final_chunk_count if isinstance(record, Trailer) else None
        if isinstance(record, Trailer) and count is not None and count >= 0:
            brief.trailer = record
            brief.chunks = count
            brief.torn_bytes = len(last) - end
