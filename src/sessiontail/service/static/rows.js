// elements of rows -> what stands for one that is not here, and one in the place of another.

import { h } from "./dom.js";

/** Return what stands for a row that is not here, so many pixels high. */
export function placeholder(height) {
  const element = h("div", { class: "pending", data: { pending: "" } });
  element.style.height = `${height}px`;
  return element;
}

/** Put a row's new element where the old one is; the focus stays on the same of its parts. */
export function exchange(old, element) {
  const parts = (row) => [row, ...row.querySelectorAll("a, button, summary")];
  const at = parts(old).indexOf(document.activeElement);
  old.replaceWith(element);
  parts(element)[at]?.focus({ preventScroll: true });
}
