/** The stretch of time that is seen, and how it becomes pixels. Times are seconds. */

/** The shortest stretch that can be seen. */
export const SHORTEST_S = 0.02;

/** How much of the window is kept free around what is brought into view. */
const MARGIN = 0.08;

const STEPS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400,
];
const ROOM_FOR_TICK = 72;

/**
 * @typedef {{ start: number, end: number }} Stretch
 * @typedef {{ x: (time: number) => number, time: (x: number) => number, perPixel: number }} Scale
 */

/**
 * The window moved and shortened so that it lies within what there is.
 * @param {Stretch} window
 * @param {Stretch} whole
 * @returns {Stretch}
 */
export function fit(window, whole) {
  const most = Math.max(SHORTEST_S, whole.end - whole.start);
  const length = Math.min(most, Math.max(SHORTEST_S, window.end - window.start));
  const start = Math.max(whole.start, Math.min(window.start, whole.start + most - length));
  return { start, end: start + length };
}

/**
 * Longer (factor > 1) or shorter, with one moment kept where it is.
 * @param {Stretch} window
 * @param {number} factor
 * @param {number} at
 * @param {Stretch} whole
 */
export function zoom(window, factor, at, whole) {
  const most = Math.max(SHORTEST_S, whole.end - whole.start);
  const before = window.end - window.start;
  const length = Math.min(most, Math.max(SHORTEST_S, before * factor));
  const start = at - ((at - window.start) * length) / before;
  return fit({ start, end: start + length }, whole);
}

/**
 * @param {Stretch} window
 * @param {number} by
 * @param {Stretch} whole
 */
export function pan(window, by, whole) {
  return fit({ start: window.start + by, end: window.end + by }, whole);
}

/**
 * The window, moved only if the stretch is not in it.
 * @param {Stretch} window
 * @param {Stretch} wanted
 * @param {Stretch} whole
 */
export function reveal(window, wanted, whole) {
  const length = window.end - window.start;
  if (wanted.start >= window.start && wanted.end <= window.end) return window;
  const margin = MARGIN * length;
  if (wanted.end - wanted.start > length - 2 * margin || wanted.start < window.start) {
    return pan(window, wanted.start - margin - window.start, whole);
  }
  return pan(window, wanted.end + margin - window.end, whole);
}

/**
 * @param {Stretch} window
 * @param {number} width pixels
 * @returns {Scale}
 */
export function scale({ start, end }, width) {
  const perPixel = (end - start) / width;
  return { x: (time) => (time - start) / perPixel, time: (x) => start + x * perPixel, perPixel };
}

/**
 * Where the axis is marked, and with what.
 * @param {Stretch} window
 * @param {number} width pixels
 * @returns {{ time: number, text: string }[]}
 */
export function ticks({ start, end }, width) {
  const step = STEPS.find((each) => (each / (end - start)) * width >= ROOM_FOR_TICK) ?? /** @type {number} */ (STEPS.at(-1));
  const made = [];
  for (let i = Math.ceil(start / step - 1e-9); i * step <= end; i++) made.push({ time: i * step, text: clock(i * step, step) });
  return made;
}

/**
 * A time as a clock shows it.
 * @param {number} time
 * @param {number} [step] what it is rounded to
 */
export function clock(time, step = 0.001) {
  const digits = step >= 1 ? 0 : Math.min(3, Math.ceil(-Math.log10(step) - 1e-9));
  const units = Math.round(time * 10 ** digits);
  const whole = Math.floor(units / 10 ** digits);
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const rest = digits ? `.${String(units % 10 ** digits).padStart(digits, "0")}` : "";
  if (!hours && !minutes) return `${seconds}${rest} s`;
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}${rest}` : `${minutes}:${two(seconds)}${rest}`;
}
