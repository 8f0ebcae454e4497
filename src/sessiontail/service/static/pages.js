// line numbers -> records of one session: fetched in pages when they are about to be seen, and let go.

import { get, recordsPath } from "./api.js";
import { Lru } from "./lru.js";
import { firstOfPage, PAGE, pageOf } from "./paging.js";

const KEPT_PAGES = 40;
const AT_ONCE = 2;
// The service cuts texts here; what comes by the stream is cut alike, so that it is not kept whole.
const LONGEST_TEXT = 4000;
const DEEPEST = 200;

/** A line that is no record, and no damage either: it is blank. */
export const BLANK = Object.freeze({ record_type: "blank" });

/** The records of one session, by line. */
export class RecordPages {
  /** @type {Lru<number, (object | undefined)[]>} of each page its records, by their place in it */
  #pages = new Lru(KEPT_PAGES);
  #asked = new Set();
  #queue = [];
  #abort = new AbortController();

  /**
   * @param {string} session
   * @param {(records: object[], lines: number[]) => void} onRecords records came, for these lines
   * @param {(error: Error) => void} onError
   */
  constructor(session, onRecords, onError) {
    Object.assign(this, { session, onRecords, onError });
  }

  /** So many lines there are, as far as is known. */
  lines = 0;

  /** Fetch the page of a line, before it is known how many there are: to count them may take long. */
  async begin(line) {
    const page = pageOf(line);
    const from = firstOfPage(line);
    this.#asked.add(page);
    try {
      const answer = await get(recordsPath(this.session, from, PAGE), { signal: this.#abort.signal });
      if (!this.#abort.signal.aborted) this.#take(answer.records, from, lastLine(answer.records));
    } catch {
      // What is wrong is told by who counts the lines, or by who wants this page then.
    } finally {
      this.#asked.delete(page);
    }
  }

  /** Return a line's record; undefined: it is not here now. */
  record(line) {
    return this.#pages.get(pageOf(line))?.[(line - 1) % PAGE];
  }

  /** Fetch what is missing of these lines, and of the page behind them, in a moment. */
  want(first, last) {
    const wanted = [];
    for (let page = pageOf(first); page <= pageOf(last); page += 1) wanted.push(page);
    this.#queue = wanted.filter((page) => !this.#asked.has(page) && this.#hole(page) !== null);
    this.#next();
  }

  /** Take a record that the stream brought; return its line. */
  add(record) {
    const line = record.line ?? this.lines + 1;
    const from = this.lines + 1;
    this.lines = Math.max(this.lines, line);
    for (let blank = from; blank < line; blank += 1) this.#put(blank, BLANK);
    this.#put(line, { ...cut(record), line });
    return line;
  }

  /** Ask for nothing more. */
  close() {
    this.#abort.abort();
    this.#queue = [];
  }

  #put(line, record) {
    const page = pageOf(line);
    const records = this.#pages.get(page) ?? [];
    records[(line - 1) % PAGE] = record;
    this.#pages.set(page, records);
  }

  /** Return the first line of a page that is not here; null: all are. */
  #hole(page) {
    const records = this.#pages.values.get(page) ?? [];
    const begin = page * PAGE + 1;
    const end = Math.min(begin + PAGE - 1, this.lines);
    for (let line = begin; line <= end; line += 1) if (!records[line - begin]) return line;
    return null;
  }

  #next() {
    while (this.#queue.length && this.#asked.size < AT_ONCE) this.#fetch(this.#queue.shift());
  }

  async #fetch(page) {
    this.#asked.add(page);
    try {
      let line = this.#hole(page);
      while (line !== null) {
        await this.#part(page, line);
        line = this.#hole(page);
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) this.onError(error);
    } finally {
      this.#asked.delete(page);
    }
    this.#next();
  }

  /** Fetch a page from this line on, as far as one answer goes. */
  async #part(page, from) {
    const end = Math.min((page + 1) * PAGE, this.lines);
    const path = recordsPath(this.session, from, end - from + 1);
    const answer = await get(path, { signal: this.#abort.signal });
    const last = answer.next === null ? end : Math.max(from, lastLine(answer.records));
    this.#take(answer.records, from, Math.min(last, end));
  }

  /** Take the records of these lines; lines without one are blank. */
  #take(records, from, last) {
    const found = new Map(records.map((record) => [record.line, record]));
    const lines = [];
    for (let line = from; line <= last; line += 1) {
      if (!this.record(line)) this.#put(line, found.get(line) ?? BLANK);
      lines.push(line);
    }
    this.lines = Math.max(this.lines, last);
    this.onRecords(lines.map((line) => this.record(line)), lines);
  }
}

function lastLine(records) {
  return records.at(-1)?.line ?? 0;
}

/** Return a record with its long texts cut, as the service cuts them. */
function cut(record) {
  let letters = 0;
  const shorten = (value, depth) => {
    if (typeof value === "string") {
      if (value.length <= LONGEST_TEXT) return value;
      letters += value.length;
      return value.slice(0, LONGEST_TEXT);
    }
    if (value === null || typeof value !== "object") return value;
    if (depth > DEEPEST) {
      letters += 1;
      return "…";
    }
    if (Array.isArray(value)) return value.map((one) => shorten(one, depth + 1));
    const entries = Object.entries(value).map(([name, one]) => [name, shorten(one, depth + 1)]);
    return Object.fromEntries(entries);
  };
  const short = shorten(record, 0);
  return letters ? { ...short, cut: true, letters } : record;
}
