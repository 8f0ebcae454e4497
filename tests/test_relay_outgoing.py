from __future__ import annotations

from zlib import crc32

import pytest

from samples import ID, chunk_line, header_line
from sessiontail.format.batch import Batch
from sessiontail.format.cursor import START
from sessiontail.format.decoding import RecordDecoder
from sessiontail.format.framing import LineFramer
from sessiontail.format.lifecycle import EventKind
from sessiontail.relay.entries import Keys
from sessiontail.relay.outgoing import Behind, Change, Outgoing
from sessiontail.relay.positions import Known

HEADER, FIRST, SECOND = header_line(), chunk_line(0), chunk_line(1)


def outgoing(known: dict[str, Known], latest: dict[str, int] | None = None) -> Outgoing:
    return Outgoing(
        Keys(), "one", b"token", known, {} if latest is None else latest, expire_s=60,
        now_ms=lambda: 1000,
    )  # fmt: skip


def batches(*parts: bytes) -> list[Batch]:
    framer, decoder = LineFramer(), RecordDecoder()
    return [decoder.decode(item) for part in parts for item in framer.feed(part)]


def told(change: Change | None) -> dict[str, object]:
    """What a change says, by name."""
    assert change is not None
    arguments = change.arguments
    count = int(arguments[12])
    fields = arguments[13 : 13 + 2 * count]
    return {
        "before": tuple(arguments[3:5]), "generation": arguments[5], "first": arguments[6],
        "event": arguments[7], "lines": arguments[13 + 2 * count + 1 :: 2],
        "state": fields[fields.index("state") + 1], "bytes": fields[fields.index("bytes") + 1],
        "why": fields[fields.index("why") + 1] if "why" in fields else None,
    }  # fmt: skip


def beside(change: Change | None) -> tuple[object, ...]:
    """What a change says of the closed file beside, and of what is done with."""
    assert change is not None
    count = int(change.arguments[12])
    names, values = change.arguments[13 : 13 + 2 * count : 2], change.arguments[14::2]
    closed = dict(zip(names, values, strict=False)).get("closed")
    return change.arguments[11], closed, change.arguments[9]


def test_lines_follow_those_before_them() -> None:
    made, whole = outgoing({}), HEADER + FIRST + b"\n" + SECOND
    first, second = batches(HEADER + FIRST, b"\n" + SECOND)

    assert told(made.lines("a", first, START)) == {
        "before": ("", ""), "generation": 1000, "first": 1, "event": "started", "why": "begun",
        "lines": [HEADER[:-1], FIRST[:-1]], "state": "live", "bytes": len(HEADER + FIRST),
    }  # fmt: skip
    assert told(made.lines("a", second, START)) == {
        "before": (1000, 2), "generation": 1000, "first": 3, "event": "", "why": None,
        "lines": [b"", SECOND[:-1]], "state": "live", "bytes": len(HEADER + FIRST + SECOND) + 1,
    }  # fmt: skip
    assert made.known == {"a": Known(1000, 4, len(whole), "live", crc=crc32(whole))}


@pytest.mark.parametrize(
    ("known", "latest", "expected"),
    [
        (Known(900, 5, 77, "live"), 900, ("replaced", "replaced", 1000)),
        (Known(2000, 5, 77, "live"), 2000, ("replaced", "replaced", 2001)),
        (Known(900, 5, 77, "closed"), 900, ("resumed", "resumed", 1000)),
        (Known(900, 5, 77, "lost"), 900, ("", "begun", 1000)),
        # Redis came back from an older state, and does not know the generation that it had.
        (Known(900, 5, 77, "live"), 1500, ("", "begun", 1501)),
    ],
)
def test_a_file_that_begins_anew_is_another_generation(
    known: Known, latest: int, expected: tuple[str, str, int]
) -> None:
    [first] = batches(HEADER)

    said = told(outgoing({"a": known}, {"a": latest}).lines("a", first, START))

    assert (said["event"], said["why"], said["generation"]) == expected
    assert (said["before"], said["first"]) == ((known.generation, 5), 1)


def test_a_crashed_session_that_goes_on_is_resumed_in_its_generation() -> None:
    _, second = batches(HEADER, FIRST)

    said = told(outgoing({"a": Known(900, 1, len(HEADER), "abandoned")}).lines("a", second, START))

    assert (said["event"], said["generation"], said["first"]) == ("resumed", 900, 2)


@pytest.mark.parametrize(
    "known", [None, Known(900, 1, 5, "live"), Known(900, 7, len(HEADER), "live")]
)
def test_lines_that_do_not_follow_what_redis_has_are_not_sent(known: Known | None) -> None:
    _, second = batches(HEADER, FIRST)

    with pytest.raises(Behind):
        outgoing({} if known is None else {"a": known}).lines("a", second, START)


def test_an_end_is_told_once() -> None:
    made = outgoing({"a": Known(900, 2, 50, "live")})

    closed = told(made.event("a", EventKind.CLOSED, b"key"))

    assert (closed["event"], closed["state"], closed["before"]) == ("closed", "closed", (900, 2))
    assert made.event("a", EventKind.CLOSED, b"key") is None
    assert made.event("unknown", EventKind.CLOSED, b"key") is None
    assert told(made.event("a", EventKind.DELETED, None))["state"] == "deleted"
    assert made.event("a", EventKind.DELETED, None) is None


def test_a_replaced_file_is_empty_until_its_lines_come() -> None:
    made = outgoing({"a": Known(900, 2, 50, "live")})
    [first] = batches(HEADER)

    said = told(made.event("a", EventKind.REPLACED, None))
    lines = told(made.lines("a", first, START))

    assert (said["event"], said["why"], said["generation"], said["bytes"]) == (
        "replaced", "replaced", 1000, 0,
    )  # fmt: skip
    assert (lines["event"], lines["before"], lines["generation"]) == ("", (1000, 0), 1000)


CLOSED = Known(900, 5, 77, "closed", crc=5)


def test_a_closed_file_lies_beside_the_new_one_until_that_is_closed() -> None:
    made = outgoing({"a": CLOSED})
    first, second = batches(HEADER, FIRST)

    assert beside(made.lines("a", first, START)) == ("aside", "900 5 77 5", "-")
    assert made.known == {"a": Known(1000, 1, len(HEADER), "live", CLOSED, crc32(HEADER))}
    assert beside(made.lines("a", second, START)) == ("keep", None, "")
    assert beside(made.event("a", EventKind.ABANDONED, b"key")) == ("keep", None, "")
    assert beside(made.event("a", EventKind.CLOSED, b"key")) == ("", None, b"key")
    assert made.known == {
        "a": Known(1000, 2, len(HEADER + FIRST), "closed", crc=crc32(HEADER + FIRST))
    }


def test_a_closed_file_is_its_session_again_where_the_new_one_goes() -> None:
    latest = {"a": 1000}
    made = outgoing({"a": Known(1000, 2, 50, "live", CLOSED)}, latest)
    [first] = batches(HEADER)

    back = made.event("a", EventKind.REPLACED, None)

    assert beside(back) == ("back", None, "")
    assert told(back) == {
        "before": (1000, 2), "generation": 900, "first": 6, "event": "replaced", "why": "back",
        "lines": [], "state": "closed", "bytes": 77,
    }  # fmt: skip
    assert (made.known, latest) == ({"a": CLOSED}, {"a": 1000})
    assert beside(made.lines("a", first, START)) == ("aside", "900 5 77 5", "-")
    assert made.known == {"a": Known(1001, 1, len(HEADER), "live", CLOSED, crc32(HEADER))}


def test_a_closed_file_that_goes_leaves_the_new_one_alone() -> None:
    made = outgoing({"a": Known(1000, 2, 50, "live", CLOSED)})

    assert beside(made.alone("a")) == ("", None, "-")
    assert made.known == {"a": Known(1000, 2, 50, "live")}


def test_a_header_says_which_session_it_is() -> None:
    [first] = batches(HEADER)

    change = outgoing({}).lines("a", first, START)

    assert str(ID) in change.arguments
    assert change.size == len(b"d" + HEADER[:-1])
