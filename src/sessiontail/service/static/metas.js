// sessions in brief, as they are listed and as news comes -> which are shown, in which order.

/** @typedef {{sort: string, states: string[], text: string}} Filter */

const KEYS = { created: "created_at", modified: "modified_at", size: "size_bytes", chunks: "chunk_count" };

/** The sessions that are listed: as far as they were asked for, and what is new since. */
export class Metas {
  /** @type {Map<string, any>} by id */
  #byId = new Map();
  /** @type {any[] | null} in their order; null: it has changed */
  #sorted = null;
  /** @type {Filter} */
  filter = { sort: "-created", states: [], text: "" };
  /** Where the next page begins; null: all are here. */
  next = null;

  /** Begin anew. */
  reset(filter) {
    this.filter = filter;
    this.next = null;
    this.#byId.clear();
    this.#sorted = null;
  }

  /** Take a page of the listing. */
  page(answer) {
    for (const meta of answer.sessions) this.#keep(meta);
    this.next = answer.next;
  }

  /** Take what an event says of a session; return whether the list has changed. */
  news(kind, meta) {
    const there = this.#byId.has(meta.id);
    if (kind === "deleted" || !this.#matches(meta)) {
      this.#sorted = null;
      return this.#byId.delete(meta.id);
    }
    if (!there && this.next !== null && this.#isBehindAll(meta)) return false;
    this.#keep(meta);
    return true;
  }

  get(id) {
    return this.#byId.get(id) ?? null;
  }

  get size() {
    return this.#byId.size;
  }

  /** Return the sessions in their order. */
  sorted() {
    this.#sorted ??= [...this.#byId.values()].sort((one, other) => this.#compare(one, other));
    return this.#sorted;
  }

  #keep(meta) {
    this.#sorted = null;
    // An event may not know the title.
    this.#byId.set(meta.id, { ...meta, title: meta.title ?? this.#byId.get(meta.id)?.title ?? null });
  }

  #isBehindAll(meta) {
    const last = this.sorted().at(-1);
    return last !== undefined && this.#compare(meta, last) > 0;
  }

  #matches(meta) {
    const { states, text } = this.filter;
    if (states.length && !states.includes(meta.state)) return false;
    const title = meta.title ?? this.#byId.get(meta.id)?.title ?? "";
    return `${meta.id}\n${title}\n${meta.lineage_operator}`.toLowerCase().includes(text.toLowerCase());
  }

  #compare(one, other) {
    const { sort } = this.filter;
    const name = KEYS[sort.replace("-", "")];
    const by = sort.startsWith("-") ? -1 : 1;
    if (one[name] !== other[name]) return one[name] < other[name] ? -by : by;
    return one.id < other.id ? -by : by;
  }
}
