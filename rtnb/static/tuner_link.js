/** Questions to the kernel and their answers; what comes unasked goes to whoever listens. */

/** After so long without an answer the person is told, ms. */
const PATIENCE_MS = 3000;

/** After so long a question is given up, ms. */
const LIMIT_MS = 60000;

/** The kernel will not answer this question. */
export class Unanswered extends Error {}

export class KernelLink {
  #asked = 0;
  /** @type {Map<number, { resolve: (answer: any) => void, reject: (error: Error) => void, timers: any[] }>} */
  #waiting = new Map();
  #receive = (/** @type {any} */ content, /** @type {any[]} */ buffers) => this.#take(content, buffers ?? []);

  /**
   * @param {any} model anywidget's
   * @param {{ page: string, told: (content: any, buffers: DataView[]) => void, waits: (waiting: boolean) => void,
   *   env: { setTimeout: any, clearTimeout: any } }} options
   *   `told` hears what was not asked for; `waits` that an answer is late, or has come.
   */
  constructor(model, { page, told, waits, env }) {
    this.model = model;
    this.page = page;
    this.told = told;
    this.waits = waits;
    this.env = env;
    model.on("msg:custom", this.#receive);
  }

  /**
   * @param {string} type
   * @param {Record<string, any>} [facts]
   */
  say(type, facts = {}) {
    this.model.send({ type, page: this.page, ...facts });
  }

  /**
   * @param {string} type
   * @param {Record<string, any>} [facts]
   * @param {{ limit?: number }} [options] ms until it is given up
   * @returns {Promise<{ content: any, buffers: DataView[] }>}
   */
  ask(type, facts = {}, { limit = LIMIT_MS } = {}) {
    const request = ++this.#asked;
    return new Promise((resolve, reject) => {
      const late = this.env.setTimeout(() => this.waits(true), PATIENCE_MS);
      const over = this.env.setTimeout(() => this.#settle(request)?.reject(new Unanswered("The kernel does not answer.")), limit);
      this.#waiting.set(request, { resolve, reject, timers: [late, over] });
      this.say(type, { request, ...facts });
    });
  }

  close() {
    this.model.off("msg:custom", this.#receive);
    for (const request of [...this.#waiting.keys()]) this.#settle(request)?.reject(new Unanswered("the widget was closed"));
  }

  /** @param {number} request */
  #settle(request) {
    const waiting = this.#waiting.get(request);
    this.#waiting.delete(request);
    for (const timer of waiting?.timers ?? []) this.env.clearTimeout(timer);
    return waiting;
  }

  /**
   * @param {any} content
   * @param {DataView[]} buffers
   */
  #take(content, buffers) {
    if (content.page !== undefined && content.page !== this.page) return;
    this.waits(false);
    if (content.request === undefined) return this.told(content, buffers);
    const waiting = this.#settle(content.request);
    if (content.error !== undefined) waiting?.reject(new Error(content.error));
    else waiting?.resolve({ content, buffers });
  }
}

/**
 * @param {DataView} view
 * @returns {Int16Array}
 */
export function int16(view) {
  return new Int16Array(copied(view));
}

/**
 * @param {DataView} view
 * @returns {Int32Array}
 */
export function int32(view) {
  return new Int32Array(copied(view));
}

/**
 * @param {DataView} view
 * @returns {Float32Array}
 */
export function float32(view) {
  return new Float32Array(copied(view));
}

/** @param {DataView} view */
function copied({ buffer, byteOffset, byteLength }) {
  return buffer.slice(byteOffset, byteOffset + byteLength);
}
