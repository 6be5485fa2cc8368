/**
 * What the tuner shows: sound, probability, settings, and what follows from them. Segments are
 * found here, so that they follow a slider without asking anybody.
 */

import { fit } from "./tuner_axis.js";
import { finest, peakOf } from "./tuner_columns.js";
import { LabelEditor } from "./tuner_labels.js";
import { Tape } from "./tuner_tape.js";
import { counters, cutIns, segments } from "./turn_law.js";

/** What a setting is where the page chooses another kind. */
const FRESH = {
  server_vad: { type: "server_vad", threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200 },
  semantic_vad: { type: "semantic_vad", eagerness: "auto" },
};

/** Of the newest part of a live sound, seconds; what is seen at first. */
const LIVE_WINDOW_S = 20;

/** A live sound is forgotten by the minute: a multiple of every hop and bin, ms. */
const FORGET_MS = 60000;

/**
 * @typedef {import("./tuner_axis.js").Stretch} Stretch
 * @typedef {import("./tuner_columns.js").Envelope} Envelope
 * @typedef {import("./turn_law.js").Turns} Turns
 * @typedef {{ type: string, threshold?: number, prefix_padding_ms?: number, silence_duration_ms?: number, eagerness?: string }} Settings
 * @typedef {{ settings: Settings, turns: Turns, counters: ReturnType<typeof counters>, cutIn: Uint8Array }} Outcome
 *   `cutIn` marks the turns after whose end the speech goes on
 */

export class TunerStore {
  /** Counts changes, so that nothing is drawn twice. */
  version = 0;
  /** @type {Stretch} */
  whole = { start: 0, end: 1 };
  /** @type {Stretch} */
  window = { start: 0, end: 1 };
  /** @type {Envelope | null} */
  overview = null;
  /** @type {Envelope | null} */
  detail = null;
  /** @type {{ p: Float32Array, hopMs: number, firstHop: number } | null} */
  trace = null;
  /** @type {{ hops: Int32Array, p: Float32Array } | null} */
  sentences = null;
  /** @type {Outcome | null} */
  chosen = null;
  /** @type {Outcome | null} */
  compared = null;
  /** Largest magnitude of a sample, PCM16. */
  peak = 0;
  live = false;
  following = false;
  cursor = 0;
  /** @type {number | null} */
  playhead = null;
  /** How long the last segmentation took, ms. */
  tookMs = 0;
  /** @type {Settings} */
  settings = FRESH.server_vad;
  /** @type {Settings | null} */
  comparedSettings = null;
  #other = { ...FRESH };
  /** @type {{ low: Tape, high: Tape, p: Tape, start: number, firstHop: number } | null} */
  #tapes = null;

  /** @param {{ changed: () => void, labelled: (settled: boolean) => void, env: { now: () => number } }} options */
  constructor({ changed, labelled, env }) {
    this.env = env;
    this.notify = changed;
    this.labels = new LabelEditor((_, settled) => {
      this.#recount();
      labelled(settled);
    });
  }

  /** Something is to be drawn anew. */
  touch() {
    this.version += 1;
    this.notify();
  }

  // -- sound ---------------------------------------------------------------------------

  /**
   * @param {{ start: number, end: number, live: boolean }} facts
   * @param {Envelope | null} overview
   */
  takeSound({ start, end, live }, overview) {
    const first = this.overview === null;
    this.whole = { start, end };
    this.live = live;
    this.overview = overview;
    this.#tapes = null;
    this.detail = null;
    this.peak = peakOf(overview);
    if (first) {
      this.following = live;
      this.window = live ? { start: 0, end: LIVE_WINDOW_S } : fit(this.whole, this.whole);
    }
    this.touch();
  }

  /** @param {Envelope} detail */
  takeDetail(detail) {
    this.detail = detail;
    this.touch();
  }

  /** What shows the window best. */
  get envelope() {
    return finest(this.overview, this.detail, this.window);
  }

  /**
   * A live sound goes on.
   * @param {{ first_bin: number, first_hop: number, bin_ms: number, hop_ms: number, kept_ms: number }} grid
   *   where the news begins; what is known already is passed over
   * @param {{ low: Int16Array, high: Int16Array, p: Float32Array }} news
   * @returns {boolean} whether it fits to what is there
   */
  grow({ first_bin, first_hop, bin_ms, hop_ms, kept_ms }, { low, high, p }) {
    if (!this.overview) return false;
    if (!this.overview.low.length) this.#startAt((first_bin * bin_ms) / 1000);
    this.trace ??= { p: new Float32Array(0), hopMs: hop_ms, firstHop: first_hop };
    const knownBins = Math.round((this.overview.stop * 1000) / bin_ms) - first_bin;
    const knownHops = this.trace.firstHop + this.trace.p.length - first_hop;
    if (knownBins < 0 || knownHops < 0) return false;
    const bins = { most: kept_ms / bin_ms, block: FORGET_MS / bin_ms };
    const hops = { most: Math.ceil(kept_ms / hop_ms), block: FORGET_MS / hop_ms };
    this.#tapes ??= {
      low: new Tape(this.overview.low, bins),
      high: new Tape(this.overview.high, bins),
      p: new Tape(this.trace.p, hops),
      start: this.overview.start,
      firstHop: this.trace.firstHop,
    };
    const tapes = this.#tapes;
    tapes.low.append(low.subarray(knownBins));
    tapes.high.append(high.subarray(knownBins));
    tapes.p.append(p.subarray(knownHops));
    const start = tapes.start + (tapes.low.dropped * bin_ms) / 1000;
    const stop = start + (tapes.low.length * bin_ms) / 1000;
    this.overview = { start, stop, low: /** @type {any} */ (tapes.low.values), high: /** @type {any} */ (tapes.high.values) };
    this.whole = { start, end: stop };
    for (const values of [low, high]) for (const value of values) this.peak = Math.max(this.peak, Math.abs(value));
    this.trace = { p: /** @type {any} */ (tapes.p.values), hopMs: hop_ms, firstHop: tapes.firstHop + tapes.p.dropped };
    if (p.length > knownHops) this.#resegment();
    this.follow();
    return true;
  }

  /** @param {number} start */
  #startAt(start) {
    const none = new Int16Array(0);
    this.overview = { start, stop: start, low: none, high: none };
    this.#tapes = null;
    this.trace = null;
  }

  /** @param {{ p: Float32Array, hopMs: number, firstHop: number }} trace */
  takeProbability(trace) {
    this.trace = trace;
    this.#tapes = null;
    this.#resegment();
  }

  /** @param {{ hops: Int32Array, p: Float32Array }} sentences */
  takeSentences(sentences) {
    this.sentences = sentences;
    this.#resegment();
  }

  // -- the window ----------------------------------------------------------------------

  /** @param {Stretch} window */
  see(window) {
    const fitted = fit(window, this.extent);
    if (fitted.start === this.window.start && fitted.end === this.window.end) return false;
    this.window = fitted;
    this.following = this.live && fitted.end >= this.whole.end - 1e-6;
    this.touch();
    return true;
  }

  /** All that can be seen: of a live sound, at least a window. */
  get extent() {
    const { start, end } = this.whole;
    return this.live ? { start, end: Math.max(end, start + LIVE_WINDOW_S) } : this.whole;
  }

  /** A live sound has grown: the window goes with it while it is followed. */
  follow() {
    const length = this.window.end - this.window.start;
    if (this.following) this.window = fit({ start: this.whole.end - length, end: this.whole.end }, this.extent);
    else this.window = fit(this.window, this.extent);
    this.touch();
  }

  // -- settings ------------------------------------------------------------------------

  /**
   * @param {Settings} settings
   * @param {Settings | null} compared
   */
  takeSettings(settings, compared) {
    this.settings = settings;
    this.comparedSettings = compared;
    this.#other = { ...this.#other, [settings.type]: settings };
    this.#resegment();
  }

  /**
   * The settings with a change; another type brings what was last set for it.
   * @param {Partial<Settings>} change
   * @returns {Settings}
   */
  changed(change) {
    const type = change.type ?? this.settings.type;
    const base = type === this.settings.type ? this.settings : this.#other[/** @type {"server_vad"} */ (type)];
    return { ...base, ...change };
  }

  // -- what follows --------------------------------------------------------------------

  #resegment() {
    const began = this.env.now();
    this.chosen = this.#outcome(this.settings);
    this.compared = this.comparedSettings && this.#outcome(this.comparedSettings);
    this.tookMs = this.env.now() - began;
    this.touch();
  }

  #recount() {
    for (const outcome of [this.chosen, this.compared]) if (outcome) Object.assign(outcome, this.#judge(outcome.turns));
    this.touch();
  }

  /**
   * @param {Settings} settings
   * @returns {Outcome | null} null where something is missing for it
   */
  #outcome(settings) {
    if (!this.trace) return null;
    const { p, hopMs } = this.trace;
    if (settings.type === "semantic_vad" && !this.sentences && !this.live) return null;
    const turns = segments(p, /** @type {any} */ (settings), hopMs, /** @type {any} */ (this.sentences));
    return { settings, turns, ...this.#judge(turns) };
  }

  /** @param {Turns} turns */
  #judge(turns) {
    const { p, hopMs } = /** @type {{ p: Float32Array, hopMs: number }} */ (this.trace);
    const labels = this.#reference();
    return { counters: counters(p, turns, hopMs, labels), cutIn: cutIns(p, turns, hopMs, labels) };
  }

  /** Labels as the law wants them, in the time of the trace. */
  #reference() {
    const { labels } = this.labels;
    if (!labels.length || !this.trace) return null;
    const offset = this.offsetMs;
    return {
      startMs: Float64Array.from(labels, ({ start }) => start * 1000 - offset),
      endMs: Float64Array.from(labels, ({ end }) => end * 1000 - offset),
    };
  }

  /** Where the trace begins; turns count from there. */
  get offsetMs() {
    return this.trace ? this.trace.firstHop * this.trace.hopMs : 0;
  }

  /**
   * A turn as a stretch of time.
   * @param {Turns} turns
   * @param {number} index
   */
  stretch(turns, index) {
    const offset = this.offsetMs;
    return { start: (turns.audioStartMs[index] + offset) / 1000, end: (turns.audioEndMs[index] + offset) / 1000 };
  }

  /**
   * The turn that a moment lies in; -1 for none.
   * @param {Turns} turns
   * @param {number} time
   */
  turnAt(turns, time) {
    const ms = time * 1000 - this.offsetMs;
    const index = lastBefore(turns.audioStartMs, ms);
    for (let i = index; i >= 0 && i >= index - 1; i--) if (ms <= turns.audioEndMs[i]) return i;
    return -1;
  }
}

/**
 * The last of rising values that is not above one; -1 for none.
 * @param {ArrayLike<number>} values
 * @param {number} value
 */
export function lastBefore(values, value) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
