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
 * The line of the probability: through the middle of each hop where hops are wide, else down
 * and up in every pixel column, so that a single loud hop is seen in an hour.
 * @param {{ p: Float32Array, hopMs: number, firstHop: number }} trace
 * @param {Stretch} window
 * @param {number} width pixels
 * @param {(x: number, p: number) => void} take
 */
export function eachProbability({ p, hopMs, firstHop }, window, width, take) {
  const hop = hopMs / 1000;
  const perPixel = (window.end - window.start) / width;
  const first = Math.max(0, Math.floor(window.start / hop) - firstHop - 1);
  const last = Math.min(p.length, Math.ceil(window.end / hop) - firstHop + 1);
  if (perPixel < hop) {
    for (let i = first; i < last; i++) take(((i + firstHop + 0.5) * hop - window.start) / perPixel, p[i]);
    return;
  }
  let column = -Infinity;
  let [lowest, highest] = [0, 0];
  const flush = () => {
    take(column + 0.5, lowest);
    if (highest !== lowest) take(column + 0.5, highest);
  };
  for (let i = first; i < last; i++) {
    const at = Math.floor(((i + firstHop + 0.5) * hop - window.start) / perPixel);
    if (at !== column) {
      if (column > -Infinity) flush();
      column = at;
      lowest = highest = p[i];
    } else if (p[i] < lowest) lowest = p[i];
    else if (p[i] > highest) highest = p[i];
  }
  if (column > -Infinity) flush();
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
