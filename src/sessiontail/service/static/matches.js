// a kind and a text -> the records of one session that match, in order, as far as somebody looks.

import { address, askAgain } from "./api.js";
import { parse } from "./json.js";
import { Lru } from "./lru.js";

const PAGE = 100;
// A page is a bounded amount of file: so many empty ones are asked for before somebody scrolls on.
const MOST_EMPTY = 200;
const KEPT = 4000;

/** The matching records of one session. Asked for with `more`, and again where the session grew. */
export class Matches {
  #abort = new AbortController();
  #cursor = null;
  #asking = false;
  #again = false;
  /** @type {Lru<number, object>} those that were seen last, by line */
  #records = new Lru(KEPT);
  /** @type {number[]} of all that were found */
  lines = [];
  /** Whether the end of the file was met. */
  complete = false;
  /** Up to where in the file was searched, in bytes. */
  offset = 0;
  /** Whether somebody has stopped it. */
  stopped = false;

  /**
   * @param {string} session
   * @param {{kinds: string[], text: string}} filter
   * @param {(matches: Matches) => void} onMore there are more, or it is further
   * @param {(error: Error) => void} onError
   */
  constructor(session, filter, onMore, onError) {
    Object.assign(this, { session, filter, onMore, onError });
  }

  /** Return a record that was found; undefined: it was let go. */
  record(line) {
    return this.#records.get(line);
  }

  /** Whether it is at work. */
  get searching() {
    return this.#asking;
  }

  /** Find some more. */
  async more() {
    if (this.#asking || this.complete || this.stopped) return;
    this.#asking = true;
    const { signal } = this.#abort;
    try {
      for (let pages = 0; pages < MOST_EMPTY; pages += 1) {
        if ((await this.#page()) || this.complete) break;
        this.onMore(this);
      }
    } catch (error) {
      if (!signal.aborted) this.onError(error);
    } finally {
      this.#asking = false;
    }
    this.onMore(this);
    if (signal !== this.#abort.signal) this.more(); // it was stopped, and is to go on
    else if (this.#again) this.grew();
  }

  /** Search no further, until `goOn`. */
  stop() {
    this.stopped = true;
    this.#abort.abort();
  }

  /** Search on from where it was stopped. */
  goOn() {
    this.stopped = false;
    this.#abort = new AbortController();
    this.more();
  }

  /** The session grew: look behind what was read. */
  grew() {
    this.#again = this.#asking;
    if (this.#asking || !this.complete) return;
    this.complete = false;
    this.more();
  }

  /** Ask for nothing more. */
  close() {
    this.#abort.abort();
    this.complete = true;
  }

  async #page() {
    const { kinds, text } = this.filter;
    const parameters = { kind: kinds, q: text, limit: PAGE, after: this.#cursor };
    const path = address(`api/sessions/${this.session}/records`, parameters);
    const response = await askAgain(path, { signal: this.#abort.signal });
    const answer = parse(await response.text());
    this.offset = Number(response.headers.get("sessiontail-searched"));
    const last = this.lines.at(-1) ?? 0;
    const found = answer.records.filter((record) => record.line > last);
    for (const record of found) {
      this.lines.push(record.line);
      this.#records.set(record.line, record);
    }
    // Also at the end, so that what is written later is looked at alone.
    this.#cursor = response.headers.get("sessiontail-behind");
    this.complete = answer.next === null;
    return found.length > 0;
  }
}
