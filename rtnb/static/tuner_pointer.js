/** What is pressed, dragged, turned and double-clicked on the tuner's canvas. */

import { element, listen } from "./dom.js";
import { scale } from "./tuner_axis.js";
import { heightOf, probabilityAt, TIER_HEIGHT, tierAt, tierOf } from "./tuner_paint.js";

/** How near is near enough, pixels. */
const NEAR = 7;
const EDGE = 6;

/** How far the pointer moves before a press is a drag, pixels. */
const DRAG = 3;

/** A notch of the wheel zooms by so much. */
const WHEEL_ZOOM = 1.0018;

/** A scroll that began elsewhere goes on scrolling the page, ms. */
const SCROLLING_MS = 250;

const LINE_PIXELS = 16;

/**
 * @typedef {import("./tuner_view.js").TunerView} View
 * @typedef {{ x: number, y: number }} Point
 * @typedef {{ move?: (point: Point, event: PointerEvent) => void, drop?: (point: Point) => void, cancel?: () => void }} Gesture
 */

/**
 * @param {View} view
 * @returns {() => void} what ends it
 */
export function handlePointer(view) {
  const { canvas } = view;
  /** @type {Gesture | null} */
  let gesture = null;
  const point = (/** @type {MouseEvent} */ { offsetX, offsetY }) => ({ x: offsetX, y: offsetY });
  const give = () => {
    gesture?.cancel?.();
    gesture = null;
  };
  const undo = [
    listen(canvas, "pointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      gesture = begin(view, point(event));
    }),
    listen(canvas, "pointermove", (/** @type {PointerEvent} */ event) => {
      const at = point(event);
      if (gesture) gesture.move?.(at, event);
      else rest(view, at);
    }),
    listen(canvas, "pointerup", (/** @type {PointerEvent} */ event) => {
      gesture?.drop?.(point(event));
      gesture = null;
      view.actions.flush();
    }),
    listen(canvas, "pointercancel", give),
    listen(canvas, "keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && give()),
    listen(canvas, "dblclick", (/** @type {MouseEvent} */ event) => write(view, point(event))),
    wheel(view, point),
  ];
  return () => undo.forEach((end) => end());
}

/**
 * @param {View} view
 * @param {Point} at
 * @returns {Gesture}
 */
function begin(view, at) {
  const { actions, lanes } = view;
  const part = partAt(view, at);
  switch (part) {
    case "map":
      return travel(view, at);
    case "axis":
      return drag(view, at);
    case "threshold":
      return { move: ({ y }) => actions.configure({ threshold: hundredths(probabilityAt(lanes.probability, y)) }) };
    case "labels":
      return label(view, at);
    default:
      return place(view, at);
  }
}

/**
 * What lies there.
 * @param {View} view
 * @param {Point} at
 */
function partAt({ lanes, actions }, { y }) {
  const inside = (/** @type {{ top: number, height: number }} */ lane) => y >= lane.top && y < lane.top + lane.height;
  const { settings } = actions.store;
  if (inside(lanes.map)) return "map";
  if (inside(lanes.axis)) return "axis";
  if (inside(lanes.labels)) return "labels";
  if (inside(lanes.compared)) return "compared";
  const line = heightOf(lanes.probability, settings.threshold ?? 0.5);
  if (settings.type === "server_vad" && inside(lanes.probability) && Math.abs(y - line) <= NEAR) return "threshold";
  return "turns";
}

/**
 * The map brings the window to the pointer.
 * @param {View} view
 * @param {Point} at
 * @returns {Gesture}
 */
function travel({ actions, canvas }, at) {
  const move = ({ x }) => {
    const { window, extent } = actions.store;
    const middle = scale(extent, canvas.clientWidth).time(x);
    const half = (window.end - window.start) / 2;
    actions.see({ start: middle - half, end: middle + half });
  };
  move(at);
  return { move };
}

/**
 * The axis takes the window along; pressed only, it sets the cursor.
 * @param {View} view
 * @param {Point} at
 * @returns {Gesture}
 */
function drag({ actions, canvas }, at) {
  const before = actions.store.window;
  const { perPixel, time } = scale(before, canvas.clientWidth);
  let moved = false;
  return {
    move({ x }) {
      moved ||= Math.abs(x - at.x) > DRAG;
      const by = (at.x - x) * perPixel;
      if (moved) actions.see({ start: before.start + by, end: before.end + by });
    },
    drop: ({ x }) => moved || actions.place(time(x)),
  };
}

/**
 * @param {View} view
 * @param {Point} at
 * @returns {Gesture}
 */
function place({ actions, canvas }, at) {
  const move = (/** @type {Point} */ { x }) => actions.place(scale(actions.store.window, canvas.clientWidth).time(x));
  move(at);
  return { move, drop: () => actions.player.playing && actions.playFromCursor() };
}

/**
 * On a label: its edge or the whole of it; beside: a new one.
 * @param {View} view
 * @param {Point} at
 * @returns {Gesture}
 */
function label({ actions, canvas, lanes }, at) {
  const { labels } = actions.store;
  const { time } = scale(actions.store.window, canvas.clientWidth);
  const tier = tierAt(lanes.labels, at.y, labels.tiers);
  const { found, edge } = grab(actions, time, { x: at.x, tier });
  labels.selected = found;
  actions.place(time(at.x));
  labels.begin();
  let current = found;
  return {
    move({ x }) {
      if (!found && Math.abs(x - at.x) <= DRAG) return;
      if (!current || !found) {
        labels.cancel();
        labels.begin();
        labels.add(time(at.x), time(x), tier);
      } else if (edge) current = labels.stretch(current, edge, time(x));
      else current = labels.move(current, found.start + time(x) - time(at.x));
    },
    drop: () => labels.end(),
    cancel: () => labels.cancel(),
  };
}

/**
 * The label at the pointer, and which edge of it.
 * @param {View["actions"]} actions
 * @param {(x: number) => number} time
 * @param {{ x: number, tier: string }} at
 * @returns {{ found: import("./tuner_labels.js").Label | null, edge: "start" | "end" | null }}
 */
function grab({ store }, time, { x, tier }) {
  for (const each of store.labels.labels) {
    if (each.tier !== tier) continue;
    const near = (/** @type {number} */ edge) => Math.abs(edge - time(x)) <= time(EDGE) - time(0);
    if (near(each.end)) return { found: each, edge: "end" };
    if (near(each.start)) return { found: each, edge: "start" };
  }
  return { found: store.labels.at(time(x), tier), edge: null };
}

/**
 * The pointer rests: what it could take is shown, and the turn below it explained.
 * @param {View} view
 * @param {Point} at
 */
function rest(view, at) {
  const { actions, canvas, lanes } = view;
  const part = partAt(view, at);
  const { time } = scale(actions.store.window, canvas.clientWidth);
  let cursor = { map: "pointer", axis: "grab", threshold: "ns-resize", labels: "crosshair" }[part] ?? "text";
  if (part === "labels") {
    const { found, edge } = grab(actions, time, { x: at.x, tier: tierAt(lanes.labels, at.y, actions.store.labels.tiers) });
    if (found) cursor = edge ? "ew-resize" : "move";
  }
  if (canvas.style.cursor !== cursor) canvas.style.cursor = cursor;
  const side = part === "compared" ? "compared" : "settings";
  const outcome = side === "compared" ? actions.store.compared : actions.store.chosen;
  const shows = ["turns", "compared", "threshold"].includes(part) && outcome;
  const index = shows ? actions.store.turnAt(shows.turns, time(at.x)) : -1;
  actions.hover(index < 0 ? null : { side, index });
}

/**
 * Double-click on a label: its text is written in a field above it.
 * @param {View} view
 * @param {Point} at
 */
function write(view, { x, y }) {
  const { actions, canvas, lanes } = view;
  if (partAt(view, { x, y }) !== "labels") return;
  const { labels, window } = actions.store;
  const pixels = scale(window, canvas.clientWidth);
  const found = labels.at(pixels.time(x), tierAt(lanes.labels, y, labels.tiers));
  if (found) writeLabel(view, found, pixels.x);
}

/**
 * @param {View} view
 * @param {import("./tuner_labels.js").Label} found
 * @param {(time: number) => number} toPixels
 */
export function writeLabel(view, found, toPixels) {
  const { stage, canvas, actions, lanes } = view;
  const { labels } = actions.store;
  const field = /** @type {HTMLInputElement} */ (element("input", "rtnb-tuner-text", { type: "text", "aria-label": "Text of the label", "data-lm-suppress-shortcuts": "true" }));
  const left = Math.max(0, Math.min(canvas.clientWidth - 160, toPixels(found.start)));
  const wide = Math.max(160, toPixels(found.end) - toPixels(found.start));
  field.style.left = `${left}px`;
  field.style.top = `${lanes.labels.top + 1 + tierOf(found, labels.tiers) * TIER_HEIGHT}px`;
  field.style.width = `${Math.min(wide, canvas.clientWidth - left)}px`;
  field.value = found.text;
  let open = true;
  const close = (/** @type {boolean} */ keep) => {
    if (!open) return;
    open = false;
    if (keep) labels.rename(found, field.value);
    field.remove();
    canvas.focus({ preventScroll: true });
  };
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") close(true);
    if (event.key === "Escape") close(false);
  });
  field.addEventListener("blur", () => close(true));
  stage.append(field);
  field.focus({ preventScroll: true });
  field.select();
}

/**
 * The wheel zooms at the pointer, with Shift or sidewards it pans.
 * @param {View} view
 * @param {(event: MouseEvent) => Point} point
 */
function wheel({ actions, canvas }, point) {
  let elsewhere = -Infinity;
  const outside = (/** @type {WheelEvent} */ event) => {
    if (event.target !== canvas || event.timeStamp - elsewhere < SCROLLING_MS) elsewhere = event.timeStamp;
  };
  const turn = (/** @type {WheelEvent} */ event) => {
    if (event.timeStamp === elsewhere && !event.ctrlKey) return;
    const unit = event.deltaMode === 1 ? LINE_PIXELS : 1;
    const { perPixel, time } = scale(actions.store.window, canvas.clientWidth);
    const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
    const moved =
      event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)
        ? actions.pan(sideways * unit * perPixel)
        : actions.zoom(WHEEL_ZOOM ** (event.deltaY * unit), time(point(event).x));
    if (moved || event.ctrlKey) event.preventDefault();
  };
  const undo = [listen(document, "wheel", outside, { capture: true, passive: true }), listen(canvas, "wheel", turn, { passive: false })];
  return () => undo.forEach((end) => end());
}

/** @param {number} value */
function hundredths(value) {
  return Math.round(value * 100) / 100;
}
