import assert from "node:assert/strict";
import test from "node:test";

import { Chunker } from "../../rtnb/static/chunker.js";
import { rmsDbfs, toPcm16 } from "../../rtnb/static/pcm.js";

test("full scale is 32768 both ways, and saturates", () => {
  assert.deepEqual([-1, -0.5, 0, 0.5, 1, 2, -2].map(toPcm16), [-32768, -16384, 0, 16384, 32767, 32767, -32768]);
});

test("PCM16 survives the way through float", () => {
  for (const value of [-32768, -1, 0, 1, 12345, 32767]) assert.equal(toPcm16(value / 32768), value);
});

test("a full-scale square wave has 0 dBFS, a sine 3 less, silence the floor", () => {
  const sine = Int16Array.from({ length: 2400 }, (_, i) => 32767 * Math.sin((2 * Math.PI * i) / 24));
  assert.ok(Math.abs(rmsDbfs(new Int16Array(8).fill(-32768))) < 1e-9);
  assert.ok(Math.abs(rmsDbfs(sine) + 3.01) < 0.01);
  assert.equal(rmsDbfs(new Int16Array(8)), -120);
});

test("chunks have one size, and what is pushed comes out whole", () => {
  const chunks = [];
  const chunker = new Chunker(960, (pcm, after) => chunks.push({ pcm, after }));
  const samples = Float32Array.from({ length: 2000 }, (_, i) => i / 32768);
  for (let i = 0; i < 2000; i += 128) chunker.push(samples.subarray(i, i + 128));
  assert.deepEqual(chunks.map(({ pcm }) => pcm.length), [960, 960]);
  assert.deepEqual(chunks.map(({ after }) => after), [64, 0]);
  chunker.flush();
  assert.deepEqual(chunks.flatMap(({ pcm }) => [...pcm]), Array.from({ length: 2000 }, (_, i) => i));
});

test("a chunker that changes its size loses nothing", () => {
  const chunks = [];
  const chunker = new Chunker(960, (pcm) => chunks.push(pcm.length));
  chunker.push(new Float32Array(100));
  chunker.resize(200);
  chunker.push(new Float32Array(300));
  chunker.flush();
  chunker.flush();
  assert.deepEqual(chunks, [100, 200, 100]);
});
