import { SAMPLE_RATE } from "./pcm.js";

/** Pairs remembered; each stands for an unbroken stretch of audio. */
const REMEMBERED = 512;

/** Reports of the gateway that the offset is taken from. */
const REPORTS = 8;

/** How far two stretches may be apart and count as one, seconds. */
const SEAM_S = 0.02;

/**
 * Where a sample of the session's audio lies on the page's clock. The audio stands while
 * nobody talks and the clock goes on, so it is a chain of pairs, each valid backwards from it.
 */
export class TimeBase {
  /** @type {{ sample: number, time: number }[]} */
  #pairs = [];
  /** @type {number[]} */
  #offsets = [];
  #sent = 0;
  /** What the session's count is ahead of the page's own. */
  #offset = 0;

  /**
   * A chunk of this page ends.
   * @param {number} sent samples that the page has sent
   * @param {number} time of its end, seconds
   */
  own(sent, time) {
    this.#sent = sent;
    this.#note(sent + this.#offset, time);
  }

  /**
   * The gateway's count of the session's samples. What is on its way makes it smaller than
   * the truth, so the largest of the last few is taken.
   * @param {number} samples
   * @param {number} time of arrival, seconds
   */
  session(samples, time) {
    this.#offsets = [...this.#offsets, samples - this.#sent].slice(-REPORTS);
    this.#offset = Math.max(...this.#offsets);
    if (samples > (this.#pairs.at(-1)?.sample ?? 0)) this.#note(samples, time);
  }

  /**
   * The detector has seen the session's audio up to a sample: more of it than this page sent,
   * if somebody else sends some too.
   * @param {number} sample
   * @param {number} time of arrival, seconds
   */
  seen(sample, time) {
    if (sample > (this.#pairs.at(-1)?.sample ?? 0) + SEAM_S * SAMPLE_RATE) this.#note(sample, time);
  }

  /** @returns {number | null} the time up to which there is audio */
  get end() {
    return this.#pairs.at(-1)?.time ?? null;
  }

  /**
   * @param {number} sample of the session
   * @returns {number | null} seconds on the page's clock; null as long as nothing is known
   */
  timeOf(sample) {
    const pairs = this.#pairs;
    if (!pairs.length) return null;
    let i = pairs.length - 1;
    while (i > 0 && pairs[i - 1].sample >= sample) i--;
    return pairs[i].time - (pairs[i].sample - sample) / SAMPLE_RATE;
  }

  /**
   * @param {number} time seconds on the page's clock
   * @returns {number | null} the session's sample then; null as long as the audio has not come
   *   so far
   */
  sampleAt(time) {
    const pair = this.#pairs.find((each) => each.time >= time);
    return pair ? Math.round(pair.sample - (pair.time - time) * SAMPLE_RATE) : null;
  }

  /**
   * @param {number} sample
   * @param {number} time
   */
  #note(sample, time) {
    const last = this.#pairs.at(-1);
    const gap = last ? time - last.time - (sample - last.sample) / SAMPLE_RATE : Infinity;
    if (last && Math.abs(gap) < SEAM_S) Object.assign(last, { sample, time });
    else this.#pairs.push({ sample, time });
    if (this.#pairs.length > REMEMBERED) this.#pairs.shift();
  }
}
