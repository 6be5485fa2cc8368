/**
 * The player as a plain machine: chunks in, samples out, positions counted per item.
 * It knows no clock; whoever pulls decides how fast time goes.
 */

import { FULL_SCALE } from "./pcm.js";

/** How many flushed items are remembered, so that their late chunks are dropped. */
const REMEMBERED = 256;

/**
 * @typedef {{ itemId: string, next: number, done: boolean }} Item
 *   `next` is the position one expects the next chunk at.
 * @typedef {{ item: Item, start: number, pcm: Int16Array }} Chunk
 * @typedef {{ type: "anchor" | "ended", itemId: string, position: number, offset: number }} PlayerEvent
 *   An anchor says that `position` of the item sounds at `offset` of the pulled block.
 */

export class PlayerCore {
  /** @param {{ prebuffer: number }} options samples to gather before sound begins */
  constructor({ prebuffer }) {
    this.prebuffer = prebuffer;
    /** @type {"idle" | "filling" | "playing"} */
    this.state = "idle";
    /** @type {Chunk[]} */
    this.queue = [];
    /** Samples in the queue. */
    this.queued = 0;
    /** Samples of the first chunk that have been played. */
    this.offset = 0;
    /** @type {Map<string, Item>} */
    this.items = new Map();
    /** @type {{ item: Item, position: number } | null} what sounds, or waits for more */
    this.current = null;
    /** @type {Set<string>} */
    this.flushed = new Set();
    /** Times that an item went on after it had run dry. */
    this.underruns = 0;
    /** Samples dropped because their item had been flushed. */
    this.late = 0;
    /** Samples that never came: holes in an item, closed up. */
    this.lost = 0;
  }

  /**
   * Add a chunk. One that repeats is cut, one that leaves a hole moves the position on.
   * @param {string} itemId
   * @param {number} start position of its first sample within the item
   * @param {Int16Array} pcm
   */
  push(itemId, start, pcm) {
    if (this.flushed.has(itemId)) {
      this.late += pcm.length;
      return;
    }
    const item = this.#item(itemId, start);
    const repeated = Math.min(pcm.length, Math.max(0, item.next - start));
    this.lost += Math.max(0, start - item.next);
    const fresh = pcm.subarray(repeated);
    if (!fresh.length) return;
    item.next = start + pcm.length;
    this.queue.push({ item, start: start + repeated, pcm: fresh });
    this.queued += fresh.length;
    if (this.state === "idle") this.state = "filling";
  }

  /**
   * No more audio will come for that item.
   * @param {string} itemId
   */
  done(itemId) {
    const item = this.items.get(itemId);
    if (item) item.done = true;
  }

  /**
   * Fill a block; what cannot be filled is silence.
   * @param {Float32Array} out
   * @param {(event: PlayerEvent) => void} tell
   */
  pull(out, tell) {
    let n = 0;
    if (this.state === "filling" && this.#ready()) this.#resume();
    while (this.state === "playing" && n < out.length) {
      const head = this.queue[0];
      if (this.#over(head)) this.#end(n, tell);
      if (!head) this.state = this.current ? "filling" : "idle";
      else n += this.#copy(head, out, n, tell);
    }
    if (this.state === "filling" && !this.queue.length && this.current?.item.done) this.#end(n, tell);
    out.fill(0, n);
  }

  /**
   * Be silent at once.
   * @returns {{ itemId: string | null, position: number, dropped: number }} the item that was
   *   sounding or about to, and how far it had got
   */
  flush() {
    const item = this.current?.item ?? this.queue[0]?.item;
    const position = this.current?.position ?? this.queue[0]?.start ?? 0;
    const dropped = this.queued;
    for (const itemId of this.items.keys()) this.#forget(itemId);
    this.items.clear();
    this.queue = [];
    this.queued = this.offset = 0;
    this.current = null;
    this.state = "idle";
    return { itemId: item?.itemId ?? null, position, dropped };
  }

  /** @returns {{ itemId: string, position: number } | null} what sounds, and how far it has got */
  get progress() {
    return this.current && { itemId: this.current.item.itemId, position: this.current.position };
  }

  /**
   * @param {string} itemId
   * @param {number} start
   */
  #item(itemId, start) {
    const item = this.items.get(itemId) ?? { itemId, next: start, done: false };
    this.items.set(itemId, item);
    return item;
  }

  #ready() {
    return this.queue.length > 0 && (this.queued >= this.prebuffer || this.queue[0].item.done);
  }

  #resume() {
    if (this.current && this.current.item === this.queue[0].item) this.underruns += 1;
    this.state = "playing";
    this.anchored = false;
  }

  /** @param {Chunk | undefined} head */
  #over(head) {
    if (!this.current) return false;
    return head ? head.item !== this.current.item : this.current.item.done;
  }

  /**
   * @param {number} offset
   * @param {(event: PlayerEvent) => void} tell
   */
  #end(offset, tell) {
    if (!this.current) return;
    const { item, position } = this.current;
    tell({ type: "ended", itemId: item.itemId, position, offset });
    this.items.delete(item.itemId);
    this.current = null;
    this.anchored = false;
    if (!this.queue.length) this.state = "idle";
  }

  /**
   * @param {Chunk} head
   * @param {Float32Array} out
   * @param {number} n
   * @param {(event: PlayerEvent) => void} tell
   * @returns {number} samples copied
   */
  #copy(head, out, n, tell) {
    const position = head.start + this.offset;
    if (!this.anchored || position !== this.current?.position) {
      this.anchored = true;
      tell({ type: "anchor", itemId: head.item.itemId, position, offset: n });
    }
    const count = Math.min(out.length - n, head.pcm.length - this.offset);
    for (let i = 0; i < count; i++) out[n + i] = head.pcm[this.offset + i] / FULL_SCALE;
    this.current = { item: head.item, position: position + count };
    this.offset += count;
    this.queued -= count;
    if (this.offset === head.pcm.length) {
      this.queue.shift();
      this.offset = 0;
    }
    return count;
  }

  /** @param {string} itemId */
  #forget(itemId) {
    this.flushed.add(itemId);
    if (this.flushed.size <= REMEMBERED) return;
    for (const oldest of this.flushed) {
      this.flushed.delete(oldest);
      break;
    }
  }
}
