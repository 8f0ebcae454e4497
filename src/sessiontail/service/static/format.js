// values of a session -> words for people. What is unknown is a dash, never 0.

export const UNKNOWN = "—";

/** Return a whole number with commas, or a dash. */
export function count(value) {
  // Not by Intl: before its first number it loads its tables, 25 ms in which nothing is drawn.
  return typeof value === "number" ? String(value).replace(/\B(?=(?:\d{3})+$)/gu, ",") : UNKNOWN;
}

/** Return a number and its noun: 1 line, 2 lines. */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Return a size: 812 B, 3.4 kB, 120 MB. */
export function size(bytes) {
  if (typeof bytes !== "number") return UNKNOWN;
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes / 1000;
  const units = ["kB", "MB", "GB"];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Return a short number: 812, 3.4k, 12M; a dash where it is unknown. */
export function short(value) {
  if (typeof value !== "number") return UNKNOWN;
  if (value < 1000) return String(value);
  const [scaled, unit] = value < 999_500 ? [value / 1e3, "k"] : [value / 1e6, "M"];
  return `${scaled < 9.95 ? scaled.toFixed(1) : Math.round(scaled)}${unit}`;
}

/** Return how long ago: now, 12s, 5m, 3h, 2d; a dash where it is unknown. */
export function age(moment, nowMs = Date.now()) {
  const then = Date.parse(moment ?? "");
  if (Number.isNaN(then)) return UNKNOWN;
  const seconds = Math.floor((nowMs - then) / 1000);
  if (seconds < 2) return "now";
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60]]) {
    if (seconds >= 2 * length) return `${Math.floor(seconds / length)}${unit}`;
  }
  return `${seconds}s`;
}

/** Return a moment as 2026-11-30 02:00:14, in the reader's own time. */
export function moment(value) {
  const date = new Date(value ?? "");
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const two = (number) => String(number).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":")}`;
}

// The same letters as sessiontail.format.inert: what commands, hides, or turns the order of a text.
const UNSAFE = new RegExp(
  "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f" +
    "\\ufeff\\ufff9-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e007f}\\ud800-\\udfff]",
  "gu",
);

/** Return a text with what is unsafe shown as its escape: \u202e; tab and newline stay. */
export function inert(text) {
  return text.replace(UNSAFE, (letter) => {
    const point = letter.codePointAt(0);
    if (point < 0x100) return `\\x${point.toString(16).padStart(2, "0")}`;
    return point < 0x10000 ? `\\u${point.toString(16).padStart(4, "0")}` : `\\u{${point.toString(16)}}`;
  });
}

/** Return a text of any length as the beginning of one line. */
export function oneLine(text, most = 200) {
  const begin = text.slice(0, most * 2).replace(/\s+/gu, " ").trim();
  return inert(begin.length > most || text.length > most * 2 ? `${begin.slice(0, most)}…` : begin);
}
