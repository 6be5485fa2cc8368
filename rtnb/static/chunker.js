import { toPcm16 } from "./pcm.js";

/** Gathers samples into PCM16 chunks of one size. */
export class Chunker {
  /**
   * @param {number} size samples per chunk
   * @param {(pcm: Int16Array, after: number) => void} emit a chunk, and how many samples
   *   of the pushed block came after it
   */
  constructor(size, emit) {
    this.emit = emit;
    this.size = size;
    this.chunk = new Int16Array(size);
    this.filled = 0;
  }

  /** @param {Float32Array} samples */
  push(samples) {
    for (let i = 0; i < samples.length; i++) {
      this.chunk[this.filled++] = toPcm16(samples[i]);
      if (this.filled >= this.size) this.flush(samples.length - i - 1);
    }
  }

  /**
   * Emit what is there, shorter than a chunk or not; nothing if there is nothing.
   * @param {number} [after]
   */
  flush(after = 0) {
    const pcm = this.chunk.slice(0, this.filled);
    this.chunk = new Int16Array(Math.max(this.size, 1));
    this.filled = 0;
    if (pcm.length) this.emit(pcm, after);
  }

  /** @param {number} size samples per chunk from now on */
  resize(size) {
    this.flush();
    this.size = size;
    this.chunk = new Int16Array(size);
  }
}
