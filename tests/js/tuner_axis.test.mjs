import assert from "node:assert/strict";
import test from "node:test";

import { clock, fit, pan, reveal, scale, SHORTEST_S, ticks, zoom } from "../../rtnb/static/tuner_axis.js";

const hour = { start: 0, end: 3600 };

test("zooming keeps the moment under the pointer where it is", () => {
  const before = { start: 100, end: 200 };
  const at = 130;
  const after = zoom(before, 0.5, at, hour);
  assert.equal(after.end - after.start, 50);
  assert.equal(scale(before, 1000).x(at), scale(after, 1000).x(at));
});

test("zooming and panning stay within the sound", () => {
  assert.deepEqual(zoom({ start: 0, end: 3600 }, 2, 1800, hour), hour);
  assert.deepEqual(pan({ start: 3500, end: 3600 }, 500, hour), { start: 3500, end: 3600 });
  assert.deepEqual(pan({ start: 10, end: 20 }, -50, hour), { start: 0, end: 10 });
  const close = zoom({ start: 1, end: 1.02 }, 0.001, 1.01, hour);
  assert.ok(Math.abs(close.end - close.start - SHORTEST_S) < 1e-12);
});

test("a live sound that is forgotten from the front takes the window along", () => {
  assert.deepEqual(fit({ start: 0, end: 20 }, { start: 60, end: 660 }), { start: 60, end: 80 });
});

test("a window is moved only as far as it must", () => {
  const window = { start: 10, end: 20 };
  assert.equal(reveal(window, { start: 12, end: 13 }, hour), window);
  const after = reveal(window, { start: 21, end: 22 }, hour);
  assert.ok(after.start > 10 && after.end > 22 && after.start < 21);
  const before = reveal(window, { start: 5, end: 6 }, hour);
  assert.ok(before.start < 5 && before.end > 6);
  const long = reveal(window, { start: 30, end: 90 }, hour);
  assert.ok(long.start < 30 && long.start > 28);
});

test("pixels and times are each other's inverse", () => {
  const { x, time } = scale({ start: 2, end: 4 }, 800);
  assert.equal(x(3), 400);
  assert.equal(time(x(2.25)), 2.25);
});

test("ticks are round, in view, and far enough apart", () => {
  for (const seconds of [0.02, 0.3, 7, 61, 600, 3600, 40000]) {
    const window = { start: 1.37, end: 1.37 + seconds };
    const made = ticks(window, 900);
    assert.ok(made.length >= 1 && made.length <= 13, `${seconds}: ${made.length}`);
    for (const { time } of made) assert.ok(time >= window.start - 1e-9 && time <= window.end);
    assert.equal(new Set(made.map(({ text }) => text)).size, made.length, `${seconds}: ${made.map(({ text }) => text)}`);
  }
});

test("a clock shows no more than is meant", () => {
  assert.equal(clock(3.12, 0.01), "3.12 s");
  assert.equal(clock(3.9999, 0.001), "4.000 s");
  assert.equal(clock(75, 1), "1:15");
  assert.equal(clock(59.9996), "1:00.000");
  assert.equal(clock(3723.5, 0.1), "1:02:03.5");
  assert.equal(clock(0, 60), "0 s");
});
