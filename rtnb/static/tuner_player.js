/** Stretches of the sound, fetched in pieces from the kernel and played one after the other. */

import { FULL_SCALE, SAMPLE_RATE } from "./pcm.js";

/** Length of a piece. */
export const PIECE_S = 5;

/** How far ahead of the ear pieces are fetched. */
const AHEAD_S = 6;

/** How soon after its arrival a piece is begun. */
const LEAD_S = 0.03;

/** Pieces that are kept, so that a short loop is fetched once. */
const KEPT = 6;

/** How often it is looked whether the next piece is due, ms. */
const POLL_MS = 100;

/**
 * @typedef {{ start: number, end: number }} Stretch
 */

export class TunerPlayer {
  /** @type {any} */
  #context = null;
  #run = 0;
  /** @type {{ from: number, to: number, at: number }[]} what is scheduled, in the context's time */
  #spans = [];
  /** @type {Set<any>} */
  #sources = new Set();
  /** @type {Map<string, Int16Array>} */
  #kept = new Map();
  /** @type {Stretch | null} */
  playing = null;
  loop = false;

  /**
   * @param {{ fetch: (stretch: Stretch) => Promise<Int16Array>, changed: () => void, failed: (error: Error) => void,
   *   env: { openContext: () => any, setTimeout: any } }} options
   *   `fetch` gives PCM16 at 24 kHz.
   */
  constructor({ fetch, changed, failed, env }) {
    this.fetch = fetch;
    this.changed = changed;
    this.failed = failed;
    this.env = env;
  }

  /** What is heard at this moment; null while nothing is. */
  get position() {
    if (!this.#context || !this.playing) return null;
    const heard = this.#context.currentTime - (this.#context.outputLatency || 0);
    while (this.#spans.length > 1 && this.#spans[0].to < heard) this.#spans.shift();
    const span = this.#spans[0];
    if (!span) return null;
    return span.at + Math.max(0, Math.min(heard, span.to) - span.from);
  }

  /** @param {Stretch} stretch */
  async play(stretch) {
    this.stop();
    const run = ++this.#run;
    this.playing = stretch;
    this.changed();
    try {
      this.#context ??= this.env.openContext();
      await this.#context.resume();
      await this.#feed(stretch, run);
    } catch (error) {
      if (run !== this.#run) return;
      this.failed(/** @type {Error} */ (error));
    }
    if (run === this.#run) this.stop();
  }

  stop() {
    this.#run += 1;
    for (const source of this.#sources) {
      source.onended = null;
      source.stop();
    }
    this.#sources.clear();
    this.#spans = [];
    if (!this.playing) return;
    this.playing = null;
    this.changed();
  }

  /** Other sound stands where this was: nothing that is kept is right any more. */
  forget() {
    this.#kept.clear();
  }

  close() {
    this.stop();
    this.#context?.close();
    this.#context = null;
  }

  /**
   * @param {Stretch} stretch
   * @param {number} run
   */
  async #feed({ start, end }, run) {
    let at = start;
    let free = 0;
    for (;;) {
      if (at >= end - 1e-9) {
        if (!this.loop) break;
        at = start;
      }
      const piece = { start: at, end: Math.min(end, at + PIECE_S) };
      const pcm = await this.#piece(piece);
      while (run === this.#run && free - this.#context.currentTime > AHEAD_S) await this.#pause();
      if (run !== this.#run) return;
      if (!pcm.length) break;
      const from = Math.max(free, this.#context.currentTime + LEAD_S);
      free = from + this.#schedule(pcm, from);
      this.#spans.push({ from, to: free, at });
      at = piece.end;
    }
    while (run === this.#run && this.#context.currentTime < free) await this.#pause();
  }

  #pause() {
    return new Promise((resolve) => this.env.setTimeout(resolve, POLL_MS));
  }

  /** @param {Stretch} piece */
  async #piece(piece) {
    const key = `${piece.start} ${piece.end}`;
    const known = this.#kept.get(key);
    if (known) return known;
    const pcm = await this.fetch(piece);
    this.#kept.set(key, pcm);
    if (this.#kept.size > KEPT) this.#kept.delete(/** @type {string} */ (this.#kept.keys().next().value));
    return pcm;
  }

  /**
   * @param {Int16Array} pcm
   * @param {number} from
   * @returns {number} its length in seconds
   */
  #schedule(pcm, from) {
    const buffer = this.#context.createBuffer(1, pcm.length, SAMPLE_RATE);
    buffer.copyToChannel(Float32Array.from(pcm, (sample) => sample / FULL_SCALE), 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    source.onended = () => this.#sources.delete(source);
    this.#sources.add(source);
    source.start(from);
    return pcm.length / SAMPLE_RATE;
  }
}
