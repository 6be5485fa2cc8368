/** How often fast facts are written to the model, ms. */
const SYNC_MS = 200;

/**
 * What a widget knows of itself, written to its model: changes of `slow` names together and
 * now and then, all others at once; nothing while it is not `shared`.
 */
export class Facts {
  /** @type {any} */
  #timer = null;
  #unwritten = new Set();
  #shared = false;

  /**
   * @param {any} model anywidget's
   * @param {{ values: Record<string, any>, slow: string[], changed: () => void, env: any }} options
   */
  constructor(model, { values, slow, changed, env }) {
    this.model = model;
    this.values = values;
    this.slow = slow;
    this.changed = changed;
    this.env = env;
  }

  /** Whether this page speaks for the model; when it begins to, all is written. */
  get shared() {
    return this.#shared;
  }

  set shared(shared) {
    if (shared && !this.#shared) for (const name of Object.keys(this.values)) this.#unwritten.add(name);
    this.#shared = shared;
  }

  /** @param {Record<string, any>} changes */
  set(changes) {
    const fresh = Object.keys(changes).filter((name) => !same(this.values[name], changes[name]));
    if (!fresh.length) return;
    for (const name of fresh) this.values[name] = changes[name];
    this.changed();
    if (!this.#shared) return;
    for (const name of fresh) this.#unwritten.add(name);
    if (fresh.some((name) => !this.slow.includes(name))) this.write();
    else this.#timer ??= this.env.setTimeout(() => this.write(), SYNC_MS);
  }

  /** Write what has changed. */
  write() {
    this.cancel();
    for (const name of this.#unwritten) this.model.set(name, this.values[name]);
    this.#unwritten.clear();
    this.model.save_changes();
  }

  /** Write nothing that waits. */
  cancel() {
    this.env.clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/**
 * @param {any} a
 * @param {any} b
 */
function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
