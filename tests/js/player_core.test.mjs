import assert from "node:assert/strict";
import test from "node:test";

import { PlayerCore } from "../../rtnb/static/player_core.js";

/** A core with what it has sounded and told. */
class Listener {
  heard = [];
  events = [];

  constructor(prebuffer = 0) {
    this.core = new PlayerCore({ prebuffer });
  }

  pull(samples, block = 128) {
    for (let n = 0; n < samples; n += block) {
      const out = new Float32Array(block).fill(9);
      this.core.pull(out, (event) => this.events.push({ ...event, at: this.heard.length + event.offset }));
      this.heard.push(...out.map((x) => x * 32768));
    }
    return this;
  }

  of(type) {
    return this.events.filter((event) => event.type === type).map(({ itemId, position, at }) => ({ itemId, position, at }));
  }
}

/** A chunk whose samples say where they belong. */
function ramp(start, length) {
  return Int16Array.from({ length }, (_, i) => start + i + 1);
}

function upTo(n) {
  return Array.from({ length: n }, (_, i) => i + 1);
}

test("what is pushed sounds sample for sample, without a gap", () => {
  const listener = new Listener(300);
  for (const [start, length] of [[0, 250], [250, 333], [583, 17], [600, 400]]) listener.core.push("a", start, ramp(start, length));
  listener.core.done("a");
  listener.pull(1280);
  assert.deepEqual(listener.heard.slice(0, 1000), upTo(1000));
  assert.ok(listener.heard.slice(1000).every((x) => x === 0));
  assert.equal(listener.core.underruns, 0);
  assert.deepEqual(listener.of("anchor"), [{ itemId: "a", position: 0, at: 0 }]);
  assert.deepEqual(listener.of("ended"), [{ itemId: "a", position: 1000, at: 1000 }]);
  assert.equal(listener.core.state, "idle");
});

test("sound begins when the prebuffer is full, not before", () => {
  const listener = new Listener(500);
  listener.core.push("a", 0, ramp(0, 499));
  assert.ok(listener.pull(1280).heard.every((x) => x === 0));
  listener.core.push("a", 499, ramp(499, 1));
  assert.deepEqual(listener.pull(128).heard.slice(1280), upTo(128));
});

test("an item shorter than the prebuffer sounds as soon as it is complete", () => {
  const listener = new Listener(5000);
  listener.core.push("a", 0, ramp(0, 100));
  listener.core.done("a");
  listener.pull(256);
  assert.deepEqual(listener.heard.slice(0, 100), upTo(100));
  assert.deepEqual(listener.of("ended"), [{ itemId: "a", position: 100, at: 100 }]);
});

test("the next item follows the last without a pause, and the counter begins anew", () => {
  const listener = new Listener(100);
  listener.core.push("a", 0, ramp(0, 200));
  listener.core.done("a");
  listener.core.push("b", 0, ramp(0, 200));
  listener.pull(256);
  assert.deepEqual(listener.heard.slice(0, 256), [...upTo(200), ...upTo(56)]);
  assert.deepEqual(listener.core.progress, { itemId: "b", position: 56 });
  assert.deepEqual(listener.of("ended"), [{ itemId: "a", position: 200, at: 200 }]);
  assert.deepEqual(listener.of("anchor"), [
    { itemId: "a", position: 0, at: 0 },
    { itemId: "b", position: 0, at: 200 },
  ]);
});

test("an item that runs dry waits for a full prebuffer, and that is one underrun", () => {
  const listener = new Listener(200);
  listener.core.push("a", 0, ramp(0, 200));
  listener.pull(384);
  listener.core.push("a", 200, ramp(200, 199));
  listener.pull(128);
  assert.equal(listener.core.underruns, 0);
  listener.core.push("a", 399, ramp(399, 1));
  listener.pull(256);
  assert.equal(listener.core.underruns, 1);
  assert.deepEqual(listener.heard.slice(512, 712), upTo(400).slice(200));
  assert.deepEqual(listener.of("anchor").at(-1), { itemId: "a", position: 200, at: 512 });
});

test("an item found complete after it ran dry ends, and is no underrun", () => {
  const listener = new Listener(0);
  listener.core.push("a", 0, ramp(0, 100));
  listener.pull(256);
  assert.deepEqual(listener.of("ended"), []);
  listener.core.done("a");
  listener.pull(128);
  assert.deepEqual(listener.of("ended"), [{ itemId: "a", position: 100, at: 256 }]);
  assert.equal(listener.core.underruns, 0);
  assert.equal(listener.core.state, "idle");
});

test("a flush silences at once and says which item, and how far it had got", () => {
  const listener = new Listener(0);
  listener.core.push("a", 0, ramp(0, 1000));
  listener.pull(256);
  assert.deepEqual(listener.core.flush(), { itemId: "a", position: 256, dropped: 744 });
  assert.ok(listener.pull(256).heard.slice(256).every((x) => x === 0));
});

test("what comes late for a flushed item is dropped, another item is not", () => {
  const listener = new Listener(0);
  listener.core.push("a", 0, ramp(0, 300));
  listener.pull(128);
  listener.core.flush();
  listener.core.push("a", 300, ramp(300, 300));
  listener.core.done("a");
  listener.core.push("b", 0, ramp(0, 128));
  listener.pull(128);
  assert.equal(listener.core.late, 300);
  assert.deepEqual(listener.heard.slice(128), upTo(128));
});

test("a flush with nothing to play names no item", () => {
  const listener = new Listener(0);
  assert.deepEqual(listener.core.flush(), { itemId: null, position: 0, dropped: 0 });
  listener.core.push("a", 0, ramp(0, 10));
  listener.core.done("a");
  listener.pull(128);
  assert.deepEqual(listener.core.flush(), { itemId: null, position: 0, dropped: 0 });
});

test("a flush before the first sound says that nothing of the item was heard", () => {
  const listener = new Listener(500);
  listener.core.push("a", 0, ramp(0, 400));
  listener.pull(128);
  assert.deepEqual(listener.core.flush(), { itemId: "a", position: 0, dropped: 400 });
});

test("a flush while the item waits for more still counts what was heard, and ends it", () => {
  const listener = new Listener(0);
  listener.core.push("a", 0, ramp(0, 128));
  listener.pull(256);
  assert.deepEqual(listener.core.flush(), { itemId: "a", position: 128, dropped: 0 });
  listener.core.push("a", 128, ramp(128, 128));
  assert.equal(listener.core.late, 128);
});

test("every item in the queue is flushed", () => {
  const listener = new Listener(0);
  listener.core.push("a", 0, ramp(0, 300));
  listener.core.push("b", 0, ramp(0, 300));
  listener.pull(128);
  assert.equal(listener.core.flush().dropped, 472);
  listener.core.push("b", 300, ramp(300, 10));
  assert.equal(listener.core.late, 10);
});

test("a lost chunk moves the position on and leaves no gap; a repeated one is cut", () => {
  const listener = new Listener(0);
  listener.core.push("a", 0, ramp(0, 100));
  listener.core.push("a", 50, ramp(50, 100));
  listener.core.push("a", 50, ramp(50, 20));
  listener.core.push("a", 200, ramp(200, 56));
  listener.core.done("a");
  listener.pull(256);
  assert.deepEqual(listener.heard.slice(0, 206), [...upTo(150), ...upTo(256).slice(200)]);
  assert.equal(listener.core.lost, 50);
  assert.deepEqual(listener.of("ended"), [{ itemId: "a", position: 256, at: 206 }]);
});

test("only so many flushed items are remembered", () => {
  const { core } = new Listener(0);
  for (let i = 0; i < 1000; i++) {
    core.push(`item ${i}`, 0, ramp(0, 1));
    core.flush();
  }
  assert.ok(core.flushed.size <= 256);
  assert.ok(core.flushed.has("item 999"));
});

test("no block size, chunk size or prebuffer changes what is heard", () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  for (let round = 0; round < 50; round++) {
    const listener = new Listener(random(400));
    for (let start = 0, n; start < 3000; start += n) {
      n = 1 + random(500);
      listener.core.push("a", start, ramp(start, n));
      listener.pull(random(2) * 128, 128);
    }
    listener.core.done("a");
    listener.pull(6000, 1 + random(300));
    const [{ position }] = listener.of("ended");
    assert.deepEqual(listener.heard.filter((x) => x !== 0), upTo(position));
  }
});
