"""A graph without cycles -> a row for each node, parents above; and what passes between the rows."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings, strategies as st

from sessiontail.directory.layers import Joint, Layers, Link, layers_of


def links(text: str) -> list[Link]:
    """``ab`` is a link from a to b; ``AB`` one of another kind."""
    return [
        Link(pair[0].lower(), pair[1].lower(), "found" if pair.isupper() else "named")
        for pair in text.split()
    ]


def layers(names: str, text: str, most: int = 9) -> Layers:
    return layers_of(names, links(text), most)


def nodes(found: Layers) -> list[str]:
    """The nodes of each row."""
    return ["".join(one for one in row if isinstance(one, str)) for row in found.rows]


def test_a_node_alone_is_a_row() -> None:
    assert layers("a", "").rows == [["a"]]


def test_a_child_stands_below_all_of_its_parents() -> None:
    assert nodes(layers("abcd", "ab bc ad cd")) == ["a", "b", "c", "d"]


def test_who_has_no_parents_stands_just_above_its_first_child() -> None:
    assert nodes(layers("abcx", "ab bc xc")) == ["a", "bx", "c"]


def test_a_row_has_so_many_nodes_and_the_others_go_below() -> None:
    assert nodes(layers("abcdefg", "ab ac ad ae af ag", most=2)) == ["a", "bc", "de", "fg"]


def test_what_goes_on_from_a_node_stays_near_it_where_rows_are_full() -> None:
    found = layers("mabcdef", "ma mb mc ad be cf", most=2)

    assert nodes(found) == ["m", "ab", "de", "c", "f"]


def test_links_of_one_kind_from_one_parent_are_one_trunk() -> None:
    found = layers("abcd", "ab bc cd ac ad AD")

    near, far = Joint("a", "named", 1), Joint("a", "named", 2)
    other, further = Joint("a", "found", 1), Joint("a", "found", 2)
    assert found.above == {
        "b": ["a"], "c": ["b", near], near: ["a"], "d": ["c", far, further], far: [near],
        further: [other], other: ["a"],
    }  # fmt: skip
    assert [found.last(link) for link in links("ab ac ad AD")] == ["a", near, far, further]


def test_a_picture_of_more_trunks_than_boxes_has_the_longest_straight() -> None:
    names = [f"n{i}" for i in range(100)]
    chain = [Link(a, b, "named") for a, b in pairwise(names)]
    long = [Link(one, names[-1], "found") for one in names[:-2]]

    found = layers_of(names, [*chain, *long], 8)

    joints = sum(isinstance(one, Joint) for row in found.rows for one in row)
    assert joints <= 30 * 100
    assert found.last(long[0]) == "n0"
    assert found.last(long[-1]) == Joint("n97", "found", 98)


def test_a_chain_of_thousands_is_no_problem() -> None:
    names = [str(i) for i in range(5000)]

    found = layers_of(names, [Link(a, b, "") for a, b in pairwise(names)], 8)

    assert len(found.rows) == 5000


@settings(max_examples=80)
@given(
    st.lists(st.lists(st.integers(0, 99), max_size=3), min_size=1, max_size=14),
    st.integers(1, 4),
)
def test_every_line_goes_down_one_row_and_every_node_has_its_place(
    parents: list[list[int]], most: int
) -> None:
    names = [str(i) for i in range(len(parents))]
    made = {
        Link(names[parent % i], names[i], "named")
        for i, row in enumerate(parents)
        for parent in row
        if i
    }

    found = layers_of(names, sorted(made), most)

    row_of = {one: i for i, row in enumerate(found.rows) for one in row}
    assert {one for one in row_of if isinstance(one, str)} == {*names}
    assert {name: row_of[name] for name in names} == found.row_of
    for one, others in found.above.items():
        assert {row_of[other] + 1 for other in others} <= {row_of[one]}
    for link in made:
        at = found.last(link)
        while isinstance(at, Joint):
            (at,) = found.above[at]
        assert at == link.parent
