/**
 * What the timeline shows, in bounded memory. Times are the audio context's, in seconds;
 * waveforms are decimated as they come.
 */

import { SAMPLE_RATE } from "./pcm.js";
import { Envelope } from "./decimate.js";
import { TimeBase } from "./timebase.js";

/** Seconds that are remembered. */
export const HISTORY_S = 90;

/** Samples in a bin of a waveform: 5 ms. */
const BIN = 120;

const MS = SAMPLE_RATE / 1000;

/** Messages of the gateway that leave something to see. */
const DRAWN = ["tick", "probability", "speech_started", "speech_stopped"];

/**
 * @typedef {{ id: string, envelope: Envelope, anchors: { position: number, time: number }[],
 *   done: boolean, cut: number | null, end: number | null }} Answer
 *   `cut` is the position at which it was flushed, `end` the time at which it fell silent.
 * @typedef {{ start: number, stop: number | null }} Segment
 * @typedef {{ time: number, label: string }} Tick
 */

export class TimelineStore {
  /** Counts changes, so that a painter sees whether there is something new. */
  version = 0;
  /** The gateway's turn detection; undefined while unknown, null when off. */
  turnDetection = /** @type {any} */ (undefined);
  /** The microphone, by the page's clock. */
  microphone = microphone();
  /** Time of the last sample of the microphone. */
  spoken = -Infinity;
  base = new TimeBase();
  /** @type {{ time: number, p: number }[]} the time is that of a hop's end */
  probabilities = [];
  /** @type {Segment[]} */
  segments = [];
  /** @type {Answer[]} */
  answers = [];
  /** @type {Tick[]} */
  ticks = [];
  /** @type {number | null} time that the axis counts from */
  origin = null;

  /** Forget what was heard and seen; times begin again. */
  clear() {
    this.version += 1;
    this.microphone = microphone();
    this.spoken = -Infinity;
    this.base = new TimeBase();
    this.probabilities = [];
    this.segments = [];
    this.answers = [];
    this.ticks = [];
    this.origin = null;
  }

  /**
   * Follow a port.
   * @param {any} port
   * @returns {() => void} what ends it
   */
  follow(port) {
    this.turnDetection = port.turnDetection;
    const undo = [
      port.on("context", () => this.clear()),
      port.on("microphone", (/** @type {any} */ chunk) => this.addMicrophone(chunk)),
      port.on("answer", (/** @type {any} */ frame) => this.addAnswer(frame)),
      port.on("anchor", (/** @type {any} */ event) => this.anchor(event)),
      port.on("ended", (/** @type {any} */ event) => this.end(event)),
      port.on("flushed", (/** @type {any} */ event) => this.flush(event)),
      port.on("gateway", (/** @type {any} */ event) => this.take(event)),
    ];
    return () => undo.forEach((end) => end());
  }

  /** @param {{ pcm: Int16Array, time: number, sent: number }} chunk */
  addMicrophone({ pcm, time, sent }) {
    const start = Math.round(time * SAMPLE_RATE) - pcm.length;
    this.microphone.add(Math.max(0, start), pcm);
    this.spoken = time;
    this.base.own(sent, time);
    this.#changed(start / SAMPLE_RATE);
  }

  /** @param {{ itemId: string, start: number, pcm: Int16Array }} frame */
  addAnswer({ itemId, start, pcm }) {
    let answer = this.answers.find(({ id }) => id === itemId);
    if (answer?.cut != null) return;
    if (!answer) {
      answer = { id: itemId, envelope: new Envelope(BIN), anchors: [], done: false, cut: null, end: null };
      this.answers.push(answer);
    }
    answer.envelope.add(start, pcm);
    this.version += 1;
  }

  /** @param {{ itemId: string, position: number, time: number }} event */
  anchor({ itemId, position, time }) {
    this.answers.find(({ id }) => id === itemId)?.anchors.push({ position, time });
    this.#changed(time);
  }

  /** @param {{ itemId: string, time: number }} event */
  end({ itemId, time }) {
    const answer = this.answers.find(({ id }) => id === itemId);
    if (answer) Object.assign(answer, { done: true, end: time });
    this.version += 1;
  }

  /** @param {{ itemId: string | null, position: number, time: number }} event */
  flush({ itemId, position, time }) {
    for (const answer of this.answers.filter(({ end }) => end === null)) {
      Object.assign(answer, { done: true, end: time, cut: answer.id === itemId ? position : 0 });
    }
    if (itemId) this.#tick("playback.cleared", time);
    this.version += 1;
  }

  /** @param {{ message: any, time: number }} event a text of the gateway, and when it came */
  take({ message, time }) {
    if (message.type === "mic") this.base.session(message.samples, time);
    if (message.type === "settings") this.turnDetection = message.turn_detection;
    if (message.type === "tick") this.#tick(message.event, time);
    if (message.type === "probability") this.#addProbabilities(message, time);
    if (message.type === "speech_started") {
      this.segments.push({ start: this.#when(message.audio_start_ms * MS, time), stop: null });
    }
    if (message.type === "speech_stopped") this.#stop(this.#when(message.audio_end_ms * MS, time));
    if (DRAWN.includes(message.type)) this.#changed(time);
    else this.version += 1;
  }

  /**
   * Forget what is too old.
   * @param {number} now
   */
  prune(now) {
    const oldest = now - HISTORY_S;
    drop(this.probabilities, ({ time }) => time < oldest);
    drop(this.ticks, ({ time }) => time < oldest);
    drop(this.segments, ({ stop }) => stop !== null && stop < oldest);
    drop(this.answers, ({ end }) => end !== null && end < oldest);
  }

  /** @returns {boolean} whether an answer sounds */
  get playing() {
    return this.answers.some(({ anchors, end }) => anchors.length > 0 && end === null);
  }

  /** @returns {boolean} whether the detector is within speech */
  get speaking() {
    return this.segments.at(-1)?.stop === null;
  }

  /**
   * @param {{ hop0: number, hop_ms: number, p: number[] }} message
   * @param {number} now
   */
  #addProbabilities({ hop0, hop_ms: hopMs, p }, now) {
    this.base.seen((hop0 + p.length) * hopMs * MS, now);
    p.forEach((value, i) => {
      const time = this.#when((hop0 + i + 1) * hopMs * MS, now);
      this.probabilities.push({ time, p: value });
    });
  }

  /** @param {number} time */
  #stop(time) {
    const last = this.segments.at(-1);
    if (last && last.stop === null) last.stop = Math.max(time, last.start);
  }

  /**
   * @param {number} sample of the session
   * @param {number} now nothing is known to be later
   */
  #when(sample, now) {
    return Math.min(this.base.timeOf(sample) ?? now, now);
  }

  /**
   * @param {string} label
   * @param {number} time
   */
  #tick(label, time) {
    this.ticks.push({ time, label });
  }

  /** @param {number} time */
  #changed(time) {
    this.origin ??= time;
    this.version += 1;
    this.prune(time);
  }
}

function microphone() {
  return new Envelope(BIN, (HISTORY_S * SAMPLE_RATE) / BIN);
}

/**
 * @template T
 * @param {T[]} list in order of time
 * @param {(entry: T) => boolean} old
 */
function drop(list, old) {
  let count = 0;
  while (count < list.length && old(list[count])) count++;
  if (count) list.splice(0, count);
}
