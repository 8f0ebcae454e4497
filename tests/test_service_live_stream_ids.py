"""The id of a stream's event is read back as it was, and a hostile one is refused."""

from __future__ import annotations

from uuid import UUID

import pytest

from samples import ID
from sessiontail.errors import CursorInvalid
from sessiontail.format.cursor import START
from sessiontail.service.live.stream_ids import StreamId, parse_place
from sessiontail.service.problems import Problem

CURSOR = START.encode()


@pytest.mark.parametrize(
    "places",
    [{}, {str(ID): CURSOR}, {str(ID): f"{CURSOR}~abandoned", str(UUID(int=1)): CURSOR}],
    ids=["no session", "one", "two, one of which has ended"],
)
def test_an_id_is_read_back_as_it_was(places: dict[str, str]) -> None:
    stands = StreamId("0123abcd", 17, places)

    assert StreamId.decode(stands.encode()) == stands


@pytest.mark.parametrize(
    "text",
    [
        "",
        "17",
        CURSOR,
        "n1:0123abcd",
        "n1:0123abcd:-1",
        "n1:0123abcd:1" + "0" * 18,
        "n1:0123abcd:\N{ARABIC-INDIC DIGIT ONE}",
        "n1:XYZ:1",
        f"n2:0123abcd:1,{ID}:{CURSOR}",
        f"n1:0123abcd:1,{ID}",
        f"n1:0123abcd:1,{ID}:",
        f"n1:0123abcd:1,../../etc/passwd:{CURSOR}",
        f"n1:0123abcd:1,{ID}:{CURSOR}\nevent: x",
        f"n1:0123abcd:1,{ID}:{'a' * 601}",
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        StreamId.decode(text)

    assert (refused.value.status, refused.value.detail) == (
        400,
        "no id of an event of this stream; begin without it",
    )


@pytest.mark.parametrize("place", ["st1.abc", f"{CURSOR}~", f"{CURSOR}~open", CURSOR[:-4]])
def test_a_place_that_is_no_cursor_is_refused(place: str) -> None:
    with pytest.raises(CursorInvalid):
        StreamId.decode(f"n1:0123abcd:1,{ID}:{place}")


def test_a_place_without_its_session_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        parse_place(CURSOR)

    assert refused.value.detail == "no place in a session; it is <session id>:<cursor>"
