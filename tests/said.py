"""The rows of a session as letters, for what compares them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sessiontail.format.inheritance import Order, digest_of

__all__ = ["START", "Said"]

START = datetime(2026, 1, 1, tzinfo=UTC)


class Said:
    """The rows of a session, a letter each; capitals are the assistant's."""

    def __init__(self, name: str, rows: str, *, at: int = 0, finished: bool = True) -> None:
        self.name = name
        self.rows = rows
        self.finished = finished
        self.gone = False
        self.sums_up = False
        self.at = at

    @property
    def order(self) -> Order:
        return START + timedelta(seconds=self.at), 0, 0, self.name

    def digest(self, index: int) -> bytes | None:
        return digest_of(self.rows[index].encode()) if index < len(self.rows) else None

    def answered(self, count: int) -> int:
        return max((i for i in range(1, count + 1) if self.rows[i - 1].isupper()), default=0)
