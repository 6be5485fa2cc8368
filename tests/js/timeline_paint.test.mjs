import assert from "node:assert/strict";
import test from "node:test";

import { paint, paintSentence } from "../../rtnb/static/timeline_paint.js";
import { TimelineStore } from "../../rtnb/static/timeline_store.js";

const names = ["ground", "ink", "quiet", "line", "mic", "answer", "unplayed", "probability", "threshold", "band", "band-edge"];
const colours = Object.fromEntries(names.map((name) => [name, name]));

/** A canvas that remembers what was drawn in which colour. */
class FakeCanvas {
  rects = [];
  texts = [];
  paths = [];

  fillRect(x, y, width, height) {
    this.rects.push({ colour: this.fillStyle, x, y, width, height });
  }

  fillText(text, x, y) {
    this.texts.push({ colour: this.fillStyle, text, x, y });
  }

  measureText(text) {
    return { width: 6 * text.length };
  }

  beginPath() {
    this.points = [];
  }

  moveTo(x, y) {
    this.points.push({ x, y, from: null });
  }

  lineTo(x, y) {
    this.points.push({ x, y, from: this.points.at(-1) });
  }

  stroke() {
    this.paths.push({ colour: this.strokeStyle, points: this.points });
  }

  setLineDash() {}
  save() {}
  restore() {}
  clip() {}
  rect() {}

  columns(colour) {
    return this.rects.filter((rect) => rect.colour === colour).map(({ x }) => x);
  }

  words() {
    return this.texts.map(({ text }) => text);
  }
}

/** Ten seconds in 1000 pixels, now at second 8: a pixel is 10 ms, and pixel 0 second 0. */
function draw(store, changes = {}) {
  const canvas = new FakeCanvas();
  paint(canvas, store, { width: 1000, height: 280, now: 8, seconds: 10, threshold: 0.5, colours, ...changes });
  return canvas;
}

function noise(length, loud = 8192) {
  return Int16Array.from({ length }, (_, i) => (i % 2 ? loud : -loud));
}

/** Talk from second 2 to 6, and an answer of two seconds that begins to sound at 7. */
function conversation() {
  const store = new TimelineStore();
  for (let i = 1; i <= 100; i++) store.addMicrophone({ pcm: noise(960), time: 2 + 0.04 * i, sent: 960 * i });
  store.take({ message: { type: "speech_started", audio_start_ms: 1000 }, time: 6 });
  store.take({ message: { type: "speech_stopped", audio_end_ms: 3000 }, time: 6 });
  store.take({ message: { type: "probability", hop0: 0, hop_ms: 32, p: Array(100).fill(0.75) }, time: 6 });
  store.take({ message: { type: "tick", event: "response.created" }, time: 6.5 });
  store.addAnswer({ itemId: "a", start: 0, pcm: noise(48000) });
  store.anchor({ itemId: "a", position: 0, time: 7 });
  return store;
}

const span = (columns) => [Math.min(...columns), Math.max(...columns)];

test("the microphone stands where it was heard", () => {
  assert.deepEqual(span(draw(conversation()).columns("mic")), [200, 599]);
});

test("what was played is coloured, what is to come is pale, and now divides them", () => {
  const canvas = draw(conversation());
  assert.deepEqual(span(canvas.columns("answer")), [700, 799]);
  assert.deepEqual(span(canvas.columns("unplayed")), [800, 899]);
});

test("after a flush the rest stays pale, until the next answer begins", () => {
  const store = conversation();
  store.flush({ itemId: "a", position: 12000, time: 7.5 });
  assert.deepEqual(span(draw(store).columns("answer")), [700, 749]);
  assert.deepEqual(span(draw(store).columns("unplayed")), [750, 899]);
  store.addAnswer({ itemId: "b", start: 0, pcm: noise(12000) });
  store.anchor({ itemId: "b", position: 0, time: 7.8 });
  const canvas = draw(store);
  assert.deepEqual(canvas.columns("answer").filter((x) => x >= 750), Array.from({ length: 20 }, (_, i) => 780 + i));
  assert.deepEqual(span(canvas.columns("unplayed").filter((x) => x < 780)), [750, 779]);
});

test("an underrun moves the rest of the answer", () => {
  const store = conversation();
  store.anchor({ itemId: "a", position: 12000, time: 7.7 });
  const played = draw(store).columns("answer");
  assert.deepEqual([played.includes(749), played.includes(760), played.includes(770)], [true, false, true]);
});

test("a segment is a band over what was said", () => {
  const bands = draw(conversation()).rects.filter(({ colour }) => colour === "band");
  assert.deepEqual(bands.map(({ x, width }) => [Math.round(x), Math.round(width)]), [[300, 200]]);
});

test("a segment that is still open ends where the audio does", () => {
  const store = conversation();
  store.take({ message: { type: "speech_started", audio_start_ms: 3500 }, time: 6 });
  const band = draw(store).rects.findLast(({ colour }) => colour === "band");
  assert.deepEqual([Math.round(band.x), Math.round(band.x + band.width)], [550, 600]);
});

test("threshold, leave level and probability share one scale", () => {
  const canvas = draw(conversation());
  const [enter, leave] = canvas.paths.filter(({ colour }) => colour === "threshold").map(({ points }) => points[0].y);
  const [curve] = canvas.paths.filter(({ colour }) => colour === "probability");
  const p = curve.points[0].y;
  assert.ok(Math.abs((leave - enter) / 0.15 - (enter - p) / 0.25) < 1e-6);
  assert.ok(canvas.words().includes("enter 0.50") && canvas.words().includes("leave 0.35"));
});

test("what is in effect is shown where it differs from what was asked for", () => {
  const store = conversation();
  store.turnDetection = { threshold: 0.5 };
  assert.ok(!draw(store).words().some((text) => text.startsWith("in effect")));
  assert.ok(draw(store, { threshold: 0.7 }).words().includes("in effect 0.50"));
  store.turnDetection = null;
  assert.ok(draw(store).words().includes("detection off"));
});

test("the axis counts seconds from the first audio", () => {
  const seconds = draw(conversation()).texts.filter(({ text }) => /^\d+ s$/.test(text));
  assert.deepEqual(seconds.slice(0, 3).map(({ text, x }) => [text, Math.round(x)]), [["0 s", 200], ["1 s", 300], ["2 s", 400]]);
});

test("labels of events do not cover each other; one without room keeps its mark", () => {
  const store = conversation();
  for (let i = 0; i < 5; i++) store.take({ message: { type: "tick", event: "response.done" }, time: 6.5 });
  const rows = draw(store).texts.filter(({ text }) => text.startsWith("response."));
  assert.equal(new Set(rows.map(({ y }) => y)).size, rows.length);
  assert.equal(rows.length, 3);
});

test("a loud sample makes the scale coarser, a silent lane keeps a sensible one", () => {
  const loudest = (canvas) => Math.max(...canvas.rects.filter(({ colour }) => colour === "mic").map(({ height }) => height));
  const store = new TimelineStore();
  store.addMicrophone({ pcm: noise(960, 30), time: 4, sent: 960 });
  assert.ok(loudest(draw(store)) < 4);
  store.addMicrophone({ pcm: noise(960, 32000), time: 4.04, sent: 1920 });
  assert.ok(loudest(draw(store)) > 60 && loudest(draw(store)) < 90);
});

test("without anything to show there is a sentence", () => {
  const canvas = new FakeCanvas();
  paintSentence(canvas, { width: 500, height: 280, colours }, "Press Talk");
  assert.deepEqual(canvas.words(), ["Press Talk"]);
});
