import assert from "node:assert/strict";
import test from "node:test";

import { lastBefore, TunerStore } from "../../rtnb/static/tuner_store.js";
import { Tape } from "../../rtnb/static/tuner_tape.js";
import { segments } from "../../rtnb/static/turn_law.js";

const server = (changes = {}) => ({ type: "server_vad", threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200, ...changes });
const semantic = { type: "semantic_vad", eagerness: "auto" };

function store() {
  const told = { changes: 0, labels: 0 };
  let now = 0;
  const made = new TunerStore({ changed: () => (told.changes += 1), labelled: () => (told.labels += 1), env: { now: () => now++ } });
  made.takeSettings(server(), null);
  return { made, told };
}

function outline(start, stop, bins) {
  return { start, stop, low: new Int16Array(bins).fill(-100), high: new Int16Array(bins).fill(200) };
}

/** Ten hops of quiet, twenty of speech, and so on. */
function speech(...runs) {
  return Float32Array.from(runs.flatMap((length, i) => Array(length).fill(i % 2 ? 0.75 : 0.125)));
}

const trace = (p, firstHop = 0) => ({ p, hopMs: 32, firstHop });

test("turns are those of the law, and follow the settings", () => {
  const { made } = store();
  const p = speech(10, 20, 8, 20, 40);
  made.takeProbability(trace(p));
  assert.deepEqual(made.chosen.turns, segments(p, server(), 32));
  assert.equal(made.chosen.counters.turns, 2);
  assert.deepEqual([...made.chosen.cutIn], [1, 0]);
  made.takeSettings(server({ silence_duration_ms: 500 }), null);
  assert.equal(made.chosen.counters.turns, 1);
});

test("settings that are compared have turns of their own", () => {
  const { made } = store();
  made.takeProbability(trace(speech(10, 20, 8, 20, 40)));
  made.takeSettings(server({ threshold: 0.9 }), server());
  assert.equal(made.chosen.counters.turns, 0);
  assert.equal(made.compared.counters.turns, 2);
});

test("semantic_vad waits for the ends of sentences, but not with live sound", () => {
  const { made } = store();
  made.takeProbability(trace(speech(10, 20, 60)));
  made.takeSettings(semantic, null);
  assert.equal(made.chosen, null);
  made.takeSentences({ hops: Int32Array.of(37), p: Float32Array.of(1) });
  assert.deepEqual(made.chosen.turns.ended, ["sentence"]);
  const live = store().made;
  live.takeSound({ start: 0, end: 0, live: true }, outline(0, 0, 0));
  live.takeProbability(trace(speech(10, 20, 60)));
  live.takeSettings(semantic, null);
  assert.equal(live.chosen.counters.turns, 1);
});

test("another kind of settings comes back as it was left", () => {
  const { made } = store();
  made.takeSettings(server({ threshold: 0.7 }), null);
  made.takeSettings(made.changed({ type: "semantic_vad", eagerness: "low" }), null);
  assert.deepEqual(made.settings, { type: "semantic_vad", eagerness: "low" });
  assert.deepEqual(made.changed({ type: "server_vad" }), server({ threshold: 0.7 }));
});

test("labels change the counters at once, and say so", () => {
  const { made, told } = store();
  made.takeProbability(trace(speech(10, 20, 8, 20, 40)));
  assert.equal(made.chosen.counters.delayMs, 224);
  made.labels.add(0.32, 0.9);
  assert.equal(made.chosen.counters.cutIns, 0);
  assert.equal(made.chosen.counters.delayMs, 37 * 32 - 900);
  assert.equal(told.labels, 1);
});

test("the turn at a moment is found, the later one where two overlap", () => {
  const { made } = store();
  made.takeProbability(trace(speech(10, 20, 8, 20, 40)));
  const { turns } = made.chosen;
  assert.equal(made.turnAt(turns, 0.01), -1);
  assert.equal(made.turnAt(turns, 0.1), 0);
  assert.ok(turns.audioStartMs[1] < turns.audioEndMs[0]);
  assert.equal(made.turnAt(turns, turns.audioStartMs[1] / 1000 + 0.001), 1);
  assert.equal(made.turnAt(turns, 3), -1);
});

test("the window keeps to the sound, and a change is told", () => {
  const { made, told } = store();
  made.takeSound({ start: 0, end: 10, live: false }, outline(0, 10, 100));
  assert.deepEqual(made.window, { start: 0, end: 10 });
  assert.equal(made.peak, 200);
  const before = told.changes;
  assert.equal(made.see({ start: 8, end: 12 }), true);
  assert.deepEqual(made.window, { start: 6, end: 10 });
  assert.equal(told.changes, before + 1);
  assert.equal(made.see({ start: 6, end: 10 }), false);
  assert.equal(made.following, false);
});

const grid = { bin_ms: 2, hop_ms: 32, kept_ms: 600000 };

function news(bins, hops, p = 0.125) {
  return { low: new Int16Array(bins).fill(-5), high: new Int16Array(bins).fill(9), p: new Float32Array(hops).fill(p) };
}

test("a live sound grows, and is followed until somebody looks back", () => {
  const { made } = store();
  made.takeSound({ start: 0, end: 0, live: true }, outline(0, 0, 0));
  for (let i = 0; i < 30; i++) assert.ok(made.grow({ ...grid, first_bin: 480 * i, first_hop: 30 * i }, news(480, 30)));
  assert.ok(Math.abs(made.whole.end - 28.8) < 1e-9);
  assert.ok(Math.abs(made.window.end - 28.8) < 1e-9);
  made.see({ start: 2, end: 10 });
  assert.equal(made.following, false);
  made.grow({ ...grid, first_bin: 14400, first_hop: 900 }, news(480, 30));
  assert.deepEqual(made.window, { start: 2, end: 10 });
});

test("news that is known already is passed over, and a gap is no news", () => {
  const { made } = store();
  made.takeSound({ start: 0, end: 0, live: true }, outline(0, 0, 0));
  made.grow({ ...grid, first_bin: 160, first_hop: 10 }, news(160, 10));
  assert.ok(made.grow({ ...grid, first_bin: 240, first_hop: 15 }, news(160, 10)));
  assert.equal(made.trace.p.length, 15);
  assert.equal(made.overview.low.length, 240);
  assert.ok(Math.abs(made.whole.start - 0.32) < 1e-9);
  assert.equal(made.grow({ ...grid, first_bin: 900, first_hop: 80 }, news(160, 10)), false);
});

test("what is older than ten minutes is forgotten, and turns keep their time", () => {
  const { made } = store();
  made.takeSound({ start: 0, end: 0, live: true }, outline(0, 0, 0));
  for (let minute = 0; minute < 13; minute++) {
    const p = new Float32Array(1875).fill(0.125);
    p.fill(0.75, 1000, 1100);
    made.grow({ ...grid, first_bin: 30000 * minute, first_hop: 1875 * minute }, { ...news(30000, 0), p });
  }
  assert.ok(made.overview.low.length <= 330000 && made.trace.p.length <= 20625);
  assert.equal(made.trace.firstHop % 1875, 0);
  assert.equal(made.chosen.counters.turns, made.trace.p.length / 1875);
  const last = made.chosen.counters.turns - 1;
  assert.ok(Math.abs(made.stretch(made.chosen.turns, last).start - (12 * 60 + 32 - 0.3)) < 1e-9);
});

test("a tape drops whole blocks and grows as it must", () => {
  const tape = new Tape(Int16Array.of(1, 2), { most: 4, block: 2 });
  tape.append(Int16Array.of(3, 4, 5));
  assert.deepEqual([...tape.values], [3, 4, 5]);
  assert.equal(tape.dropped, 2);
  tape.append(Int16Array.of(6));
  assert.deepEqual([...tape.values], [3, 4, 5, 6]);
  for (let i = 7; i < 100; i++) tape.append(Int16Array.of(i));
  assert.equal(tape.values.at(-1), 99);
  assert.equal(tape.dropped + tape.length, 99);
});

test("the last of rising values is found", () => {
  assert.equal(lastBefore([1, 3, 5], 0), -1);
  assert.equal(lastBefore([1, 3, 5], 3), 1);
  assert.equal(lastBefore([1, 3, 5], 9), 2);
});
