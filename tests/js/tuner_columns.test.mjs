import assert from "node:assert/strict";
import test from "node:test";

import { crowded, eachColumn, eachCrowd, eachHop, finest, peakOf } from "../../rtnb/static/tuner_columns.js";

function envelope(start, stop, bins, loud = () => 100) {
  const high = Int16Array.from({ length: bins }, (_, i) => loud(i));
  return { start, stop, low: high.map((value) => -value), high };
}

function columns(...given) {
  const found = [];
  eachColumn(...given, (x, low, high) => found.push({ x, low, high }));
  return found;
}

function trace(p, hopMs = 32, firstHop = 0) {
  return { p: Float32Array.from(p), hopMs, firstHop };
}

function line(...given) {
  const found = [];
  eachHop(...given, (x, p) => found.push({ x, p }));
  return found;
}

test("every pixel has a column, and no peak is left out", () => {
  const hour = envelope(0, 3600, 4096, (i) => (i === 2001 ? 30000 : 10));
  for (const width of [300, 701, 1600]) {
    const found = columns(hour, { start: 0, end: 3600 }, width);
    assert.equal(found.length, width);
    assert.equal(Math.max(...found.map(({ high }) => high)), 30000);
  }
});

test("closer than the bins, a bin fills its pixels", () => {
  const found = columns(envelope(0, 10, 10, (i) => i), { start: 4, end: 6 }, 100);
  assert.deepEqual([...new Set(found.map(({ high }) => high))], [4, 5]);
  assert.equal(found.length, 100);
});

test("there are columns only where there is sound", () => {
  const found = columns(envelope(0, 10, 100), { start: 5, end: 15 }, 100);
  assert.equal(found.length, 50);
  assert.equal(found.at(-1).x, 49);
});

test("detail is used where it covers the window, else the overview", () => {
  const overview = envelope(0, 100, 100);
  const detail = envelope(10, 20, 1000);
  assert.equal(finest(overview, detail, { start: 12, end: 18 }), detail);
  assert.equal(finest(overview, detail, { start: 12, end: 25 }), overview);
  assert.equal(finest(overview, null, { start: 12, end: 18 }), overview);
});

test("close by the probability is drawn hop by hop, at the middle of each", () => {
  const found = line(trace([0, 0.5, 1, 0.5]), { start: 0, end: 0.128 }, 128);
  assert.deepEqual(found.map(({ x }) => Math.round(x)), [16, 48, 80, 112]);
  assert.equal(found[2].p, 1);
});

test("from afar one loud hop is still seen", () => {
  const p = new Float32Array(112500).fill(0.125);
  p[70000] = 0.875;
  const hour = { start: 0, end: 3600 };
  const found = [];
  assert.ok(crowded(trace(p), hour, 1200) && !crowded(trace(p), { start: 0, end: 10 }, 1200));
  eachCrowd(trace(p), hour, 1200, (x, low, high) => found.push({ x, low, high }));
  assert.deepEqual(found.map(({ x }) => x), Array.from({ length: 1200 }, (_, x) => x));
  const [loud] = found.filter(({ high }) => high === 0.875);
  assert.deepEqual(loud, { x: Math.floor((70000.5 * 0.032) / 3), low: 0.125, high: 0.875 });
});

test("the trace of a live sound lies where its first hop says", () => {
  const found = line(trace([0.25, 0.75], 32, 100), { start: 3.2, end: 3.264 }, 64);
  assert.deepEqual(found.map(({ x }) => Math.round(x)), [16, 48]);
});

test("the peak is that of either side", () => {
  assert.equal(peakOf({ start: 0, stop: 1, low: Int16Array.of(-500), high: Int16Array.of(20) }), 500);
  assert.equal(peakOf(null), 0);
});
