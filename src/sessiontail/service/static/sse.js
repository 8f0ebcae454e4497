// bytes of a text/event-stream -> events, cut anywhere on the way. Nothing here waits.

/** @typedef {{event: string, data: string, id: string}} ServerEvent */

/** Takes pieces of a stream, and gives the events that they complete. */
export class EventDecoder {
  #text = new TextDecoder();
  /** @type {string[]} pieces of a line that has no end yet */
  #begun = [];
  #data = [];
  #event = "";
  #id = "";

  /**
   * Take the next bytes, and return the events that they complete, oldest first.
   * @param {Uint8Array} bytes
   * @returns {ServerEvent[]}
   */
  feed(bytes) {
    const events = [];
    const lines = this.#text.decode(bytes, { stream: true }).split("\n");
    for (let at = 0; at < lines.length - 1; at += 1) {
      this.#begun.push(lines[at]);
      const line = this.#begun.join("");
      this.#begun = [];
      this.#line(line.endsWith("\r") ? line.slice(0, -1) : line, events);
    }
    this.#begun.push(lines[lines.length - 1]);
    return events;
  }

  #line(line, events) {
    if (line === "") {
      if (this.#data.length) {
        events.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.#id });
      }
      this.#data = [];
      this.#event = "";
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id") this.#id = value;
  }
}
