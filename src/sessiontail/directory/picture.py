"""a lineage -> one SVG file: no script, nothing from elsewhere, for light and dark, eyes and ears.

Parents stand above. A line is dashed where the link is found by content, a box where there is no
file. Every box and line says in words what it is, to a pointer that rests on it and to a screen reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from sessiontail.directory.labels import Label, cells, labels_of, link_in_words, summary_of
from sessiontail.directory.layers import Joint, Layers, Link, layers_of
from sessiontail.directory.lineage import Lineage, LineageEdge, LineageNode
from sessiontail.directory.placing import Box, packed, placed

__all__ = ["draw_svg"]

# In pixels.
_HEIGHT = 46
_ROW = 92
_GAP = 20
_MARGIN = 24
_HEAD = 78
_PADDING = 12
# Lines that lead up stand beside those that lead down.
_ASIDE = 30
# Of a letter of a title, of the line below it, and of the legend.
_LETTER = 7.6
_SMALL_LETTER = 6.4
_NOTE_LETTER = 6.3
_LEAST_WIDTH = 150
# A line ends at a child. In a cycle the child may stand above: such a line begins there.
_TIP = ' marker-end="url(#lineage-tip)"'
_TIP_UP = ' marker-start="url(#lineage-tip)"'
_TURNED = " cycle"
# So many boxes in a row, of a small lineage; more of a large one, that it be about a square.
_IN_A_ROW = 8
_ROW_BY_ROOT = 0.66

# GitHub's palette: its contrasts are measured.
_STYLE = """\
text{font-family:system-ui,-apple-system,'Segoe UI','Noto Sans','DejaVu Sans',sans-serif;fill:#1f2328}
svg{background:#ffffff}
.page{fill:#ffffff}
.name{font-size:16px;font-weight:600}
.head{font-size:12.5px;font-weight:600}
.facts{font-family:ui-monospace,'SF Mono','DejaVu Sans Mono',monospace;font-size:10.5px}
.facts,.note,.missing .head{fill:#59636e}
.note{font-size:12px}
.missing .head{font-weight:400;font-style:italic}
.box{fill:#f6f8fa;stroke:#d1d9e0}
.missing .box,.key-missing{fill:none;stroke:#818b98;stroke-dasharray:4 3}
.focus .box{stroke:#0969da;stroke-width:2.5}
.closed .bar{fill:#818b98}
.live .bar{fill:#1a7f37}
.abandoned .bar{fill:#cf222e}
.unknown .bar{fill:#bf8700}
.link{fill:none;stroke:#818b98;stroke-width:1.5}
.content{stroke-dasharray:5 4}
.cycle{stroke:#cf222e}
.tip{fill:#818b98}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}
svg{background:#0d1117}
.page{fill:#0d1117}
.facts,.note,.missing .head{fill:#9198a1}
.box{fill:#151b23;stroke:#3d444d}
.missing .box,.key-missing{fill:none;stroke:#656c76}
.focus .box{stroke:#4493f8}
.closed .bar{fill:#656c76}
.live .bar{fill:#3fb950}
.abandoned .bar{fill:#f85149}
.unknown .bar{fill:#d29922}
.link{stroke:#656c76}
.cycle{stroke:#f85149}
.tip{fill:#656c76}
}"""


def draw_svg(lineage: Lineage) -> str:
    """Return a lineage as a picture, an SVG document of its own."""
    labels = labels_of(lineage)
    widths = _widths(lineage, labels)
    groups = [*_groups(lineage)]
    laid = [placed(layers, widths, _GAP) for layers, _ in groups]
    boxes = [
        Box(width, len(layers.rows)) for (layers, _), (_, width) in zip(groups, laid, strict=True)
    ]
    corners, right, bottom = packed(boxes, row=_ROW, gap=2 * _GAP)
    at: dict[str, tuple[float, float]] = {}
    lines: list[str] = []
    for (layers, edges), (middles, _), (x, y) in zip(groups, laid, corners, strict=True):
        points = {
            one: (x + middles[one] + _MARGIN, y + i * _ROW + _HEAD)
            for i, row in enumerate(layers.rows)
            for one in row
        }
        at.update({one: point for one, point in points.items() if isinstance(one, str)})
        lines += _lines(layers, edges, points, labels)
    lines += [
        _loop(edge, at, widths[edge.child], labels)
        for edge in lineage.edges
        if edge.child == edge.parent
    ]
    focus = str(lineage.focus)
    shapes = [
        _node(node, labels[name], at[name], widths[name], focused=name == focus)
        for name, node in lineage.by_id.items()
    ]
    legend, legend_right = _legend(lineage)
    width = round(max(right + _MARGIN, legend_right) + _MARGIN)
    height = round(max(bottom - (_ROW - _HEIGHT), 0) + _HEAD + _MARGIN)
    name = "Lineage" if lineage.focus is None else f"Lineage of {labels[focus].name}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {_size(width, height)} role="group"',
            ' aria-labelledby="lineage-title lineage-desc">',
            f'<title id="lineage-title">{escape(name)}</title>',
            f'<desc id="lineage-desc">{escape(summary_of(lineage))}. Parents stand above.</desc>',
            f"<style>{_STYLE}</style>",
            "<defs>",
            '<marker id="lineage-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6"',
            ' markerHeight="6" orient="auto-start-reverse">',
            '<path class="tip" d="M0 0L8 4L0 8z"/></marker>',
            '<clipPath id="lineage-clip">',
            f'<rect width="{max(widths.values(), default=0) - 4:g}" height="{_HEIGHT}"/></clipPath>',
            "</defs>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            f'<text class="name" x="{_MARGIN}" y="30">{escape(name)}</text>',
            *legend,
            *lines,
            *shapes,
            "</svg>",
        ]
    )


def _size(width: int, height: int) -> str:
    return f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'


def _widths(lineage: Lineage, labels: dict[str, Label]) -> dict[str, float]:
    """Return the width of each box: that of all with a file, or without one, of the widest."""
    widest = {True: float(_LEAST_WIDTH), False: float(_LEAST_WIDTH)}
    for node in lineage.nodes:
        label = labels[node.id_text]
        letters = max(cells(label.head) * _LETTER, cells(label.facts) * _SMALL_LETTER)
        widest[node.missing] = max(widest[node.missing], letters + 2 * _PADDING)
    return {node.id_text: widest[node.missing] for node in lineage.nodes}


def _groups(lineage: Lineage) -> Iterator[tuple[Layers, dict[Link, LineageEdge]]]:
    """Yield what hangs together: its rows, and its links, from the upper end to the lower one."""
    place = {name: i for i, name in enumerate(lineage.by_id)}
    circle = {str(name): i for i, names in enumerate(lineage.cycles) for name in names}
    links: dict[Link, LineageEdge] = {}
    for edge in lineage.edges:
        upper, lower = edge.parent, edge.child
        kind = "content" if edge.by_content else "named"
        # In a cycle the older one stands above, whatever the link says.
        if upper in circle and circle[upper] == circle.get(lower) and place[upper] > place[lower]:
            upper, lower, kind = lower, upper, f"{kind}{_TURNED}"
        if upper != lower:
            links.setdefault(Link(upper, lower, kind), edge)
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


def _lines(
    layers: Layers,
    edges: dict[Link, LineageEdge],
    points: dict[str | Joint, tuple[float, float]],
    labels: dict[str, Label],
) -> Iterator[str]:
    """Yield the lines: those of trunks, then those that end at a box."""
    for one, others in layers.above.items():
        if isinstance(one, Joint):
            (other,) = others
            lower = points[one][1] + _HEIGHT
            path = f"{_curve(points[other], points[one])}V{lower:g}"
            tip = _TIP_UP if one.kind.endswith(_TURNED) and isinstance(other, str) else ""
            yield f'<path class="link {one.kind}" d="{path}"{tip}/>'
    for link, edge in edges.items():
        other = layers.last(link)
        (x, y), (to_x, to_y) = points[other], points[link.child]
        tip = _TIP
        if link.kind.endswith(_TURNED):
            tip = _TIP_UP if isinstance(other, str) else ""
            x, to_x = x + _ASIDE * bool(tip), to_x + _ASIDE * bool(tip)
        path = _curve((x, y), (to_x, to_y))
        yield (
            f'<path class="link {link.kind}" d="{path}"{tip}>'
            f"<title>{escape(link_in_words(edge, labels))}</title></path>"
        )


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Return a line from the lower edge of a row to the upper edge of another."""
    (x, y), (to_x, to_y) = start, end
    y += _HEIGHT
    if abs(x - to_x) < 0.5:  # half a pixel is straight
        return f"M{x:.1f} {y:g}V{to_y:g}"
    bend = (to_y - y) * 0.6
    return f"M{x:.1f} {y:g}C{x:.1f} {y + bend:g} {to_x:.1f} {to_y - bend:g} {to_x:.1f} {to_y:g}"


def _loop(
    edge: LineageEdge,
    at: dict[str, tuple[float, float]],
    wide: float,
    labels: dict[str, Label],
) -> str:
    """Return the line from a box to itself, at its right end."""
    x, y = at[edge.child]
    x += wide / 2
    path = f"M{x:.1f} {y + 34:g}c18 6 18 -28 0 -22"
    return (
        f'<path class="link cycle" d="{path}"{_TIP}>'
        f"<title>{escape(link_in_words(edge, labels))}</title></path>"
    )


def _node(
    node: LineageNode, label: Label, point: tuple[float, float], wide: float, *, focused: bool
) -> str:
    x, y = point[0] - wide / 2, point[1]
    kind = f"{node.state or 'missing'}{' focus' if focused else ''}"
    bar = "" if node.missing else f'<rect class="bar" width="4" height="{_HEIGHT}" rx="2"/>'
    return (
        f'<g class="{kind}" transform="translate({x:.1f} {y:g})" role="img">'
        f"<title>{escape(label.sentence)}</title>"
        f'<rect class="box" width="{wide:g}" height="{_HEIGHT}" rx="5"/>{bar}'
        f'<g clip-path="url(#lineage-clip)">'
        f'<text class="head" x="{_PADDING}" y="19">{escape(label.head)}</text>'
        f'<text class="facts" x="{_PADDING}" y="36">{escape(label.facts)}</text></g></g>'
    )


def _legend(lineage: Lineage) -> tuple[list[str], float]:
    """Return what there is, in words, with a sign before what needs one; and where that ends."""
    x, y = float(_MARGIN), 52
    said = [("", summary_of(lineage))]
    if any(edge.by_content for edge in lineage.edges):
        said.append(("link content", "found by content"))
    if any(node.missing for node in lineage.nodes):
        said.append(("key-missing", "no file"))
    if lineage.cycles:
        said.append(("link cycle", "cycle"))
    parts = []
    for sign, words in said:
        if sign:
            x += _GAP
            parts.append(f'<path class="{sign}" d="M{x:g} {y - 4}h28"/>')
            x += 34
        parts.append(f'<text class="note" x="{x:g}" y="{y}">{escape(words)}</text>')
        x += round(len(words) * _NOTE_LETTER)
    return parts, x
