"""a lineage -> the same as Graphviz (dot) and as Mermaid read it.

In both: parents above, dashed where a link is found by content, a dashed box where there is no file.
What a session says is a label, whatever it says: each letter that either language knows is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sessiontail.directory.labels import labels_of, link_in_words, summary_of
from sessiontail.directory.lineage import Lineage, LineageEdge

__all__ = ["MERMAID_LINKS", "draw_dot", "draw_mermaid"]

# Of GitHub's palette; each stands out on white and on black.
_BORDERS = {"closed": "#6e7781", "live": "#2da44e", "abandoned": "#cf222e", "unknown": "#bf8700"}
_MISSING = "#8c959f"
_FOCUS_WIDTH = 3
# What Mermaid still finds behind its entities, formulas and icons: something without width parts it.
_MEANT = re.compile(r"\$(?=\$)|:(?=fa-)")
#: More links Mermaid refuses to draw, unless its ``maxEdges`` says otherwise (Mermaid 11).
MERMAID_LINKS = 500


def draw_dot(lineage: Lineage) -> str:
    """Return a lineage as a graph for Graphviz: ``sessiontail lineage -o dot | dot -Tpng``."""
    labels = labels_of(lineage)
    focus = str(lineage.focus)
    lines = [
        "digraph lineage {",
        f"  graph [tooltip={_quoted(summary_of(lineage))}];",
        '  node [shape=box, fontname="sans-serif", fontsize=11, style=rounded];',
        '  edge [color="#6e7781", arrowsize=0.7];',
    ]
    for name, node in lineage.by_id.items():
        label = labels[name]
        color = _MISSING if node.state is None else _BORDERS[node.state]
        parts = [
            f"label={_quoted(label.head, label.facts)}",
            f"tooltip={_quoted(label.sentence)}",
            f'color="{color}"',
        ]
        if node.missing:
            parts.append('style="rounded,dashed"')
        if name == focus:
            parts.append(f"penwidth={_FOCUS_WIDTH}")
        lines.append(f'  "{name}" [{", ".join(parts)}];')
    for edge in _drawn(lineage):
        parts = [f"tooltip={_quoted(link_in_words(edge, labels))}"]
        if edge.by_content:
            parts.append("style=dashed")
        lines.append(f'  "{edge.parent}" -> "{edge.child}" [{", ".join(parts)}];')
    return "\n".join([*lines, "}"])


def draw_mermaid(lineage: Lineage) -> str:
    """Return a lineage as a flowchart for Mermaid, which Markdown on GitHub draws."""
    labels = labels_of(lineage)
    focus = str(lineage.focus)
    names = {name: f"s{i}" for i, name in enumerate(lineage.by_id)}
    lines = ["flowchart TD"]
    classes: dict[str, list[str]] = {}
    for name, node in lineage.by_id.items():
        label = labels[name]
        lines.append(f'  {names[name]}["{_entities(label.head)}<br>{_entities(label.facts)}"]')
        classes.setdefault(str(node.state or "missing"), []).append(names[name])
        if name == focus:
            lines.append(f"  style {names[name]} stroke-width:{_FOCUS_WIDTH}px")
    for edge in _drawn(lineage):
        arrow = "-.->" if edge.by_content else "-->"
        lines.append(f"  {names[edge.parent]} {arrow} {names[edge.child]}")
    for state, members in classes.items():
        dashed = ",stroke-dasharray:4 3" if state == "missing" else ""
        lines += [
            f"  classDef {state} stroke:{_BORDERS.get(state, _MISSING)}{dashed}",
            f"  class {','.join(members)} {state}",
        ]
    return "\n".join(lines)


def _drawn(lineage: Lineage) -> Iterator[LineageEdge]:
    """Yield the links, one of each pair: a header may name a parent twice."""
    pairs: set[tuple[str, str]] = set()
    for edge in lineage.edges:
        pair = edge.child, edge.parent
        if pair not in pairs:
            pairs.add(pair)
            yield edge


def _quoted(*lines: str) -> str:
    r"""Return lines of text as a string of dot: there, ``\N`` and ``&lt;`` mean something."""
    escaped = [
        line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines
    ]
    text = "\\n".join(escaped)
    return f'"{text}"'


def _entities(text: str) -> str:
    """Return text as a label of Mermaid, where even ``1.`` and ``style:`` mean something."""
    return "".join(
        letter
        if letter.isalnum() or letter == " " or (letter > "\x7f" and letter.isprintable())
        else f"#{ord(letter)};"
        for letter in _MEANT.sub("\\g<0>\u2060", text)
    )
