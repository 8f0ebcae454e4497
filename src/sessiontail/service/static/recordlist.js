// the records of one session -> the windowed list of them: all, or those that match a filter.

import { Calls } from "./calls.js";
import { byId } from "./dom.js";
import { WindowedList } from "./list.js";
import { Matches } from "./matches.js";
import { BLANK, RecordPages } from "./pages.js";
import { kindOf, recordRow } from "./record.js";

// So near to the last match the next ones are looked for.
const NEAR = 40;

/** The list of records of the session that is shown. */
export class RecordList {
  /** @type {RecordPages | null} */
  #pages = null;
  /** @type {Matches | null} */
  #matches = null;
  #calls = new Calls();
  #open = new Set();
  #selected = null; // a line
  #marked = null;
  #here = null; // the line that was seen first when a filter last showed any
  #new = 0;
  #followed = false;
  #shown = false; // whether rows may be shown: before, it is not known which are wanted
  #held = false; // somebody wants to stay where the end was
  #jump = byId("jump");

  /**
   * @param {object} on
   * @param {(error: Error) => void} on.error
   * @param {(line: number) => void} on.whole somebody wants to see this line whole
   * @param {(following: boolean) => void} on.follow
   * @param {(matches: Matches | null) => void} on.found how far the filter is; null: there is none
   */
  constructor(on) {
    this.on = on;
    this.scroller = byId("records");
    this.list = new WindowedList(this.scroller, byId("runway"), byId("rows"), {
      render: (at) => this.#row(at),
      want: (first, last) => this.#want(first, last),
      moved: () => this.#moved(),
    });
    this.#jump.addEventListener("click", () => this.toEnd());
    this.scroller.addEventListener("click", (event) => {
      const row = event.target.closest?.(".record");
      if (row) this.#select(Number(row.dataset.line));
    });
  }

  /**
   * Show a session's records from now on: those around `line` as soon as they are here, though it is
   * not known yet how many there are.
   * @returns {Promise<void>} until then
   */
  async open(session, line, live) {
    this.close();
    this.#calls = new Calls();
    this.look = {
      session,
      inherited: null,
      live,
      query: "",
      calls: this.#calls,
      isOpen: (key) => this.#open.has(key),
      setOpen: (key, open) => (open ? this.#open.add(key) : this.#open.delete(key)),
      showWhole: this.on.whole,
    };
    this.#pages = new RecordPages(
      session,
      (records, numbers) => this.#came(records, numbers),
      this.on.error,
    );
    this.list.stick = false;
    // Of a live one the end is wanted.
    if (line !== null || !live) await this.#pages.begin(line ?? 1);
  }

  /** Show what is here, of so many lines as there are at least. */
  show(lines = 0) {
    if (!this.#pages) return;
    this.#shown = true;
    this.#pages.lines = Math.max(this.#pages.lines, lines);
    this.#grew();
  }

  /** Show nothing. */
  close() {
    byId("no-record").hidden = true;
    this.#pages?.close();
    this.#matches?.close();
    this.#pages = null;
    this.#matches = null;
    this.#open.clear();
    this.#selected = null;
    this.#marked = null;
    this.#here = null;
    this.#new = 0;
    this.#shown = false;
    this.#held = false;
    this.list.reset(0);
  }

  /** Take a record that has just been written, unless it is here already. */
  add(record) {
    if (!this.#pages || (record.line !== null && record.line <= this.#pages.lines)) return;
    if (this.list.atEnd && !this.#held) this.list.stick = true;
    const line = this.#pages.add(record);
    this.#learn([this.#pages.record(line)]);
    if (!this.list.stick) this.#new += 1;
    if (this.#matches) this.#matches.grew();
    else this.#grew();
    this.#moved();
  }

  /** Show those that match; no kinds and no text: all. */
  filter(kinds, text) {
    this.#here = this.#lineAt(this.list.seen.first) || this.#here;
    byId("no-record").hidden = true;
    this.#matches?.close();
    this.#matches = null;
    this.look.query = text.toLowerCase();
    if (!kinds.length && !text) {
      this.list.reset(this.#pages.lines);
      if (this.#here) this.list.show(this.#here - 1);
      this.on.found(null);
      return;
    }
    this.list.stick = false;
    this.list.reset(0);
    this.#matches = new Matches(
      this.look.session,
      { kinds, text },
      (matches) => this.#found(matches),
      this.on.error,
    );
    this.#matches.more();
    this.on.found(this.#matches);
  }

  /** Stop the search of the filter, or go on with it. */
  stopOrGoOn() {
    if (this.#matches?.stopped) this.#matches.goOn();
    else this.#matches?.stop();
    if (this.#matches) this.on.found(this.#matches);
  }

  /** Scroll to a line and mark it; return whether it is among those that are shown. */
  showLine(line) {
    const at = this.#placeOf(line);
    if (at < 0 || at >= this.list.count) return false;
    this.#marked = line;
    this.#selected = line;
    this.list.refreshAll();
    this.list.show(at);
    this.list.element(at)?.focus({ preventScroll: true });
    return true;
  }

  /** Select the record so many below the one that is selected. */
  step(by) {
    const seen = this.list.seen;
    let at = this.#selected === null ? -1 : this.#placeOf(this.#selected);
    if (at < seen.first || at > seen.last) at = by > 0 ? seen.first - 1 : seen.last + 1;
    do at += by;
    while (this.#recordAt(at) === BLANK);
    if (at < 0 || at >= this.list.count) return;
    this.list.show(at, "nearest");
    this.#select(this.#lineAt(at));
    this.list.element(at)?.focus({ preventScroll: true });
  }

  /** Open or close what can be folded in the record that is selected. */
  toggleFold() {
    const row = this.#selected === null ? null : this.list.element(this.#placeOf(this.#selected));
    const folds = [...(row?.querySelectorAll("details") ?? [])];
    const open = !folds.some((one) => one.open);
    for (const one of folds) one.open = open;
    if (!folds.length) row?.querySelector(".more")?.click();
  }

  toStart() {
    this.list.stick = false;
    this.list.show(0);
  }

  toEnd() {
    this.#held = false;
    this.list.toEnd();
    this.#moved();
  }

  /** Follow the end, or stay here. */
  toggleFollow() {
    this.#held = this.list.stick;
    if (this.#held) this.list.stay();
    else this.toEnd();
  }

  /** Whether the session is being written, as far as is known. */
  get live() {
    return this.#pages !== null && this.look.live;
  }

  /** Say how many of the first rows are copies of an earlier session's; null: unknown. */
  setInherited(inherited) {
    if (!inherited) return;
    this.look.inherited = inherited;
    this.list.refreshAll();
  }

  /** Say that the session is written no more, or again. */
  setLive(live) {
    if (!this.#pages || this.look.live === live) return;
    this.look.live = live;
    this.list.refreshAll();
  }

  #lineAt(at) {
    return this.#matches ? this.#matches.lines[at] : at + 1;
  }

  #placeOf(line) {
    return this.#matches ? this.#matches.lines.indexOf(line) : line - 1;
  }

  #recordAt(at) {
    const line = this.#lineAt(at);
    return line && (this.#matches?.record(line) ?? this.#pages?.record(line));
  }

  #row(at) {
    const record = this.#recordAt(at);
    if (!record) return null;
    const row = recordRow(record, this.look);
    row.classList.toggle("selected", record.line === this.#selected);
    row.classList.toggle("marked", record.line === this.#marked);
    const before = at > 0 ? this.#recordAt(at - 1) : null;
    const joined = before && ["assistant", "tool_result"].includes(kindOf(before));
    row.classList.toggle("joined", Boolean(joined) && kindOf(record) === "tool_result");
    return row;
  }

  #select(line) {
    for (const row of this.list.box.querySelectorAll(".selected")) row.classList.remove("selected");
    this.#selected = line;
    this.list.element(this.#placeOf(line))?.classList.add("selected");
  }

  #grew() {
    if (!this.#shown || this.#matches) return;
    if (this.list.count) this.list.resize(this.#pages.lines);
    else this.list.reset(this.#pages.lines);
  }

  #came(records, lines) {
    this.#grew();
    this.#learn(records);
    this.list.refresh(...lines.map((line) => this.#placeOf(line)));
  }

  #learn(records) {
    // A call may stand far above its result: its row says then that there is one.
    const rows = new Set();
    for (const record of records) {
      if (!record || record === BLANK) continue;
      for (const id of this.#calls.learn(record)) {
        for (const line of this.#calls.linesOf(id)) rows.add(this.#placeOf(line));
      }
    }
    this.list.refresh(...rows);
  }

  #want(first, last) {
    if (!this.#matches) {
      this.#pages?.want(first + 1, last + 1);
      return;
    }
    // Of many matches, the first were let go: they are fetched again, as any line.
    const gone = this.#matches.lines.slice(first, last + 1).filter((line) => !this.#matches.record(line));
    if (gone.length) this.#pages.want(gone[0], gone[0]);
    if (last > this.list.count - NEAR) this.#matches.more();
  }

  #found(matches) {
    if (matches !== this.#matches) return;
    this.#learn(matches.lines.slice(this.list.count).map((line) => matches.record(line)));
    this.list.resize(matches.lines.length);
    byId("no-record").hidden = matches.lines.length > 0 || !matches.complete;
    this.on.found(matches);
  }

  #moved() {
    // Rows that have just come are drawn in a moment: who follows is at the end all the same.
    const atEnd = this.list.stick || this.list.atEnd;
    if (atEnd) this.#new = 0;
    const hidden = atEnd || !this.#pages || this.#matches !== null;
    this.#jump.hidden = hidden;
    const text = this.#new ? `${this.#new} new, jump to the end` : "Jump to the end";
    if (this.#jump.lastElementChild.textContent !== text) this.#jump.lastElementChild.textContent = text;
    this.#jump.classList.toggle("news", this.#new > 0);
    if (this.#followed !== this.list.stick) {
      this.#followed = this.list.stick;
      this.on.follow(this.#followed);
    }
  }
}
