/** The calibrator as it is seen and heard: one instruction, its countdown, what can be pressed. */

import { drawSpectrum } from "./calibrator_spectrum.js";
import { describeSpectrum, wordsOf } from "./calibrator_words.js";
import { button, element, listen, mark, write } from "./dom.js";
import { drawLevel, levelMeter } from "./meter.js";
import { LEVEL_FLOOR } from "./pcm.js";

/** @type {import("./calibrator_words.js").Action[]} */
const ACTIONS = ["apply", "next", "again", "cancel", "discard", "start"];

/**
 * @param {import("./calibrator_guide.js").CalibratorGuide} guide
 * @param {HTMLElement} el
 * @returns {() => void} what takes it away
 */
export function drawCalibrator(guide, el) {
  const parts = build(el);
  const update = () => draw(parts, guide);
  const press = (/** @type {any} */ action) => (action === "start" ? guide.start() : guide.ask(action));
  const undo = [
    guide.on("change", update),
    guide.on("level", (level) => drawLevel(parts.meter, level)),
    ...ACTIONS.map((action) => listen(parts.buttons[action], "click", () => press(action))),
    listen(parts.root, "keydown", (event) => {
      if (event.key !== "Escape" || parts.buttons.cancel.hidden) return;
      event.stopPropagation();
      press("cancel");
    }),
  ];
  update();
  return () => {
    for (const end of undo) end();
    parts.root.remove();
  };
}

/** @param {HTMLElement} el */
function build(el) {
  const root = element("div", "rtnb rtnb-calibrator", { role: "group", "aria-label": "Calibrate microphone" });
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  const words = element("p", "rtnb-instruction", { role: "status", "aria-live": "polite", "aria-atomic": "true" });
  words.tabIndex = -1;
  const left = element("span", "rtnb-left", { role: "timer", "aria-live": "off", "aria-label": "Seconds left" });
  const track = element("div", "rtnb-track", { "aria-hidden": "true" });
  track.append(element("div", "rtnb-track-bar"));
  const meter = levelMeter();
  drawLevel(meter, LEVEL_FLOOR);
  const progress = element("div", "rtnb-row rtnb-progress");
  progress.append(left, track, meter);
  const message = element("p", "rtnb-notice", { role: "alert" });
  const buttons = /** @type {Record<string, HTMLButtonElement>} */ ({});
  const row = element("div", "rtnb-row");
  for (const action of ACTIONS) {
    buttons[action] = /** @type {HTMLButtonElement} */ (button(`rtnb-${action}`, ""));
    row.append(buttons[action]);
  }
  const result = element("div", "rtnb-result");
  root.append(words, progress, message, result, row);
  el.append(root);
  return { root, words, left, track, meter, progress, message, buttons, result, shown: /** @type {any} */ (null) };
}

/**
 * @param {ReturnType<typeof build>} parts
 * @param {import("./calibrator_guide.js").CalibratorGuide} guide
 */
function draw(parts, guide) {
  const { model, step } = guide;
  const result = model.get("result");
  const { text, actions, meant } = wordsOf(step, result, model.get("sentence"));
  const focused = parts.root.contains(document.activeElement);
  mark(parts.root, "data-step", step);
  write(parts.words, text);
  write(parts.message, guide.message);
  mark(parts.message, "hidden", guide.message ? null : "");
  drawButtons(parts.buttons, actions, meant, guide.starting);
  drawProgress(parts, guide);
  if (parts.shown !== result) drawResult(parts.result, result);
  parts.shown = result;
  if (focused) keepFocus(parts, meant ?? Object.keys(actions)[0]);
}

/**
 * @param {Record<string, HTMLButtonElement>} buttons
 * @param {Record<string, string>} labels
 * @param {string | undefined} meant
 * @param {boolean} starting
 */
function drawButtons(buttons, labels, meant, starting) {
  for (const [action, made] of Object.entries(buttons)) {
    const label = labels[action];
    mark(made, "hidden", label ? null : "");
    mark(made, "data-meant", action === meant ? "" : null);
    if (label) write(made, label);
  }
  mark(buttons.start, "aria-disabled", starting ? "true" : null);
}

/**
 * @param {ReturnType<typeof build>} parts
 * @param {import("./calibrator_guide.js").CalibratorGuide} guide
 */
function drawProgress({ progress, left, track }, guide) {
  const seconds = guide.model.get("seconds_left");
  const timed = ["quiet", "speech", "loudspeaker"].includes(guide.step);
  mark(progress, "hidden", timed ? null : "");
  write(left, `${seconds} s`);
  const bar = /** @type {HTMLElement} */ (track.firstElementChild);
  const width = (/** @type {number} */ rest) => `${guide.seconds ? (100 * Math.max(0, rest)) / guide.seconds : 0}%`;
  if (seconds === guide.seconds) restart(bar, width(seconds));
  bar.style.width = width(seconds - 1);
}

/**
 * Be so wide at once, and from there on move.
 * @param {HTMLElement} bar
 * @param {string} width
 */
function restart(bar, width) {
  bar.style.transition = "none";
  bar.style.width = width;
  bar.getBoundingClientRect();
  bar.style.transition = "";
}

/**
 * Where the focus was on what is hidden now, it goes to what comes next, or to the words.
 * @param {ReturnType<typeof build>} parts
 * @param {string | undefined} next
 */
function keepFocus({ root, words, buttons }, next) {
  const active = document.activeElement;
  const lost = !root.contains(active) || (active instanceof HTMLButtonElement && active.hidden);
  if (lost) (next ? buttons[next] : words).focus();
}

/**
 * @param {HTMLElement} target
 * @param {any} result
 */
function drawResult(target, result) {
  target.replaceChildren();
  if (!result.figures) return;
  if (result.problems.length) target.append(list("rtnb-problems", "Trouble", result.problems));
  if (result.reasons.length) target.append(list("rtnb-reasons", "Why", result.reasons));
  const figures = element("dl", "rtnb-figures");
  for (const [name, value] of result.figures) {
    const [pair, term, told] = [element("div", ""), element("dt", ""), element("dd", "")];
    term.textContent = name;
    told.textContent = value;
    pair.append(term, told);
    figures.append(pair);
  }
  target.append(drawSpectrum(result, describeSpectrum(result)), figures);
}

/**
 * @param {string} className
 * @param {string} name
 * @param {string[]} sentences
 */
function list(className, name, sentences) {
  const made = element("ul", className, { "aria-label": name });
  for (const sentence of sentences) {
    const item = element("li", "");
    item.textContent = sentence;
    made.append(item);
  }
  return made;
}
