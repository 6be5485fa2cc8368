import assert from "node:assert/strict";
import test from "node:test";

import { COLOURS, heightOf, layout, paint, probabilityAt, tierAt, tierOf } from "../../rtnb/static/tuner_paint.js";
import { TunerStore } from "../../rtnb/static/tuner_store.js";
import { RecordingCanvas } from "./recording_canvas.mjs";

const colours = Object.fromEntries(COLOURS.map((name) => [name, name]));
const WIDTH = 1000;
const HEIGHT = 340;
const settings = { type: "server_vad", threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200 };

/** Ten seconds in 1000 pixels: speech from hop 100 to 139 and from 148 to 159. */
function scene(changes = {}) {
  const store = new TunerStore({ changed: () => {}, labelled: () => {}, env: { now: () => 0 } });
  store.takeSettings({ ...settings, ...changes }, null);
  const low = new Int16Array(1000).fill(-8192);
  store.takeSound({ start: 0, end: 10, live: false }, { start: 0, stop: 10, low, high: low.map((value) => -value) });
  const p = new Float32Array(312).fill(0.125).fill(0.75, 100, 140).fill(0.75, 148, 160);
  store.takeProbability({ p, hopMs: 32, firstHop: 0 });
  return store;
}

function draw(store, changes = {}) {
  const canvas = new RecordingCanvas();
  paint(canvas, store, { width: WIDTH, height: HEIGHT, colours, hovered: null, ...changes });
  return canvas;
}

const lanes = (store) => layout(HEIGHT, { compared: store.comparedSettings !== null, tiers: store.labels.tiers.length });
const within = ({ y }, { top, height }) => y >= top && y < top + height;

test("lanes lie below each other and fill the picture", () => {
  for (const shown of [{ compared: false, tiers: 1 }, { compared: true, tiers: 3 }]) {
    const made = layout(HEIGHT, shown);
    const order = [made.map, made.axis, made.events, made.wave, made.probability, made.compared, made.labels];
    for (const [i, lane] of order.entries()) if (i) assert.ok(lane.top >= order[i - 1].top + order[i - 1].height - 1e-9);
    assert.equal(made.labels.top + made.labels.height, HEIGHT);
  }
});

test("heights and probabilities are each other's inverse", () => {
  const lane = { top: 100, height: 80 };
  for (const p of [0, 0.35, 1]) assert.ok(Math.abs(probabilityAt(lane, heightOf(lane, p)) - p) < 1e-9);
  assert.equal(probabilityAt(lane, 0), 1);
  assert.equal(probabilityAt(lane, 900), 0);
});

test("a turn is a band from the start of its speech, with its prefix before", () => {
  const store = scene();
  const canvas = draw(store);
  const [first] = canvas.of("band").filter((rect) => within(rect, lanes(store).wave));
  assert.equal(Math.round(first.x), 320);
  assert.equal(Math.round(first.x + first.width), Math.round(147 * 3.2));
  const [prefix] = canvas.of("prefix");
  assert.equal(Math.round(prefix.x), 290);
  assert.equal(Math.round(prefix.width), 30);
});

test("a turn after which the speech goes on is marked, and written out where there is room", () => {
  const store = scene();
  store.see({ start: 2.5, end: 6 });
  const canvas = draw(store);
  assert.ok(canvas.words().includes("cut in"));
  assert.ok(canvas.words().includes("speech_started"));
  assert.ok(canvas.pathsOf("alert").length);
  store.takeSettings({ ...settings, silence_duration_ms: 600 }, null);
  assert.equal(draw(store).pathsOf("alert").length, 0);
});

test("the threshold is a line with the leave level dotted below it", () => {
  const store = scene({ threshold: 0.7 });
  const lane = lanes(store).probability;
  const [leave, enter] = draw(store).pathsOf("threshold").filter(({ filled }) => !filled);
  assert.ok(Math.abs(enter.points[0].y - heightOf(lane, 0.7)) < 1e-9);
  assert.ok(Math.abs(leave.points[0].y - heightOf(lane, 0.55)) < 1e-9);
  assert.deepEqual([enter.dash, leave.dash.length], [[], 2]);
});

test("from afar the probability is bars that touch each other", () => {
  const store = scene();
  const p = new Float32Array(10000).fill(0.25).fill(0.75, 5000, 7500);
  store.takeSound({ start: 0, end: 320, live: false }, store.overview);
  store.takeProbability({ p, hopMs: 32, firstHop: 0 });
  store.see(store.whole);
  const lane = lanes(store).probability;
  const bars = draw(store).of("probability");
  assert.equal(bars.length, WIDTH);
  const near = (a, b) => Math.abs(a - b) < 1e-6;
  assert.ok(near(bars[0].y, heightOf(lane, 0.25) - 0.5) && near(bars[0].height, 1));
  const tall = heightOf(lane, 0.25) - heightOf(lane, 0.75);
  const steps = bars.filter(({ height }) => height > 2);
  assert.equal(steps.length, 2);
  for (const { y, height } of steps) assert.ok(near(height - 1, tall) && near(y, heightOf(lane, 0.75) - 0.5));
});

test("semantic_vad has no handle for its threshold", () => {
  const store = scene();
  assert.ok(draw(store).words().some((text) => text.startsWith("↕")));
  store.takeSentences({ hops: new Int32Array(0), p: new Float32Array(0) });
  store.takeSettings({ type: "semantic_vad", eagerness: "auto" }, null);
  assert.ok(!draw(store).words().some((text) => text.startsWith("↕")));
});

test("frozen settings have a lane and a line of their own", () => {
  const store = scene();
  assert.equal(draw(store).of("compared-band").length, 0);
  store.takeSettings({ ...settings, threshold: 0.9 }, settings);
  const canvas = draw(store);
  assert.equal(canvas.of("compared-band").length, 2);
  assert.equal(canvas.of("band").filter((rect) => within(rect, lanes(store).wave)).length, 0);
  assert.equal(canvas.pathsOf("compared").length, 1);
});

test("labels stand where they are, with as much of their text as fits", () => {
  const store = scene();
  store.labels.load([
    { start: 1, end: 2, text: "a long text that does not fit", tier: "" },
    { start: 4, end: 4.05, text: "no room", tier: "" },
  ]);
  const canvas = draw(store);
  assert.deepEqual(canvas.of("label-band").map(({ x, width }) => [x, Math.round(width)]), [[100, 100], [400, 5]]);
  const [text] = canvas.texts.filter(({ colour }) => colour === "label-ink");
  assert.match(text.text, /^a long text.*…$/);
  assert.ok(!canvas.words().includes("no room"));
});

test("tiers have rows", () => {
  const tiers = ["a", "b"];
  const lane = { top: 200, height: 48 };
  assert.equal(tierOf({ tier: "b" }, tiers), 1);
  assert.equal(tierAt(lane, 210, tiers), "a");
  assert.equal(tierAt(lane, 240, tiers), "b");
  assert.equal(tierAt(lane, 999, tiers), "b");
});

test("cursor and playhead are drawn when they are in sight", () => {
  const store = scene();
  store.cursor = 5;
  store.playhead = 6;
  const canvas = draw(store);
  assert.ok(canvas.of("ink").some(({ x }) => x === 500));
  assert.ok(canvas.of("playhead").some(({ x }) => x === 599));
  store.see({ start: 0, end: 2 });
  assert.equal(draw(store).of("ink").length, 0);
});

test("the map shows all of it, and where the window is", () => {
  const store = scene();
  store.see({ start: 2, end: 4 });
  const [frame] = draw(store).of("focus").filter(({ outline }) => outline);
  assert.ok(Math.abs(frame.x - 200) < 2 && Math.abs(frame.width - 200) < 4);
});

test("nothing is known yet, and nothing is wrong", () => {
  const store = new TunerStore({ changed: () => {}, labelled: () => {}, env: { now: () => 0 } });
  store.takeSettings(settings, settings);
  assert.equal(draw(store).of("band").length, 0);
});

test("an hour of turns is drawn with no more strokes than there are pixels", () => {
  const store = scene();
  const p = new Float32Array(112500);
  for (let hop = 0; hop < p.length; hop += 20) p.fill(0.75, hop, hop + 10);
  store.takeSound({ start: 0, end: 3600, live: false }, store.overview);
  store.takeProbability({ p, hopMs: 32, firstHop: 0 });
  store.see(store.whole);
  assert.equal(store.chosen.counters.turns, 5625);
  const canvas = draw(store);
  assert.ok(canvas.rects.length < 10 * WIDTH, String(canvas.rects.length));
  assert.ok(canvas.paths.reduce((sum, { points }) => sum + points.length, 0) < 12 * WIDTH);
});
