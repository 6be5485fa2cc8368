/**
 * Turns of a recording in the page: what Python's `rtnb.vad.segment` finds, hop for hop,
 * fast enough to follow a slider. Probabilities are float32 and compared as doubles.
 */

/** How far below the threshold a hop must be to count as quiet. */
export const HYSTERESIS = 0.15;

/** A level below this would never be reached. */
export const LOWEST_RELEASE = 0.01;

/** From this probability on a hop is speech to the counters, whatever the settings. */
export const SPEECH = 0.5;

/** Speech so soon after the end of a turn, in ms, means that it cut in. */
export const CUT_IN_MS = 1000;

/** What is not set; `semantic_vad` has the first two of `server_vad`. */
export const DEFAULTS = { threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200, eagerness: "auto" };

/** How long a pause lasts when `semantic_vad` has it judged. */
export const JUDGED_AFTER_MS = 256;

/** What counts where a pause has no judgement. */
export const UNJUDGED = 0.5;

/** For so long `semantic_vad` waits for an unfinished sentence, by its eagerness. */
export const LONGEST_WAIT_MS = { low: 8000, medium: 4000, high: 2000, auto: 4000 };

/**
 * @typedef {{ type?: "server_vad" | "semantic_vad", threshold?: number, prefix_padding_ms?: number,
 *   silence_duration_ms?: number, eagerness?: "low" | "medium" | "high" | "auto" }} Settings
 *   as on the wire
 * @typedef {{ hops: Int32Array, p: Float32Array }} SentenceEnds
 *   For each pause that was judged the hop that asked for it, increasing, and how likely the words end a sentence.
 * @typedef {{ startedHop: Int32Array, stoppedHop: Int32Array, audioStartMs: Float64Array, audioEndMs: Float64Array,
 *   ended: string[] }} Turns
 *   One element a turn. `stoppedHop` is -1 for a turn that was still going on.
 * @typedef {{ startMs: ArrayLike<number>, endMs: ArrayLike<number> }} Reference
 *   labels in the order of their start
 */

/**
 * Turns that a detector with these settings would have found.
 * @param {Float32Array} p speech probability of each hop
 * @param {Settings} settings
 * @param {number} hopMs whole milliseconds
 * @param {SentenceEnds | null} [sentenceEnds] for `semantic_vad`; without them no pause is judged
 * @returns {Turns}
 */
export function segments(p, settings, hopMs, sentenceEnds = null) {
  const { enter, leave, prefixMs, judgedHops, waitAt, ending } = law(settings, hopMs, sentenceEnds);
  const startedHop = new Int32Array(Math.ceil(p.length / 2));
  const stoppedHop = new Int32Array(startedHop.length);
  const ended = [];
  let speaking = false;
  let quiet = 0;
  let wait = 0;
  for (let hop = 0; hop < p.length; hop++) {
    if (!speaking) {
      if (p[hop] < enter) continue;
      speaking = true;
      quiet = 0;
      startedHop[ended.length] = hop;
      stoppedHop[ended.length] = -1;
      ended.push("end of audio");
    } else if (p[hop] >= leave) {
      quiet = 0;
    } else {
      if (++quiet === judgedHops) wait = waitAt(hop);
      if (quiet < judgedHops || quiet < wait) continue;
      speaking = false;
      stoppedHop[ended.length - 1] = hop;
      ended[ended.length - 1] = ending(wait);
    }
  }
  return turns(startedHop, stoppedHop, ended, { hops: p.length, hopMs, prefixMs });
}

/**
 * Which turns cut in: the speech goes on within `CUT_IN_MS` after their end.
 * @param {Float32Array} p speech probability of each hop
 * @param {Turns} found
 * @param {number} hopMs
 * @param {Reference | null} [labels] where there was speech; without them, where p is high
 * @returns {Uint8Array} one element a turn, 1 for those that do
 */
export function cutIns(p, found, hopMs, labels = null) {
  const labelled = labels && lastEnd(labels);
  const cut = new Uint8Array(found.startedHop.length);
  for (let i = 0; i < cut.length; i++) {
    if (found.stoppedHop[i] < 0) continue;
    const endMs = found.audioEndMs[i];
    const goesOn = labelled
      ? labelled(endMs + CUT_IN_MS) > endMs
      : speechWithin(p, endMs / hopMs, (endMs + CUT_IN_MS) / hopMs);
    cut[i] = Number(goesOn);
  }
  return cut;
}

/**
 * What the settings come to, in three figures.
 * @param {Float32Array} p speech probability of each hop
 * @param {Turns} found
 * @param {number} hopMs
 * @param {Reference | null} [labels] where there was speech; without them, where p is high
 * @returns {{ turns: number, cutIns: number, delayMs: number | null }}
 *   `cutIns`: turns after whose end the speech goes on within `CUT_IN_MS`. `delayMs`: median over the turns of the time
 *   from the end of speech to `speech_stopped`; null if there is none.
 */
export function counters(p, found, hopMs, labels = null) {
  const labelled = labels && lastEnd(labels);
  const delays = [];
  for (let i = 0; i < found.startedHop.length; i++) {
    if (found.stoppedHop[i] < 0) continue;
    const stoppedMs = (found.stoppedHop[i] + 1) * hopMs;
    const speechEndMs = labelled
      ? labelled(stoppedMs)
      : speechEnd(p, found.startedHop[i], found.stoppedHop[i]) * hopMs;
    if (speechEndMs > found.audioStartMs[i]) delays.push(stoppedMs - speechEndMs);
  }
  const cut = cutIns(p, found, hopMs, labels).reduce((sum, one) => sum + one, 0);
  return { turns: found.startedHop.length, cutIns: cut, delayMs: median(delays) };
}

/**
 * What settings mean for hops: a pause that has lasted `judgedHops` is to last `waitAt(hop)` in all for the turn to end.
 * @param {Settings} settings
 * @param {number} hopMs
 * @param {SentenceEnds | null} sentenceEnds
 */
function law(settings, hopMs, sentenceEnds) {
  const semantic = settings.type === "semantic_vad";
  const { threshold: enter, prefix_padding_ms: prefixMs } = semantic ? DEFAULTS : { ...DEFAULTS, ...settings };
  const leave = Math.min(enter, Math.max(enter - HYSTERESIS, LOWEST_RELEASE));
  const pause = semantic ? untilSentence(settings, hopMs, sentenceEnds) : untilSilence(settings, hopMs);
  return { enter, leave, prefixMs, ...pause };
}

/**
 * @param {Settings} settings
 * @param {number} hopMs
 */
function untilSilence({ silence_duration_ms = DEFAULTS.silence_duration_ms }, hopMs) {
  const wait = Math.max(1, Math.ceil(silence_duration_ms / hopMs));
  return { judgedHops: 1, waitAt: () => wait, ending: () => "silence" };
}

/**
 * @param {Settings} settings
 * @param {number} hopMs
 * @param {SentenceEnds | null} sentenceEnds
 */
function untilSentence({ eagerness = "auto" }, hopMs, sentenceEnds) {
  const judgedHops = Math.ceil(JUDGED_AFTER_MS / hopMs);
  const shortest = judgedHops + 1;
  const longest = Math.max(shortest, Math.ceil(LONGEST_WAIT_MS[eagerness] / hopMs));
  let next = 0;
  /** @param {number} hop later than that of the call before */
  const waitAt = (hop) => {
    while (sentenceEnds && sentenceEnds.hops[next] < hop) next++;
    const unlikely = 1 - (sentenceEnds && sentenceEnds.hops[next] === hop ? sentenceEnds.p[next] : UNJUDGED);
    return shortest + Math.floor(unlikely * unlikely * (longest - shortest));
  };
  /** @param {number} wait */
  const ending = (wait) => (wait === longest ? "longest wait" : "sentence");
  return { judgedHops, waitAt, ending };
}

/**
 * @param {Int32Array} startedHop longer than there are turns
 * @param {Int32Array} stoppedHop
 * @param {string[]} ended
 * @param {{ hops: number, hopMs: number, prefixMs: number }} grid
 * @returns {Turns}
 */
function turns(startedHop, stoppedHop, ended, { hops, hopMs, prefixMs }) {
  const count = ended.length;
  const audioStartMs = new Float64Array(count);
  const audioEndMs = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    audioStartMs[i] = Math.max(0, startedHop[i] * hopMs - prefixMs);
    audioEndMs[i] = (stoppedHop[i] < 0 ? hops : stoppedHop[i] + 1) * hopMs;
  }
  return {
    startedHop: startedHop.slice(0, count),
    stoppedHop: stoppedHop.slice(0, count),
    audioStartMs,
    audioEndMs,
    ended,
  };
}

/**
 * Whether a hop that begins in [first, last), in hops, is speech.
 * @param {Float32Array} p
 * @param {number} first
 * @param {number} last
 */
function speechWithin(p, first, last) {
  const stop = Math.min(p.length, Math.ceil(last));
  for (let hop = Math.ceil(first); hop < stop; hop++) if (p[hop] >= SPEECH) return true;
  return false;
}

/**
 * The hop after the last speech of a turn; -1 if it has none.
 * @param {Float32Array} p
 * @param {number} first
 * @param {number} last
 */
function speechEnd(p, first, last) {
  for (let hop = last; hop >= first; hop--) if (p[hop] >= SPEECH) return hop + 1;
  return -1;
}

/**
 * A question to labels in the order of their start: where the last of those that begin before a time ends, in ms;
 * -1 if there is none.
 * @param {Reference} labels
 * @returns {(beforeMs: number) => number}
 */
function lastEnd(labels) {
  const startMs = wholeMicroseconds(labels.startMs);
  const furthest = wholeMicroseconds(labels.endMs);
  for (let i = 1; i < furthest.length; i++) furthest[i] = Math.max(furthest[i], furthest[i - 1]);
  return (beforeMs) => {
    let low = 0;
    let high = furthest.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (startMs[middle] < beforeMs) low = middle + 1;
      else high = middle;
    }
    return low > 0 ? furthest[low - 1] : -1;
  };
}

/**
 * Times in ms without the rounding of a product: 288 is not to be 288.0000000000001.
 * @param {ArrayLike<number>} times
 */
function wholeMicroseconds(times) {
  const whole = Float64Array.from(times);
  for (let i = 0; i < whole.length; i++) whole[i] = Math.round(whole[i] * 1000) / 1000;
  return whole;
}

/** @param {number[]} values */
function median(values) {
  if (!values.length) return null;
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  const [below, above] = [sorted[Math.max(0, middle - 1)], sorted[middle]];
  return sorted.length % 2 ? above : below + 0.5 * (above - below);
}
