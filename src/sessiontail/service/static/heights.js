// heights of rows, measured or estimated -> where each begins, and which is where; in log(n) steps.

/** The heights of a list's rows, in pixels. What is not measured has the estimate. */
export class Heights {
  /** @param {number} estimate of a row that is not measured. */
  constructor(estimate) {
    this.estimate = estimate;
    this.count = 0;
    this.measured = 0;
    this.#room(1024);
  }

  /** Let there be so many rows; those that stay keep their heights. */
  resize(count) {
    if (count < this.count) {
      for (let at = count; at < this.count; at += 1) this.forget(at);
    } else if (count > this.height.length) {
      const [height, known] = [this.height, this.known];
      this.#room(2 ** Math.ceil(Math.log2(count)));
      this.height.set(height);
      this.known.set(known);
      this.#sumUp();
    }
    this.count = count;
  }

  /** Note that row `at` is so high; return by how much higher that is than what stood there. */
  set(at, value) {
    const height = Math.fround(value); // as it is kept, so that equal heights are equal
    const known = this.known[at];
    const old = known ? this.height[at] : this.estimate;
    if (known && old === height) return 0;
    this.#add(at, height - (known ? old : 0), known ? 0 : 1);
    this.height[at] = height;
    this.known[at] = 1;
    return height - old;
  }

  /** Let row `at` have the estimate again. */
  forget(at) {
    if (!this.known[at]) return;
    this.#add(at, -this.height[at], -1);
    this.known[at] = 0;
    this.height[at] = 0;
  }

  /** Let all rows have the estimate again: the list has another width. */
  forgetAll() {
    this.known.fill(0);
    this.height.fill(0);
    this.#sumUp();
  }

  /** Return the height of row `at`. */
  of(at) {
    return this.known[at] ? this.height[at] : this.estimate;
  }

  /** Return where row `at` begins; of `count`, where the list ends. */
  offset(at) {
    let sum = 0;
    let known = 0;
    for (let node = at; node > 0; node -= node & -node) {
      sum += this.sums[node];
      known += this.counts[node];
    }
    return sum + (at - known) * this.estimate;
  }

  get total() {
    return this.offset(this.count);
  }

  /** Return the row at `y`: the last that begins there or above and has a height; 0 if none has. */
  at(y) {
    let row = 0;
    let left = y;
    for (let step = this.height.length; step > 0; step >>= 1) {
      const node = row + step;
      if (node >= this.count) continue;
      const span = this.sums[node] + (step - this.counts[node]) * this.estimate;
      if (span <= left) {
        row = node;
        left -= span;
      }
    }
    return row;
  }

  #room(length) {
    this.height = new Float32Array(length);
    this.known = new Uint8Array(length);
    this.sums = new Float64Array(length + 1);
    this.counts = new Int32Array(length + 1);
  }

  #add(at, height, known) {
    this.measured += known;
    for (let node = at + 1; node < this.sums.length; node += node & -node) {
      this.sums[node] += height;
      this.counts[node] += known;
    }
  }

  #sumUp() {
    this.sums.fill(0);
    this.counts.fill(0);
    this.measured = 0;
    for (let node = 1; node < this.sums.length; node += 1) {
      this.sums[node] += this.height[node - 1];
      this.counts[node] += this.known[node - 1];
      this.measured += this.known[node - 1];
      const parent = node + (node & -node);
      if (parent < this.sums.length) {
        this.sums[parent] += this.sums[node];
        this.counts[parent] += this.counts[node];
      }
    }
  }
}
