import assert from "node:assert/strict";
import test from "node:test";

import { TunerActions } from "../../rtnb/static/tuner_actions.js";
import { KernelLink } from "../../rtnb/static/tuner_link.js";
import { PIECE_S, TunerPlayer } from "../../rtnb/static/tuner_player.js";
import { FakeClock, settle } from "./fakes.mjs";

const SETTINGS = { type: "server_vad", threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200 };

/** A model whose kernel is the test. */
class FakeModel {
  sent = [];
  saved = 0;
  #handlers = new Map();

  constructor(state = {}) {
    this.state = { settings: SETTINGS, compared: null, view: null, ...state };
  }

  get(name) {
    return this.state[name];
  }

  set(name, value) {
    this.state[name] = value;
    this.#fire(`change:${name}`);
  }

  save_changes() {
    this.saved += 1;
  }

  send(content) {
    this.sent.push(content);
  }

  on(name, handler) {
    this.#handlers.set(name, [...(this.#handlers.get(name) ?? []), handler]);
  }

  off(name, handler) {
    this.#handlers.set(name, this.#handlers.get(name).filter((each) => each !== handler));
  }

  says(content, buffers = []) {
    this.#fire("msg:custom", content, buffers);
  }

  questions(type) {
    return this.sent.filter((each) => each.type === type);
  }

  answer(type, facts = {}, buffers = []) {
    const { request, page } = this.questions(type).at(-1);
    this.says({ type, request, page, ...facts }, buffers);
  }

  #fire(name, ...facts) {
    for (const handler of this.#handlers.get(name) ?? []) handler(...facts);
  }
}

class FakeContext {
  currentTime = 0;
  outputLatency = 0;
  destination = {};
  started = [];
  closed = false;

  async resume() {}
  close() {
    this.closed = true;
  }
  createBuffer(_, length, rate) {
    return { length, rate, copyToChannel: (samples) => (this.latest = samples) };
  }
  createBufferSource() {
    const source = { connect() {}, start: (at) => this.started.push({ at, length: source.buffer.length }), stop: () => (source.stopped = true) };
    this.sources = [...(this.sources ?? []), source];
    return source;
  }
}

const view = (array) => new DataView(array.buffer);

function tuner(state) {
  const clock = new FakeClock();
  const model = new FakeModel(state);
  const context = new FakeContext();
  const copied = [];
  const env = {
    now: () => clock.now,
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    openContext: () => context,
    copy: async (text) => {
      if (env.insecure) throw new Error("no clipboard");
      copied.push(text);
    },
    page: "page",
  };
  return { actions: new TunerActions(model, env), model, clock, context, env, copied };
}

/** Ten seconds of sound with one turn, and what a kernel says of it. */
async function shown(state) {
  const made = tuner(state);
  const low = new Int16Array(100).fill(-10);
  const high = new Int16Array(100).fill(10);
  const facts = { rate: 16000, session: true, dialects: ["rtnb"], path: "" };
  made.model.answer("ready", { start: 0, end: 10, live: false, facts }, [view(low), view(high)]);
  await settle();
  const p = new Float32Array(312).fill(0.125).fill(0.75, 100, 140);
  made.model.says({ type: "probability", hop_ms: 32, first_hop: 0 }, [view(p)]);
  return made;
}

const detail = (bins) => [view(new Int16Array(bins)), view(new Int16Array(bins).fill(1))];

test("it asks for the sound, and shows the turns as soon as the probability is there", async () => {
  const { actions } = await shown();
  assert.equal(actions.store.chosen.counters.turns, 1);
  assert.equal(actions.status.text, "");
});

test("without a kernel it says what to do", async () => {
  const { actions, clock } = tuner();
  await clock.pass(4000);
  assert.match(actions.status.text, /Waiting for the kernel/);
  await clock.pass(20000);
  assert.match(actions.status.text, /run its cell again/);
  assert.equal(actions.status.alert, true);
});

test("settings act at once and are shared ten times a second at most", async () => {
  const { actions, model, clock } = await shown();
  const before = model.saved;
  for (let i = 0; i < 50; i++) {
    actions.configure({ threshold: 0.5 + i / 1000 });
    await clock.pass(10);
  }
  assert.equal(actions.store.chosen.settings.threshold, 0.549);
  assert.ok(model.saved - before >= 4 && model.saved - before <= 6, String(model.saved - before));
  await clock.pass(100);
  assert.equal(model.state.settings.threshold, 0.549);
});

test("what the kernel sets is shown, but not while a hand is moving it", async () => {
  const { actions, model, clock } = await shown();
  model.set("settings", { ...SETTINGS, threshold: 0.9 });
  assert.equal(actions.store.chosen.counters.turns, 0);
  actions.configure({ threshold: 0.4 });
  model.set("settings", { ...SETTINGS, threshold: 0.95 });
  assert.equal(actions.store.settings.threshold, 0.4);
  await clock.pass(200);
  assert.equal(model.state.settings.threshold, 0.4);
});

test("what the kernel sets while something else is changed here is kept", async () => {
  const { actions, model, clock } = await shown();
  actions.freeze();
  model.set("settings", { ...SETTINGS, threshold: 0.9 });
  await clock.pass(200);
  assert.deepEqual([model.state.settings.threshold, model.state.compared.threshold], [0.9, 0.5]);
  assert.equal(actions.store.settings.threshold, 0.9);
});

test("freezing, swapping and clearing", async () => {
  const { actions, model, clock } = await shown();
  actions.freeze();
  actions.configure({ threshold: 0.9 });
  await clock.pass(100);
  assert.deepEqual(model.state.compared, SETTINGS);
  assert.equal(actions.store.compared.counters.turns, 1);
  actions.swap();
  await clock.pass(100);
  assert.deepEqual([model.state.settings.threshold, model.state.compared.threshold], [0.5, 0.9]);
  actions.unfreeze();
  await clock.pass(100);
  assert.equal(model.state.compared, null);
});

test("detail is asked for when the window rests, one question at a time, and only if it is missing", async () => {
  const { actions, model, clock } = await shown();
  await clock.pass(100);
  assert.equal(model.questions("detail").length, 1);
  actions.see({ start: 4, end: 5 });
  actions.see({ start: 4, end: 4.5 });
  await clock.pass(200);
  assert.equal(model.questions("detail").length, 1);
  model.answer("detail", { start: 0, stop: 10 }, detail(1000));
  await clock.pass(200);
  assert.equal(model.questions("detail").length, 2);
  const { start, stop, bins } = model.questions("detail")[1];
  assert.deepEqual([start, stop, bins], [3.5, 5, 3000]);
  model.answer("detail", { start, stop }, detail(bins));
  await settle();
  assert.equal(actions.store.envelope, actions.store.detail);
  actions.pan(0.4);
  await clock.pass(200);
  assert.equal(model.questions("detail").length, 2);
});

test("answers to another page are none", async () => {
  const { actions, model } = await shown();
  const before = actions.store.trace;
  model.says({ type: "probability", page: "other", hop_ms: 32, first_hop: 0 }, [view(new Float32Array(3))]);
  assert.equal(actions.store.trace, before);
});

test("a turn is explained after a pause, once for each settings", async () => {
  const { actions, model, clock } = await shown();
  actions.hover({ side: "settings", index: 0 });
  await clock.pass(100);
  assert.equal(model.questions("explain").length, 0);
  await clock.pass(100);
  assert.deepEqual([model.questions("explain")[0].started, model.questions("explain")[0].settings], [100, SETTINGS]);
  model.answer("explain", { text: "paused 412 ms" });
  await settle();
  assert.equal(actions.explanation, "Turn 1: paused 412 ms");
  actions.hover(null);
  assert.equal(actions.explanation, "");
  actions.hover({ side: "settings", index: 0 });
  await clock.pass(200);
  assert.equal(model.questions("explain").length, 1);
  assert.equal(actions.explanation, "Turn 1: paused 412 ms");
  actions.configure({ threshold: 0.6 });
  await clock.pass(200);
  assert.equal(model.questions("explain").length, 2);
});

test("labels go to the kernel when a gesture is over, and come from there", async () => {
  const { actions, model } = await shown();
  const { labels } = actions.store;
  labels.begin();
  labels.add(1, 2);
  assert.equal(model.questions("labels").length, 0);
  labels.end();
  assert.deepEqual(model.questions("labels")[0].labels, [[1, 2, "", ""]]);
  assert.equal(actions.saved, false);
  model.says({ type: "labels", labels: [[3, 4, "x", "t"]], drawn_by: "page" });
  assert.equal(labels.labels[0].start, 1);
  model.says({ type: "labels", labels: [[3, 4, "x", "t"]], drawn_by: null });
  assert.deepEqual(labels.labels, [{ start: 3, end: 4, text: "x", tier: "t" }]);
  assert.equal(model.questions("labels").length, 1);
});

test("a turn can be labelled without a pointer", async () => {
  const { actions } = await shown();
  actions.labelTurn();
  assert.match(actions.status.text, /Move the cursor into a turn/);
  actions.moveTo(3.5);
  actions.labelTurn();
  assert.deepEqual(actions.store.labels.labels.map(({ start, end }) => [start, end]), [[3.2, 4.704]]);
  actions.moveTo(4);
  assert.equal(actions.store.labels.selected, actions.store.labels.labels[0]);
  actions.deleteLabel();
  assert.equal(actions.store.labels.labels.length, 0);
});

test("what the kernel refuses is said", async () => {
  const { actions, model } = await shown();
  actions.save("x.doc");
  model.answer("save", { error: "no such format" });
  await settle();
  assert.deepEqual(actions.status, { text: "no such format", alert: true });
  actions.apply();
  model.answer("apply", { text: "In force." });
  await settle();
  assert.deepEqual(actions.status, { text: "In force.", alert: false });
});

test("code is copied, or shown where the page may not copy", async () => {
  const { actions, model, env, copied } = await shown();
  actions.copy("rtnb");
  model.answer("code", { text: "ServerVad()" });
  await settle();
  assert.deepEqual(copied, ["ServerVad()"]);
  env.insecure = true;
  actions.copy("rtnb");
  model.answer("code", { text: "other" });
  await settle();
  assert.equal(actions.code, "other");
  assert.match(actions.status.text, /press Ctrl\+C/);
  actions.configure({ threshold: 0.7 });
  assert.equal(actions.code, "");
});

test("the ends of sentences are asked for once", async () => {
  const { actions, model } = await shown();
  actions.configure({ type: "semantic_vad" });
  assert.match(actions.status.text, /Computing where sentences end/);
  actions.configure({ eagerness: "high" });
  assert.equal(model.questions("sentences").length, 1);
  model.answer("sentences", {}, [view(Int32Array.of(147)), view(Float32Array.of(1))]);
  await settle();
  assert.deepEqual(actions.store.chosen.turns.ended, ["sentence"]);
  assert.equal(actions.status.text, "");
});

test("a missing recogniser is a sentence", async () => {
  const { actions, model } = await shown();
  actions.configure({ type: "semantic_vad" });
  model.answer("sentences", { error: 'speech recognition needs an optional package: pip install "rtnb[local]"' });
  await settle();
  assert.match(actions.status.text, /pip install/);
  assert.equal(actions.store.chosen, null);
});

test("a view of the kernel is shown, and one of the page told", async () => {
  const { actions, model, clock } = await shown({ view: [2, 4] });
  assert.deepEqual(actions.store.window, { start: 2, end: 4 });
  model.set("view", [5, 6]);
  assert.deepEqual(actions.store.window, { start: 5, end: 6 });
  actions.zoom(0.5, 5.5);
  await clock.pass(200);
  assert.deepEqual(model.state.view, [5.25, 5.75]);
});

test("closing leaves no timer and no handler", async () => {
  const { actions, model, clock } = await shown();
  actions.see({ start: 1, end: 2 });
  actions.configure({ threshold: 0.6 });
  actions.close();
  assert.equal(clock.waiting, 0);
  model.says({ type: "trouble", message: "x" });
  assert.notEqual(actions.status.text, "x");
});

test("a late answer is told to be late, and then not any more", async () => {
  const clock = new FakeClock();
  const model = new FakeModel();
  const late = [];
  const link = new KernelLink(model, { page: "p", told: () => {}, waits: (waiting) => late.push(waiting), env: clock });
  const asked = link.ask("code");
  await clock.pass(3500);
  assert.deepEqual(late, [true]);
  model.answer("code", { text: "x" });
  assert.equal((await asked).content.text, "x");
  assert.deepEqual(late, [true, false]);
  assert.equal(clock.waiting, 0);
});

// -- playing -----------------------------------------------------------------------------

function player() {
  const clock = new FakeClock();
  const context = new FakeContext();
  const fetched = [];
  const failed = [];
  const made = new TunerPlayer({
    fetch: async ({ start, end }) => {
      fetched.push([start, end]);
      if (made.broken) throw new Error("gone");
      return new Int16Array(Math.round((end - start) * 24000));
    },
    changed: () => {},
    failed: (error) => failed.push(error.message),
    env: { openContext: () => context, setTimeout: clock.setTimeout },
  });
  const pass = async (seconds) => {
    for (let i = 0; i < seconds * 10; i++) {
      context.currentTime += 0.1;
      await clock.pass(100);
    }
  };
  return { made, context, fetched, failed, pass };
}

test("a long stretch is fetched in pieces, a little ahead, and played without a gap", async () => {
  const { made, context, fetched, pass } = player();
  made.play({ start: 2, end: 62 });
  await pass(1);
  assert.ok(fetched.length <= 3, String(fetched.length));
  await pass(61);
  assert.equal(fetched.length, 60 / PIECE_S);
  for (const [i, { at, length }] of context.started.slice(1).entries()) {
    const before = context.started[i];
    assert.ok(Math.abs(at - before.at - before.length / 24000) < 1e-9);
    assert.equal(length, PIECE_S * 24000);
  }
  assert.equal(made.playing, null);
});

test("the playhead is what is heard", async () => {
  const { made, context, pass } = player();
  context.outputLatency = 0.1;
  made.play({ start: 3, end: 60 });
  await pass(7);
  const heard = context.currentTime - 0.1 - context.started[0].at;
  assert.ok(Math.abs(made.position - 3 - heard) < 1e-9);
  made.stop();
  assert.equal(made.position, null);
  assert.ok(context.sources.some(({ stopped }) => stopped));
});

test("a loop begins anew, and a short one is fetched once", async () => {
  const { made, context, fetched, pass } = player();
  made.loop = true;
  made.play({ start: 1, end: 2 });
  await pass(5);
  assert.deepEqual(fetched, [[1, 2]]);
  assert.ok(context.started.length >= 5);
  assert.ok(made.position >= 1 && made.position <= 2);
  made.loop = false;
  await pass(10);
  assert.equal(made.playing, null);
});

test("sound that does not come is a sentence", async () => {
  const { made, failed, pass } = player();
  made.broken = true;
  made.play({ start: 0, end: 1 });
  await pass(0.2);
  assert.deepEqual(failed, ["gone"]);
  assert.equal(made.playing, null);
});

test("another stretch ends the one before", async () => {
  const { made, fetched, pass } = player();
  made.play({ start: 0, end: 30 });
  made.play({ start: 40, end: 41 });
  await pass(3);
  assert.deepEqual(fetched.at(-1), [40, 41]);
  assert.equal(made.playing, null);
  made.close();
});
