import assert from "node:assert/strict";
import test from "node:test";

const made = new Map();

/** Both processors, as an AudioWorklet of that rate would have them. */
async function worklets(rate) {
  Object.assign(globalThis, {
    sampleRate: rate,
    currentFrame: 0,
    currentTime: 0,
    registerProcessor: (name, processor) => made.set(name, processor),
    AudioWorkletProcessor: class {
      posted = [];
      port = { postMessage: (message) => this.posted.push(message) };
    },
  });
  await import("../../rtnb/static/tap.worklet.js");
  await import("../../rtnb/static/player.worklet.js");
  return made;
}

function advance(samples) {
  globalThis.currentFrame += samples;
  globalThis.currentTime = globalThis.currentFrame / globalThis.sampleRate;
}

async function tapOf(rate, size = 960) {
  const Tap = (await worklets(rate)).get("rtnb-tap");
  return new Tap({ processorOptions: { size, rate: 24000 } });
}

async function playerOf(rate, prebuffer = 0) {
  const Player = (await worklets(rate)).get("rtnb-player");
  return new Player({ processorOptions: { prebuffer, rate: 24000 } });
}

function capture(tap, samples, block = 128) {
  for (let i = 0; i < samples.length; i += block) {
    tap.process([[samples.subarray(i, i + block)]]);
    advance(block);
  }
  return tap.posted.filter(({ type }) => type === "chunk");
}

function play(player, samples, block = 128) {
  const heard = [];
  for (let n = 0; n < samples; n += block) {
    const out = new Float32Array(block);
    player.process([], [[out]]);
    heard.push(...out);
    advance(block);
  }
  return heard;
}

function sine(rate, hertz, length) {
  return Float32Array.from({ length }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / rate));
}

test("the tap hands on what comes, with the time at which each chunk ends", async () => {
  const samples = Float32Array.from({ length: 2048 }, (_, i) => i / 32768);
  const chunks = capture(await tapOf(24000), samples);
  assert.deepEqual(chunks.flatMap(({ pcm }) => [...pcm]), Array.from({ length: 1920 }, (_, i) => i));
  assert.deepEqual(chunks.map(({ time }) => Math.round(time * 24000)), [960, 1920]);
});

test("a tap without an input hands on silence, so the clock goes on", async () => {
  const tap = await tapOf(24000);
  for (let i = 0; i < 15; i++) tap.process([[]]);
  assert.deepEqual(tap.posted.map(({ pcm }) => [pcm.length, Math.max(...pcm)]), [[960, 0], [960, 0]]);
});

test("a tap at 48 kHz gives 24 kHz, and takes the kernel's delay off the time", async () => {
  const chunks = capture(await tapOf(48000), sine(48000, 1000, 9600));
  assert.deepEqual(chunks.map(({ pcm }) => pcm.length), [960, 960, 960, 960, 960]);
  const pcm = chunks.flatMap((chunk) => [...chunk.pcm]);
  const begin = chunks[0].time - 960 / 24000;
  for (let i = 480; i < pcm.length; i++) {
    const expected = 16384 * Math.sin(2 * Math.PI * 1000 * (begin + i / 24000));
    assert.ok(Math.abs(pcm[i] - expected) < 1600, `sample ${i}: ${pcm[i]} is not ${expected}`);
  }
});

test("a tap that is flushed gives up the started chunk, then says so", async () => {
  const tap = await tapOf(24000);
  capture(tap, new Float32Array(256));
  tap.port.onmessage({ data: { type: "flush", id: 4 } });
  assert.deepEqual(tap.posted.map(({ type, pcm, id }) => [type, pcm?.length ?? id]), [["chunk", 256], ["flushed", 4]]);
});

test("closed processors end", async () => {
  const tap = await tapOf(24000);
  assert.equal(tap.process([[]]), true);
  tap.port.onmessage({ data: { type: "close" } });
  assert.equal(tap.process([[]]), false);
  const player = await playerOf(24000);
  assert.equal(player.process([], [[new Float32Array(128)]]), true);
  player.port.onmessage({ data: { type: "close" } });
  assert.equal(player.process([], [[new Float32Array(128)]]), false);
});

test("the player sounds what is pushed and tells when", async () => {
  const player = await playerOf(24000);
  const pcm = Int16Array.from({ length: 5000 }, (_, i) => i + 1);
  play(player, 256);
  player.port.onmessage({ data: { type: "push", itemId: "a", start: 0, pcm } });
  player.port.onmessage({ data: { type: "done", itemId: "a" } });
  const heard = play(player, 5120);
  assert.deepEqual(heard.slice(0, 5000).map((x) => x * 32768), [...pcm]);
  const [anchor, progress, again, ended] = player.posted;
  assert.deepEqual(anchor, { type: "anchor", itemId: "a", position: 0, time: 256 / 24000 });
  assert.deepEqual([progress.type, progress.itemId, progress.delay], ["progress", "a", 0]);
  assert.ok(Math.abs(again.position - progress.position - 2400) < 256);
  assert.deepEqual(ended, { type: "ended", itemId: "a", position: 5000, time: 5256 / 24000 });
});

test("the player answers a flush with its own position", async () => {
  const player = await playerOf(24000);
  player.port.onmessage({ data: { type: "push", itemId: "a", start: 0, pcm: new Int16Array(4800).fill(5) } });
  play(player, 1280);
  player.port.onmessage({ data: { type: "flush", id: "f1" } });
  const { type, id, itemId, position, dropped } = player.posted.at(-1);
  assert.deepEqual({ type, id, itemId, position, dropped }, { type: "flushed", id: "f1", itemId: "a", position: 1280, dropped: 3520 });
  assert.ok(play(player, 256).every((x) => x === 0));
});

test("a player at 48 kHz sounds the same tone, and says what it holds back", async () => {
  const player = await playerOf(48000);
  const pcm = Int16Array.from(sine(24000, 1000, 24000), (x) => Math.round(x * 32768));
  player.port.onmessage({ data: { type: "push", itemId: "a", start: 0, pcm } });
  const heard = play(player, 24064);
  const { time } = player.posted[0];
  assert.ok(time > 0.001 && time < 0.004, `${time}`);
  const delay = 32 / 24000;
  for (let i = 2400; i < 23000; i++) {
    const expected = 0.5 * Math.sin(2 * Math.PI * 1000 * (i / 48000 - delay));
    assert.ok(Math.abs(heard[i] - expected) < 2e-3, `sample ${i}: ${heard[i]} is not ${expected}`);
  }
  player.port.onmessage({ data: { type: "flush", id: "f1" } });
  const flushed = player.posted.at(-1);
  const heardS = flushed.position / 24000 - flushed.delay;
  assert.ok(Math.abs(heardS - (24064 / 48000 - delay)) < 1e-4, `${heardS} s`);
});
