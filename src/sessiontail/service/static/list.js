// a source of rows -> the few of them that are seen, in the place where all of them would stand.

import { Heights } from "./heights.js";
import { exchange, placeholder } from "./rows.js";

// What is drawn above and below what is seen, in pixels.
const OVERSCAN = 600;
// Of that, one frame draws so many rows anew, so that none takes long; what is seen is drawn at once.
const AHEAD = 6;
// Firefox stops at 17.9 million pixels, Chromium at 33.5: above this the scroll bar is scaled.
const LONGEST_RUNWAY = 15_000_000;
const FIRST_ESTIMATE = 84;
// So many rows are measured before their mean is the estimate of the others.
const ENOUGH_MEASURED = 24;
// Rows that come are drawn this often at most.
const GROWTH_MS = 100;
// So near to the end is at the end.
const NEAR_END = 8;

/**
 * @typedef {object} Source
 * @property {(at: number) => HTMLElement | null} render the row's element; null: it is not there yet
 * @property {(first: number, last: number) => void} want these rows are about to be seen
 * @property {() => void} moved what is seen has changed
 */

/** A list of any length: rows in natural flow inside a window that is moved to its place. */
export class WindowedList {
  /** @type {Map<number, HTMLElement>} what is drawn, by its place */
  #drawn = new Map();
  #stale = new Set();
  #shift = 0; // virtual minus real scroll position: 0 unless the scroll bar is scaled
  #realTop = 0;
  #anchor = { at: 0, within: 0 };
  #width = 0;
  #view = 0;
  #frame = 0;
  #settling = 0;
  #growing = 0;
  #ahead = 0; // rows out of sight that this frame may still draw
  #grewMs = 0;
  #estimated = false;
  #sizes = new ResizeObserver(() => this.#schedule());
  /** Whether the list stays at its end when rows come. */
  stick = false;

  /**
   * @param {HTMLElement} scroller @param {HTMLElement} runway @param {HTMLElement} box
   * @param {Source} source
   */
  constructor(scroller, runway, box, source) {
    Object.assign(this, { scroller, runway, box, source });
    this.longest = LONGEST_RUNWAY;
    this.heights = new Heights(FIRST_ESTIMATE);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(scroller);
  }

  get count() {
    return this.heights.count;
  }

  /** Where the list is scrolled to, in pixels from its beginning, as if the bar were not scaled. */
  get top() {
    return this.#realTop + this.#shift;
  }

  /** Whether the last row's end is seen. */
  get atEnd() {
    return this.top + this.#view >= this.heights.total - NEAR_END;
  }

  /** The first and the last row that are seen. */
  get seen() {
    const last = this.heights.at(Math.max(0, this.top + this.#view - 1));
    return { first: this.heights.at(this.top), last };
  }

  /** Begin anew with so many rows. */
  reset(count) {
    this.heights = new Heights(this.heights.estimate);
    this.heights.resize(count);
    this.#drawn.clear();
    this.#stale.clear();
    this.box.replaceChildren();
    this.#anchor = { at: 0, within: 0 };
    this.#schedule();
  }

  /** Let there be so many rows; new ones are at the end. */
  resize(count) {
    if (count === this.count) return;
    this.heights.resize(count);
    // Of a thousand new rows a second, most are seen by nobody: they are drawn together.
    if (this.#growing) return;
    this.#growing = setTimeout(() => {
      this.#growing = 0;
      this.#grewMs = performance.now();
      this.#schedule();
    }, this.#grewMs + GROWTH_MS - performance.now());
  }

  /** Draw these rows anew: what is known of them has changed. */
  refresh(...rows) {
    for (const at of rows) if (this.#drawn.has(at)) this.#stale.add(at);
    if (this.#stale.size) this.#schedule();
  }

  /** Draw all rows anew. */
  refreshAll() {
    this.refresh(...this.#drawn.keys());
  }

  /** Look again for what is not here. */
  redraw() {
    this.#schedule();
  }

  /** The element of a row, if it is drawn. */
  element(at) {
    return this.#drawn.get(at) ?? null;
  }

  /**
   * Scroll so that a row is seen.
   * @param {number} at @param {"start" | "nearest"} block
   */
  show(at, block = "start") {
    const begin = this.heights.offset(at);
    const end = begin + this.heights.of(at);
    const margin = Math.min(80, this.#view / 6);
    if (block === "nearest" && begin >= this.top && end <= this.top + this.#view) return;
    const below = block === "nearest" && begin > this.top && end - begin < this.#view;
    this.stick = false;
    this.#anchor = { at, within: below ? end - begin - this.#view : -margin };
    this.#draw();
  }

  /** Stay here when rows come. */
  stay() {
    this.stick = false;
    this.#anchorAt(this.top);
    this.source.moved();
  }

  /** Scroll to the end, and stay there when rows come. */
  toEnd() {
    this.stick = true;
    this.#draw();
  }

  #schedule() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#take(); // the event of a scroll may come behind this frame
      this.#draw();
    });
  }

  #resized() {
    this.#view = this.scroller.clientHeight;
    if (this.scroller.clientWidth !== this.#width) {
      this.#width = this.scroller.clientWidth;
      this.heights.forgetAll();
    }
    this.#schedule();
  }

  #scrolled() {
    if (!this.#take()) return;
    this.#draw();
    clearTimeout(this.#settling);
    if (this.heights.total > this.longest) this.#settling = setTimeout(() => this.#settle(), 200);
  }

  /** Note where somebody has scrolled to; return whether somebody has. */
  #take() {
    const real = this.scroller.scrollTop;
    const moved = real - this.#realTop;
    if (Math.abs(moved) < 1) return false;
    this.#view = this.scroller.clientHeight; // it may have scrolled because it was resized
    const room = this.heights.total - this.#view;
    const realRoom = this.runway.offsetHeight - this.#view;
    let top = real + this.#shift;
    if (room <= realRoom + 1) top = real;
    else if (real <= 0) top = 0;
    else if (real >= realRoom - 1) top = room;
    else if (Math.abs(moved) > 3 * this.#view) top = (real / realRoom) * room; // the bar was dragged
    this.#realTop = real;
    this.#shift = this.#clamped(top) - real;
    this.stick = this.atEnd;
    this.#anchorAt(this.top);
    return true;
  }

  /** Put the scaled scroll bar where it belongs, once nobody moves it. */
  #settle() {
    const room = this.heights.total - this.#view;
    this.#place(this.top, room > 0 ? (this.top / room) * (this.runway.offsetHeight - this.#view) : 0);
    this.#draw();
  }

  #clamped(top) {
    return Math.max(0, Math.min(top, this.heights.total - this.#view));
  }

  #anchorAt(top) {
    const at = this.heights.at(top);
    this.#anchor = { at, within: top - this.heights.offset(at) };
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#view ||= this.scroller.clientHeight;
    if (!this.#view) return; // it is hidden
    this.#ahead = AHEAD;
    let near = this.#around(OVERSCAN);
    // What is drawn is measured, which moves what is below: until nothing that is seen is a guess.
    for (let round = 0; round < 5; round += 1) {
      near = this.#around(OVERSCAN);
      this.#fill(this.#around(0), near);
      if (!this.#measure()) break;
    }
    this.#estimate();
    const top = this.#wanted();
    const real = Math.min(this.heights.total, this.longest);
    this.runway.style.height = `${real}px`;
    this.#place(top, real < this.heights.total ? this.#realTop : top);
    const [first] = this.#drawn.keys();
    this.box.style.transform = `translateY(${this.heights.offset(first ?? 0) - this.#shift}px)`;
    if (this.count) this.source.want(near.first, near.last);
    this.source.moved();
    const drawn = [...this.#drawn.keys()];
    if (drawn[0] > near.first || drawn.at(-1) < near.last || this.#stale.size) this.#schedule();
  }

  /** Return the first and the last row of what is seen and so many pixels above and below it. */
  #around(margin) {
    const top = this.#wanted();
    const last = this.count ? this.heights.at(top + this.#view + margin) : -1;
    return { first: this.heights.at(Math.max(0, top - margin)), last };
  }

  #wanted() {
    const { at, within } = this.#anchor;
    if (this.stick) return this.#clamped(this.heights.total);
    return this.#clamped(this.heights.offset(Math.min(at, this.count)) + within);
  }

  #place(top, real) {
    const room = Math.max(0, Math.min(this.heights.total, this.longest) - this.#view);
    let target = Math.min(Math.max(0, real), room);
    if (this.heights.total > this.longest) {
      // Near its ends, and after a jump, the scaled bar follows the list.
      const fair = (top / (this.heights.total - this.#view)) * room;
      const shift = top - target;
      const far = Math.abs(fair - target) > 50 * this.#view;
      if (far || shift < 0 || shift > this.heights.total - this.longest) target = fair;
    }
    if (Math.abs(this.scroller.scrollTop - target) >= 1) this.scroller.scrollTop = target;
    this.#realTop = this.scroller.scrollTop;
    this.#shift = this.heights.total > this.longest ? top - this.#realTop : 0;
  }

  /** Draw what is seen, and of what is near to it as much as this frame may. */
  #fill(seen, near) {
    const focused = this.box.contains(document.activeElement);
    let { first, last } = seen;
    while (last < near.last && (this.#drawn.has(last + 1) || this.#ahead-- > 0)) last += 1;
    while (first > near.first && (this.#drawn.has(first - 1) || this.#ahead-- > 0)) first -= 1;
    for (const [at, element] of this.#drawn) {
      if (at >= first && at <= last) continue;
      this.#sizes.unobserve(element);
      element.remove();
      this.#drawn.delete(at);
      this.#stale.delete(at);
    }
    const drawn = new Map();
    let before = null;
    for (let at = first; at <= last; at += 1) {
      const old = this.#drawn.get(at);
      let element = old;
      const isSeen = at >= seen.first && at <= seen.last;
      if (!old || (this.#stale.has(at) && (isSeen || this.#ahead-- > 0))) {
        this.#stale.delete(at);
        element = this.source.render(at) ?? placeholder(this.heights.of(at));
        if (old) this.#sizes.unobserve(old);
        if (old) exchange(old, element);
        else if (before) before.after(element);
        else this.box.prepend(element);
        this.#sizes.observe(element);
      }
      drawn.set(at, element);
      before = element;
    }
    this.#drawn = drawn;
    if (focused && !this.box.contains(document.activeElement)) {
      this.scroller.focus({ preventScroll: true });
    }
  }

  /** Measure what is drawn; return whether something was not as high as was thought. */
  #measure() {
    let changed = false;
    for (const [at, element] of this.#drawn) {
      if (element.dataset.pending !== undefined) continue;
      changed = Math.abs(this.heights.set(at, element.getBoundingClientRect().height)) > 0.5 || changed;
    }
    return changed;
  }

  #estimate() {
    if (this.#estimated || this.heights.measured < ENOUGH_MEASURED) return;
    let sum = 0;
    for (const [at] of this.#drawn) sum += this.heights.of(at);
    this.heights.estimate = Math.max(20, Math.round(sum / this.#drawn.size));
    this.#estimated = true;
  }
}
