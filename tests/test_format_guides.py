"""A tree -> its lines, each with the guide that stands before it."""

from __future__ import annotations

from sessiontail.format.guides import guided

Tree = dict[str, list[str]]


def drawn(root: str, tree: Tree) -> list[str]:
    return [guide + name for guide, name in guided(root, lambda name: tree.get(name, []))]


def test_one_node_has_no_guide() -> None:
    assert drawn("a", {}) == ["a"]


def test_a_chain_is_not_indented() -> None:
    assert drawn("a", {"a": ["b"], "b": ["c"]}) == ["a", "├ b", "└ c"]


def test_the_longest_way_stands_below_and_the_others_are_indented() -> None:
    tree = {"a": ["b", "c", "d"], "c": ["e"], "d": ["f"], "f": ["g"]}

    assert drawn("a", tree) == ["a", "│ ├ b", "│ ├ c", "│ └ e", "├ d", "├ f", "└ g"]


def test_a_chain_of_thousands_is_no_problem() -> None:
    tree = {str(i): [str(i + 1)] for i in range(5000)}

    lines = drawn("0", tree)

    assert (len(lines), lines[-1]) == (5001, "└ 5000")


def test_children_that_are_equal_are_told_apart() -> None:
    class Equal(str):
        """A node whose name is another's too."""

        __slots__ = ()

    short, long, end = Equal("same"), Equal("same"), Equal("end")
    below: dict[int, list[Equal]] = {id(long): [end]}

    lines = [
        guide + node
        for guide, node in guided(
            Equal("root"), lambda n: [short, long] if n == "root" else below.get(id(n), [])
        )
    ]

    assert lines == ["root", "│ └ same", "├ same", "└ end"]
