/** The tuner's keyboard: heard while the focus is in it, and nobody else hears those keys then. */

import { listen } from "./dom.js";
import { scale } from "./tuner_axis.js";
import { writeLabel } from "./tuner_pointer.js";

const ZOOM = 1.5;

/** The arrows move the cursor by this share of the window, with Shift by ten times as much. */
const STEP = 0.01;

const THRESHOLD_STEP = 0.01;

/** What takes keys for itself. */
const TYPING = "input, textarea, select";

/**
 * @param {import("./tuner_view.js").TunerView} view
 * @returns {() => void} what ends it
 */
export function handleKeys(view) {
  return listen(view.root, "keydown", (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (target.closest(TYPING)) return event.stopPropagation();
    if (target !== view.canvas && ([" ", "Enter", "Tab"].includes(key))) return event.stopPropagation();
    if (!act(view, key, event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
}

/**
 * @param {import("./tuner_view.js").TunerView} view
 * @param {string} key
 * @param {KeyboardEvent} event
 * @returns {boolean} whether the key means something here
 */
function act(view, key, { ctrlKey, metaKey, shiftKey, altKey }) {
  const { actions, canvas } = view;
  const { store } = actions;
  const { labels, window, whole } = store;
  const step = (window.end - window.start) * STEP * (shiftKey ? 10 : 1);
  if (altKey) return false;
  if (ctrlKey || metaKey) return history(labels, key, shiftKey);
  switch (key) {
    case " ":
      actions.togglePlay();
      return true;
    case "Enter":
      actions.playTurn();
      return true;
    case "ArrowLeft":
      actions.moveTo(store.cursor - step);
      return true;
    case "ArrowRight":
      actions.moveTo(store.cursor + step);
      return true;
    case "Home":
      actions.moveTo(whole.start);
      return true;
    case "End":
      actions.moveTo(whole.end);
      return true;
    case "ArrowUp":
    case "ArrowDown":
      if (store.settings.type !== "server_vad") return false;
      actions.nudgeThreshold(key === "ArrowUp" ? THRESHOLD_STEP : -THRESHOLD_STEP);
      return true;
    case "+":
    case "=":
      actions.zoom(1 / ZOOM);
      return true;
    case "-":
    case "_":
      actions.zoom(ZOOM);
      return true;
    case "0":
      actions.seeAll();
      return true;
    case "Delete":
    case "Backspace":
      actions.deleteLabel();
      return true;
    case "l":
      actions.labelTurn();
      return true;
    case "F2":
      if (labels.selected) writeLabel(view, labels.selected, scale(window, canvas.clientWidth).x);
      return true;
    default:
      return false;
  }
}

/**
 * @param {import("./tuner_labels.js").LabelEditor} labels
 * @param {string} key pressed with Ctrl
 * @param {boolean} shiftKey
 * @returns {boolean}
 */
function history(labels, key, shiftKey) {
  if (key === "z" && !shiftKey) labels.undo();
  else if (key === "y" || key === "z") labels.redo();
  else return false;
  return true;
}
