import assert from "node:assert/strict";
import test from "node:test";

import { Port } from "../../rtnb/static/port.js";
import { fakeBrowser, FakeContext, FakeModel, FakeNode, named, settle } from "./fakes.mjs";

const HELLO = { type: "hello", session_id: "sess_1", sample_rate: 24000 };

/** A port on a page, with a kernel that gives endpoints. */
function page(traits, where) {
  const env = fakeBrowser(where);
  const model = new FakeModel(traits);
  model.answer = ({ type, page: id, attempt }) => {
    if (type === "open") model.hears({ type: "endpoint", page: id, attempt, port: 5000, path: "/rtnb/media", ticket: "t" });
  };
  const port = new Port(model, env);
  return { env, model, port, socket: () => env.sockets.at(-1), tap: () => FakeNode.last("rtnb-tap"), player: () => FakeNode.last("rtnb-player") };
}

async function talking(traits, where) {
  const made = page(traits, where);
  const starting = made.port.start();
  await settle();
  made.socket().says(HELLO);
  await starting;
  return made;
}

function speak({ tap }, value = 1000, length = 960) {
  const pcm = new Int16Array(length).fill(value);
  tap().says({ type: "chunk", pcm, time: 1 });
}

/** The first sample and the number of each chunk that the gateway got. */
function received(socket) {
  return socket.frames.map((frame) => ({ seq: new DataView(frame).getUint32(4, true), sample: new DataView(frame).getInt16(16, true) }));
}

function answer(itemId, start, pcm) {
  const id = new TextEncoder().encode(itemId);
  const bytes = new Uint8Array(8 + id.length + 2 * pcm.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 2);
  view.setUint8(1, id.length);
  view.setUint32(4, start, true);
  bytes.set(id, 8);
  pcm.forEach((sample, i) => view.setInt16(8 + id.length + 2 * i, sample, true));
  return bytes.buffer;
}

test("a page says hello at once, and touches no device before a gesture", () => {
  const { env, model } = page();
  assert.deepEqual(model.types(), ["hello"]);
  assert.deepEqual([FakeContext.made.length, env.streams.length, env.sockets.length], [0, 0, 0]);
});

test("the context is made within the gesture, before anything is waited for", () => {
  const { port } = page();
  port.start();
  assert.deepEqual(FakeContext.made.map(({ sampleRate }) => sampleRate), [24000]);
});

test("talking sends what the microphone hears, numbered, and shows it to the model", async () => {
  const made = await talking({ device: "desk", noise_suppression: false });
  const { env, model, port, socket } = made;
  speak(made, 1000);
  speak(made, 2000);
  assert.deepEqual(received(socket()), [{ seq: 0, sample: 1000 }, { seq: 1, sample: 2000 }]);
  assert.equal(port.sent, 1920);
  assert.deepEqual(env.streams[0].constraints.audio, {
    deviceId: { exact: "desk" },
    echoCancellation: true,
    noiseSuppression: false,
    autoGainControl: true,
  });
  assert.deepEqual(
    ["state", "transport", "message", "talking", "sample_rate"].map((name) => model.get(name)),
    ["live", "direct", "", true, 24000],
  );
  assert.deepEqual(model.get("devices"), [{ deviceId: "one", label: "Desk" }]);
});

test("the level and the position reach the model five times a second at most", async () => {
  const made = await talking();
  const { env, model } = made;
  const before = model.saves;
  for (let i = 0; i < 50; i++) {
    speak(made, 100 * (i + 1));
    await env.clock.pass(40);
  }
  assert.ok(model.saves - before <= 10, `${model.saves - before} saves in two seconds`);
  assert.ok(model.get("level") > -20 && model.get("level") < 0);
});

test("muted, the gateway hears silence and the clock goes on", async () => {
  const made = await talking({ muted: true });
  speak(made, 1000);
  assert.deepEqual(received(made.socket()), [{ seq: 0, sample: 0 }]);
});

test("stopped, nothing is sent and the microphone is given back", async () => {
  const made = await talking();
  await made.port.stop();
  assert.equal(made.env.streams[0].stopped, true);
  assert.equal(made.model.get("talking"), false);
  assert.equal(made.model.get("state"), "live");
  assert.deepEqual(received(made.socket()), []);
});

test("stopped in mid-speech, silence goes on until the detector has seen the end", async () => {
  const made = await talking();
  const { port, socket, env } = made;
  socket().says({ type: "settings", turn_detection: { silence_duration_ms: 500 } });
  socket().says({ type: "speech_started", audio_start_ms: 0 });
  speak(made, 1000);
  await port.stop();
  speak(made, 1000);
  assert.deepEqual(received(socket()).map(({ sample }) => sample), [1000, 0]);
  assert.equal(env.streams[0].stopped, false);
  socket().says({ type: "speech_stopped", audio_end_ms: 500 });
  assert.equal(env.streams[0].stopped, true);
});

test("the closing silence has an end of its own", async () => {
  const made = await talking();
  made.socket().says({ type: "settings", turn_detection: { silence_duration_ms: 500 } });
  made.socket().says({ type: "speech_started", audio_start_ms: 0 });
  await made.port.stop();
  const tap = made.tap();
  for (let i = 0; i < 40; i++) tap.port.onmessage?.({ data: { type: "chunk", pcm: new Int16Array(960), time: 1 } });
  assert.equal(received(made.socket()).length, 20);
  assert.equal(made.env.streams[0].stopped, true);
});

test("push-to-talk presses, sends what was said while held, and releases after the last chunk", async () => {
  const made = await talking({ mode: "push-to-talk" });
  const { port, socket, env, tap } = made;
  speak(made, 1000);
  const posted = tap().port.postMessage;
  tap().port.postMessage = (message) => {
    if (message.type === "flush") speak(made, 7, 100);
    posted(message);
  };
  await port.stop();
  speak(made, 2000);
  assert.deepEqual(received(socket()).map(({ sample }) => sample), [1000, 7]);
  assert.deepEqual(socket().texts.map(({ type }) => type), ["ready", "press", "release"]);
  assert.equal(socket().sent.at(-1), JSON.stringify({ type: "release" }));
  assert.equal(env.streams[0].stopped, false);
  await port.start();
  speak(made, 3000);
  assert.deepEqual(socket().texts.map(({ type }) => type), ["ready", "press", "release", "press"]);
  assert.equal(received(socket()).at(-1).sample, 3000);
  assert.equal(env.streams.length, 1);
});

test("a press that ends before there is a line sends nothing at all", async () => {
  const { port, socket } = page({ mode: "push-to-talk" });
  const starting = port.start();
  await settle();
  await port.stop();
  socket().says(HELLO);
  await starting;
  assert.deepEqual(socket().texts.map(({ type }) => type), ["ready"]);
});

test("in push-to-talk one can talk without a press, and stop without a release", async () => {
  const made = page({ mode: "push-to-talk" });
  const starting = made.port.start({ hold: false });
  await settle();
  made.socket().says(HELLO);
  await starting;
  speak(made, 1000);
  await made.port.stop();
  assert.deepEqual(made.socket().texts.map(({ type }) => type), ["ready"]);
  assert.deepEqual(received(made.socket()), [{ seq: 0, sample: 1000 }]);
});

test("a probe that cannot be played is answered with the reason", async () => {
  const { model, port } = page();
  model.hears({ type: "probe", page: port.page, probe: 3 }, [new DataView(new ArrayBuffer(2))]);
  await settle();
  assert.deepEqual(model.sent.at(-1), { type: "probe.failed", page: port.page, probe: 3, message: "the page gives no sound: press Talk" });
});

test("leaving push-to-talk gives the microphone back", async () => {
  const { env, model, port } = await talking({ mode: "push-to-talk" });
  await port.stop();
  model.change("mode", "hands-free");
  assert.equal(env.streams[0].stopped, true);
});

test("an answer goes to the player, and what was heard goes back: latency taken off", async () => {
  const { socket, player, model, port, env } = await talking();
  const shown = [];
  port.on("answer", ({ itemId, start, pcm }) => shown.push([itemId, start, [...pcm]]));
  socket().says(answer("item_1", 480, [1, -2, 3]));
  socket().says({ type: "item_done", item_id: "item_1", samples: 483 });
  const [, push, done] = player().posted;
  assert.deepEqual([push.type, push.itemId, push.start, [...push.pcm]], ["push", "item_1", 480, [1, -2, 3]]);
  assert.deepEqual(done, { type: "done", itemId: "item_1" });
  assert.deepEqual(shown, [["item_1", 480, [1, -2, 3]]]);
  player().says({ type: "anchor", itemId: "item_1", position: 480, time: 2 });
  player().says({ type: "progress", itemId: "item_1", position: 24000, delay: 0, underruns: 2, late: 0, lost: 0 });
  assert.deepEqual(socket().texts.at(-1), { type: "played", item_id: "item_1", played_ms: 960 });
  assert.equal(port.stats.underruns, 2);
  await env.clock.pass(200);
  assert.deepEqual([model.get("playing_item"), model.get("played_ms")], ["item_1", 960]);
  player().says({ type: "ended", itemId: "item_1", position: 36000, time: 3 });
  assert.deepEqual(socket().texts.at(-1), { type: "ended", item_id: "item_1", played_ms: 1500 });
});

test("a flush reaches the player at once, and its answer says what was heard", async () => {
  const { socket, player } = await talking();
  socket().says({ type: "flush", flush_id: "f1" });
  assert.deepEqual(player().posted.at(-1), { type: "flush", id: "f1" });
  player().says({ type: "flushed", id: "f1", itemId: "item_1", position: 24000, delay: 0, dropped: 5, time: 2 });
  assert.deepEqual(socket().texts.at(-1), { type: "flushed", flush_id: "f1", item_id: "item_1", played_ms: 960 });
  player().says({ type: "flushed", id: "f2", itemId: "item_2", position: 480, delay: 0, dropped: 5, time: 2 });
  assert.equal(socket().texts.at(-1).played_ms, 0);
  player().says({ type: "flushed", id: "f3", itemId: null, position: 0, delay: 0, dropped: 0, time: 2 });
  assert.deepEqual(socket().texts.at(-1), { type: "flushed", flush_id: "f3", item_id: null, played_ms: 0 });
});

test("interrupt is the gateway's to do", async () => {
  const { socket, port } = await talking();
  port.interrupt();
  assert.deepEqual(socket().texts.at(-1), { type: "interrupt" });
});

test("answers can be heard without the microphone", async () => {
  const { env, port, socket, model } = page();
  const listening = port.listen();
  await settle();
  socket().says(HELLO);
  assert.equal(await listening, true);
  assert.deepEqual([env.streams.length, model.get("state"), model.get("talking")], [0, "live", false]);
});

for (const [name, error, sentence] of [
  ["denied", "NotAllowedError", /allow it for this page/],
  ["missing", "NotFoundError", /No microphone was found/],
  ["taken", "NotReadableError", /taken by another program/],
  ["gone", "OverconstrainedError", /choose another/],
]) {
  test(`a microphone that is ${name} is said so, and answers are still heard`, async () => {
    const { env, port, socket, model } = page();
    env.navigator.mediaDevices.getUserMedia = async () => {
      throw named(error);
    };
    const starting = port.start();
    await settle();
    socket().says(HELLO);
    await starting;
    assert.match(model.get("message"), sentence);
    assert.deepEqual([model.get("state"), model.get("talking")], ["live", false]);
  });
}

test("an insecure page is told what it lacks", async () => {
  const { env, port, socket, model } = page();
  env.navigator = {};
  const starting = port.start();
  await settle();
  socket().says(HELLO);
  await starting;
  assert.match(model.get("message"), /https pages and to localhost/);
});

test("a context that the browser holds back is said so, and runs after a click", async () => {
  const made = page();
  FakeContext.allowed = false;
  const starting = made.port.start();
  await settle();
  made.socket().says(HELLO);
  await made.env.clock.pass(1000);
  await starting;
  assert.equal(made.model.get("state"), "suspended");
  assert.match(made.model.get("message"), /Resume sound/);
  FakeContext.allowed = true;
  await made.port.resume();
  assert.deepEqual([made.model.get("state"), made.model.get("message")], ["live", ""]);
});

test("a browser that refuses 24 kHz gets a context of its own rate", async () => {
  const made = page();
  FakeContext.refused = [24000];
  made.port.start();
  await settle();
  assert.deepEqual([made.port.context.sampleRate, made.model.get("sample_rate")], [48000, 48000]);
});

test("a browser that does not resample devices gets one too, player and all", async () => {
  const made = page();
  FakeContext.rigid = true;
  const starting = made.port.start();
  await settle();
  made.socket().says(HELLO);
  await starting;
  assert.deepEqual(FakeContext.made.map(({ sampleRate, state }) => [sampleRate, state]), [[24000, "closed"], [48000, "running"]]);
  assert.equal(made.tap().context, made.port.context);
  assert.equal(made.player().context, made.port.context);
  assert.equal(made.tap().options.processorOptions.rate, 24000);
});

test("over comm the chunks are longer, the prebuffer larger, and a banner says so", async () => {
  const { env, model, port, tap, player } = page({}, { hostname: "colab.example.org", baseUrl: null });
  const starting = port.start();
  await settle();
  const { tunnel, page: id } = model.sent.find(({ type }) => type === "tunnel.open");
  model.hears({ type: "tunnel.frames", page: id, tunnel, taken: 0, frames: [JSON.stringify(HELLO)] });
  await starting;
  assert.deepEqual(tap().posted.at(-1), { type: "resize", size: 2400 });
  assert.deepEqual(player().posted.at(-1), { type: "prebuffer", samples: 9600 });
  assert.equal(model.get("transport"), "comm");
  assert.match(model.get("message"), /Reduced mode/);
  assert.equal(env.sockets.length, 0);
  for (let i = 0; i < 40; i++) tap().says({ type: "chunk", pcm: new Int16Array(2400), time: i });
  const frames = model.sent.filter(({ buffers }) => buffers);
  assert.ok(frames.length < 32, `${frames.length} frames wait in a busy kernel`);
  assert.ok(model.sent.some(({ type, total }) => type === "dropped" && total >= 1));
});

test("a stream of ipywebrtc is the source, and is not ours to stop", async () => {
  const stream = new (class {
    tracks = [{ stopped: false, stop() { this.stopped = true; } }];
    getTracks() { return this.tracks; }
    getAudioTracks() { return this.tracks; }
  })();
  const made = page({ source: "IPY_MODEL_abc" });
  made.model.widget_manager = { get_model: async (id) => ({ captureStream: async () => (id === "abc" ? stream : null) }) };
  const starting = made.port.start();
  await settle();
  made.socket().says(HELLO);
  await starting;
  speak(made, 1000);
  assert.equal(received(made.socket()).length, 1);
  assert.equal(FakeNode.last("source")?.stream ?? stream, stream);
  await made.port.stop();
  assert.deepEqual([stream.tracks[0].stopped, made.env.streams.length], [false, 0]);
});

test("a source that is no stream, or cannot be passed on, is said so", async () => {
  const made = page({ source: "IPY_MODEL_abc" });
  made.port.start();
  await settle();
  assert.match(made.model.get("message"), /passes no widget to another/);
});

test("another microphone is opened while one talks", async () => {
  const made = await talking();
  made.model.change("device", "other");
  await settle();
  assert.deepEqual([made.env.streams.length, made.env.streams[0].stopped], [2, true]);
  speak(made, 1234);
  assert.equal(received(made.socket()).at(-1).sample, 1234);
});

test("a microphone that is unplugged ends the talk with a sentence", async () => {
  const made = await talking();
  made.env.streams[0].tracks[0].onended();
  await settle();
  assert.match(made.model.get("message"), /went away/);
  assert.equal(made.model.get("talking"), false);
});

test("Python can talk and stop, once somebody has clicked", async () => {
  const made = await talking();
  made.model.change("talking", false);
  await settle();
  assert.equal(made.env.streams[0].stopped, true);
  made.model.change("talking", true);
  await settle();
  assert.equal(made.env.streams.length, 2);
});

test("before a click, Python is told that the browser wants one", () => {
  const { model } = page();
  model.change("talking", true);
  assert.deepEqual([model.get("talking"), FakeContext.made.length], [false, 0]);
  assert.match(model.get("message"), /press Talk once/);
});

test("when another page takes the sound, this one lets go and keeps quiet", async () => {
  const made = await talking();
  const saves = made.model.saves;
  made.model.hears({ type: "lease", page: "other" });
  await settle();
  assert.deepEqual([made.env.streams[0].stopped, made.socket().closed, made.port.facts.state], [true, true, "idle"]);
  assert.match(made.port.facts.message, /another tab/);
  assert.equal(made.model.saves, saves);
  assert.equal(made.port.context, null);
});

test("while the line is broken chunks are dropped and counted, then it goes on", async () => {
  const made = await talking();
  made.socket().breaks("bye");
  speak(made, 1);
  speak(made, 2);
  assert.equal(made.port.stats.dropped, 2);
  assert.ok(made.model.sent.some(({ type, total }) => type === "dropped" && total === 1));
  await made.env.clock.pass(500);
  made.socket().says(HELLO);
  await settle();
  speak(made, 3);
  assert.deepEqual(received(made.socket()), [{ seq: 2, sample: 3 }]);
});

test("a gateway that is slow to read loses chunks rather than piling them up", async () => {
  const made = await talking();
  made.socket().bufferedAmount = 200000;
  speak(made, 1);
  assert.equal(made.port.stats.dropped, 1);
  assert.deepEqual(received(made.socket()), []);
});

test("a gateway that complains is quoted", async () => {
  const { socket, model } = await talking();
  socket().says({ type: "error", message: "the voice is missing" });
  assert.equal(model.get("message"), "the voice is missing");
});

test("disposed, nothing is left: no stream, socket, timer, context or listener", async () => {
  const { env, model, port, socket } = await talking();
  port.dispose();
  await settle();
  assert.equal(env.streams[0].stopped, true);
  assert.equal(socket().closed, true);
  assert.deepEqual(FakeContext.made.map(({ state }) => state), ["closed"]);
  assert.equal(model.listening, 0);
  assert.equal(model.types().at(-1), "bye");
  await env.clock.pass(2000);
  assert.equal(env.clock.waiting, 0);
});
