// one whole record -> a dialog with its texts, put in step by step: 3 MB do not stop the page.

import { get } from "./api.js";
import { callsOf, contentOf } from "./calls.js";
import { byId } from "./dom.js";
import { count, size } from "./format.js";
import { putText } from "./text.js";

// A step: some ten screens.
const STEP = 65_536;

/** Shows a record whole. */
export class Viewer {
  #dialog = byId("viewer");
  #text = byId("viewer-text");
  #whole = "";
  #rest = "";
  #query = "";
  #abort = new AbortController();

  constructor() {
    byId("viewer-more").addEventListener("click", () => this.#step());
    byId("viewer-close").addEventListener("click", () => this.#dialog.close());
    byId("viewer-copy").addEventListener("click", (event) => this.#copy(event.currentTarget));
    this.#dialog.addEventListener("close", () => {
      this.#abort.abort();
      this.#text.replaceChildren();
      this.#whole = "";
      this.#rest = "";
    });
    this.#text.addEventListener("scroll", () => {
      const { scrollTop, clientHeight, scrollHeight } = this.#text;
      if (scrollTop + clientHeight > scrollHeight - 400) this.#step();
    });
  }

  /** Fetch and show the record on this line, what is searched for marked. */
  async show(session, line, query) {
    this.#query = query;
    this.#abort = new AbortController();
    const path = `api/sessions/${session}/records/${line}`;
    byId("viewer-name").textContent = `Line ${count(line)}`;
    byId("viewer-raw").href = path;
    this.#say("Loading…");
    this.#dialog.showModal();
    try {
      const record = await get(path, { signal: this.#abort.signal });
      this.#whole = wholeText(record);
      this.#rest = this.#whole;
      byId("viewer-name").textContent = `Line ${count(line)}, ${size(this.#whole.length)}`;
      this.#step();
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#say(error.message);
    }
  }

  #step() {
    if (this.#rest) {
      const step = this.#rest.slice(0, stepOf(this.#rest));
      this.#rest = this.#rest.slice(step.length);
      // Each step has a box of its own: what was laid out is not laid out again.
      const box = document.createElement("div");
      box.dir = "auto";
      this.#text.append(putText(box, step, this.#query));
    }
    const shown = this.#whole.length - this.#rest.length;
    const part = `${size(shown)} of ${size(this.#whole.length)} shown; scroll on for more`;
    this.#say(this.#rest ? part : "All is shown");
  }

  #say(text) {
    byId("viewer-status").textContent = text;
    byId("viewer-more").hidden = !this.#rest;
  }

  async #copy(button) {
    try {
      await navigator.clipboard.writeText(this.#whole);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser refuses";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }
}

/** Return how many letters the next step has: up to an end of line, and never half of a letter. */
function stepOf(text) {
  if (text.length <= STEP) return text.length;
  const line = text.lastIndexOf("\n", STEP - 1) + 1;
  if (line > 0) return line;
  const last = text.charCodeAt(STEP - 1);
  return last >= 0xd800 && last < 0xdc00 ? STEP + 1 : STEP;
}

/** Return all texts of a record, one below the other. */
function wholeText(record) {
  if (record.record_type === "damage") return record.raw;
  if (record.record_type !== "chunk") return JSON.stringify(record, null, 2);
  const thought = contentOf(record.payload.reasoning_content || record.payload.reasoning);
  const calls = callsOf(record).map((call) => `${call.name}\n${call.arguments}`);
  return [thought, contentOf(record.payload.content), ...calls].filter(Boolean).join("\n\n");
}
