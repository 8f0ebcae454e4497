// keys -> values, so many at most: what was asked for last stays.

/** @template K, V */
export class Lru {
  /** @param {number} most values that are kept. */
  constructor(most) {
    this.most = most;
    /** @type {Map<K, V>} the oldest first */
    this.values = new Map();
  }

  get(key) {
    const value = this.values.get(key);
    if (value !== undefined) {
      this.values.delete(key);
      this.values.set(key, value);
    }
    return value;
  }

  set(key, value) {
    this.values.delete(key);
    this.values.set(key, value);
    if (this.values.size > this.most) this.values.delete(this.values.keys().next().value);
  }

  clear() {
    this.values.clear();
  }
}
