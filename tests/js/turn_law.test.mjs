import assert from "node:assert/strict";
import test from "node:test";

import { counters, segments } from "../../rtnb/static/turn_law.js";

const HOP_MS = 32;

/** Probabilities from runs: [level, hops], … */
function trace(...runs) {
  return Float32Array.from(runs.flatMap(([level, hops]) => Array(hops).fill(level)));
}

function marks({ audioStartMs, audioEndMs }) {
  return Array.from(audioStartMs, (start, i) => [start, audioEndMs[i]]);
}

test("a turn begins a prefix before its first loud hop and ends with its last quiet one", () => {
  const found = segments(trace([0, 12], [0.9, 3], [0, 20]), {}, HOP_MS);
  assert.deepEqual(marks(found), [[12 * 32 - 300, 22 * 32]]);
  assert.deepEqual([...found.startedHop, ...found.stoppedHop, ...found.ended], [12, 21, "silence"]);
});

test("a turn that was still going on ends with the audio", () => {
  const found = segments(trace([0.9, 3], [0, 6]), { prefix_padding_ms: 0 }, HOP_MS);
  assert.deepEqual(marks(found), [[0, 9 * 32]]);
  assert.deepEqual([...found.stoppedHop, ...found.ended], [-1, "end of audio"]);
});

test("what is not set has its default", () => {
  const p = trace([0.2, 5], [0.6, 9], [0.34, 30], [0.5, 1]);
  const spelled = { type: "server_vad", threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200 };
  assert.deepEqual(segments(p, {}, HOP_MS), segments(p, spelled, HOP_MS));
});

test("probabilities are compared as doubles", () => {
  const p = Float32Array.of(0.3, 0.3);
  assert.equal(segments(p, { threshold: 0.3 }, HOP_MS).startedHop.length, 1);
  assert.equal(segments(p, { threshold: Math.fround(0.3) + 1e-12 }, HOP_MS).startedHop.length, 0);
});

test("no silence at all is one quiet hop", () => {
  const found = segments(trace([0.9, 1], [0, 1], [0.9, 1], [0, 5]), { silence_duration_ms: 0 }, HOP_MS);
  assert.deepEqual([...found.stoppedHop], [1, 3]);
});

test("semantic_vad waits as long as the words want", () => {
  const p = trace([0.9, 10], [0, 300]);
  const settings = { type: "semantic_vad", eagerness: "low", threshold: 0.95 };
  const stop = (p_end) =>
    segments(p, settings, HOP_MS, { hops: Int32Array.of(17), p: Float32Array.of(p_end) }).stoppedHop[0] - 9;
  assert.deepEqual([1, 0.5, 0].map(stop), [9, 69, 250]);
  assert.equal(segments(p, settings, HOP_MS).stoppedHop[0] - 9, 69);
  assert.deepEqual(segments(p, { type: "semantic_vad" }, HOP_MS).ended, ["sentence"]);
});

test("an empty recording has no turns and no delay", () => {
  const found = segments(new Float32Array(0), {}, HOP_MS);
  assert.deepEqual(counters(new Float32Array(0), found, HOP_MS), { turns: 0, cutIns: 0, delayMs: null });
});

test("speech within a second of a turn's end means that the turn cut in", () => {
  for (const [pause, cutIns] of [
    [7 + 31, 1],
    [7 + 32, 0],
  ]) {
    const p = trace([0.9, 10], [0, pause], [0.9, 10]);
    assert.equal(counters(p, segments(p, {}, HOP_MS), HOP_MS).cutIns, cutIns, `a pause of ${pause} hops`);
  }
});

test("the delay is the median over the turns that ended", () => {
  const p = trace([0.9, 10], [0.4, 5], [0, 60], [0.9, 10], [0, 60], [0.9, 3]);
  const found = segments(p, {}, HOP_MS);
  assert.deepEqual(counters(p, found, HOP_MS), { turns: 3, cutIns: 0, delayMs: ((5 + 7 + 7) * 32) / 2 });
});

test("with labels, these say where there was speech", () => {
  const p = trace([0.9, 10], [0, 60], [0.9, 10], [0, 60]);
  const found = segments(p, {}, HOP_MS);
  const said = (startMs, endMs) => counters(p, found, HOP_MS, { startMs, endMs });
  assert.deepEqual(said([0], [300]), { turns: 2, cutIns: 0, delayMs: 17 * 32 - 300 });
  assert.deepEqual(said([0, 17 * 32 + 999], [300, 2000]).cutIns, 1);
  assert.deepEqual(said([0, 17 * 32 + 1000], [300, 1550]).cutIns, 0);
  assert.deepEqual(said([], []), { turns: 2, cutIns: 0, delayMs: null });
});
