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

/** What is not set. */
export const DEFAULTS = { threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200 };

/**
 * @typedef {{ type?: "server_vad", threshold?: number, prefix_padding_ms?: number, silence_duration_ms?: number }} Settings
 *   as on the wire
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
 * @returns {Turns}
 */
export function segments(p, settings, hopMs) {
  const { enter, leave, quietHops, prefixMs } = law(settings, hopMs);
  const most = Math.ceil(p.length / (quietHops + 1));
  const startedHop = new Int32Array(most);
  const stoppedHop = new Int32Array(most);
  let count = 0;
  let speaking = false;
  let quiet = 0;
  for (let hop = 0; hop < p.length; hop++) {
    if (!speaking) {
      if (p[hop] < enter) continue;
      speaking = true;
      quiet = 0;
      startedHop[count] = hop;
      stoppedHop[count++] = -1;
    } else if (p[hop] >= leave) {
      quiet = 0;
    } else if (++quiet === quietHops) {
      speaking = false;
      stoppedHop[count - 1] = hop;
    }
  }
  return turns(startedHop.slice(0, count), stoppedHop.slice(0, count), { hops: p.length, hopMs, prefixMs });
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
  return Uint8Array.from(found.audioEndMs, (endMs, i) => {
    if (found.stoppedHop[i] < 0) return 0;
    const goesOn = labelled
      ? labelled(endMs + CUT_IN_MS) > endMs
      : speechWithin(p, endMs / hopMs, (endMs + CUT_IN_MS) / hopMs);
    return Number(goesOn);
  });
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
 * What settings mean for hops.
 * @param {Settings} settings
 * @param {number} hopMs
 */
function law(settings, hopMs) {
  const given = { ...DEFAULTS, ...settings };
  const enter = given.threshold;
  return {
    enter,
    leave: Math.min(enter, Math.max(enter - HYSTERESIS, LOWEST_RELEASE)),
    quietHops: Math.max(1, Math.ceil(given.silence_duration_ms / hopMs)),
    prefixMs: given.prefix_padding_ms,
  };
}

/**
 * @param {Int32Array} startedHop
 * @param {Int32Array} stoppedHop
 * @param {{ hops: number, hopMs: number, prefixMs: number }} grid
 * @returns {Turns}
 */
function turns(startedHop, stoppedHop, { hops, hopMs, prefixMs }) {
  const audioStartMs = new Float64Array(startedHop.length);
  const audioEndMs = new Float64Array(startedHop.length);
  const ended = new Array(startedHop.length);
  for (let i = 0; i < startedHop.length; i++) {
    const open = stoppedHop[i] < 0;
    audioStartMs[i] = Math.max(0, startedHop[i] * hopMs - prefixMs);
    audioEndMs[i] = (open ? hops : stoppedHop[i] + 1) * hopMs;
    ended[i] = open ? "end of audio" : "silence";
  }
  return { startedHop, stoppedHop, audioStartMs, audioEndMs, ended };
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
function lastEnd({ startMs, endMs }) {
  const furthest = Float64Array.from(endMs);
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

/** @param {number[]} values */
function median(values) {
  if (!values.length) return null;
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
