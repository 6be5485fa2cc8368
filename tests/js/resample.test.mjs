import assert from "node:assert/strict";
import test from "node:test";

import { Resampler } from "../../rtnb/static/resample.js";

const RATES = [
  [48000, 24000],
  [44100, 24000],
  [24000, 48000],
  [24000, 44100],
  [96000, 24000],
];

function sine(rate, hertz, seconds) {
  return Float32Array.from({ length: rate * seconds }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate));
}

function rms(samples) {
  return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
}

for (const [from, to] of RATES) {
  test(`${from} → ${to} Hz keeps a sine, delayed as it says`, () => {
    const resampler = new Resampler(from, to);
    const output = resampler.process(sine(from, 1000, 0.5));
    const skip = Math.round(0.05 * to);
    for (let i = skip; i < output.length; i++) {
      const expected = Math.sin(2 * Math.PI * 1000 * (i / to - resampler.delay));
      assert.ok(Math.abs(output[i] - expected) < 2e-3, `sample ${i}: ${output[i]} is not ${expected}`);
    }
    assert.ok(resampler.delay < 0.002, `${resampler.delay} s`);
  });

  test(`${from} → ${to} Hz gives as many samples as time asks for`, () => {
    const resampler = new Resampler(from, to);
    assert.ok(Math.abs(resampler.process(new Float32Array(from)).length - to) <= 1);
  });

  test(`${from} → ${to} Hz is the same in any chunking`, () => {
    const input = sine(from, 440, 0.1);
    const whole = new Resampler(from, to).process(input);
    const pieces = new Resampler(from, to);
    const parts = [];
    for (let i = 0, n = 1; i < input.length; i += n, n = (n % 300) + 37) parts.push(...pieces.process(input.subarray(i, i + n)));
    assert.deepEqual(Float32Array.from(parts), whole);
  });

  test(`${from} → ${to} Hz keeps a constant`, () => {
    const output = new Resampler(from, to).process(new Float32Array(from / 10).fill(0.5));
    for (const x of output.slice(-100)) assert.ok(Math.abs(x - 0.5) < 1e-4);
  });
}

test("what lies above the lower Nyquist frequency does not fold back", () => {
  for (const from of [48000, 44100]) {
    const output = new Resampler(from, 24000).process(sine(from, 13500, 0.5));
    const level = 20 * Math.log10(rms(output.slice(2400)));
    assert.ok(level < -70, `${level} dB`);
  }
});

test("speech up to 10 kHz passes", () => {
  const output = new Resampler(48000, 24000).process(sine(48000, 10000, 0.5));
  assert.ok(Math.abs(20 * Math.log10(rms(output.slice(2400)) * Math.SQRT2)) < 0.1);
});

test("no image appears above the upper Nyquist frequency", () => {
  const output = new Resampler(24000, 48000).process(sine(24000, 9000, 0.5)).slice(4800);
  const image = correlate(output, 15000, 48000);
  assert.ok(20 * Math.log10(image) < -70, `${20 * Math.log10(image)} dB`);
});

function correlate(samples, hertz, rate) {
  let [re, im] = [0, 0];
  samples.forEach((x, i) => {
    re += x * Math.cos((2 * Math.PI * hertz * i) / rate);
    im += x * Math.sin((2 * Math.PI * hertz * i) / rate);
  });
  return (2 * Math.hypot(re, im)) / samples.length;
}
