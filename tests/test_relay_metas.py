from __future__ import annotations

import pytest

from sessiontail.relay.metas import Meta, meta_in


def test_what_a_relay_has_written_is_read() -> None:
    assert meta_in([b"7", b"2", b"40", b"live", b"begun", None, b"3"]) == Meta(
        7, 2, 40, "live", "begun", crc=3
    )
    assert meta_in([b"7", b"2", b"40", b"live", b"resumed", b"5 1 9 4", b"3"]) == Meta(
        7, 2, 40, "live", "resumed", Meta(5, 1, 9, "closed", "begun", crc=4), 3
    )
    assert meta_in([None, b"2", b"40", b"live", b"begun", None, b"3"]) is None


@pytest.mark.parametrize(
    "row",
    [
        [b"7", b"2", b"40", b"live", None, None, b"3"],
        [b"x", b"2", b"40", b"live", b"begun", None, b"3"],
        [b"-7", b"2", b"40", b"live", b"begun", None, b"3"],
        [b"7", b"-2", b"40", b"live", b"begun", None, b"3"],
        [b"7", b"41", b"40", b"live", b"begun", None, b"3"],
        [b"7", b"2", b"9" * 30, b"live", b"begun", None, b"3"],
        [b"9" * 30, b"2", b"40", b"live", b"begun", None, b"3"],
        [b"7", b"2", b"40", b"\xff", b"begun", None, b"3"],
        [b"7", b"2", b"40", b"running", b"begun", None, b"3"],
        [b"7", b"2", b"40", b"live", b"because", None, b"3"],
        [b"7", b"2", b"40", b"live", b"begun", None, None],
        [b"7", b"2", b"40", b"live", b"begun", None, b"%d" % 2**32],
        [b"7", b"2", b"40", b"live", b"resumed", b"5 2 9", b"3"],
        [b"7", b"2", b"40", b"live", b"resumed", b"5 2 9 x", b"3"],
        [b"7", b"2", b"40", b"live", b"resumed", b"5 41 40 4", b"3"],
    ],
)
def test_what_no_relay_can_have_written_is_refused(row: list[bytes | None]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - that of int, of a codec, or ours
        meta_in(row)
