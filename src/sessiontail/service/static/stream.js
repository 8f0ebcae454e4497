// /api/events -> events, for as long as the page is open: it reconnects, and goes on where it was.

import { address, ask, Problem } from "./api.js";
import { parse } from "./json.js";
import { EventDecoder } from "./sse.js";

// The service says something each 15 s: twice that and more is silence.
const SILENCE_MS = 40_000;
const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5_000;

/**
 * @typedef {object} Run one thing that is listened to, over as many connections as it takes
 * @property {AbortController} abort
 * @property {object} parameters
 * @property {string} lastId of the last event; empty: none came
 * @property {boolean} open whether it is connected now
 * @property {Run | null} before what was listened to until this one is ready
 */

/**
 * One connection to the service. The records of a session are asked for by `follow`: then a new
 * connection is made, and the old one ends only once the new one is there, so that no news is lost.
 */
export class Stream {
  /** @type {Run} what is listened to */
  #run = { abort: new AbortController(), parameters: {}, lastId: "", open: false, before: null };
  #wake = () => {};
  contactMs = Date.now();
  /** Why the service does not let us listen, in its words; empty: it was not reached. */
  refusal = "";

  /**
   * @param {(name: string, data: any) => void} onEvent
   * @param {() => void} onState the connection is there, or is lost
   */
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    addEventListener("online", () => this.retry());
  }

  /** Listen to the directory, and to a session from behind `cursor` on; to no session: null. */
  follow(session, cursor) {
    const parameters = session ? { session, after: cursor ? `${session}:${cursor}` : null } : {};
    const before = this.#run;
    this.#run = { abort: new AbortController(), parameters, lastId: "", open: false, before };
    this.#listen(this.#run);
  }

  /** Try now, if it waits to try again. */
  retry() {
    this.#wake();
  }

  get connected() {
    return this.#run.open || Boolean(this.#run.before?.open);
  }

  async #listen(run) {
    let waitMs = FIRST_WAIT_MS;
    while (!run.abort.signal.aborted) {
      try {
        await this.#connection(run, () => (waitMs = FIRST_WAIT_MS));
      } catch (error) {
        // Whatever it was: it is tried again, and the page says so.
        this.refusal = error instanceof Problem ? error.message : "";
      }
      run.open = false;
      if (run !== this.#run) return;
      this.onState();
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, waitMs);
      });
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    }
  }

  async #connection(run, onReady) {
    const one = new AbortController();
    const end = () => one.abort();
    run.abort.signal.addEventListener("abort", end);
    let silence = setTimeout(end, SILENCE_MS);
    try {
      const headers = { Accept: "text/event-stream" };
      if (run.lastId) headers["Last-Event-ID"] = run.lastId;
      const path = address("api/events", run.parameters);
      const response = await ask(path, { signal: one.signal, headers });
      const reader = response.body.getReader();
      const decoder = new EventDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || run.abort.signal.aborted) return;
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE_MS);
        this.contactMs = Date.now();
        for (const event of decoder.feed(value)) {
          if (event.id) run.lastId = event.id;
          if (event.event === "ready") this.#ready(run, event, onReady);
          this.#tell(event);
        }
      }
    } finally {
      clearTimeout(silence);
      run.abort.signal.removeEventListener("abort", end);
      one.abort();
    }
  }

  /** A connection is there: the one before it ends. Was that one there until now, no news was missed. */
  #ready(run, event, onReady) {
    if (run.before?.open) event.data = '{"complete": true}';
    for (let old = run.before; old; old = old.before) old.abort.abort();
    run.before = null;
    run.open = true;
    onReady();
    if (run === this.#run) this.onState();
  }

  /** Hand an event over; a fault in what is done with it must not end the stream. */
  #tell(event) {
    try {
      this.onEvent(event.event, parse(event.data));
    } catch (error) {
      reportError(error);
    }
  }
}
