import assert from "node:assert/strict";
import test from "node:test";

import { Emitter } from "../../rtnb/static/emitter.js";
import { Prober } from "../../rtnb/static/prober.js";
import { TimeBase } from "../../rtnb/static/timebase.js";
import { FakeContext } from "./fakes.mjs";

/** A context that says what was played when. */
class Sounding extends FakeContext {
  played = [];

  createBuffer(channels, length, rate) {
    const data = new Float32Array(length);
    return { channels, rate, getChannelData: () => data };
  }

  createBufferSource() {
    const source = { connect: (target) => (source.target = target), start: (time) => this.played.push({ ...source, time }) };
    return source;
  }
}

function page({ state = "running" } = {}) {
  const port = new Emitter();
  port.context = new Sounding({ sampleRate: 24000 });
  port.context.state = state;
  port.context.currentTime = 10;
  return { port, prober: new Prober(port) };
}

function pcm(...samples) {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((sample, i) => view.setInt16(2 * i, sample, true));
  return view;
}

/** Chunks of 40 ms, from one end time to another; the page has sent so much before. */
function talk(port, from, to, sent = 0) {
  for (let time = from; time <= to + 1e-9; time += 0.04) {
    sent += 960;
    port.emit("microphone", { sent, time, pcm: new Int16Array(960) });
  }
  return sent;
}

test("the sound goes to the loudspeaker as it is, at a time set ahead", () => {
  const { port, prober } = page();
  prober.play(pcm(16384, -32768));
  const [{ buffer, target, time }] = port.context.played;
  assert.deepEqual([...buffer.getChannelData()], [0.5, -1]);
  assert.deepEqual([buffer.channels, buffer.rate, target], [1, 24000, port.context.destination]);
  assert.equal(time, 10.1);
});

test("where it began is known when the microphone has come so far, and no sooner", async () => {
  const { port, prober } = page();
  const sent = talk(port, 9.04, 10);
  const playing = prober.play(pcm(1));
  let known = false;
  playing.then(() => (known = true));
  talk(port, 10.04, 10.08, sent);
  await null;
  assert.equal(known, false);
  talk(port, 10.12, 10.12, sent + 1920);
  assert.equal(await playing, Math.round((10.1 - 9) * 24000));
});

test("what others sent to the session is counted", async () => {
  const { port, prober } = page();
  const sent = talk(port, 9.04, 9.08);
  port.emit("gateway", { message: { type: "mic", samples: sent + 5000 }, time: 9.09 });
  const on = talk(port, 9.12, 10, sent);
  const playing = prober.play(pcm(1));
  talk(port, 10.04, 10.2, on);
  assert.equal(await playing, Math.round((10.1 - 9) * 24000) + 5000);
});

test("a page that gives no sound refuses", async () => {
  await assert.rejects(page({ state: "suspended" }).prober.play(pcm(1)), /press Talk/);
  const { port, prober } = page();
  port.context = null;
  await assert.rejects(prober.play(pcm(1)), /press Talk/);
});

test("a new context forgets the old one's times", async () => {
  const { port, prober } = page();
  const playing = prober.play(pcm(1));
  port.emit("context");
  await assert.rejects(playing, /began anew/);
});

test("samples and times are told from each other both ways", () => {
  const base = new TimeBase();
  assert.equal(base.sampleAt(0), null);
  for (let i = 1; i <= 50; i++) base.own(960 * i, 10 + 0.04 * i);
  for (const sample of [960, 12345, 48000]) assert.equal(base.sampleAt(base.timeOf(sample)), sample);
  assert.equal(base.sampleAt(12.1), null);
});
