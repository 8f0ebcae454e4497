// how many records of what a session has -> buttons that show only some of them.

import { byId, h } from "./dom.js";
import { count } from "./format.js";

const KINDS = ["user", "assistant", "tool_result", "system", "damage"];

/** The kinds of records, of which some may be chosen. */
export class Kinds {
  #chosen = new Set();
  #chips = byId("kinds");

  /** @param {() => void} onChange others are chosen */
  constructor(onChange) {
    this.onChange = onChange;
  }

  /** Those that are chosen; none: all are shown. */
  get chosen() {
    return [...this.#chosen];
  }

  clear() {
    this.#chosen.clear();
  }

  /** Show how many there are of each; null: that is not known. */
  draw(counts) {
    const kinds = KINDS.filter((kind) => counts?.[kind] || this.#chosen.has(kind));
    const shown = [...this.#chips.children].map((chip) => chip.dataset.kind);
    if (kinds.join() !== shown.join()) {
      this.#chips.replaceChildren(...kinds.map((kind) => this.#newChip(kind)));
    }
    for (const chip of this.#chips.children) {
      const { kind } = chip.dataset;
      chip.lastElementChild.textContent = count(counts?.[kind] ?? 0);
      chip.setAttribute("aria-pressed", String(this.#chosen.has(kind)));
    }
  }

  #newChip(kind) {
    const name = kind.replace("_", " ");
    const chip = h(
      "button",
      { type: "button", class: "chip", title: `Only ${name} records, or all again`, data: { kind } },
      h("span", {}, name),
      h("span", { class: "amount" }),
    );
    chip.addEventListener("click", () => {
      if (!this.#chosen.delete(kind)) this.#chosen.add(kind);
      this.onChange();
    });
    return chip;
  }
}
