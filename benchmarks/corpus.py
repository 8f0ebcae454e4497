"""What is read: sessions and one long session, written by openrath's own ``SessionWriter``.

Texts are seeded: English and code, tool calls, and in every eighth session other languages too. A tenth
of the sessions crashed, half of those in the middle of a line. A corpus is made once and kept below
the system's directory for temporary files, in a directory named after seed and size.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

__all__ = ["Corpus", "clean", "corpus"]

SEED = 20260101
MB = 1_000_000

_PREFIX = "sessiontail-bench-"

_ENGLISH = """the a of to in is and we file test error reads writes session value returns list when this
that each record line because should must before after index agent tool result found checks path
directory offset buffer async def class import return None True raise except with open for while if
else self config parser request response header token usage model prompt answer command output"""
_CODE = (
    'def handle(self, request: Request) -> Response:\n    if not request.body:\n        return Response(400, "no body")\n',
    'for path in sorted(root.rglob("*.py")):\n\tcount += len(path.read_text().splitlines())\n',
    "SELECT id, created_at FROM sessions WHERE closed = 0 ORDER BY created_at DESC LIMIT 50;\n",
    '{"name": "build", "steps": ["lint", "test"], "timeout": 600}\n',
    "-rw-r--r-- 1 user user 14082 Jan  1 00:00 src/app/main.py\n",
    "Traceback (most recent call last):\n  File \"app.py\", line 31, in <module>\nKeyError: 'id'\n",
)
_OTHER = (
    "Die Datei enthält größere Änderungen für die Prüfung. ",
    "Проверка завершена: ошибок не найдено, файл записан. ",
    "ファイルを読み込み、結果を確認しました。",
    "会话已经结束。所有记录都已保存。",
    "تم فحص الملف بنجاح. ",
    "Done ✅ — next step 🚀. ",
)


@dataclass(frozen=True)
class Corpus:
    """Where the input lies; ``make_s`` is 0 where it was there."""

    home: Path
    sessions_mb: float
    long_mb: float
    huge_mb: float
    make_s: float

    @property
    def directory(self) -> Path:
        """The sessions."""
        return self.home / "sessions"

    @property
    def files(self) -> list[Path]:
        """The sessions' files."""
        return sorted(self.directory.iterdir())

    @property
    def long(self) -> Path:
        """One long session."""
        return self.home / "long" / "long.jsonl"

    @property
    def short(self) -> Path:
        """One of a tenth of its length."""
        return self.home / "short" / "short.jsonl"

    @property
    def huge(self) -> Path:
        """One that repeats the long one's chunks."""
        return self.home / "huge" / "huge.jsonl"


def corpus(*, quick: bool = False, seed: int = SEED) -> Corpus:
    """Return the corpus; make it if it is not there."""
    sessions, total_mb, long_mb, huge_mb = (100, 23, 13, 100) if quick else (1000, 230, 130, 1000)
    home = (
        Path(tempfile.gettempdir()) / f"{_PREFIX}{seed}-{sessions}-{total_mb}-{long_mb}-{huge_mb}"
    )
    start = time.perf_counter()
    made = not home.is_dir()
    if made:
        building = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}building-"))
        try:
            _make(
                building,
                seed,
                sessions=sessions,
                total=total_mb * MB,
                long=long_mb * MB,
                huge=huge_mb * MB,
            )
            building.rename(home)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    make_s = time.perf_counter() - start if made else 0.0
    size = sum(path.stat().st_size for path in (home / "sessions").iterdir())
    found = Corpus(home, size / MB, long_mb, huge_mb, make_s)
    return Corpus(
        home, size / MB, found.long.stat().st_size / MB, found.huge.stat().st_size / MB, make_s
    )


def clean() -> list[Path]:
    """Remove every corpus that was made here, and return them."""
    found = sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"))
    for path in found:
        shutil.rmtree(path)
    return found


class _Texts:
    """Seeded texts."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._words = _ENGLISH.split()
        # English and code; and with a quarter in other languages.
        self._pools = [[self._paragraph(other) for _ in range(4000)] for other in (0, 0.25)]
        self._pool = self._pools[0]

    def begin(self, number: int) -> None:
        """Choose the languages of the next session."""
        self._pool = self._pools[number % 8 == 0]

    def text(self, size: int) -> str:
        """Return a text of about ``size`` characters."""
        parts, length = [], 0
        while length < size:
            part = self.random.choice(self._pool)
            parts.append(part)
            length += len(part)
        return "".join(parts)[: size + 80]

    def _paragraph(self, other: float) -> str:
        draw = self.random.random()
        if draw > 0.65:
            return self.random.choice(_CODE) * self.random.randint(1, 3)
        if draw < other:
            return self.random.choice(_OTHER) * self.random.randint(1, 3) + "\n"
        words = " ".join(self.random.choices(self._words, k=self.random.randint(12, 90)))
        return words.capitalize() + ".\n"


def _make(home: Path, seed: int, *, sessions: int, total: int, long: int, huge: int) -> None:
    os.environ["OPENRATH_HOME"] = str(home / "openrath")
    texts = _Texts(seed)
    weights = [texts.random.lognormvariate(0, 0.8) for _ in range(sessions)]
    directory = home / "sessions"
    for number, weight in enumerate(weights):
        crash = "torn" if number % 20 == 0 else "whole" if number % 20 == 10 else None
        texts.begin(number)
        name = UUID(int=texts.random.getrandbits(128), version=4)
        size = round(total * weight / sum(weights))
        _write(directory / f"{name}.jsonl", name, size, texts, crash)
    texts.begin(1)
    for name, size in (("long", long), ("short", long // 10)):
        session_id = UUID(int=texts.random.getrandbits(128), version=4)
        _write(home / name / f"{name}.jsonl", session_id, size, texts, None)
    (home / "huge").mkdir()
    _repeat(home / "long" / "long.jsonl", home / "huge" / "huge.jsonl", huge)


def _write(path: Path, session_id: UUID, size: int, texts: _Texts, crash: str | None) -> None:
    from rath.llm.chat_response import RathLLMTokenUsage
    from rath.session.chunk import ChunkTable
    from rath.session.persistence import SessionWriter
    from rath.session.session import Session

    session = Session(ChunkTable(), id=session_id)
    session.cumulative_usage = RathLLMTokenUsage(
        prompt_tokens=size // 4, completion_tokens=size // 9, total_tokens=size // 4 + size // 9
    )
    writer = SessionWriter(session, path=path)
    for index, row in enumerate(_rows(texts)):
        writer.write_chunk(index, row)
        # The trailer is some 180 bytes.
        if writer.partial_path.stat().st_size > size - 1200:
            break
    if crash is None:
        writer.close()
        return
    writer.abandon()
    if crash == "torn":
        data = writer.partial_path.read_bytes()
        cut = data[: len(data) - texts.random.randint(1, 200)]
        # Between characters: the reference cannot read a file that is cut inside one.
        writer.partial_path.write_bytes(cut.decode("utf-8", "ignore").encode())


def _rows(texts: _Texts) -> Iterator[object]:
    from rath.llm import RathLLMToolCallPart
    from rath.llm.chat_response import RathLLMToolCallFunction
    from rath.session.chunk import (
        assistant_turn_chunk,
        system_text_chunk,
        tool_feedback_chunk,
        user_text_chunk,
    )

    rand = texts.random
    yield system_text_chunk(texts.text(2000))
    while True:
        yield user_text_chunk(texts.text(rand.randint(30, 900)))
        for number in range(rand.randint(1, 6)):
            call_id = f"call_{rand.getrandbits(64):016x}"
            name = rand.choice(("read_file", "bash", "write_file", "search"))
            arguments = {
                "path": f"src/app/module_{number}.py",
                "text": texts.text(rand.randint(20, 900)),
            }
            call = RathLLMToolCallPart(
                id=call_id,
                type="function",
                function=RathLLMToolCallFunction(
                    name=name,
                    arguments=json.dumps(arguments),
                    arguments_parsed=arguments,
                    arguments_parse_error=None,
                ),
            )
            yield assistant_turn_chunk(tool_calls=(call,), content=texts.text(rand.randint(0, 300)))
            yield tool_feedback_chunk(call_id, name, texts.text(round(rand.expovariate(1 / 2800))))
        yield assistant_turn_chunk(tool_calls=None, content=texts.text(rand.randint(200, 3000)))


def _repeat(source: Path, target: Path, size: int) -> None:
    with source.open("rb") as file:
        header, *chunks, trailer = file.readlines()
    body = b"".join(chunks)
    times = max(1, round(size / len(body)))
    last = json.loads(trailer) | {"final_chunk_count": len(chunks) * times}
    with target.open("wb") as file:
        file.write(header)
        for _ in range(times):
            file.write(body)
        file.write(json.dumps(last, ensure_ascii=False).encode() + b"\n")
