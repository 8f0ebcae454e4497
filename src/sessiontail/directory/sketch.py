"""a lineage -> where each box of its picture stands, and which way each line goes, in pixels.

Parents stand above. What hangs together is one group; groups stand side by side. In a cycle the older
session stands above, whatever the link says. Who draws it chooses colours and letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sessiontail.directory.labels import Label, cells, labels_of, link_in_words
from sessiontail.directory.layers import Joint, Layers, Link, layers_of
from sessiontail.directory.lineage import Lineage, LineageEdge
from sessiontail.directory.placing import Box, packed, placed

__all__ = ["HEIGHT", "Group", "Line", "Sketch", "drawn", "loop", "sketch_of"]

#: Of a box.
HEIGHT = 46
# From the top of a box to the top of the next.
_ROW = 92
_GAP = 20
_PADDING = 12
# Lines that lead up stand beside those that lead down.
_ASIDE = 30
# A line from a box to itself stands out so far at its right end.
_LOOP = 18
# Of a letter of a title, and of the line below it.
_LETTER = 7.6
_SMALL_LETTER = 6.4
_LEAST_WIDTH = 150
_TURNED = " cycle"
# So many boxes in a row, of a small lineage; more of a large one, that it be about a square.
_IN_A_ROW = 8
_ROW_BY_ROOT = 0.66

_Point = tuple[float, float]


class Line(NamedTuple):
    """One line of a picture."""

    #: What it stands for; None: a trunk that several links share.
    edge: LineageEdge | None
    #: "named" or "content", with " cycle" behind it where the older one stands above its parent.
    kind: str
    #: The ``d`` of an SVG path, from the upper box to the lower one.
    path: str
    #: At which end it meets the child, "start" or "end"; None: at none.
    tip: str | None


class Group(NamedTuple):
    """What hangs together."""

    layers: Layers
    #: Each link that is drawn, from the upper end to the lower one.
    links: dict[Link, LineageEdge]
    #: Of each node and joint, the middle of its upper edge.
    points: dict[str | Joint, _Point]

    def lines(self) -> Iterator[Line]:
        """Yield the lines, each once: those of trunks, then those that end at a box."""
        for one, others in self.layers.above.items():
            if isinstance(one, Joint):
                (other,) = others
                up = one.kind.endswith(_TURNED) and isinstance(other, str)
                yield Line(None, one.kind, self._path(other, one), "start" if up else None)
        for link, edge in self.links.items():
            other = self.layers.last(link)
            if not link.kind.endswith(_TURNED):
                tip: str | None = "end"
            else:
                tip = "start" if isinstance(other, str) else None
            aside = _ASIDE if tip == "start" else 0
            yield Line(edge, link.kind, self._path(other, link.child, aside=aside), tip)

    def whole(self, link: Link) -> str:
        """Return the ``d`` of one link from box to box, with the trunk that it leaves by."""
        at = self.layers.last(link)
        stops: list[str | Joint] = [link.child]
        while isinstance(at, Joint):
            stops.append(at)
            (at,) = self.layers.above[at]
        stops.append(at)
        direct = len(stops) == 2
        aside = _ASIDE if direct and link.kind.endswith(_TURNED) else 0
        return self._path(*reversed(stops), aside=aside)

    def _path(self, *stops: str | Joint, aside: int = 0) -> str:
        """Return the way from the lower edge of one row through joints to another stop."""
        x, y = self.points[stops[0]]
        x, y = x + aside, y + HEIGHT
        parts = [f"M{x:.1f} {y:g}"]
        for stop in stops[1:]:
            to_x, to_y = self.points[stop]
            to_x += aside
            if abs(x - to_x) >= 0.5:  # half a pixel is straight
                bend = (to_y - y) * 0.6
                parts.append(
                    f"C{x:.1f} {y + bend:g} {to_x:.1f} {to_y - bend:g} {to_x:.1f} {to_y:g}"
                )
                x = to_x
            elif isinstance(stop, str):
                _down(parts, to_y)
            y = to_y
            if isinstance(stop, Joint):
                y += HEIGHT
                _down(parts, y)
        return "".join(parts)


class Sketch(NamedTuple):
    """Where what stands."""

    labels: dict[str, Label]
    #: The width of each box.
    widths: dict[str, float]
    #: The middle of the upper edge of each box.
    at: dict[str, _Point]
    groups: list[Group]
    #: Of all boxes together.
    width: float
    height: float


def sketch_of(lineage: Lineage, *, left: float = 0.0, top: float = 0.0) -> Sketch:
    """Return where the boxes and lines of a lineage stand.

    Args:
        lineage: of a directory, or around one session.
        left: where the leftmost box begins.
        top: where the first row does.
    """
    labels = labels_of(lineage)
    widths = _widths(lineage, labels)
    groups = [*_groups(lineage)]
    laid = [placed(layers, widths, _GAP) for layers, _ in groups]
    boxes = [
        Box(width, len(layers.rows)) for (layers, _), (_, width) in zip(groups, laid, strict=True)
    ]
    corners, right, bottom = packed(boxes, row=_ROW, gap=2 * _GAP)
    at: dict[str, _Point] = {}
    found = []
    for (layers, links), (middles, _), (x, y) in zip(groups, laid, corners, strict=True):
        points = {
            one: (x + middles[one] + left, y + i * _ROW + top)
            for i, row in enumerate(layers.rows)
            for one in row
        }
        at.update({one: point for one, point in points.items() if isinstance(one, str)})
        found.append(Group(layers, links, points))
    return Sketch(labels, widths, at, found, right, max(bottom - (_ROW - HEIGHT), 0))


def drawn(lineage: Lineage) -> dict[str, Any]:
    """Return a lineage as JSON has it, and where its boxes and lines stand in a picture.

    Beside the ``width`` and ``height`` of all, in pixels: of each node ``x, y`` (the upper left
    corner), ``width, height`` and its words, ``name, head, facts, sentence``; of each edge ``path``
    (the ``d`` of an SVG path), ``tip`` (at which end of it the child is), ``cycle``, ``sentence``.
    """
    sketch = sketch_of(lineage)
    told = lineage.to_dict()
    told["nodes"] = [node | _placed_node(node["id"], sketch) for node in told["nodes"]]
    paths = {link: group.whole(link) for group in sketch.groups for link in group.links}
    linking = _Linking(lineage)
    told["edges"] = []
    for edge in lineage.edges:
        link = linking.link(edge)
        looped, turned = edge.child == edge.parent, link.kind.endswith(_TURNED)
        told["edges"].append(
            {
                **edge.to_dict(),
                "path": loop(edge, sketch) if looped else paths[link],
                "tip": "start" if turned else "end",
                "cycle": looped or turned,
                "sentence": link_in_words(edge, sketch.labels),
            }
        )
    # A loop at the last box of a row stands out.
    aside = _LOOP if any(edge.child == edge.parent for edge in lineage.edges) else 0
    return {**told, "width": round(sketch.width + aside, 1), "height": round(sketch.height, 1)}


def _placed_node(name: str, sketch: Sketch) -> dict[str, Any]:
    (x, y), width = sketch.at[name], sketch.widths[name]
    return {
        "x": round(max(x - width / 2, 0.0), 1),
        "y": y,
        "width": round(width, 1),
        "height": HEIGHT,
        **sketch.labels[name]._asdict(),
    }


def loop(edge: LineageEdge, sketch: Sketch) -> str:
    """Return the line from a box to itself, at its right end."""
    x, y = sketch.at[edge.child]
    x += sketch.widths[edge.child] / 2
    return f"M{x:.1f} {y + 34:g}c{_LOOP} 6 {_LOOP} -28 0 -22"


def _widths(lineage: Lineage, labels: dict[str, Label]) -> dict[str, float]:
    """Return the width of each box: that of all with a file, or without one, of the widest."""
    widest = {True: float(_LEAST_WIDTH), False: float(_LEAST_WIDTH)}
    for node in lineage.nodes:
        label = labels[node.id_text]
        letters = max(cells(label.head) * _LETTER, cells(label.facts) * _SMALL_LETTER)
        widest[node.missing] = max(widest[node.missing], letters + 2 * _PADDING)
    return {node.id_text: widest[node.missing] for node in lineage.nodes}


class _Linking:
    """Says which end of each edge stands above."""

    def __init__(self, lineage: Lineage) -> None:
        self.place = {name: i for i, name in enumerate(lineage.by_id)}
        self._circle = {str(name): i for i, names in enumerate(lineage.cycles) for name in names}

    def link(self, edge: LineageEdge) -> Link:
        upper, lower = edge.parent, edge.child
        kind = "content" if edge.by_content else "named"
        circle = self._circle.get(upper)
        # In a cycle the older one stands above, whatever the link says.
        same = circle is not None and circle == self._circle.get(lower)
        if same and self.place[upper] > self.place[lower]:
            upper, lower, kind = lower, upper, f"{kind}{_TURNED}"
        return Link(upper, lower, kind)


def _groups(lineage: Lineage) -> Iterator[tuple[Layers, dict[Link, LineageEdge]]]:
    """Yield what hangs together: its rows, and its links, from the upper end to the lower one."""
    linking = _Linking(lineage)
    place = linking.place
    links: dict[Link, LineageEdge] = {}
    for edge in lineage.edges:
        link = linking.link(edge)
        if link.parent != link.child:
            links.setdefault(link, edge)
    near: dict[str, list[str]] = {}
    for link in links:
        near.setdefault(link.parent, []).append(link.child)
        near.setdefault(link.child, []).append(link.parent)
    group_of: dict[str, int] = {}
    members: list[list[str]] = []
    for name in place:
        if name in group_of:
            continue
        group_of[name] = len(members)
        members.append([name])
        for one in members[-1]:
            for other in near.get(one, ()):
                if other not in group_of:
                    group_of[other] = group_of[one]
                    members[-1].append(other)
    of_group: list[dict[Link, LineageEdge]] = [{} for _ in members]
    for link, edge in links.items():
        of_group[group_of[link.child]][link] = edge
    for names, edges in zip(members, of_group, strict=True):
        most = max(_IN_A_ROW, round(_ROW_BY_ROOT * len(names) ** 0.5))
        yield layers_of(sorted(names, key=place.__getitem__), edges, most), edges


def _down(parts: list[str], y: float) -> None:
    """Go straight down; a trunk is one line, however many rows it passes."""
    if parts[-1].startswith("V"):
        parts.pop()
    parts.append(f"V{y:g}")
