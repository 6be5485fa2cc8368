/** The timeline's picture: a function of a store, a moment and a size. */

import { FULL_SCALE, SAMPLE_RATE } from "./pcm.js";

/** Share of the width that is past; what lies right of it is still to be played. */
const PAST = 0.8;

/** What the detector's leave level is below its threshold. */
export const HYSTERESIS = 0.15;

const AXIS_HEIGHT = 20;
const TICK_ROWS = 3;
const ROW_HEIGHT = 14;
const TICKS_HEIGHT = TICK_ROWS * ROW_HEIGHT + 6;
const STEPS = [0.2, 0.5, 1, 2, 5, 10, 20, 30];
const FONT = "11px system-ui, sans-serif";

/** Left free of labels, for the buttons. */
const BUTTONS_WIDTH = 68;

/** The waveform fills its lane at this peak; a louder one makes the scale coarser. */
const SMALLEST_PEAK = 0.05 * FULL_SCALE;

/**
 * @typedef {import("./timeline_store.js").TimelineStore} Store
 * @typedef {{ ground: string, ink: string, quiet: string, line: string, mic: string, answer: string,
 *   unplayed: string, probability: string, threshold: string, band: string, "band-edge": string }} Colours
 * @typedef {{ width: number, height: number, now: number, seconds: number, threshold: number,
 *   colours: Colours }} Frame
 * @typedef {{ top: number, height: number }} Lane
 */

/**
 * @param {CanvasRenderingContext2D} canvas scaled to CSS pixels
 * @param {Store} store
 * @param {Frame} frame
 */
export function paint(canvas, store, frame) {
  const { width, height, colours } = frame;
  const lanes = layout(height);
  canvas.fillStyle = colours.ground;
  canvas.fillRect(0, 0, width, height);
  canvas.font = FONT;
  canvas.textBaseline = "middle";
  paintAxis(canvas, store, frame, lanes);
  paintSegments(canvas, store, frame, lanes);
  const micPeak = paintMicrophone(canvas, store, frame, lanes.microphone);
  paintProbability(canvas, store, frame, lanes.probability);
  const answerPeak = paintAnswers(canvas, store, frame, lanes.answer);
  paintTicks(canvas, store, frame, lanes.ticks);
  paintNow(canvas, frame, lanes);
  label(canvas, frame, lanes.microphone, "microphone", micPeak);
  label(canvas, frame, lanes.probability, "speech probability", null);
  label(canvas, frame, lanes.answer, "answer", answerPeak);
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {{ width: number, height: number, colours: Colours }} frame
 * @param {string} sentence
 */
export function paintSentence(canvas, { width, height, colours }, sentence) {
  canvas.fillStyle = colours.ground;
  canvas.fillRect(0, 0, width, height);
  canvas.font = "13px system-ui, sans-serif";
  canvas.fillStyle = colours.quiet;
  canvas.textAlign = "center";
  canvas.textBaseline = "middle";
  canvas.fillText(sentence, width / 2, height / 2, width - 16);
  canvas.textAlign = "left";
}

/** @param {number} height */
function layout(height) {
  const room = height - TICKS_HEIGHT - AXIS_HEIGHT;
  const wave = Math.round(room * 0.35);
  const middle = room - 2 * wave;
  return {
    ticks: { top: 0, height: TICKS_HEIGHT },
    microphone: { top: TICKS_HEIGHT, height: wave },
    probability: { top: TICKS_HEIGHT + wave, height: middle },
    answer: { top: TICKS_HEIGHT + wave + middle, height: wave },
    axis: { top: height - AXIS_HEIGHT, height: AXIS_HEIGHT },
  };
}

/**
 * Times and pixels. The window moves by whole pixels, so that nothing in it flickers.
 * @param {Frame} frame
 * @returns {{ x: (time: number) => number, first: number, last: number }}
 */
function scale({ now, seconds, width }) {
  const step = seconds / width;
  const first = Math.round((now - PAST * seconds) / step) * step;
  return { x: (time) => ((time - first) / seconds) * width, first, last: first + seconds };
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {ReturnType<typeof layout>} lanes
 */
function paintAxis(canvas, store, frame, lanes) {
  const { width, seconds, colours, height } = frame;
  const { x, first, last } = scale(frame);
  const origin = store.origin ?? 0;
  const step = STEPS.find((s) => (s / seconds) * width >= 64) ?? 60;
  const digits = step < 1 ? 1 : 0;
  canvas.fillStyle = colours.line;
  for (const lane of [lanes.microphone, lanes.probability, lanes.answer, lanes.axis]) {
    canvas.fillRect(0, lane.top, width, 1);
  }
  canvas.textAlign = "center";
  for (let t = Math.max(0, Math.ceil((first - origin) / step) * step); origin + t < last; t += step) {
    const at = x(origin + t);
    canvas.fillStyle = colours.line;
    canvas.fillRect(at, lanes.microphone.top, 1, height - lanes.microphone.top - AXIS_HEIGHT + 4);
    canvas.fillStyle = colours.quiet;
    if (at > 14 && at < width - 14) canvas.fillText(`${t.toFixed(digits)} s`, at, lanes.axis.top + 12);
  }
  canvas.textAlign = "left";
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {ReturnType<typeof layout>} lanes
 */
function paintSegments(canvas, store, frame, lanes) {
  const { x, first } = scale(frame);
  const { colours, now } = frame;
  const { top } = lanes.microphone;
  const bottom = lanes.probability.top + lanes.probability.height;
  for (const { start, stop } of store.segments) {
    const end = stop ?? Math.max(start, Math.min(now, store.base.end ?? now));
    if (end < first) continue;
    const left = x(start);
    const wide = Math.max(1, x(end) - left);
    canvas.fillStyle = colours.band;
    canvas.fillRect(left, top, wide, bottom - top);
    canvas.fillStyle = colours["band-edge"];
    canvas.fillRect(left, top, wide, 3);
    canvas.fillRect(left, top, 1, bottom - top);
    if (stop !== null) canvas.fillRect(left + wide - 1, top, 1, bottom - top);
  }
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lane} lane
 * @returns {number} the largest sample in view
 */
function paintMicrophone(canvas, store, frame, lane) {
  const { first } = scale(frame);
  const columns = measure(store.microphone, frame, first, Math.min(frame.now, store.spoken), (time) => time * SAMPLE_RATE);
  const peak = peakOf(columns);
  fillColumns(canvas, columns, lane, peak, frame.colours.mic);
  return peak;
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lane} lane
 */
function paintProbability(canvas, store, frame, lane) {
  const { x, first } = scale(frame);
  const y = (/** @type {number} */ p) => lane.top + 4 + (1 - p) * (lane.height - 8);
  paintThreshold(canvas, store, frame, y);
  canvas.beginPath();
  let before = -Infinity;
  for (const { time, p } of store.probabilities) {
    if (time < first - 1) continue;
    if (time - before > 0.1 || time < before) canvas.moveTo(x(time), y(p));
    else canvas.lineTo(x(time), y(p));
    before = time;
  }
  canvas.strokeStyle = frame.colours.probability;
  canvas.lineWidth = 1.5;
  canvas.lineJoin = "round";
  canvas.stroke();
}

/**
 * The asked-for threshold with its leave level, and the one in effect where it differs.
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {(p: number) => number} y
 */
function paintThreshold(canvas, store, frame, y) {
  const { threshold, colours, width } = frame;
  const leave = Math.max(0, threshold - HYSTERESIS);
  const off = store.turnDetection === null;
  const colour = off ? colours.quiet : colours.threshold;
  rule(canvas, y(threshold), width, colour, []);
  rule(canvas, y(leave), width, colour, [4, 4]);
  canvas.textAlign = "right";
  canvas.fillStyle = colour;
  canvas.fillText(off ? "detection off" : `enter ${threshold.toFixed(2)}`, width - 4, y(threshold) - 8);
  canvas.fillText(`leave ${leave.toFixed(2)}`, width - 4, y(leave) + 8);
  const effective = store.turnDetection?.threshold;
  if (typeof effective === "number" && Math.abs(effective - threshold) > 0.005) {
    rule(canvas, y(effective), width, colours.quiet, [1, 3]);
    canvas.fillStyle = colours.quiet;
    canvas.fillText(`in effect ${effective.toFixed(2)}`, width - 90, y(effective) - 8);
  }
  canvas.textAlign = "left";
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lane} lane
 * @returns {number} the largest sample in view
 */
function paintAnswers(canvas, store, frame, lane) {
  const pieces = placeAnswers(store, frame);
  const peak = Math.max(0, ...pieces.map(({ columns }) => peakOf(columns)));
  for (const { columns, played } of pieces) {
    const colour = played ? frame.colours.answer : frame.colours.unplayed;
    fillColumns(canvas, columns, lane, peak, colour);
  }
  return peak;
}

/**
 * Every answer, from anchor to anchor, cut where it was played to.
 * @param {Store} store
 * @param {Frame} frame
 */
function placeAnswers(store, frame) {
  const { now } = frame;
  const pieces = [];
  let free = now;
  for (const [index, answer] of store.answers.entries()) {
    const { envelope, cut } = answer;
    const anchors = answer.anchors.length ? answer.anchors : [{ position: 0, time: free }];
    const limit = store.answers[index + 1]?.anchors[0]?.time ?? Infinity;
    for (const [i, { position, time }] of anchors.entries()) {
      const next = anchors[i + 1];
      const stop = next ? next.position : envelope.end;
      const heard = answer.anchors.length ? (cut ?? position + (now - time) * SAMPLE_RATE) : position;
      const split = Math.max(position, Math.min(stop, next ? stop : heard));
      const at = (/** @type {number} */ p) => Math.min(limit, time + (p - position) / SAMPLE_RATE);
      const back = (/** @type {number} */ t) => position + (t - time) * SAMPLE_RATE;
      pieces.push({ played: true, columns: measure(envelope, frame, time, at(split), back) });
      pieces.push({ played: false, columns: measure(envelope, frame, at(split), at(stop), back) });
      free = Math.max(now, at(stop));
    }
  }
  return pieces;
}

/**
 * Lowest and highest sample of each pixel column between two times. Columns keep to a grid
 * of time, so that the picture moves without flicker.
 * @param {import("./decimate.js").Envelope} envelope
 * @param {Frame} frame
 * @param {number} from
 * @param {number} to
 * @param {(time: number) => number} position of a time in the envelope
 */
function measure(envelope, frame, from, to, position) {
  const { x, first, last } = scale(frame);
  const step = frame.seconds / frame.width;
  const columns = [];
  const start = Math.floor(Math.max(from, first) / step);
  const stop = Math.min(to, last);
  for (let column = start; column * step < stop; column++) {
    const left = Math.max(column * step, from);
    const right = Math.min((column + 1) * step, stop);
    const found = envelope.range(position(left), position(right), { low: 0, high: 0 });
    if (found) columns.push({ x: Math.round(x(column * step)), ...found });
  }
  return columns;
}

/** @param {{ low: number, high: number }[]} columns */
function peakOf(columns) {
  let peak = 0;
  for (const { low, high } of columns) peak = Math.max(peak, -low, high);
  return peak;
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {{ x: number, low: number, high: number }[]} columns
 * @param {Lane} lane
 * @param {number} peak
 * @param {string} colour
 */
function fillColumns(canvas, columns, { top, height }, peak, colour) {
  const middle = top + height / 2;
  const gain = (height / 2 - 4) / Math.max(peak, SMALLEST_PEAK);
  canvas.fillStyle = colour;
  for (const { x, low, high } of columns) {
    canvas.fillRect(x, middle - high * gain - 0.5, 1, (high - low) * gain + 1);
  }
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Store} store
 * @param {Frame} frame
 * @param {Lane} lane
 */
function paintTicks(canvas, store, frame, lane) {
  const { x, first } = scale(frame);
  const { colours, seconds, width } = frame;
  const free = Array(TICK_ROWS).fill(-Infinity);
  canvas.save();
  canvas.beginPath();
  canvas.rect(0, lane.top, width - BUTTONS_WIDTH, lane.height);
  canvas.clip();
  const labels = [];
  canvas.fillStyle = colours.quiet;
  for (const { time, label: name } of store.ticks) {
    const text = shortened(name);
    const wide = ((canvas.measureText(text).width + 10) / width) * seconds;
    const row = free.findIndex((end) => end <= time);
    if (row >= 0) free[row] = time + wide;
    if (time + wide < first) continue;
    const top = lane.top + 3 + ROW_HEIGHT * (row < 0 ? TICK_ROWS : row);
    canvas.fillRect(x(time), top, 1, lane.top + lane.height - top);
    if (row >= 0) labels.push({ text, left: x(time) + 1, top });
  }
  for (const { text, left, top } of labels) {
    canvas.fillStyle = colours.ground;
    canvas.fillRect(left, top, canvas.measureText(text).width + 6, ROW_HEIGHT - 1);
    canvas.fillStyle = colours.ink;
    canvas.fillText(text, left + 3, top + 6);
  }
  canvas.restore();
}

/**
 * The event's name without what the lane makes plain.
 * @param {string} name
 */
function shortened(name) {
  return name.replace(/^(input_audio_buffer|conversation\.item)\./, "").replace("input_audio_", "");
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Frame} frame
 * @param {ReturnType<typeof layout>} lanes
 */
function paintNow(canvas, { width, colours }, lanes) {
  canvas.fillStyle = colours.ink;
  canvas.fillRect(Math.round(PAST * width), lanes.microphone.top, 1, lanes.axis.top - lanes.microphone.top);
}

/**
 * @param {CanvasRenderingContext2D} canvas
 * @param {Frame} frame
 * @param {Lane} lane
 * @param {string} name
 * @param {number | null} peak largest sample in view
 */
function label(canvas, { colours }, lane, name, peak) {
  const dbfs = peak ? ` · peak ${Math.round(20 * Math.log10(peak / FULL_SCALE))} dBFS` : "";
  const text = `${name}${dbfs}`;
  canvas.globalAlpha = 0.8;
  canvas.fillStyle = colours.ground;
  canvas.fillRect(2, lane.top + 5, canvas.measureText(text).width + 8, 16);
  canvas.globalAlpha = 1;
  canvas.fillStyle = colours.quiet;
  canvas.fillText(text, 6, lane.top + 13);
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
  canvas.lineWidth = 1;
  canvas.stroke();
  canvas.setLineDash([]);
}
