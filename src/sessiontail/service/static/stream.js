// /api/events -> events, for as long as the page is open: it reconnects, and goes on where it was.

import { address, ask, Problem } from "./api.js";
import { parse } from "./json.js";
import { EventDecoder } from "./sse.js";

// The service says something each 15 s: twice that and more is silence.
const SILENCE_MS = 40_000;
const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5_000;

/**
 * One connection to the service. The records of a session are asked for by `follow`: then a new
 * connection is made, and the old one ends only once the new one is there, so that no news is lost.
 */
export class Stream {
  #abort = new AbortController();
  #lastId = "";
  #parameters = {};
  #wake = () => {};
  #connected = false;
  /** Whether the connection before was there until this one was: then no news was missed. */
  #overlaps = false;
  contactMs = Date.now();
  /** Why the service does not let us listen, in its words; empty: it was not reached. */
  refusal = "";

  /**
   * @param {(name: string, data: any) => void} onEvent
   * @param {(connected: boolean) => void} onState
   */
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    addEventListener("online", () => this.retry());
  }

  /** Listen to the directory, and to a session from behind `cursor` on; to no session: null. */
  follow(session, cursor) {
    const old = this.#abort;
    this.#overlaps = this.#connected;
    this.#abort = new AbortController();
    this.#lastId = "";
    this.#parameters = session ? { session, after: cursor ? `${session}:${cursor}` : null } : {};
    this.#run(this.#abort, () => old.abort());
  }

  /** Try now, if it waits to try again. */
  retry() {
    this.#wake();
  }

  get connected() {
    return this.#connected;
  }

  async #run(abort, onReady) {
    let waitMs = FIRST_WAIT_MS;
    while (!abort.signal.aborted) {
      try {
        await this.#connection(abort, () => {
          waitMs = FIRST_WAIT_MS;
          onReady();
        });
      } catch (error) {
        // Whatever it was: it is tried again, and the page says so.
        this.refusal = error instanceof Problem ? error.message : "";
      }
      if (abort !== this.#abort) return;
      this.#overlaps = false;
      this.#say(false);
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, waitMs);
      });
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    }
  }

  async #connection(abort, onReady) {
    const one = new AbortController();
    const end = () => one.abort();
    abort.signal.addEventListener("abort", end);
    let silence = setTimeout(end, SILENCE_MS);
    try {
      const headers = { Accept: "text/event-stream" };
      if (this.#lastId) headers["Last-Event-ID"] = this.#lastId;
      const path = address("api/events", this.#parameters);
      const response = await ask(path, { signal: one.signal, headers });
      const reader = response.body.getReader();
      const decoder = new EventDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || abort !== this.#abort) return;
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE_MS);
        this.contactMs = Date.now();
        for (const event of decoder.feed(value)) {
          if (event.id) this.#lastId = event.id;
          if (event.event === "ready") {
            onReady();
            this.#say(true);
            if (this.#overlaps) event.data = '{"complete": true}';
            this.#overlaps = false;
          }
          this.#tell(event);
        }
      }
    } finally {
      clearTimeout(silence);
      abort.signal.removeEventListener("abort", end);
      one.abort();
    }
  }

  /** Hand an event over; a fault in what is done with it must not end the stream. */
  #tell(event) {
    try {
      this.onEvent(event.event, parse(event.data));
    } catch (error) {
      reportError(error);
    }
  }

  #say(connected) {
    this.#connected = connected;
    this.onState(connected);
  }
}
