// a text -> the lines of all sessions that have it, as they are found, each a link to its line.

import { address, get, lines } from "./api.js";
import { announce, byId, h } from "./dom.js";
import { count, counted, inert, oneLine } from "./format.js";
import { hashOf } from "./router.js";

const MOST = 500;

/** What is found in all sessions: it stands in the place of the list. */
export class Search {
  #abort = new AbortController();
  #results = byId("results");
  #status = byId("search-status");
  /** @type {[string, HTMLElement][]} sessions whose title is not known here, and where it is shown */
  #unnamed = [];

  /** @param {(id: string) => string | null} titleOf what the list knows of a session */
  constructor(titleOf) {
    this.titleOf = titleOf;
    byId("search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.start(byId("query").value.trim());
    });
    byId("end-search").addEventListener("click", () => this.close());
  }

  get open() {
    return !byId("search").hidden;
  }

  /** Take the results away. */
  close() {
    this.#abort.abort();
    byId("search").hidden = true;
    byId("sessions").hidden = false;
    this.#results.replaceChildren();
  }

  /** Search, and show what is found as it is found. */
  async start(text) {
    if (!text) return;
    this.#abort.abort();
    const abort = new AbortController();
    this.#abort = abort;
    byId("search").hidden = false;
    byId("sessions").hidden = true;
    byId("search-name").textContent = `Records with “${oneLine(text, 40)}”`;
    this.#results.replaceChildren();
    this.#status.textContent = "Searching…";
    this.#unnamed = [];
    const groups = new Map();
    let found = 0;
    try {
      const parameters = {
        q: text,
        limit: MOST,
        ignore_case: !byId("match-case").checked,
        regex: byId("regex").checked,
      };
      for await (const one of lines(address("api/search", parameters), { signal: abort.signal })) {
        if ("complete" in one) this.#end(one, groups.size);
        else {
          found += 1;
          this.#add(groups, one);
          this.#status.textContent = `Searching… ${counted(found, "line")} so far`;
        }
      }
      await this.#name(this.#unnamed, abort.signal);
    } catch (error) {
      if (!abort.signal.aborted) this.#status.textContent = error.message;
    }
  }

  #end(last, having) {
    const searched = counted(last.sessions, "session");
    const where = last.matches ? `in ${count(having)} of ${searched}` : `in ${searched}`;
    const parts = [`${counted(last.matches, "line")} ${where}`];
    if (!last.complete) parts.push(last.message ?? "the search did not reach the end");
    if (last.failed_count) parts.push(`${counted(last.failed_count, "file")} could not be read`);
    this.#status.textContent = parts.join("; ");
    announce(this.#status.textContent);
  }

  /** Show the titles of sessions that the list does not have: one after the other. */
  async #name(unnamed, signal) {
    for (const [id, name] of unnamed) {
      const { title } = await get(`api/sessions/${id}?counts=false`, { signal }).catch(() => ({}));
      if (signal.aborted) return;
      if (title) name.textContent = oneLine(title, 80);
    }
  }

  #add(groups, match) {
    const id = match.session_id ?? match.file;
    let list = groups.get(id);
    if (!list) {
      list = h("ol");
      groups.set(id, list);
      const title = this.titleOf(id);
      const name = match.session_id ? h("a", { href: hashOf(id) }) : h("span");
      name.textContent = oneLine(title ?? id, 80);
      if (title === null && match.session_id) this.#unnamed.push([id, name]);
      this.#results.append(h("li", {}, h("h3", { dir: "auto" }, name), list));
    }
    const place = `${oneLine(match.tool ?? match.kind, 60)}, line ${count(match.line)}`;
    const last = list.lastElementChild?.firstElementChild;
    if (last?.firstElementChild.textContent === place) {
      last.append(excerpt(match)); // another part of the same record
      return;
    }
    const linked = match.session_id && match.line !== null;
    const found = linked
      ? h("a", { class: "found", href: hashOf(id, match.line) })
      : h("span", { class: "found" });
    found.append(h("span", { class: "where" }, place), excerpt(match));
    list.append(h("li", {}, found));
  }
}

/** Return the text of a match, what was found marked; places count letters, not UTF-16 units. */
function excerpt(match) {
  const letters = Array.from(match.text);
  const box = h("span", { class: "excerpt", dir: "auto" });
  let from = 0;
  for (const [begin, end] of match.spans) {
    box.append(part(letters, from, begin), h("mark", {}, part(letters, begin, end)));
    from = end;
  }
  box.append(part(letters, from, letters.length));
  return box;
}

function part(letters, from, to) {
  return inert(letters.slice(from, to).join(""));
}
