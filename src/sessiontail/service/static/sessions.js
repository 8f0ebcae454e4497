// the left side: all sessions, live, filtered and sorted; more of them when somebody scrolls on.

import { get, sessionsPath } from "./api.js";
import { announce, byId, debounced, h } from "./dom.js";
import { age, count, moment, oneLine, short, size } from "./format.js";
import { Metas } from "./metas.js";
import { hashOf } from "./router.js";
import { STATES, stateMark, untitled } from "./state.js";

const PAGE = 100;
const LARGEST_PAGE = 500;
// News of many sessions is drawn together.
const NEWS_MS = 100;

/** The list of sessions, and what filters it. */
export class SessionList {
  #metas = new Metas();
  /** @type {Map<string, HTMLElement>} rows by id */
  #rows = new Map();
  #selected = null;
  #hidden = false; // whether the session that is shown is still to be scrolled to
  #asked = 0;
  #answered = 0;
  #timer = 0;
  #list = byId("session-list");
  #more = byId("more-sessions");
  #text = byId("query");
  #states = new Set();

  /**
   * @param {(error: Error) => void} onError
   * @param {() => void} onListed more sessions are known
   */
  constructor(onError, onListed) {
    Object.assign(this, { onError, onListed });
    for (const state of STATES) byId("states").append(this.#chip(state));
    byId("sort").addEventListener("change", () => this.reload());
    this.#text.addEventListener("input", debounced(() => this.reload(), 200));
    this.#more.addEventListener("click", () => this.#load());
    new IntersectionObserver((seen) => {
      if (seen.some((one) => one.isIntersecting)) this.#load();
    }).observe(this.#more);
    setInterval(() => this.#tick(), 1000);
  }

  /** Whether what was asked for last has come. */
  get complete() {
    return this.#asked === this.#answered;
  }

  /** List again; `stay`: as much as is there, else from the beginning. */
  async reload({ stay = false } = {}) {
    const limit = stay ? Math.min(Math.max(this.#metas.size, PAGE), LARGEST_PAGE) : PAGE;
    this.#asked += 1;
    const asked = this.#asked;
    this.#list.ariaBusy = "true";
    const metas = new Metas();
    metas.reset({ sort: byId("sort").value, states: [...this.#states], text: this.#text.value.trim() });
    await this.#page(metas, asked, limit, () => {
      this.#metas = metas;
      if (!stay) this.#list.parentElement.scrollTop = 0;
    });
  }

  /** Take an event of the directory. */
  news(kind, meta) {
    if (!this.#metas.news(kind, meta)) return;
    if (kind === "started") announce(`New session: ${oneLine(meta.title ?? meta.id, 60)}`);
    this.#schedule();
  }

  /** Mark the session that is shown. */
  select(id) {
    this.#selected = id;
    for (const [one, row] of this.#rows) this.#mark(row, one);
    this.#hidden = true;
    this.#reveal();
  }

  /** Return the id of the session so many below the one that is shown; null: there is none. */
  neighbour(step) {
    const ids = this.#metas.sorted().map((meta) => meta.id);
    const at = ids.indexOf(this.#selected);
    if (at < 0) return ids[0] ?? null;
    return ids[at + step] ?? null;
  }

  /** Return what the list knows of a session; null: nothing. */
  meta(id) {
    return this.#metas.get(id);
  }

  get filtered() {
    return this.#states.size > 0 || this.#text.value !== "";
  }

  /** Take away what filters the list. */
  clearFilter() {
    this.#text.value = "";
    this.#states.clear();
    for (const chip of byId("states").children) chip.setAttribute("aria-pressed", "false");
    this.reload();
  }

  #chip(state) {
    const chip = h(
      "button",
      { type: "button", class: "chip", title: `Only ${state} sessions, or all again` },
      stateMark(state),
    );
    chip.setAttribute("aria-pressed", "false");
    chip.addEventListener("click", () => {
      const on = !this.#states.delete(state);
      if (on) this.#states.add(state);
      chip.setAttribute("aria-pressed", String(on));
      this.reload();
    });
    return chip;
  }

  async #load() {
    const metas = this.#metas;
    if (metas.next === null || this.#more.ariaBusy === "true") return;
    await this.#page(metas, this.#asked, PAGE, () => {});
  }

  async #page(metas, asked, limit, onPage) {
    const { sort, states, text } = metas.filter;
    this.#more.ariaBusy = "true";
    try {
      const answer = await get(sessionsPath({ sort, states, text, limit, cursor: metas.next }));
      if (asked !== this.#asked) return;
      this.#answered = asked;
      metas.page(answer);
      onPage();
      this.onListed();
      this.#draw();
    } catch (error) {
      this.onError(error);
    } finally {
      this.#more.ariaBusy = "false";
      if (asked === this.#asked) this.#list.ariaBusy = "false";
    }
  }

  #schedule() {
    if (!this.#timer) this.#timer = setTimeout(() => this.#draw(), NEWS_MS);
  }

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const metas = this.#metas.sorted();
    const gone = new Set(this.#rows.keys());
    let at = this.#list.firstElementChild;
    for (const meta of metas) {
      gone.delete(meta.id);
      const row = this.#rows.get(meta.id) ?? this.#newRow(meta.id);
      this.#fillRow(row, meta);
      if (row === at) at = at.nextElementSibling;
      else this.#list.insertBefore(row, at);
    }
    for (const id of gone) {
      this.#rows.get(id)?.remove();
      this.#rows.delete(id);
    }
    const filtered = this.#states.size > 0 || this.#metas.filter.text !== "";
    const none = metas.length === 0 && !filtered;
    byId("welcome-name").textContent = none ? "Waiting for the first session" : "Choose a session";
    byId("no-sessions").hidden = !none;
    byId("no-match").hidden = metas.length > 0 || !filtered;
    this.#more.hidden = this.#metas.next === null;
    this.#reveal();
    byId("session-count").textContent = `${count(metas.length)}${this.#metas.next === null ? "" : "+"}`;
  }

  /** Scroll to the session that is shown, once it is listed. */
  #reveal() {
    const row = this.#rows.get(this.#selected);
    if (!row || !this.#hidden) return;
    this.#hidden = false;
    row.scrollIntoView({ block: "nearest" });
  }

  #newRow(id) {
    const row = h(
      "li",
      {},
      h(
        "a",
        { class: "session", href: hashOf(id) },
        h("span", { class: "title", dir: "auto" }),
        h("span", { class: "age" }),
        h("span", { class: "facts" }),
      ),
    );
    this.#rows.set(id, row);
    this.#mark(row, id);
    return row;
  }

  #fillRow(row, meta) {
    const [title, , facts] = row.firstElementChild.children;
    const said = meta.title ? oneLine(meta.title, 140) : untitled(meta);
    if (title.textContent !== said) title.textContent = said;
    title.classList.toggle("none", !meta.title);
    const tokens = meta.cumulative_usage?.total_tokens;
    row.firstElementChild.title = [
      meta.id,
      `written ${moment(meta.modified_at)}, created ${moment(meta.created_at)}`,
      `${count(meta.size_bytes)} bytes, ${count(meta.chunk_count)} chunks`,
      tokens === undefined ? "tokens unknown" : `${count(tokens)} tokens`,
    ].join("\n");
    row.dataset.modified = meta.modified_at;
    this.#age(row);
    const told = `${meta.state} ${meta.size_bytes} ${tokens}`;
    if (row.dataset.told === told) return;
    row.dataset.told = told;
    facts.replaceChildren(
      stateMark(meta.state),
      h("span", { class: "id" }, meta.id.slice(0, 8)),
      h("span", { class: "size" }, size(meta.size_bytes)),
      h("span", { class: "tokens" }, `${short(tokens)} tok`),
    );
  }

  #age(row) {
    const span = row.firstElementChild.children[1];
    const text = age(row.dataset.modified);
    if (span.textContent !== text) span.textContent = text;
  }

  #mark(row, id) {
    if (id === this.#selected) row.firstElementChild.setAttribute("aria-current", "page");
    else row.firstElementChild.removeAttribute("aria-current");
  }

  #tick() {
    for (const row of this.#rows.values()) this.#age(row);
  }
}
