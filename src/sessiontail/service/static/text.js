// a text of a session -> elements: folded where it is long, fenced code apart, what is searched marked.

import { h } from "./dom.js";
import { count, counted, inert, size } from "./format.js";
import { pretty } from "./json.js";

// Of a folded text so many letters are shown for each line that is.
const OF_A_LINE = 120;

/**
 * @typedef {object} Look how the texts of a record are shown
 * @property {(key: string) => boolean} isOpen whether a fold was opened
 * @property {(key: string, open: boolean) => void} setOpen
 * @property {string} query what is searched for, in small letters
 * @property {boolean} [cut] whether the service cut the texts: no more than their beginning is here
 */

/** Append a text to an element, what matches the query marked. */
export function putText(element, text, query) {
  const shown = inert(text);
  if (!query) {
    element.append(shown);
    return element;
  }
  const small = shown.toLowerCase();
  let from = 0;
  // Some letters change their length with their case: then places differ, and nothing is marked.
  if (small.length === shown.length) {
    for (let at = small.indexOf(query); at >= 0; at = small.indexOf(query, from)) {
      element.append(shown.slice(from, at), h("mark", {}, shown.slice(at, at + query.length)));
      from = at + query.length;
    }
  }
  element.append(shown.slice(from));
  return element;
}

/** Return a message: paragraphs as they are, fenced code as code. */
export function prose(text, key, look, most) {
  return folded(text, key, look, most, (part) => {
    const box = h("div", { class: "prose" });
    part.split(/^```.*$/mu).forEach((piece, at) => {
      const inner = piece.replace(/^\n+|\n+$/gu, "");
      if (at % 2) box.append(putText(h("pre", { class: "code", dir: "auto" }), inner, look.query));
      else if (inner.trim()) {
        box.append(putText(h("div", { class: "said", dir: "auto" }), inner, look.query));
      }
    });
    return box;
  });
}

/** Return what a program wrote: letter by letter. */
export function output(text, key, look, most) {
  return folded(text, key, look, most, (part) =>
    putText(h("pre", { class: "output", dir: "auto" }), part, look.query),
  );
}

/** Return a call's arguments: JSON indented and coloured, anything else as it is. */
export function argumentsView(text, key, look, most) {
  const pieces = pretty(text);
  if (pieces) return json(pieces, key, look, most);
  const note = h("p", { class: "hint" }, "These arguments are no JSON:");
  return h("div", {}, text.trim() ? note : null, output(text, key, look, most));
}

/** Return what a tool gave: as its arguments where it is a JSON object or list, else as it is. */
export function resultView(text, key, look, most) {
  const pieces = /^\s*[[{]/u.test(text) && !look.cut ? pretty(text) : null;
  return pieces ? json(pieces, key, look, most) : output(text, key, look, most);
}

function json(pieces, key, look, most) {
  const lines = pieces.map((piece) => piece.text).join("");
  return folded(lines, key, look, most, (part) => {
    const box = h("pre", { class: "json", dir: "ltr" });
    let left = part.length;
    for (const piece of pieces) {
      if (left <= 0) break;
      const shown = piece.text.slice(0, left);
      box.append(putText(h("span", { class: piece.kind }), shown, look.query));
      left -= piece.text.length;
    }
    return box;
  });
}

/** Return a text, of a long one its beginning, with a button for the rest of it. */
function folded(text, key, look, most, draw) {
  const begin = beginning(text, most);
  if (begin.length === text.length) return draw(text);
  if (look.cut) return draw(begin);
  // What is searched for is shown, wherever in the text it is.
  const wanted = finds(text, look.query) && !finds(begin, look.query);
  const open = look.isOpen(key) !== wanted;
  const lines = text.split("\n").length;
  const what = lines > most ? counted(lines, "line") : size(text.length);
  const button = h(
    "button",
    { class: "more", type: "button", "aria-expanded": String(open) },
    open ? "Show less" : `Show all ${what}`,
  );
  const box = h("div", {}, draw(open ? text : begin), button);
  button.addEventListener("click", () => {
    look.setOpen(key, open === wanted);
    const other = folded(text, key, look, most, draw);
    box.replaceWith(other);
    other.querySelector(":scope > .more")?.focus();
  });
  return box;
}

function finds(text, query) {
  return query !== "" && text.toLowerCase().includes(query);
}

function beginning(text, most) {
  const letters = most * OF_A_LINE;
  let end = 0;
  for (let line = 0; line < most; line += 1) {
    const next = text.indexOf("\n", end);
    if (next < 0) return text.length <= letters * 1.3 ? text : text.slice(0, letters);
    end = next + 1;
  }
  // A fold that hides three lines is not worth a button.
  const rest = text.slice(end);
  if (rest.length < 300 && rest.split("\n").length <= 4) return text;
  return text.slice(0, Math.min(end - 1, letters));
}

/** Return how many letters a record has of which it shows but the beginning. */
export function lettersOf(record) {
  return typeof record.letters === "number" ? `${count(record.letters)} letters` : "the whole record";
}
