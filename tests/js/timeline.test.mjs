import assert from "node:assert/strict";
import test from "node:test";

import { Envelope } from "../../rtnb/static/decimate.js";
import { TimeBase } from "../../rtnb/static/timebase.js";
import { HISTORY_S, TimelineStore } from "../../rtnb/static/timeline_store.js";
import { Emitter } from "../../rtnb/static/emitter.js";

function noise(length, seed = 1) {
  return Int16Array.from({ length }, () => ((seed = (seed * 48271) % 2147483647) % 65536) - 32768);
}

function extremes(pcm) {
  return { low: Math.min(...pcm), high: Math.max(...pcm) };
}

test("no peak is lost, in any chunking and any stretch of whole bins", () => {
  const pcm = noise(6000);
  for (const size of [1, 7, 120]) {
    const envelope = new Envelope(size);
    for (let i = 0, n = 1; i < pcm.length; i += n, n = (n * 7) % 331 || 1) envelope.add(i, pcm.subarray(i, i + n));
    for (const [from, to] of [[0, 6000], [1200, 2400], [4200, 4200 + size], [0, size]]) {
      const [start, stop] = [Math.floor(from / size) * size, Math.min(6000, Math.ceil(to / size) * size)];
      assert.deepEqual(envelope.range(start, stop, { low: 0, high: 0 }), extremes(pcm.subarray(start, stop)));
    }
  }
});

test("a single loud sample shows wherever its bin is asked for", () => {
  const envelope = new Envelope(120);
  const pcm = new Int16Array(12000);
  pcm[5432] = 32767;
  envelope.add(0, pcm);
  assert.equal(envelope.range(5400, 5520, { low: 0, high: 0 }).high, 32767);
  assert.equal(envelope.range(5520, 12000, { low: 0, high: 0 }).high, 0);
  assert.equal(envelope.range(5300, 5401, { low: 0, high: 0 }).high, 32767);
  assert.equal(envelope.range(5519, 5521, { low: 0, high: 0 }).high, 32767);
});

test("a bounded envelope forgets the oldest, and says so", () => {
  const envelope = new Envelope(10, 2000);
  const pcm = noise(50000);
  envelope.add(0, pcm);
  assert.equal(envelope.bins.length, 2000);
  assert.equal(envelope.range(0, 1000, { low: 0, high: 0 }), null);
  assert.deepEqual(envelope.range(30000, 50000, { low: 0, high: 0 }), extremes(pcm.subarray(30000)));
});

test("what was never added is unknown, not silence", () => {
  const envelope = new Envelope(10);
  envelope.add(100, noise(50));
  envelope.add(300, noise(50));
  assert.equal(envelope.range(150, 300, { low: 0, high: 0 }), null);
  assert.equal(envelope.range(0, 100, { low: 0, high: 0 }), null);
});

test("session time follows the page's own samples, also over a pause", () => {
  const base = new TimeBase();
  assert.equal(base.timeOf(0), null);
  for (let i = 1; i <= 50; i++) base.own(960 * i, 10 + 0.04 * i);
  for (let i = 1; i <= 50; i++) base.own(48000 + 960 * i, 20 + 0.04 * i);
  const near = (sample, time) => assert.ok(Math.abs(base.timeOf(sample) - time) < 1e-9, `${base.timeOf(sample)}`);
  near(24000, 11);
  near(48000, 12);
  near(48001, 20 + 1 / 24000);
  near(96000, 22);
  near(98400, 22.1);
});

test("an hour of talk is one stretch, so its beginning is still known", () => {
  const base = new TimeBase();
  for (let i = 1; i <= 90000; i++) base.own(960 * i, 5 + 0.04 * i);
  assert.ok(Math.abs(base.timeOf(24000) - 6) < 1e-6);
});

test("the gateway's count shifts it, and what is still on its way does not", () => {
  const base = new TimeBase();
  for (let i = 1; i <= 25; i++) base.own(960 * i, 0.04 * i);
  base.session(240000 + 24000 - 960, 1.0);
  base.session(240000 + 24000, 1.01);
  base.session(240000 + 24000 - 1920, 1.02);
  for (let i = 26; i <= 50; i++) base.own(960 * i, 0.04 * i);
  assert.ok(Math.abs(base.timeOf(240000 + 36000) - 1.5) < 1e-9);
});

test("audio from elsewhere moves session time on as the gateway reports it", () => {
  const base = new TimeBase();
  base.session(0, 5);
  base.session(12000, 5.5);
  base.session(24000, 6);
  assert.ok(Math.abs(base.timeOf(18000) - 5.75) < 1e-9);
});

test("audio from elsewhere is also known by what the detector saw of it", () => {
  const base = new TimeBase();
  for (let i = 1; i <= 25; i++) base.own(960 * i, 10 + 0.04 * i);
  base.seen(23808, 11);
  assert.equal(base.end, 11);
  base.seen(48000, 12);
  assert.ok(Math.abs(base.timeOf(36000) - 11.5) < 1e-9);
  assert.equal(base.end, 12);
});

/** A store that has heard some seconds of talk, starting at second 1. */
function spoken(seconds) {
  const store = new TimelineStore();
  for (let i = 1; i <= seconds * 25; i++) {
    store.addMicrophone({ pcm: new Int16Array(960).fill(i), time: 1 + 0.04 * i, sent: 960 * i });
  }
  return store;
}

function text(store, time, message) {
  store.take({ message, time });
}

test("segments and probabilities lie where the audio they speak of lies", () => {
  const store = spoken(4);
  text(store, 5, { type: "speech_started", audio_start_ms: 1000 });
  assert.equal(store.speaking, true);
  text(store, 5, { type: "speech_stopped", audio_end_ms: 3000 });
  assert.equal(store.speaking, false);
  text(store, 5, { type: "probability", hop0: 0, hop_ms: 32, p: [0.1, 0.9] });
  const [{ start, stop }] = store.segments;
  assert.ok(Math.abs(start - 2) < 1e-9 && Math.abs(stop - 4) < 1e-9, `${start} ${stop}`);
  assert.deepEqual(store.probabilities.map(({ time, p }) => [Math.round(1000 * time), p]), [[1032, 0.1], [1064, 0.9]]);
});

test("time is counted from the first thing to see", () => {
  const store = new TimelineStore();
  text(store, 3, { type: "settings", turn_detection: null });
  text(store, 4, { type: "mic", samples: 0 });
  assert.equal(store.origin, null);
  text(store, 5, { type: "tick", event: "response.created" });
  assert.equal(store.origin, 5);
});

test("nothing is drawn in the future", () => {
  const store = spoken(1);
  text(store, 2, { type: "speech_started", audio_start_ms: 60000 });
  assert.equal(store.segments[0].start, 2);
});

test("an answer is played from its anchors on, and cut where it was flushed", () => {
  const store = spoken(1);
  store.addAnswer({ itemId: "a", start: 0, pcm: noise(24000) });
  store.addAnswer({ itemId: "b", start: 0, pcm: noise(100) });
  store.anchor({ itemId: "a", position: 0, time: 2 });
  store.flush({ itemId: "a", position: 12000, time: 2.5 });
  store.addAnswer({ itemId: "a", start: 24000, pcm: noise(24000) });
  const [a, b] = store.answers;
  assert.deepEqual([a.cut, a.end, a.envelope.end], [12000, 2.5, 24000]);
  assert.deepEqual([b.cut, b.end], [0, 2.5]);
  assert.deepEqual(store.ticks.map(({ label }) => label), ["playback.cleared"]);
});

test("memory is bounded", () => {
  const store = new TimelineStore();
  for (let i = 0; i < 5000; i++) {
    const time = i;
    text(store, time, { type: "tick", event: "response.created" });
    text(store, time, { type: "probability", hop0: i * 31, hop_ms: 32, p: [0.5] });
    text(store, time, { type: "speech_started", audio_start_ms: 1000 * i });
    text(store, time, { type: "speech_stopped", audio_end_ms: 1000 * i + 500 });
    store.addAnswer({ itemId: `${i}`, start: 0, pcm: new Int16Array(10) });
    store.end({ itemId: `${i}`, time });
  }
  for (const list of [store.ticks, store.probabilities, store.segments, store.answers]) {
    assert.ok(list.length <= HISTORY_S + 2, `${list.length}`);
  }
});

test("a store follows a port until it is told not to, and begins anew with a new context", () => {
  const port = new Emitter();
  const store = new TimelineStore();
  const leave = store.follow(port);
  port.emit("gateway", { message: { type: "tick", event: "response.created" }, time: 3 });
  assert.equal(store.ticks.length, 1);
  port.emit("context");
  assert.deepEqual([store.ticks.length, store.origin], [0, null]);
  leave();
  port.emit("gateway", { message: { type: "tick", event: "response.created" }, time: 4 });
  assert.equal(store.ticks.length, 0);
});
