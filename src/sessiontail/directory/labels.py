"""a node of a lineage -> the words that a picture has for it: text for any eye and any ear."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import NamedTuple

from sessiontail.directory.lineage import Lineage, LineageEdge, LineageNode
from sessiontail.format.brief import counted, short
from sessiontail.format.inert import inert

__all__ = ["Label", "cells", "cut", "labels_of", "link_in_words", "summary_of"]

# What XML 1.0 has no place for, besides what ``inert`` shows.
_NO_XML = dict.fromkeys((0xFFFE, 0xFFFF), "\ufffd")
# Letters of a title in a picture, in cells of a terminal: a wide one is two.
_TITLE = 34


class Label(NamedTuple):
    """What is said of a node."""

    #: The beginning of its id that no other node has.
    name: str
    #: What it is about, cut; or that it has no file.
    head: str
    #: State, rows and day, in one line.
    facts: str
    #: All of that as a sentence, for a tooltip and a screen reader.
    sentence: str


def labels_of(lineage: Lineage) -> dict[str, Label]:
    """Return the words for each node, by its id as text."""
    begins = Counter(map(short, lineage.by_id))
    return {
        name: _label(node, short(name) if begins[short(name)] == 1 else name)
        for name, node in lineage.by_id.items()
    }


def _label(node: LineageNode, name: str) -> Label:
    if node.state is None:
        facts = f"{name} · missing"
        return Label(name, "no file", facts, f"session {node.id_text}: missing, it has no file")
    title = _shown(node.title or "")
    parts = [name, str(node.state)]
    told = [f"{node.state} session {node.id_text}"]
    if title:
        told.append(title)
    if node.own_count is not None:
        parts.append(counted(node.own_count, "row"))
        told.append(counted(node.own_count, "own row"))
    if node.inherited_count is None:
        told.append("inherited rows unknown")
    elif node.inherited_count:
        told.append(counted(node.inherited_count, "inherited row"))
    if node.created_at is not None:
        parts.append(node.created_at.date().isoformat())
        told.append(f"created {node.created_at.isoformat(' ', 'seconds')}")
    if len(node.files) > 1:
        told.append(counted(len(node.files), "file"))
    head = cut(title, _TITLE) or "nothing said"
    return Label(name, head, " · ".join(parts), "; ".join(told))


def link_in_words(edge: LineageEdge, labels: dict[str, Label]) -> str:
    """Return a link as a sentence."""
    child, parent = labels[edge.child].name, labels[edge.parent].name
    if edge.position is None:
        return f"{child} begins with rows of {parent}, found by content"
    return f"{child} names {parent} as parent {edge.position + 1}"


def summary_of(lineage: Lineage) -> str:
    """Return what there is, as one sentence."""
    missing = sum(node.missing for node in lineage.nodes)
    found = sum(edge.by_content for edge in lineage.edges)
    parts = [counted(len(lineage.nodes) - missing, "session")]
    if missing:
        parts.append(f"{counted(missing, 'parent')} without a file")
    parts.append(counted(len(lineage.edges), "link"))
    if found:
        parts.append(f"{found:,} of them found by content")
    if lineage.cycles:
        parts.append(counted(len(lineage.cycles), "cycle"))
    return ", ".join(parts)


def cut(text: str, most: int) -> str:
    """Return the beginning of a text that is at most so many cells wide, and whether there is more."""
    if cells(text) <= most:
        return text
    left = most - 1
    kept = []
    for letter in text:
        left -= cells(letter)
        if left < 0:
            break
        kept.append(letter)
    return "".join(kept).rstrip() + "…"


def cells(text: str) -> int:
    """Return how wide text is, as a terminal counts: letters of Chinese, and emoji, are two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _shown(text: str) -> str:
    """Return text on one line, fit for any eye; what no XML may have is a sign in its place."""
    return " ".join(inert(text).split()).translate(_NO_XML)
