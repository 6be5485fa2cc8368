/** The tuner's picture: a function of a store and a size. */

import { scale, ticks } from "./tuner_axis.js";
import { crowded, eachColumn, eachCrowd, eachHop } from "./tuner_columns.js";
import { lastBefore } from "./tuner_store.js";
import { FULL_SCALE } from "./pcm.js";
import { HYSTERESIS, LOWEST_RELEASE } from "./turn_law.js";

export const COLOURS = [
  "ground", "raised", "ink", "quiet", "line", "edge", "focus", "mic", "probability", "threshold", "band", "band-edge", "prefix",
  "compared", "compared-band", "label", "label-band", "label-ink", "alert", "playhead",
];

const MAP_HEIGHT = 30;
const AXIS_HEIGHT = 22;
const EVENTS_HEIGHT = 18;
const COMPARED_HEIGHT = 26;
const GAP = 4;
const BASE_HEIGHT = 340;

/** Height of the labels of one tier. */
export const TIER_HEIGHT = 24;

/** Further tiers share the last row. */
const MOST_TIERS = 4;

const FONT = "11px system-ui, sans-serif";

/** The waveform fills its lane at this peak; a louder one makes the scale coarser. */
const SMALLEST_PEAK = 0.05 * FULL_SCALE;

/** Events are written out where the two of a turn are so far apart, pixels. */
const ROOM_FOR_NAMES = 205;

/** Flags that would stand closer are left out; those of cut-ins may overlap. */
const FLAG_WIDTH = 9;
const CUT_WIDTH = 3;

/** Room for the names of the lanes' marks at the right, pixels. */
const GRIP_WIDTH = 44;

/**
 * @typedef {import("./tuner_store.js").TunerStore} Store
 * @typedef {import("./tuner_store.js").Outcome} Outcome
 * @typedef {{ top: number, height: number }} Lane
 * @typedef {{ width: number, height: number, colours: any, hovered: { side: string, index: number } | null }} Frame
 * @typedef {ReturnType<typeof layout>} Lanes
 */

/**
 * How high the picture is that shows this.
 * @param {{ compared: boolean, tiers: number }} shown
 */
export function heightFor({ compared, tiers }) {
  return BASE_HEIGHT + (Math.min(MOST_TIERS, tiers) - 1) * TIER_HEIGHT + (compared ? COMPARED_HEIGHT + GAP : 0);
}

/**
 * What decides where everything is.
 * @param {Store} store
 */
export function shownIn(store) {
  return { compared: store.comparedSettings !== null, tiers: store.labels.tiers.length };
}

/**
 * Where everything is, for a picture of that height.
 * @param {number} height
 * @param {{ compared: boolean, tiers: number }} shown
 */
export function layout(height, { compared, tiers }) {
  const labels = Math.min(MOST_TIERS, tiers) * TIER_HEIGHT;
  const below = (compared ? COMPARED_HEIGHT + GAP : 0) + labels + GAP;
  const above = MAP_HEIGHT + GAP + AXIS_HEIGHT + EVENTS_HEIGHT;
  const room = Math.max(60, height - above - below);
  const wave = Math.round(room * 0.55);
  const lane = (/** @type {number} */ top, /** @type {number} */ high) => ({ top, height: high });
  const body = above + room;
  return {
    map: lane(0, MAP_HEIGHT),
    axis: lane(MAP_HEIGHT + GAP, AXIS_HEIGHT),
    events: lane(MAP_HEIGHT + GAP + AXIS_HEIGHT, EVENTS_HEIGHT),
    wave: lane(above, wave),
    probability: lane(above + wave, room - wave),
    compared: compared ? lane(body + GAP, COMPARED_HEIGHT) : lane(body, 0),
    labels: lane(height - labels, labels),
  };
}

/**
 * Where a probability is drawn.
 * @param {Lane} lane
 * @param {number} p
 */
export function heightOf({ top, height }, p) {
  return top + 6 + (1 - p) * (height - 12);
}

/**
 * The probability that is drawn there.
 * @param {Lane} lane
 * @param {number} y
 */
export function probabilityAt({ top, height }, y) {
  return Math.min(1, Math.max(0, 1 - (y - top - 6) / (height - 12)));
}

/**
 * @param {CanvasRenderingContext2D} canvas scaled to CSS pixels
 * @param {Store} store
 * @param {Frame} frame
 */
export function paint(canvas, store, frame) {
  const { width, height, colours } = frame;
  const lanes = layout(height, shownIn(store));
  canvas.fillStyle = colours.ground;
  canvas.fillRect(0, 0, width, height);
  canvas.font = FONT;
  canvas.textBaseline = "middle";
  canvas.textAlign = "left";
  paintAxis(canvas, store, frame, lanes);
  paintTurns(canvas, store, frame, lanes);
  paintWave(canvas, store, frame, lanes.wave);
  paintProbability(canvas, store, frame, lanes.probability);
  paintEvents(canvas, store, frame, lanes);
  if (store.comparedSettings) paintCompared(canvas, store, frame, lanes.compared);
  paintLabels(canvas, store, frame, lanes.labels);
  paintCursor(canvas, store, frame, lanes);
  paintMap(canvas, store, frame, lanes.map);
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lanes} lanes
 */
function paintAxis(canvas, { window }, { width, height, colours }, lanes) {
  const { x } = scale(window, width);
  canvas.fillStyle = colours.raised;
  canvas.fillRect(0, lanes.axis.top, width, lanes.axis.height);
  canvas.textAlign = "center";
  for (const { time, text } of ticks(window, width)) {
    const at = Math.round(x(time));
    canvas.fillStyle = colours.line;
    canvas.fillRect(at, lanes.axis.top + lanes.axis.height - 4, 1, height);
    const half = canvas.measureText(text).width / 2;
    canvas.fillStyle = colours.quiet;
    if (at > half + 2 && at < width - half - 2) canvas.fillText(text, at, lanes.axis.top + 9);
  }
  canvas.textAlign = "left";
  canvas.fillStyle = colours.line;
  for (const lane of [lanes.axis, lanes.events, lanes.wave, lanes.probability, lanes.labels]) canvas.fillRect(0, lane.top, width, 1);
}

/**
 * The turns in view, from left to right; those narrower than a pixel are drawn as one.
 * @param {Store} store
 * @param {Outcome} outcome
 * @param {number} width
 * @param {(turn: { index: number, left: number, right: number, speech: number }) => void} take
 */
function eachTurn(store, { turns }, width, take) {
  const { window, offsetMs } = store;
  const { x } = scale(window, width);
  const hopMs = store.trace?.hopMs ?? 1;
  const pixels = (/** @type {number} */ ms) => x((ms + offsetMs) / 1000);
  const first = Math.max(0, lastBefore(turns.audioEndMs, window.start * 1000 - offsetMs));
  let free = -Infinity;
  for (let index = first; index < turns.startedHop.length; index++) {
    const left = pixels(turns.audioStartMs[index]);
    if (left > width) break;
    const right = pixels(turns.audioEndMs[index]);
    if (right < 0 || right < free + 1) continue;
    free = right;
    take({ index, left, right, speech: pixels(turns.startedHop[index] * hopMs) });
  }
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lanes} lanes
 */
function paintTurns(canvas, store, { width, colours, hovered }, lanes) {
  if (!store.chosen) return;
  const { top } = lanes.wave;
  const height = lanes.wave.height + lanes.probability.height;
  eachTurn(store, store.chosen, width, ({ index, left, right, speech }) => {
    const wide = Math.max(1, right - left);
    if (speech - left >= 1) {
      canvas.fillStyle = colours.prefix;
      canvas.fillRect(left, top, speech - left, height);
    }
    canvas.fillStyle = colours.band;
    canvas.fillRect(speech, top, Math.max(1, right - speech), height);
    canvas.fillStyle = colours["band-edge"];
    canvas.fillRect(left, top, wide, hovered?.side === "settings" && hovered.index === index ? 6 : 3);
    if (wide < 3) return;
    canvas.fillRect(left, top, 1, height);
    canvas.fillRect(right - 1, top, 1, height);
  });
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lane} lane
 */
function paintWave(canvas, store, { width, colours }, { top, height }) {
  const { envelope, overview, window } = store;
  const middle = top + height / 2;
  canvas.fillStyle = colours.line;
  canvas.fillRect(0, Math.round(middle), width, 1);
  if (!envelope || !overview) return;
  const peak = store.peak;
  const gain = (height / 2 - 5) / Math.max(peak, SMALLEST_PEAK);
  canvas.fillStyle = colours.mic;
  eachColumn(envelope, window, Math.ceil(width), (x, low, high) => {
    canvas.fillRect(x, middle - high * gain - 0.5, 1, (high - low) * gain + 1);
  });
  const level = peak ? `peak ${Math.round(20 * Math.log10(peak / FULL_SCALE))} dBFS`.replace("-", "−") : "digital silence";
  caption(canvas, level, top + height - 10, colours);
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lane} lane
 */
function paintProbability(canvas, store, { width, colours }, lane) {
  canvas.fillStyle = colours.line;
  canvas.fillRect(0, lane.top, width, 1);
  const { threshold, type } = store.settings;
  const enter = type === "server_vad" ? (threshold ?? 0.5) : 0.5;
  const leave = Math.min(enter, Math.max(enter - HYSTERESIS, LOWEST_RELEASE));
  rule(canvas, heightOf(lane, leave), width, colours.threshold, [2, 4]);
  if (store.comparedSettings?.threshold !== undefined) {
    rule(canvas, heightOf(lane, store.comparedSettings.threshold), width, colours.compared, [6, 3]);
  }
  if (store.trace) paintTrace(canvas, store.trace, store.window, { lane, width, colour: colours.probability });
  rule(canvas, heightOf(lane, enter), width, colours.threshold, []);
  if (type === "server_vad") grip(canvas, heightOf(lane, enter), width, enter, colours);
  caption(canvas, "speech probability", lane.top + 11, colours);
}

/**
 * A line through the hops; from afar a bar in every pixel column, from the lowest to the
 * highest and on to those of the column before.
 * @param {CanvasRenderingContext2D} canvas
 * @param {import("./tuner_columns.js").Trace} trace
 * @param {import("./tuner_axis.js").Stretch} window
 * @param {{ lane: Lane, width: number, colour: string }} place
 */
function paintTrace(canvas, trace, window, { lane, width, colour }) {
  if (crowded(trace, window, width)) {
    canvas.fillStyle = colour;
    let [lowest, highest] = [0, 1];
    eachCrowd(trace, window, width, (x, low, high) => {
      const top = heightOf(lane, Math.max(high, lowest));
      canvas.fillRect(x, top - 0.5, 1, heightOf(lane, Math.min(low, highest)) - top + 1);
      [lowest, highest] = [low, high];
    });
    return;
  }
  let begun = false;
  canvas.beginPath();
  eachHop(trace, window, width, (x, p) => {
    if (begun) canvas.lineTo(x, heightOf(lane, p));
    else canvas.moveTo(x, heightOf(lane, p));
    begun = true;
  });
  canvas.strokeStyle = colour;
  canvas.lineWidth = 1.25;
  canvas.lineJoin = "round";
  canvas.stroke();
}

/**
 * The threshold's handle.
 * @param {CanvasRenderingContext2D} canvas
 * @param {number} y
 * @param {number} width
 * @param {number} value
 * @param {any} colours
 */
function grip(canvas, y, width, value, colours) {
  canvas.fillStyle = colours.threshold;
  canvas.beginPath();
  canvas.roundRect(width - GRIP_WIDTH - 2, y - 9, GRIP_WIDTH, 18, 4);
  canvas.fill();
  canvas.fillStyle = colours.ground;
  canvas.textAlign = "center";
  canvas.fillText(`↕ ${value.toFixed(2)}`, width - GRIP_WIDTH / 2 - 2, y + 0.5);
  canvas.textAlign = "left";
}

/**
 * When the server would have told the client, by small flags.
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lanes} lanes
 */
function paintEvents(canvas, store, { width, colours }, { events, wave }) {
  if (!store.chosen || !store.trace) return;
  const { turns } = store.chosen;
  const { hopMs } = store.trace;
  const { x } = scale(store.window, width);
  const at = (/** @type {number} */ hop) => x(((hop + 1) * hopMs + store.offsetMs) / 1000);
  const { cutIn } = store.chosen;
  let free = -Infinity;
  let freeOfCuts = -Infinity;
  eachTurn(store, store.chosen, width, ({ index, right }) => {
    const cut = cutIn[index] === 1 && right >= freeOfCuts;
    const started = at(turns.startedHop[index]);
    const named = right - started > ROOM_FOR_NAMES;
    if (started >= free) flag(canvas, started, events, wave, 1, colours["band-edge"], named ? "speech_started" : "");
    free = Math.max(free, started + FLAG_WIDTH);
    if (turns.stoppedHop[index] < 0 || (!cut && right < free)) return;
    const name = cut ? "cut in" : "speech_stopped";
    flag(canvas, right, events, wave, -1, cut ? colours.alert : colours["band-edge"], named ? name : "");
    free = right;
    if (cut) freeOfCuts = right + CUT_WIDTH;
  });
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {number} at
 * @param {Lane} events
 * @param {Lane} wave
 * @param {1 | -1} side where it points
 * @param {string} colour
 * @param {string} name
 */
function flag(canvas, at, events, wave, side, colour, name) {
  const top = events.top + 3;
  canvas.fillStyle = colour;
  canvas.fillRect(at - 0.5, top, 1, wave.top + wave.height - top);
  canvas.beginPath();
  canvas.moveTo(at, top);
  canvas.lineTo(at + 8 * side, top + 5);
  canvas.lineTo(at, top + 10);
  canvas.fill();
  if (!name) return;
  canvas.textAlign = side === 1 ? "left" : "right";
  canvas.fillText(name, at + 11 * side, top + 6);
  canvas.textAlign = "left";
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lane} lane
 */
function paintCompared(canvas, store, { width, colours, hovered }, { top, height }) {
  canvas.fillStyle = colours.raised;
  canvas.fillRect(0, top, width, height);
  if (store.compared) {
    eachTurn(store, store.compared, width, ({ index, left, right, speech }) => {
      canvas.fillStyle = colours["compared-band"];
      canvas.fillRect(left, top + 2, Math.max(1, right - left), height - 4);
      canvas.fillStyle = colours.compared;
      canvas.fillRect(left, top + 2, Math.max(1, right - left), hovered?.side === "compared" && hovered.index === index ? 5 : 2);
      canvas.fillRect(speech, top + 2, 1, height - 4);
      canvas.fillRect(right - 1, top + 2, 1, height - 4);
    });
  }
  caption(canvas, "B", top + height / 2, colours);
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lane} lane
 */
function paintLabels(canvas, { labels, window }, { width, colours }, { top }) {
  const { x } = scale(window, width);
  const { tiers } = labels;
  canvas.save();
  for (const label of labels.labels) {
    const [left, right] = [x(label.start), x(label.end)];
    if (right < 0 || left > width) continue;
    const row = top + 3 + tierOf(label, tiers) * TIER_HEIGHT;
    const wide = Math.max(2, right - left);
    const chosen = label === labels.selected;
    canvas.fillStyle = colours["label-band"];
    canvas.fillRect(left, row, wide, TIER_HEIGHT - 5);
    canvas.strokeStyle = chosen ? colours.focus : colours.label;
    canvas.lineWidth = chosen ? 2 : 1;
    canvas.strokeRect(left + 0.5, row + 0.5, wide - 1, TIER_HEIGHT - 6);
    if (wide > 14 && label.text) paintText(canvas, label.text, { left: Math.max(left, 0) + 5, right: right - 3, y: row + 10 }, colours["label-ink"]);
  }
  canvas.restore();
  if (labels.labels.length) for (const [i, tier] of tiers.entries()) if (tier) caption(canvas, tier, top + 12 + i * TIER_HEIGHT, colours);
  if (!labels.labels.length) caption(canvas, "labels: drag here to mark where somebody speaks; double-click to write", top + 12, colours);
}

/**
 * Which row a label is drawn in.
 * @param {{ tier: string }} label
 * @param {string[]} tiers
 */
export function tierOf({ tier }, tiers) {
  return Math.min(MOST_TIERS - 1, Math.max(0, tiers.indexOf(tier)));
}

/**
 * The tier of a row.
 * @param {Lane} lane
 * @param {number} y
 * @param {string[]} tiers
 */
export function tierAt({ top }, y, tiers) {
  return tiers[Math.min(tiers.length - 1, Math.max(0, Math.floor((y - top) / TIER_HEIGHT)))];
}

/**
 * A text that ends where its room does.
 * @param {CanvasRenderingContext2D} canvas
 * @param {string} text
 * @param {{ left: number, right: number, y: number }} place
 * @param {string} colour
 */
function paintText(canvas, text, { left, right, y }, colour) {
  canvas.fillStyle = colour;
  let shown = text;
  while (shown && canvas.measureText(shown).width > right - left) shown = shown.slice(0, -1);
  if (shown.length < text.length) shown = shown.length > 1 ? `${shown.slice(0, -1)}…` : "";
  if (shown) canvas.fillText(shown, left, y);
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lanes} lanes
 */
function paintCursor(canvas, { cursor, playhead, window }, { width, height, colours }, { axis }) {
  const { x } = scale(window, width);
  const at = Math.round(x(cursor));
  if (at >= 0 && at <= width) {
    canvas.fillStyle = colours.ink;
    canvas.fillRect(at, axis.top, 1, height - axis.top);
    canvas.beginPath();
    canvas.moveTo(at - 5, axis.top);
    canvas.lineTo(at + 6, axis.top);
    canvas.lineTo(at + 0.5, axis.top + 7);
    canvas.fill();
  }
  if (playhead === null) return;
  canvas.fillStyle = colours.playhead;
  canvas.fillRect(x(playhead) - 1, axis.top, 2, height - axis.top);
}

/**
 * The whole sound with its turns, and where in it the window is.
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lane} lane
 */
function paintMap(canvas, store, { width, colours }, { top, height }) {
  const whole = store.extent;
  const { x } = scale(whole, width);
  canvas.fillStyle = colours.raised;
  canvas.fillRect(0, top, width, height);
  if (store.chosen) {
    const { turns } = store.chosen;
    canvas.fillStyle = colours.band;
    let free = -1;
    for (let i = 0; i < turns.startedHop.length; i++) {
      const { start, end } = store.stretch(turns, i);
      const left = Math.max(free, x(start));
      const right = Math.max(left + 1, x(end));
      if (right <= free) continue;
      canvas.fillRect(left, top, right - left, height);
      free = right;
    }
  }
  if (store.overview) {
    const gain = (height / 2 - 3) / Math.max(store.peak, SMALLEST_PEAK);
    const middle = top + height / 2;
    canvas.fillStyle = colours.quiet;
    eachColumn(store.overview, whole, Math.ceil(width), (at, low, high) => {
      canvas.fillRect(at, middle - high * gain - 0.5, 1, (high - low) * gain + 1);
    });
  }
  const left = x(store.window.start);
  const wide = Math.max(4, x(store.window.end) - left);
  canvas.globalAlpha = 0.55;
  canvas.fillStyle = colours.ground;
  canvas.fillRect(0, top, left, height);
  canvas.fillRect(left + wide, top, width - left - wide, height);
  canvas.globalAlpha = 1;
  canvas.strokeStyle = colours.focus;
  canvas.lineWidth = 1.5;
  canvas.strokeRect(left + 0.75, top + 0.75, wide - 1.5, height - 1.5);
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {string} text
 * @param {number} y
 * @param {any} colours
 */
function caption(canvas, text, y, colours) {
  canvas.globalAlpha = 0.8;
  canvas.fillStyle = colours.ground;
  canvas.fillRect(3, y - 8, canvas.measureText(text).width + 8, 16);
  canvas.globalAlpha = 1;
  canvas.fillStyle = colours.quiet;
  canvas.fillText(text, 7, y);
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {number} y
 * @param {number} width
 * @param {string} colour
 * @param {number[]} dash
 */
function rule(canvas, y, width, colour, dash) {
  canvas.beginPath();
  canvas.setLineDash(dash);
  canvas.moveTo(0, y);
  canvas.lineTo(width, y);
  canvas.strokeStyle = colour;
  canvas.lineWidth = dash.length ? 1 : 1.5;
  canvas.stroke();
  canvas.setLineDash([]);
}
