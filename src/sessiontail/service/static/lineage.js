// who descends from whom -> a picture: boxes are links to sessions, parents stand above.

import { address, get } from "./api.js";
import { byId, h, s } from "./dom.js";
import { counted } from "./format.js";
import { hashOf } from "./router.js";

const MARGIN = 12;
const INNER = 12;
const TIP = { markerWidth: 6, markerHeight: 6, orient: "auto-start-reverse" };

/** Fetch and draw the kin of a session. */
export async function showLineage(session) {
  const box = byId("lineage");
  box.replaceChildren(h("p", { class: "hint" }, "Loading…"));
  try {
    const kin = await get(address("api/lineage", { session }));
    const alone = h("p", { class: "hint" }, "No other session is its kin.");
    box.replaceChildren(kin.nodes.length > 1 ? picture(kin, session) : alone);
    box.querySelector(".focus")?.scrollIntoView({ block: "nearest", inline: "center" });
  } catch (error) {
    box.replaceChildren(h("p", { class: "hint" }, error.message));
  }
}

function picture(kin, session) {
  const width = kin.width + 2 * MARGIN;
  const height = kin.height + 2 * MARGIN;
  const what = `${counted(kin.nodes.length, "session")}, ${counted(kin.edges.length, "link")}`;
  const viewBox = `${-MARGIN} ${-MARGIN} ${width} ${height}`;
  const name = `Lineage: ${what}. Parents stand above.`;
  const drawn = s(
    "svg",
    { class: "kin", width, height, viewBox, role: "group", "aria-label": name },
    s(
      "defs",
      {},
      s(
        "marker",
        { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, ...TIP },
        s("path", { class: "tip", d: "M0 0L8 4L0 8z" }),
      ),
    ),
    ...kin.edges.map(link),
    ...kin.nodes.map((node) => box(node, node.id === session)),
  );
  const around = { class: "kin-scroller", tabindex: "0", role: "region", "aria-label": "Lineage picture" };
  return h("div", around, drawn);
}

function link(edge) {
  const kind = `link${edge.by === "content" ? " content" : ""}${edge.cycle ? " cycle" : ""}`;
  const end = edge.tip === "start" ? "marker-start" : "marker-end";
  return s("path", { class: kind, d: edge.path, [end]: "url(#tip)" }, s("title", {}, edge.sentence));
}

function box(node, focus) {
  const { x, y, width, height } = node;
  const kind = `node ${node.state ?? "missing"}${focus ? " focus" : ""}`;
  // Letters that do not fit are cut by a frame of their own.
  const inner = s(
    "svg",
    { width: width - INNER, height },
    s("text", { class: "head", x: INNER, y: 19 }, node.head),
    s("text", { class: "facts", x: INNER, y: 36 }, node.facts),
  );
  const shapes = [
    s("title", {}, node.sentence),
    s("rect", { class: "box", width, height, rx: 5 }),
    node.missing ? null : s("rect", { class: "bar", width: 4, height, rx: 2 }),
    inner,
  ];
  const place = { class: kind, transform: `translate(${x} ${y})`, "aria-label": node.sentence };
  if (node.missing) return s("g", { ...place, role: "img" }, ...shapes);
  return s("a", { ...place, href: hashOf(node.id), "aria-current": focus ? "page" : null }, ...shapes);
}
