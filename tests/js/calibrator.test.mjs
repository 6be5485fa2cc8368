import assert from "node:assert/strict";
import test from "node:test";

import { ASKED, CalibratorGuide, NO_MICROPHONE, NO_PORT } from "../../rtnb/static/calibrator_guide.js";
import { layOut } from "../../rtnb/static/calibrator_spectrum.js";
import { describeSpectrum, wordsOf } from "../../rtnb/static/calibrator_words.js";
import { Emitter } from "../../rtnb/static/emitter.js";
import { addPort } from "../../rtnb/static/registry.js";
import { FakeModel, settle } from "./fakes.mjs";

const STEPS = ["idle", "preparing", "quiet", "speech", "loudspeaker", "measuring", "done"];

class FakePort extends Emitter {
  did = [];
  facts = { talking: false, message: "" };

  constructor({ allowed = true, talking = false } = {}) {
    super();
    this.allowed = allowed;
    this.facts.talking = talking;
  }

  interrupt() {
    this.did.push("interrupt");
  }

  async start(options) {
    this.did.push(["start", options]);
    this.facts.talking = this.facts.talking || this.allowed;
    if (!this.allowed) this.facts.message = "The browser denies the microphone.";
  }

  stop() {
    this.did.push("stop");
    this.facts.talking = false;
  }
}

let pages = 0;

/** A guide on a page with a port. */
function page(t, options) {
  const id = `port ${++pages}`;
  const model = new FakeModel({ port_id: id, step: "idle", seconds_left: 0, message: "", result: {}, sentence: "Say it." });
  const port = options === null ? null : new FakePort(options);
  if (port) t.after(addPort(id, port));
  const guide = new CalibratorGuide(model);
  t.after(() => guide.close());
  return { id, model, port, guide };
}

function be(model, step, seconds = 0) {
  model.traits.seconds_left = seconds;
  model.change("step", step);
}

test("start silences the answer, switches the microphone on for no turn, then asks the kernel", async (t) => {
  const { model, port, guide } = page(t);
  await guide.start();
  assert.deepEqual(port.did, ["interrupt", ["start", { hold: false }]]);
  assert.deepEqual(model.sent, [{ type: "start", started: true }]);
  assert.equal(guide.message, ASKED);
  be(model, "quiet", 7);
  assert.deepEqual([guide.message, guide.seconds], ["", 7]);
});

test("what was switched on for it is switched off after the last recording", async (t) => {
  const { model, port, guide } = page(t);
  await guide.start();
  for (const step of ["preparing", "quiet", "speech", "loudspeaker"]) be(model, step);
  assert.ok(!port.did.includes("stop"));
  be(model, "measuring");
  assert.equal(port.did.at(-1), "stop");
  be(model, "done");
  assert.equal(port.did.filter((what) => what === "stop").length, 1);
});

test("a microphone that was on stays on", async (t) => {
  const { model, port, guide } = page(t, { talking: true });
  await guide.start();
  assert.equal(model.sent[0].started, false);
  be(model, "measuring");
  assert.ok(!port.did.includes("stop"));
});

test("without a microphone the reason is said and the kernel is not asked", async (t) => {
  const { model, port, guide } = page(t, { allowed: false });
  await guide.start();
  assert.equal(guide.message, "The browser denies the microphone.");
  port.facts.message = "";
  port.start = async () => {};
  await guide.start();
  assert.equal(guide.message, NO_MICROPHONE);
  assert.deepEqual(model.sent, []);
});

test("without a port on the page that is said", async (t) => {
  const { model, guide } = page(t, null);
  await guide.start();
  assert.deepEqual([guide.message, model.sent], [NO_PORT, []]);
});

test("a port that comes later is used", async (t) => {
  const { id, guide, model } = page(t, null);
  t.after(addPort(id, new FakePort()));
  await guide.start();
  assert.equal(model.sent.length, 1);
});

test("two presses start once", async (t) => {
  const { model, guide } = page(t);
  await Promise.all([guide.start(), guide.start()]);
  assert.equal(model.sent.length, 1);
});

test("the level is handed on, and what the kernel says is a change", (t) => {
  const { model, port, guide } = page(t);
  const seen = [];
  guide.on("level", (level) => seen.push(level));
  guide.on("change", () => seen.push("change"));
  port.emit("level", -30);
  model.change("message", "Cancelled.");
  assert.deepEqual(seen, [-30, "change"]);
  assert.equal(guide.message, "Cancelled.");
});

test("closed, the microphone is given back and nothing listens any more", async (t) => {
  const { model, port, guide } = page(t);
  await guide.start();
  guide.close();
  await settle();
  assert.equal(port.did.at(-1), "stop");
  assert.equal(model.listening, 0);
});

test("every step has an instruction, and all but the work itself a way out", () => {
  for (const step of STEPS) {
    const { text, actions } = wordsOf(step, {}, "Say it.");
    assert.ok(text.length > 5, step);
    if (step !== "measuring") assert.ok(["start", "cancel", "discard"].some((action) => action in actions), step);
  }
  assert.match(wordsOf("speech", {}, "Say it.").text, /“Say it\.”$/);
});

test("only what is usable can be applied", () => {
  const result = { usable: true, recommended: "threshold 0.50", problems: [] };
  assert.deepEqual(Object.keys(wordsOf("done", result, "").actions), ["apply", "discard", "start"]);
  assert.equal(wordsOf("done", result, "").text, "Recommended: threshold 0.50.");
  assert.match(wordsOf("done", { ...result, problems: ["x"] }, "").text, /trouble/);
  assert.ok(!("apply" in wordsOf("done", { ...result, usable: false }, "").actions));
});

const MEASURED = {
  centres: Array.from({ length: 24 }, (_, i) => 1000 * 10 ** ((i - 13) / 10)),
  levels: Array.from({ length: 24 }, (_, i) => -90 + i),
  noise: -62.3,
  speech: -25.7,
  hum: 50,
};

test("bands stand side by side, higher the louder, within the drawing", () => {
  const { bars } = layOut(MEASURED);
  for (let i = 1; i < bars.length; i++) {
    assert.ok(Math.abs(bars[i].x - bars[i - 1].x - bars[i - 1].width) < 1e-6);
    assert.ok(bars[i].y < bars[i - 1].y);
  }
  assert.ok(bars[0].x === 46 && bars.at(-1).x + bars.at(-1).width <= 540.001);
  assert.ok(bars.every(({ y, height }) => y >= 10 && Math.abs(y + height - 160) < 1e-6));
});

test("lines stand at their levels, and their labels apart", () => {
  const { lines, levels, frequencies, hum } = layOut(MEASURED);
  assert.deepEqual(lines.map(({ label }) => label), ["noise −62", "speech −26"]);
  assert.deepEqual([levels[0].label, levels.at(-1).label], ["−100", "−20"]);
  const [low, high] = [levels[0].y, levels.at(-1).y];
  assert.ok(Math.abs(lines[0].y - (low + ((high - low) * (100 - 62.3)) / 80)) < 1e-6);
  assert.deepEqual(frequencies.map(({ label }) => label), ["63", "125", "250", "500", "1k", "2k", "4k", "8k"]);
  assert.equal(hum.label, "hum 50 Hz");
  const near = layOut({ ...MEASURED, speech: -61 }).lines;
  assert.ok(near[0].at - near[1].at >= 13.9);
});

test("silence, and nobody, are drawn too", () => {
  const silent = { ...MEASURED, levels: MEASURED.levels.map(() => -140), noise: -120, speech: null, hum: null };
  const shape = layOut(silent);
  assert.equal(shape.lines.length, 1);
  assert.ok([...shape.bars, ...shape.levels].every(({ y }) => Number.isFinite(y)));
});

test("the spectrum is told in words", () => {
  assert.equal(
    describeSpectrum(MEASURED),
    "Noise by third octave: the floor is -62 dBFS, loudest around 10 kHz with -67 dBFS. Speech is -26 dBFS.",
  );
  assert.ok(!describeSpectrum({ ...MEASURED, speech: null }).includes("Speech"));
});
