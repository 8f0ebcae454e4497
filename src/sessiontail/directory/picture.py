"""a lineage -> one SVG file: no script, nothing from elsewhere, for light and dark, eyes and ears.

Parents stand above. A line is dashed where the link is found by content, a box where there is no
file. Every box and line says in words what it is, to a pointer that rests on it and to a screen reader.
"""

from __future__ import annotations

from html import escape

from sessiontail.directory.labels import Label, link_in_words, summary_of
from sessiontail.directory.lineage import Lineage, LineageEdge, LineageNode
from sessiontail.directory.sketch import HEIGHT, Line, Sketch, loop, sketch_of

__all__ = ["draw_svg"]

# In pixels.
_MARGIN = 24
_HEAD = 78
_PADDING = 12
_GAP = 20
# Of a letter of the legend.
_NOTE_LETTER = 6.3

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
    sketch = sketch_of(lineage, left=_MARGIN, top=_HEAD)
    labels, widths, at = sketch.labels, sketch.widths, sketch.at
    lines = [_line(line, labels) for group in sketch.groups for line in group.lines()]
    lines += [_loop(edge, sketch) for edge in lineage.edges if edge.child == edge.parent]
    focus = str(lineage.focus)
    shapes = [
        _node(node, labels[name], at[name], widths[name], focused=name == focus)
        for name, node in lineage.by_id.items()
    ]
    legend, legend_right = _legend(lineage)
    width = round(max(sketch.width + _MARGIN, legend_right) + _MARGIN)
    height = round(sketch.height + _HEAD + _MARGIN)
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
            f'<rect width="{max(widths.values(), default=0) - 4:g}" height="{HEIGHT}"/></clipPath>',
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


def _line(line: Line, labels: dict[str, Label]) -> str:
    # A line ends at a child. In a cycle the child may stand above: such a line begins there.
    tip = "" if line.tip is None else f' marker-{line.tip}="url(#lineage-tip)"'
    path = f'<path class="link {line.kind}" d="{line.path}"{tip}'
    if line.edge is None:
        return f"{path}/>"
    return f"{path}><title>{escape(link_in_words(line.edge, labels))}</title></path>"


def _loop(edge: LineageEdge, sketch: Sketch) -> str:
    return _line(Line(edge, "cycle", loop(edge, sketch), "end"), sketch.labels)


def _node(
    node: LineageNode, label: Label, point: tuple[float, float], wide: float, *, focused: bool
) -> str:
    x, y = point[0] - wide / 2, point[1]
    kind = f"{node.state or 'missing'}{' focus' if focused else ''}"
    bar = "" if node.missing else f'<rect class="bar" width="4" height="{HEIGHT}" rx="2"/>'
    return (
        f'<g class="{kind}" transform="translate({x:.1f} {y:g})" role="img">'
        f"<title>{escape(label.sentence)}</title>"
        f'<rect class="box" width="{wide:g}" height="{HEIGHT}" rx="5"/>{bar}'
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
