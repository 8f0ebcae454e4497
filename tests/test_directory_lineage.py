"""Sessions, and whose child each is -> ancestors, descendants, roots, cycles; as openrath says."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from rath.session.chunk import ChunkTable
from rath.session.graph import ancestors_bfs, descendants_dfs_preorder
from rath.session.session import Session

from agents import Agent, says
from chats import GONE, name
from kinships import START, family, numbers, outline
from sessiontail import (
    InvalidSessionId,
    Lineage,
    LineageEdge,
    LineageNode,
    SessionNotFound,
    SessionState,
    read_lineage,
)
from sessiontail.directory.tracing import lineage_of

Parents = dict[int, list[int]]

CHAIN: Parents = {1: [], 2: [1], 3: [2], 4: [3]}
FORKS: Parents = {1: [], 2: [1], 3: [1], 4: [1], 5: [2], 6: [2], 7: [6]}
MERGE: Parents = {1: [], 2: [], 3: [1, 2], 4: [3]}
TWICE: Parents = {1: [], 2: [1, 1], 3: [2, 1]}
DIAMONDS: Parents = {1: [], 2: [1], 3: [1], 4: [3, 2], 5: [4], 6: [4], 7: [5, 6], 8: [1, 7]}


def random_parents(rows: list[list[int]]) -> Parents:
    """A session's parents are older than it."""
    return {i: [parent % i for parent in row] if i else [] for i, row in enumerate(rows)}


GRAPHS = st.lists(st.lists(st.integers(0, 99), max_size=3), min_size=1, max_size=9).map(
    random_parents
)


def of_openrath(parents: Parents) -> dict[UUID, Session]:
    sessions = [
        Session(ChunkTable(), id=UUID(name(one)), parent_session_ids=tuple(UUID(name(p)) for p in named))
        for one, named in parents.items()
    ]  # fmt: skip
    return {session.id: session for session in sessions}


def agree(lineage: Lineage, sessions: dict[UUID, Session]) -> None:
    for one in sessions:
        assert lineage.ancestors(one) == ancestors_bfs(sessions, one)
        assert lineage.descendants(one) == descendants_dfs_preorder(sessions, one)


@pytest.mark.parametrize("parents", [CHAIN, FORKS, MERGE, TWICE, DIAMONDS])
def test_the_order_is_that_of_openrath(parents: Parents) -> None:
    agree(family(parents), of_openrath(parents))


@settings(max_examples=100)
@given(GRAPHS)
def test_the_order_is_that_of_openrath_in_any_graph(parents: Parents) -> None:
    agree(family(parents), of_openrath(parents))


@pytest.mark.anyio
async def test_the_order_is_that_of_openrath_for_the_files_that_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENRATH_HOME", str(tmp_path))
    system = Session.from_agent_prompt("Be short.")
    made: dict[UUID, Session] = {system.id: system}

    def kept(session: Session) -> Session:
        made[session.id] = session
        return session

    def ask(text: str, before: Session | None = None) -> Session:
        asked = kept(Session.from_user_message(text))
        user = asked if before is None else kept(before.merge(asked))
        return kept(Agent([says(f"Yes, {text}")]).run(user, system))

    first = ask("one")
    second = ask("two", first)
    ask("three", kept(second.fork()))
    ask("four", kept(first.fork()))
    ask("both", kept(second.merge(first)))
    kept(Agent([says("Directly.")]).run(second, first))
    lineage = (await read_lineage()).named()

    # Those that have files, in their order; of the others only the id is known.
    there = {node.id: made[node.id] for node in lineage.nodes if not node.missing}
    absent = {node.id: Session(ChunkTable(), id=node.id) for node in lineage.nodes if node.missing}
    assert [len(there), len(absent)] == [6, 6]
    agree(lineage, {**there, **absent})


def test_who_is_missing_is_a_node_and_has_descendants() -> None:
    lineage = family({1: [7], 2: [7, 1]})

    assert lineage.nodes[2:] == (LineageNode(id_text=name(7)),)
    assert [node.missing for node in lineage.nodes] == [False, False, True]
    assert numbers(lineage.ancestors(name(2))) == [7, 1]
    assert numbers(lineage.descendants(name(7))) == [2, 1]


def test_a_link_that_is_found_by_content_counts_and_can_be_left_out() -> None:
    lineage = family({1: [], 2: [9]}, found={2: 1})

    assert numbers(lineage.ancestors(name(2))) == [9, 1]
    assert numbers(lineage.named().ancestors(name(2))) == [9]
    assert [edge.by_content for edge in lineage.edges] == [False, True]


def test_an_id_that_is_no_node_is_refused() -> None:
    with pytest.raises(SessionNotFound, match=f"no session has the id {name(5)}"):
        family(CHAIN).ancestors(name(5))
    with pytest.raises(InvalidSessionId):
        family(CHAIN).descendants("five")


def test_an_id_may_be_written_in_any_way() -> None:
    lineage = lineage_of([outline(1, parent_texts=(GONE,)), outline(2)])
    gone = UUID(GONE)

    assert lineage.descendants(gone.hex.upper()) == (UUID(name(1)),)
    assert lineage.find("0000") == [node.id for node in lineage.nodes]
    assert lineage.find(GONE.upper()) == lineage.find(gone.hex) == [gone]
    assert lineage.find("") == []


@pytest.mark.parametrize(
    ("parents", "cycles", "roots"),
    [
        (CHAIN, [], [1]),
        (MERGE, [], [1, 2]),
        ({1: [1]}, [[1]], [1]),
        ({1: [2], 2: [1], 3: [2]}, [[1, 2]], [1]),
        ({1: [4], 2: [1], 3: [2], 4: [3]}, [[1, 2, 3, 4]], [1]),
        ({1: [], 2: [3, 1], 3: [2], 4: [5], 5: [4]}, [[2, 3], [4, 5]], [1, 4]),
        ({1: [9]}, [], [9]),
    ],
)
def test_cycles_are_told_and_each_family_has_a_root(
    parents: Parents, cycles: list[list[int]], roots: list[int]
) -> None:
    lineage = family(parents)

    assert [numbers(cycle) for cycle in lineage.cycles] == cycles
    assert numbers(lineage.roots) == roots


def test_a_walk_through_a_cycle_ends_where_it_began() -> None:
    lineage = family({1: [3], 2: [1], 3: [2]})

    assert numbers(lineage.ancestors(name(1))) == [3, 2, 1]
    assert numbers(lineage.descendants(name(1))) == [2, 3, 1]


def test_a_ladder_of_diamonds_is_walked_once() -> None:
    rungs = {i: [i - 1, i - 2] if i > 1 else [] for i in range(200)}

    lineage = family(rungs)

    assert len(lineage.descendants(name(1))) == 198
    assert len(lineage.ancestors(name(199))) == 199


def test_around_one_are_its_ancestors_its_descendants_and_the_other_parents_of_these() -> None:
    lineage = family({1: [], 2: [1], 3: [2], 4: [3, 8], 5: [1], 6: []})

    around = lineage.around(name(2))

    assert around.focus == UUID(name(2))
    assert numbers([node.id for node in around.nodes]) == [1, 2, 3, 4, 8]
    assert numbers(around.descendants(name(2))) == [3, 4]
    assert numbers([n.id for n in lineage.around(name(2), descendants=False).nodes]) == [1, 2]
    assert numbers([n.id for n in lineage.around(name(2), ancestors=False).nodes]) == [2, 3, 4, 8]


@settings(max_examples=60)
@given(GRAPHS)
def test_around_one_it_has_the_same_kin_in_the_same_order(parents: Parents) -> None:
    lineage = family(parents)

    for node in lineage.nodes:
        around = lineage.around(node.id)
        assert around.ancestors(node.id) == lineage.ancestors(node.id)
        assert around.descendants(node.id) == lineage.descendants(node.id)


@pytest.mark.parametrize(
    ("named", "found", "parent"),
    [([], None, None), ([8, 1], None, 1), ([8, 1], 2, 2), ([8, 9], None, 8), ([1, 2], None, 1)],
)
def test_a_session_goes_on_from_whose_rows_it_has_else_from_the_first_that_is_there(
    named: list[int], found: int | None, parent: int | None
) -> None:
    lineage = family({1: [], 2: [], 3: named}, found={} if found is None else {3: found})

    edge = lineage.goes_on_from(name(3))

    assert (edge and edge.parent) == (None if parent is None else name(parent))


def test_as_json_all_of_it_is_said() -> None:
    lineage = family({1: [], 2: [9, 1], 3: []}, found={3: 2})

    assert lineage.around(name(2)).to_dict() == {
        "schema": 1,
        "focus": name(2),
        "ancestors": [name(9), name(1)],
        "descendants": [name(3)],
        "nodes": [
            {
                "id": name(i), "state": "closed", "title": str(i),
                "created_at": f"2026-01-01T00:00:0{i}+00:00", "own_count": 1,
                "inherited_count": 2 if i == 3 else 0, "files": [f"{i}.jsonl"], "missing": False,
            }
            for i in (1, 2, 3)
        ]
        + [
            {
                "id": name(9), "state": None, "title": None, "created_at": None, "own_count": None,
                "inherited_count": None, "files": [], "missing": True,
            }
        ],
        "edges": [
            {"child": name(2), "parent": name(9), "by": "header", "position": 0},
            {"child": name(2), "parent": name(1), "by": "header", "position": 1},
            {"child": name(3), "parent": name(2), "by": "content", "position": None},
        ],
        "roots": [name(1), name(9)],
        "cycles": [],
    }  # fmt: skip
    whole = lineage.to_dict()
    assert (whole["focus"], whole["ancestors"], whole["descendants"]) == (None, None, None)


def test_values_say_in_short_what_they_are() -> None:
    lineage = family({1: [], 2: [9]})
    node = LineageNode(
        id_text=name(1), state=SessionState.LIVE, title="hello", created_at=START, files=("a",)
    )

    assert repr(lineage) == "Lineage(3 nodes, 1 edge)"
    assert repr(lineage.around(name(2))) == "Lineage(of 00000000, 2 nodes, 1 edge)"
    assert repr(node) == "LineageNode(00000000, live, 'hello')"
    assert repr(lineage.nodes[-1]) == "LineageNode(00000000, missing)"
    assert lineage.edges == (LineageEdge(name(2), name(9), 0),)
