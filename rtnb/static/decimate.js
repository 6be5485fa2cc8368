/** Waveforms as pairs of lowest and highest sample, made once, on arrival: no peak is lost. */

export class Envelope {
  /**
   * @param {number} size samples in a bin
   * @param {number} [capacity] bins remembered; without it all of them
   */
  constructor(size, capacity = Infinity) {
    this.size = size;
    this.capacity = capacity;
    /** One past the last sample. */
    this.end = 0;
    const slots = Math.min(capacity, 1024);
    this.low = new Int16Array(slots);
    this.high = new Int16Array(slots);
    /** Which bin a slot holds; -1 for none. */
    this.bins = new Int32Array(slots).fill(-1);
  }

  #grow() {
    const { low, high, bins } = this;
    const slots = Math.min(this.capacity, 2 * bins.length);
    this.low = new Int16Array(slots);
    this.high = new Int16Array(slots);
    this.bins = new Int32Array(slots).fill(-1);
    this.low.set(low);
    this.high.set(high);
    this.bins.set(bins);
  }

  /**
   * @param {number} start position of the first sample, >= 0
   * @param {Int16Array} pcm
   */
  add(start, pcm) {
    const { size } = this;
    this.end = Math.max(this.end, start + pcm.length);
    for (let i = 0; i < pcm.length; ) {
      const bin = Math.floor((start + i) / size);
      const stop = Math.min(pcm.length, (bin + 1) * size - start);
      let low = pcm[i];
      let high = pcm[i];
      for (; i < stop; i++) {
        if (pcm[i] < low) low = pcm[i];
        else if (pcm[i] > high) high = pcm[i];
      }
      this.#merge(bin, low, high);
    }
  }

  /**
   * Lowest and highest sample of the bins that a stretch touches.
   * @param {number} start
   * @param {number} stop
   * @param {{ low: number, high: number }} into written, and returned
   * @returns {{ low: number, high: number } | null} null if nothing is known of it
   */
  range(start, stop, into) {
    const last = Math.ceil(stop / this.size);
    let found = false;
    for (let bin = Math.max(0, Math.floor(start / this.size)); bin < last; bin++) {
      const slot = bin % this.bins.length;
      if (this.bins[slot] !== bin) continue;
      if (!found || this.low[slot] < into.low) into.low = this.low[slot];
      if (!found || this.high[slot] > into.high) into.high = this.high[slot];
      found = true;
    }
    return found ? into : null;
  }

  /**
   * @param {number} bin
   * @param {number} low
   * @param {number} high
   */
  #merge(bin, low, high) {
    while (bin >= this.bins.length && this.bins.length < this.capacity) this.#grow();
    const slot = bin % this.bins.length;
    if (this.bins[slot] !== bin) {
      this.bins[slot] = bin;
      this.low[slot] = low;
      this.high[slot] = high;
    } else {
      this.low[slot] = Math.min(this.low[slot], low);
      this.high[slot] = Math.max(this.high[slot], high);
    }
  }
}
