/** Waveform and probability, brought to one figure or pair for each pixel column. */

/**
 * @typedef {{ start: number, stop: number, low: Int16Array, high: Int16Array }} Envelope
 *   lowest and highest sample of equal parts of [start, stop), in seconds
 * @typedef {import("./tuner_axis.js").Stretch} Stretch
 */

/**
 * The envelope that shows a window best: the finest that covers it, else the overview.
 * @param {Envelope | null} overview
 * @param {Envelope | null} detail
 * @param {Stretch} window
 */
export function finest(overview, detail, window) {
  if (!detail || !overview) return overview;
  const [start, end] = [Math.max(window.start, overview.start), Math.min(window.end, overview.stop)];
  const covers = detail.start <= start + 1e-9 && detail.stop >= end - 1e-9;
  return covers && binLength(detail) < binLength(overview) ? detail : overview;
}

/** @param {Envelope} envelope */
export function binLength({ start, stop, low }) {
  return (stop - start) / low.length;
}

/**
 * Lowest and highest sample of every pixel column; no peak is left out.
 * @param {Envelope} envelope
 * @param {Stretch} window
 * @param {number} width pixels
 * @param {(x: number, low: number, high: number) => void} take
 */
export function eachColumn(envelope, window, width, take) {
  const { start, low, high } = envelope;
  const bin = binLength(envelope);
  const perPixel = (window.end - window.start) / width;
  const from = Math.max(0, Math.floor((start - window.start) / perPixel));
  const to = Math.min(width, Math.ceil((envelope.stop - window.start) / perPixel));
  for (let x = from; x < to; x++) {
    const left = window.start + x * perPixel - start;
    const first = Math.max(0, Math.floor(left / bin + 1e-6));
    const last = Math.min(low.length, Math.max(first + 1, Math.ceil((left + perPixel) / bin - 1e-6)));
    if (first >= last) continue;
    let [lowest, highest] = [low[first], high[first]];
    for (let i = first + 1; i < last; i++) {
      if (low[i] < lowest) lowest = low[i];
      if (high[i] > highest) highest = high[i];
    }
    take(x, lowest, highest);
  }
}

/**
 * @typedef {{ p: Float32Array, hopMs: number, firstHop: number }} Trace
 */

/**
 * Whether several hops share a pixel column.
 * @param {Trace} trace
 * @param {Stretch} window
 * @param {number} width pixels
 */
export function crowded({ hopMs }, window, width) {
  return (window.end - window.start) / width >= hopMs / 1000;
}

/**
 * The middle of each hop in sight, and its probability; for hops wider than a pixel.
 * @param {Trace} trace
 * @param {Stretch} window
 * @param {number} width pixels
 * @param {(x: number, p: number) => void} take
 */
export function eachHop(trace, window, width, take) {
  const [first, last] = inSight(trace, window);
  const { x, hops } = grid(trace, window, width);
  for (let i = first; i < last; i++) take(x + i * hops, trace.p[i]);
}

/**
 * Lowest and highest probability of every pixel column, so that a single loud hop is seen in
 * an hour; for crowded hops.
 * @param {Trace} trace
 * @param {Stretch} window
 * @param {number} width pixels
 * @param {(x: number, low: number, high: number) => void} take
 */
export function eachCrowd(trace, window, width, take) {
  const { p } = trace;
  const [first, last] = inSight(trace, window);
  const { x, hops } = grid(trace, window, width);
  let column = -Infinity;
  let [lowest, highest] = [0, 0];
  for (let i = first; i < last; i++) {
    const at = Math.floor(x + i * hops);
    if (at !== column) {
      if (column > -Infinity) take(column, lowest, highest);
      column = at;
      lowest = highest = p[i];
    } else if (p[i] < lowest) lowest = p[i];
    else if (p[i] > highest) highest = p[i];
  }
  if (column > -Infinity) take(column, lowest, highest);
}

/**
 * Numbers of the hops in sight and one to either side, the end excluded.
 * @param {Trace} trace
 * @param {Stretch} window
 */
function inSight({ p, hopMs, firstHop }, { start, end }) {
  const number = (/** @type {number} */ time) => (time * 1000) / hopMs - firstHop;
  return [Math.max(0, Math.floor(number(start)) - 1), Math.min(p.length, Math.ceil(number(end)) + 1)];
}

/**
 * Where the middle of hop 0 of the trace lies, and how many pixels a hop has.
 * @param {Trace} trace
 * @param {Stretch} window
 * @param {number} width
 */
function grid({ hopMs, firstHop }, { start, end }, width) {
  const hops = (hopMs / 1000 / (end - start)) * width;
  return { x: ((firstHop + 0.5) * hopMs - start * 1000) * (hops / hopMs), hops };
}

/**
 * The largest magnitude of an envelope.
 * @param {Envelope | null} envelope
 */
export function peakOf(envelope) {
  let peak = 0;
  if (envelope) for (const values of [envelope.low, envelope.high]) for (const value of values) peak = Math.max(peak, Math.abs(value));
  return peak;
}
