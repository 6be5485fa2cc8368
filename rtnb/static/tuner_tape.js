/** Figures that keep coming, of which the latest are kept. */

export class Tape {
  #from = 0;
  #to = 0;
  #store;

  /**
   * @param {Int16Array | Float32Array} values what there is already
   * @param {{ most: number, block: number }} bounds so many are kept; what is dropped is a multiple of `block`
   */
  constructor(values, { most, block }) {
    this.most = most;
    this.block = block;
    this.#store = values;
    this.#to = values.length;
    /** How many were dropped so far. */
    this.dropped = 0;
  }

  get values() {
    return this.#store.subarray(this.#from, this.#to);
  }

  get length() {
    return this.#to - this.#from;
  }

  /** @param {Int16Array | Float32Array} values */
  append(values) {
    if (this.#to + values.length > this.#store.length) this.#move(this.length + values.length);
    this.#store.set(values, this.#to);
    this.#to += values.length;
    const blocks = Math.max(0, Math.ceil((this.length - this.most) / this.block));
    this.#from += blocks * this.block;
    this.dropped += blocks * this.block;
  }

  /** @param {number} length */
  #move(length) {
    const moved = new /** @type {any} */ (this.#store.constructor)(2 * length);
    moved.set(this.values);
    this.#store = moved;
    this.#to -= this.#from;
    this.#from = 0;
  }
}
