/** A meter of the microphone's level. */

import { element, mark } from "./dom.js";

/** The meter's range, dBFS. */
const QUIET = -60;

/** How coarse the level is for those who hear it read, dB. */
const SPOKEN_STEP = 10;

/** @returns {HTMLElement} */
export function levelMeter() {
  const meter = element("div", "rtnb-meter", {
    role: "meter",
    "aria-label": "Microphone level",
    "aria-valuemin": String(QUIET),
    "aria-valuemax": "0",
  });
  meter.append(element("div", "rtnb-meter-bar"));
  return meter;
}

/**
 * @param {HTMLElement} meter
 * @param {number} level dBFS
 */
export function drawLevel(meter, level) {
  const shown = Math.max(QUIET, Math.min(0, level));
  const bar = /** @type {HTMLElement} */ (meter.firstElementChild);
  bar.style.clipPath = `inset(0 ${(100 * shown) / QUIET}% 0 0)`;
  const spoken = Math.round(shown / SPOKEN_STEP) * SPOKEN_STEP;
  mark(meter, "aria-valuenow", String(spoken));
  mark(meter, "aria-valuetext", spoken <= QUIET ? "silence" : `${spoken} dBFS`);
}
