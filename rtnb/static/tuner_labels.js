/** Labels that a person edits: every change is one step, which can be undone. Seconds. */

/** Steps that can be undone. */
const STEPS = 200;

/** The shortest label that can be drawn. */
export const SHORTEST_LABEL_S = 0.01;

/**
 * @typedef {{ start: number, end: number, text: string, tier: string }} Label
 */

export class LabelEditor {
  /** @type {readonly Label[]} */
  #labels = [];
  /** @type {(readonly Label[])[]} */
  #past = [];
  /** @type {(readonly Label[])[]} */
  #future = [];
  /** @type {readonly Label[] | null} what it was before a gesture that goes on */
  #before = null;

  /** @param {(labels: readonly Label[], settled: boolean) => void} changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Label | null} */
    this.selected = null;
  }

  get labels() {
    return this.#labels;
  }

  get tiers() {
    const tiers = [...new Set(this.#labels.map(({ tier }) => tier))].sort();
    return tiers.length ? tiers : [""];
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /**
   * Take labels from elsewhere; what was done here can not be undone any more.
   * @param {Label[]} labels
   */
  load(labels) {
    this.#past = [];
    this.#future = [];
    this.#before = null;
    this.selected = null;
    this.#show(sorted(labels), true);
  }

  /** Begin a gesture: its changes are one step, which `end` makes. */
  begin() {
    this.#before ??= this.#labels;
  }

  end() {
    const before = this.#before;
    this.#before = null;
    if (before === null || before === this.#labels) return;
    this.#remember(before);
    this.changed(this.#labels, true);
  }

  /** Give up a gesture. */
  cancel() {
    if (this.#before === null) return;
    const before = this.#before;
    this.#before = null;
    this.selected = null;
    this.#show(before, false);
  }

  /**
   * A new label between two moments, as far as its neighbours leave room.
   * @param {number} a
   * @param {number} b
   * @param {string} [tier]
   * @param {string} [text]
   * @returns {Label | null} null if there is no room
   */
  add(a, b, tier = this.tiers[0], text = "") {
    const room = this.#room(a, tier, null);
    if (!room) return null;
    const [start, end] = [Math.min(a, b), Math.max(a, b)].map((time) => rounded(clamp(time, room.start, room.end)));
    if (end - start < SHORTEST_LABEL_S) return null;
    const label = { start, end, text, tier };
    this.#put([...this.#labels, label], label);
    return label;
  }

  /**
   * Move a label as a whole; neighbours stop it.
   * @param {Label} label
   * @param {number} start
   */
  move(label, start) {
    const length = label.end - label.start;
    const room = /** @type {{ start: number, end: number }} */ (this.#room(label.start, label.tier, label));
    const at = rounded(clamp(start, room.start, Math.max(room.start, room.end - length)));
    return this.#replace(label, { ...label, start: at, end: rounded(at + length) });
  }

  /**
   * Move one end of a label; the other end and the neighbours stop it.
   * @param {Label} label
   * @param {"start" | "end"} edge
   * @param {number} time
   */
  stretch(label, edge, time) {
    const room = /** @type {{ start: number, end: number }} */ (this.#room(label.start, label.tier, label));
    const [low, high] =
      edge === "start" ? [room.start, label.end - SHORTEST_LABEL_S] : [label.start + SHORTEST_LABEL_S, room.end];
    return this.#replace(label, { ...label, [edge]: rounded(clamp(time, low, high)) });
  }

  /**
   * @param {Label} label
   * @param {string} text
   */
  rename(label, text) {
    return this.#replace(label, { ...label, text });
  }

  /** @param {Label} label */
  remove(label) {
    this.#put(this.#labels.filter((each) => each !== label), null);
  }

  undo() {
    this.#step(this.#past, this.#future);
  }

  redo() {
    this.#step(this.#future, this.#past);
  }

  /**
   * The label at a moment, of a tier or of any.
   * @param {number} time
   * @param {string} [tier]
   */
  at(time, tier) {
    const here = (/** @type {Label} */ each) => each.start <= time && time <= each.end && (tier === undefined || each.tier === tier);
    return this.#labels.find(here) ?? null;
  }

  /**
   * @param {(readonly Label[])[]} from
   * @param {(readonly Label[])[]} to
   */
  #step(from, to) {
    const labels = from.pop();
    if (!labels) return;
    to.push(this.#labels);
    this.selected = null;
    this.#show(labels, true);
  }

  /**
   * @param {Label} old
   * @param {Label} label
   */
  #replace(old, label) {
    if (same(old, label)) return old;
    this.#put(this.#labels.map((each) => (each === old ? label : each)), label);
    return label;
  }

  /**
   * @param {Label[]} labels
   * @param {Label | null} selected
   */
  #put(labels, selected) {
    const whole = this.#before === null;
    if (whole) this.#remember(this.#labels);
    this.selected = selected;
    this.#show(sorted(labels), whole);
  }

  /** @param {readonly Label[]} labels */
  #remember(labels) {
    this.#past.push(labels);
    if (this.#past.length > STEPS) this.#past.shift();
    this.#future = [];
  }

  /**
   * @param {readonly Label[]} labels
   * @param {boolean} settled
   */
  #show(labels, settled) {
    this.#labels = labels;
    this.changed(labels, settled);
  }

  /**
   * The free stretch of a tier around a moment.
   * @param {number} time
   * @param {string} tier
   * @param {Label | null} self
   */
  #room(time, tier, self) {
    let [start, end] = [0, Infinity];
    for (const each of this.#labels) {
      if (each === self || each.tier !== tier) continue;
      if (each.start <= time && time < each.end) return null;
      if (each.end <= time) start = Math.max(start, each.end);
      else end = Math.min(end, each.start);
    }
    return { start, end };
  }
}

/** @param {readonly Label[]} labels */
function sorted(labels) {
  return [...labels].sort((a, b) => a.start - b.start || a.end - b.end);
}

/**
 * @param {Label} a
 * @param {Label} b
 */
function same(a, b) {
  return a.start === b.start && a.end === b.end && a.text === b.text && a.tier === b.tier;
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/**
 * Whole milliseconds.
 * @param {number} time
 */
function rounded(time) {
  return Math.round(time * 1000) / 1000;
}
