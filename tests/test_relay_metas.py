from __future__ import annotations

import pytest

from sessiontail.relay.metas import Meta, meta_in


def test_what_a_relay_has_written_is_read() -> None:
    assert meta_in([b"7", b"2", b"40", b"live", b"begun", None]) == Meta(7, 2, 40, "live", "begun")
    assert meta_in([b"7", b"2", b"40", b"live", b"resumed", b"5 1 9"]) == Meta(
        7, 2, 40, "live", "resumed", Meta(5, 1, 9, "closed", "begun")
    )
    assert meta_in([None, b"2", b"40", b"live", b"begun", None]) is None


@pytest.mark.parametrize(
    "row",
    [
        [b"7", b"2", b"40", b"live", None, None],
        [b"x", b"2", b"40", b"live", b"begun", None],
        [b"-7", b"2", b"40", b"live", b"begun", None],
        [b"7", b"-2", b"40", b"live", b"begun", None],
        [b"7", b"41", b"40", b"live", b"begun", None],
        [b"7", b"2", b"9" * 30, b"live", b"begun", None],
        [b"9" * 30, b"2", b"40", b"live", b"begun", None],
        [b"7", b"2", b"40", b"\xff", b"begun", None],
        [b"7", b"2", b"40", b"running", b"begun", None],
        [b"7", b"2", b"40", b"live", b"because", None],
        [b"7", b"2", b"40", b"live", b"resumed", b"5 2"],
        [b"7", b"2", b"40", b"live", b"resumed", b"5 2 x"],
        [b"7", b"2", b"40", b"live", b"resumed", b"5 41 40"],
    ],
)
def test_what_no_relay_can_have_written_is_refused(row: list[bytes | None]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - that of int, of a codec, or ours
        meta_in(row)
