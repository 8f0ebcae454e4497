// the address behind # <-> which session is shown, and which of its lines.

const PLACE = /^#\/s\/([0-9a-fA-F-]{36})(?:\?line=(\d+))?$/;

/**
 * Return what an address means.
 * @param {string} hash
 * @returns {{session: string | null, line: number | null}}
 */
export function placeOf(hash) {
  const found = PLACE.exec(hash);
  if (!found) return { session: null, line: null };
  return { session: found[1].toLowerCase(), line: found[2] ? Number(found[2]) : null };
}

/** Return the address of a session, and of one of its lines. */
export function hashOf(session, line = null) {
  return `#/s/${session}${line === null ? "" : `?line=${line}`}`;
}

/** Call `show` with the place that the address means, now and whenever it changes. */
export function onPlace(show) {
  const changed = () => show(placeOf(location.hash));
  addEventListener("hashchange", changed);
  changed();
}
