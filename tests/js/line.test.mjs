import assert from "node:assert/strict";
import test from "node:test";

import { Line } from "../../rtnb/static/line.js";
import { fakeBrowser, settle } from "./fakes.mjs";

const HELLO = { type: "hello", session_id: "sess_1", sample_rate: 24000 };

/** A line to a kernel that answers as `kernel` says. */
function lineTo(kernel, page) {
  const env = fakeBrowser(page);
  const sent = [];
  const line = new Line({
    page: "page",
    env,
    send: (content) => {
      sent.push(content);
      kernel?.(content, line);
    },
  });
  return { env, line, sent };
}

function endpoint({ type, attempt }, line) {
  if (type === "open") line.hear({ type: "endpoint", attempt, port: 5000, path: "/rtnb/media", ticket: `t${attempt}` }, []);
}

async function open(kernel = endpoint) {
  const made = lineTo(kernel);
  const opening = made.line.open();
  await settle();
  made.env.sockets[0].says(HELLO);
  assert.equal(await opening, true);
  return made;
}

test("an open line is ready, and keeps asking whether the gateway is there", async () => {
  const { env, line } = await open();
  assert.deepEqual([line.state, line.transport, line.sentence], ["open", "direct", ""]);
  await env.clock.pass(5000);
  assert.deepEqual(env.sockets[0].texts, [{ type: "ready" }, { type: "ping", t: 5000 }]);
  await env.clock.pass(7);
  env.sockets[0].says({ type: "pong", t: 5000 });
  assert.equal(line.roundTripMs, 7);
});

test("each attempt has a ticket of its own, for the page's origin", async () => {
  const { env, line, sent } = lineTo(endpoint);
  const opening = line.open();
  await settle();
  env.sockets[0].onerror();
  await settle();
  env.sockets[1].says(HELLO);
  await opening;
  assert.deepEqual(env.sockets.map(({ url }) => url), [
    "ws://127.0.0.1:5000/rtnb/media?ticket=t1",
    "ws://localhost:8888/proxy/5000/rtnb/media?ticket=t2",
  ]);
  assert.deepEqual(sent.map(({ attempt, origin }) => [attempt, origin]), [[1, "http://localhost:8888"], [2, "http://localhost:8888"]]);
});

test("without either, the audio goes through the kernel", async () => {
  const { env, line, sent } = lineTo(endpoint, { hostname: "colab.example.org", baseUrl: null });
  const opening = line.open();
  await settle();
  const { tunnel } = sent.find(({ type }) => type === "tunnel.open");
  line.hear({ type: "tunnel.frames", tunnel, taken: 0, frames: [JSON.stringify(HELLO)] }, []);
  assert.equal(await opening, true);
  assert.equal(line.transport, "comm");
  assert.deepEqual(sent.map(({ type }) => type), ["tunnel.open", "tunnel.send"]);
  assert.equal(env.sockets.length, 0);
});

test("a kernel that is slow to answer is waited for, with a sentence", async () => {
  const { env, line } = lineTo(null);
  line.open();
  await env.clock.pass(2500);
  assert.match(line.sentence, /Waiting for the kernel/);
  await env.clock.pass(600000);
  line.hear({ type: "endpoint", attempt: 1, port: 5000, path: "/m", ticket: "t" }, []);
  await settle();
  assert.deepEqual([line.state, line.sentence, env.sockets.length], ["connecting", "", 1]);
});

test("a kernel that refuses is believed, and its sentence shown", async () => {
  const refuse = ({ attempt }, line) => line.hear({ type: "refused", attempt, message: "The session is closed." }, []);
  const { line } = lineTo(refuse);
  assert.equal(await line.open(), false);
  assert.deepEqual([line.state, line.sentence], ["failed", "The session is closed. Press Talk to try again."]);
});

test("a broken line mends itself", async () => {
  const { env, line } = await open();
  const lost = [];
  line.on("lost", () => lost.push(line.transport));
  env.sockets[0].breaks("bye");
  assert.deepEqual([line.state, lost, line.waiting], ["connecting", [""], Infinity]);
  assert.match(line.sentence, /reconnecting/);
  await env.clock.pass(500);
  env.sockets[1].says(HELLO);
  await settle();
  assert.deepEqual([line.state, line.transport, line.sentence], ["open", "direct", ""]);
  assert.equal(env.sockets.length, 2);
});

test("a gateway that is gone is given up, with a sentence, and may be tried again", async () => {
  const gone = (content, line) => {
    if (content.type === "open") return endpoint(content, line);
    const closed = { type: "tunnel.closed", tunnel: content.tunnel, reason: "refused" };
    if (content.type === "tunnel.open") line.env.setTimeout(() => line.hear(closed, []), 1);
  };
  const { env, line } = await open(gone);
  env.sockets[0].breaks("bye");
  for (let i = 0; i < 30; i++) {
    await env.clock.pass(500);
    for (const socket of env.sockets) socket.onerror?.();
  }
  assert.equal(line.state, "failed");
  assert.match(line.sentence, /gateway does not answer \(bye\)/);
  const tried = env.sockets.length;
  const opening = line.open();
  await settle();
  env.sockets[tried].says(HELLO);
  assert.equal(await opening, true);
});

test("a gateway that ends the connection with a reason is believed, and not called again", async () => {
  const { env, line } = await open();
  env.sockets[0].says({ type: "error", message: "This session is active in another tab." });
  env.sockets[0].breaks();
  await env.clock.pass(20000);
  assert.deepEqual([line.state, line.sentence, env.sockets.length], ["failed", "This session is active in another tab.", 1]);
});

test("a complaint long ago is no reason to stay away", async () => {
  const { env, line } = await open();
  env.sockets[0].says({ type: "error", message: "message refused" });
  env.sockets[0].says({ type: "mic", samples: 0 });
  env.sockets[0].breaks();
  assert.equal(line.state, "connecting");
});

test("a gateway that says nothing for fifteen seconds counts as lost", async () => {
  const { env, line } = await open();
  await env.clock.pass(15000);
  assert.equal(line.state, "open");
  await env.clock.pass(5000);
  assert.equal(env.sockets[0].closed, true);
  assert.equal(line.state, "connecting");
});

test("a closed line leaves nothing behind and does not come back", async () => {
  const { env, line } = await open();
  line.close();
  assert.deepEqual([line.state, env.sockets[0].closed, env.clock.waiting], ["closed", true, 0]);
  const { env: slow, line: early } = lineTo(endpoint);
  const opening = early.open();
  await settle();
  early.close();
  slow.sockets[0].says(HELLO);
  assert.equal(await opening, false);
  assert.deepEqual([early.state, slow.sockets[0].closed], ["closed", true]);
});
