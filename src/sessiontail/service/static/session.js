// the right side: one session, from its first record to the one that is being written now.

import { briefPath, get } from "./api.js";
import { announce, byId, debounced } from "./dom.js";
import { showFacts, showUsage } from "./facts.js";
import { showFound } from "./found.js";
import { count, counted, oneLine } from "./format.js";
import { Kinds } from "./kinds.js";
import { showLineage } from "./lineage.js";
import { kindOf } from "./record.js";
import { RecordList } from "./recordlist.js";
import { outcomeText } from "./state.js";
import { hashOf } from "./router.js";
import { Viewer } from "./viewer.js";

const AGAIN_MS = 2000;
const BEGINNINGS = new Set(["started", "resumed", "replaced"]);
// A file that was replaced is looked at again so much later.
const REOPEN_MS = 500;
const RECORDS = new Set(["header", "chunk", "trailer", "damage"]);

/** The session that is shown, if one is. */
export class SessionView {
  #asked = 0;
  #askedMs = 0;
  /** @type {string | null | undefined} undefined: nothing was shown yet */
  #session = undefined;
  #meta = null;
  /** How many of what it has; null: that is not known yet, and what comes meanwhile is `late`. */
  #counts = null;
  #countedLines = 0; // those that the counts have
  #counting = 0; // for which of what was asked for that is asked just now; 0: for none
  #lack = null; // "all": it could not be shown; "more": it was deleted, what was read is still shown
  #line = null; // the one that was asked for
  #first = null; // until the records around it are here
  #placed = false; // whether the list is where it begins
  /** @type {{line: number | null, kind: string}[]} */
  #late = [];
  #kinds = new Kinds(() => {
    this.#drawKinds();
    this.#filter();
  });
  #frame = 0;
  #viewer = new Viewer();
  #text = byId("filter");

  /**
   * @param {object} on
   * @param {(session: string, cursor: string | null) => void} on.follow its records are wanted from here
   * @param {(error: Error) => void} on.error
   * @param {(session: string) => any} on.known what the list knows of it; null: nothing
   */
  constructor(on) {
    this.on = on;
    this.records = new RecordList({
      error: on.error,
      whole: (line) => this.#viewer.show(this.#session, line, this.records.look.query),
      follow: (following) => byId("follow").setAttribute("aria-pressed", String(following)),
      found: (matches) => showFound(matches, this.#meta),
    });
    byId("follow").addEventListener("click", () => this.records.toggleFollow());
    this.#text.addEventListener("input", debounced(() => this.#filter(), 250));
    byId("stop-filter").addEventListener("click", () => this.records.stopOrGoOn());
    byId("clear-filter").addEventListener("click", () => this.clearFilter());
    this.#whenOpened("usage-fold", () => showUsage(this.#session, this.#counts));
    this.#whenOpened("lineage-fold", () => showLineage(this.#session));
  }

  get session() {
    return this.#session ?? null;
  }

  /** Show a session, and a line of it; of none: what to do. */
  async show(session, line) {
    document.body.classList.toggle("reading", session !== null);
    if (session === this.#session) {
      if (session === null || line === null) return;
      if (this.#meta) this.#showLine(line);
      else [this.#line, this.#placed] = [line, false]; // once it is known whether there is such a line
      return;
    }
    await this.#open(session, line);
  }

  /** Take an event of the stream that is about this session. */
  event(name, data) {
    if (name === "end") this.#ended(data.outcome);
    else if (name === "unreadable") this.#say(`This session cannot be read now: ${data.detail}`, "problem");
    else if (RECORDS.has(name)) this.#added(data);
  }

  /** Take what the list has heard of this session. */
  news(kind, meta) {
    // Under this id is a session again, or for the first time.
    // Or what was asked for first is of the file before.
    if (this.#lack && BEGINNINGS.has(kind)) return this.#reopen(this.#asked);
    if (!this.#meta && kind === "replaced") return this.#reopen(this.#asked);
    if (!this.#meta || kind === "deleted") return;
    this.#meta = { ...this.#meta, ...meta, title: meta.title ?? this.#meta.title };
    showFacts(this.#meta);
    this.records.setLive(meta.state === "live");
    if (kind === "resumed") this.#say("", "");
    if (kind === "closed" && byId("usage-fold").open) showUsage(this.#session, this.#counts);
  }

  /** The list of sessions has come: what it has of this one may be all that its records wait for. */
  listed() {
    if (this.#session && !this.#meta && !this.#lack) this.#begin(this.#asked);
  }

  /** The service is there again: ask for what did not come. */
  again() {
    // What has just been refused would be refused again.
    if (this.#lack === "all" && Date.now() - this.#askedMs > AGAIN_MS) this.#reopen(this.#asked);
    else {
      this.records.list.redraw();
      if (this.#meta && !this.#counts && !this.#counting) this.#count(this.#asked);
    }
  }

  /** Show all records again. */
  clearFilter() {
    this.#text.value = "";
    this.#kinds.clear();
    this.#drawKinds();
    this.#filter();
  }

  get filtered() {
    return this.#text.value !== "" || this.#kinds.chosen.length > 0;
  }

  #whenOpened(id, show) {
    const fold = byId(id);
    fold.addEventListener("toggle", () => {
      if (fold.open && this.#session) show();
    });
  }

  async #open(session, line) {
    this.#asked += 1;
    const asked = this.#asked;
    this.#askedMs = Date.now();
    this.#session = session;
    this.#meta = null;
    this.#lack = null;
    this.#line = line;
    this.records.close();
    this.#text.value = "";
    this.#kinds.clear();
    this.#say("", "");
    showFound(null);
    byId("session").hidden = session === null;
    byId("welcome").hidden = session !== null;
    byId("missing").hidden = true;
    byId("usage-fold").open = false;
    byId("lineage-fold").open = false;
    if (session === null) {
      document.title = "sessiontail";
      return this.on.follow(null, null);
    }
    const known = this.on.known(session);
    showFacts(known ?? { id: session, title: "Loading…" });
    this.#counts = null;
    this.#drawKinds();
    this.#late = [];
    this.#drawInherited(null);
    this.#placed = false;
    this.#first = this.records.open(session, line, known?.state === "live");
    this.#begin(asked);
    try {
      const answer = await get(briefPath(session));
      if (asked === this.#asked) this.#opened(answer);
    } catch (error) {
      if (asked === this.#asked) this.#missing(error);
      return;
    }
    if (asked === this.#asked) this.#count(asked);
  }

  /** Ask how many of what it has; of a long session this takes seconds: its records are shown meanwhile. */
  async #count(asked) {
    this.#counting = asked;
    try {
      const answer = await get(`api/sessions/${this.#session}`);
      if (asked === this.#asked) this.#counted(answer);
    } catch (error) {
      if (asked === this.#asked) this.on.error(error);
    } finally {
      if (this.#counting === asked) this.#counting = 0;
    }
  }

  #counted({ counts, lines }) {
    this.#counts = counts;
    this.#countedLines = lines;
    for (const { line, kind } of this.#late) this.#countOne(line, kind);
    this.#late = [];
    this.#drawKinds();
    this.#drawInherited(counts.inherited);
    this.records.setInherited(counts.inherited);
    if (byId("usage-fold").open) showUsage(this.#session, counts);
  }

  /** Count a record that came, unless it was counted before it did. */
  #countOne(line, kind) {
    if (line !== null && line <= this.#countedLines) return;
    this.#countedLines = line ?? this.#countedLines;
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }

  /** Show the first records as soon as they are here, if it is known that they are wanted. */
  async #begin(asked) {
    const known = this.on.known(this.#session);
    if (known) showFacts(known);
    if (this.#line === null && (known?.state ?? "live") === "live") return;
    await this.#first;
    if (asked !== this.#asked || this.#meta || this.#placed) return;
    this.records.show();
    if (this.#line === null) this.records.toStart();
    this.#placed = this.#line === null || this.records.showLine(this.#line);
  }

  #opened(answer) {
    const { lines, cursor, ...meta } = answer;
    const line = this.#line;
    this.#meta = meta;
    const live = meta.state === "live";
    document.title = `${oneLine(meta.title ?? "", 60) || meta.id.slice(0, 8)} · sessiontail`;
    showFacts(meta);
    this.records.show(lines);
    this.records.setLive(live);
    this.on.follow(meta.id, cursor);
    if (!live) this.#say(outcomeText(meta.state) ?? "", "quiet");
    if (line !== null && !this.#placed) this.#showLine(line);
    else if (line === null && live) this.records.toEnd();
    else if (!this.#placed) this.records.toStart();
    this.#placed = true;
  }

  #missing(error) {
    this.#lack = "all";
    this.records.close();
    this.on.follow(null, null); // the directory tells when there is one
    byId("session").hidden = true;
    byId("missing").hidden = false;
    const gone = `There is no session ${this.#session}.`;
    const why = "It was deleted, or never written: agents and merges have no file.";
    byId("missing-why").textContent = error.status === 404 ? `${gone} ${why}` : error.message;
  }

  #added(record) {
    this.records.add(record);
    const kind = kindOf(record);
    if (this.#counts) this.#countOne(record.line, kind);
    else this.#late.push({ line: record.line, kind });
    this.#frame ||= requestAnimationFrame(() => this.#drawKinds());
    if (kind !== "trailer") this.#say("", "");
  }

  #ended(outcome) {
    const text = outcomeText(outcome) ?? outcome;
    if (this.records.live) announce(text);
    this.#say(text, outcome === "closed" ? "quiet" : "problem");
    this.records.setLive(false);
    if (outcome === "deleted") this.#lack = "more";
    // The directory's news of it may come later.
    if (outcome === "closed" || outcome === "abandoned") this.news(outcome, { state: outcome });
    if (outcome === "replaced") setTimeout(() => this.#reopen(this.#asked), REOPEN_MS);
  }

  /** Show what is under this id now, unless something else is shown meanwhile. */
  #reopen(asked) {
    if (asked === this.#asked) this.#open(this.#session, this.#lack === "all" ? this.#line : null);
  }

  #showLine(line) {
    if (this.records.showLine(line)) return;
    if (this.filtered) this.clearFilter();
    if (this.records.showLine(line)) return;
    this.on.error(new Error(`There is no line ${count(line)} in this session`));
  }

  #filter() {
    byId("clear-filter").hidden = !this.filtered;
    if (this.#session) this.records.filter(this.#kinds.chosen, this.#text.value);
  }

  #drawKinds() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#kinds.draw(this.#counts);
    byId("clear-filter").hidden = !this.filtered;
  }

  #drawInherited(inherited) {
    const button = byId("skip-inherited");
    button.hidden = !inherited;
    button.textContent = `Skip ${counted(inherited ?? 0, "inherited row")}`;
    button.onclick = () => (location.hash = hashOf(this.#session, inherited + 2)); // below the header
  }

  #say(text, kind) {
    const banner = byId("outcome");
    if (banner.textContent === text) return;
    banner.textContent = text;
    banner.className = kind;
    banner.hidden = text === "";
  }
}
