// how far a filter has come -> what is said of it, and whether it can be stopped.

import { byId } from "./dom.js";
import { counted, size } from "./format.js";

/**
 * Show what a filter has found, and how far it is.
 * @param {import("./matches.js").Matches | null} matches null: nothing is filtered
 * @param {any} meta the session's, as far as it is known
 */
export function showFound(matches, meta = null) {
  byId("found").textContent = matches ? textOf(matches, meta?.size_bytes) : "";
  const stop = byId("stop-filter");
  // A search that takes a moment is over before anybody could stop it.
  const isLong = Boolean(matches?.offset) && !matches.complete && (matches.searching || matches.stopped);
  // Who has just pressed it stays there.
  if (!isLong && document.activeElement === stop) byId("records").focus({ preventScroll: true });
  stop.hidden = !isLong;
  stop.textContent = matches?.stopped ? "Go on" : "Stop";
}

function textOf({ lines, complete, searching, stopped, offset }, bytes) {
  const found = counted(lines.length, "record");
  if (complete) return found;
  const way = offset ? `${size(offset)} of ${size(Math.max(offset, bytes ?? 0))}` : "";
  if (stopped) return `${found} in the first ${way || "bytes"}`;
  if (!searching) return `${found} so far`;
  const far = way ? ` ${way}` : "";
  return lines.length ? `Looking…${far}, ${found} so far` : `Looking…${far}`;
}
