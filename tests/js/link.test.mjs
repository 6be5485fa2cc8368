import assert from "node:assert/strict";
import test from "node:test";

import { candidates, connect, describePage, mediaUrl, Refused } from "../../rtnb/static/link.js";
import { FakeClock, FakeSocket, settle } from "./fakes.mjs";

const HELLO = { type: "hello", session_id: "sess_1", sample_rate: 24000 };
const ENDPOINT = { port: 5123, path: "/rtnb/media", ticket: "a b" };

/** A way that connects; `sockets` get what was dialled. */
function way(names) {
  const clock = new FakeClock();
  const dialled = [];
  const dial = async (name) => {
    dialled.push(Object.assign(new FakeSocket(), { name }));
    return dialled.at(-1);
  };
  const { setTimeout: setTimer, clearTimeout: clearTimer } = clock;
  return { clock, dialled, linking: connect(names, { dial, setTimer, clearTimer }) };
}

test("direct is tried on this machine only, the proxy where there is a server, comm always", () => {
  const baseUrl = "http://localhost:8888/";
  assert.deepEqual(candidates({ hostname: "localhost", baseUrl }), ["direct", "proxy", "comm"]);
  assert.deepEqual(candidates({ hostname: "127.0.0.1", baseUrl: null }), ["direct", "comm"]);
  assert.deepEqual(candidates({ hostname: "hub.example.org", baseUrl }), ["proxy", "comm"]);
  assert.deepEqual(candidates({ hostname: "colab.example.org", baseUrl: null }), ["comm"]);
});

test("the addresses carry the ticket, and a proxied one keeps base and security", () => {
  const page = { hostname: "hub.example.org", baseUrl: "https://hub.example.org/user/me/" };
  assert.equal(mediaUrl("direct", ENDPOINT, page), "ws://127.0.0.1:5123/rtnb/media?ticket=a%20b");
  assert.equal(mediaUrl("proxy", ENDPOINT, page), "wss://hub.example.org/user/me/proxy/5123/rtnb/media?ticket=a%20b");
  const plain = { hostname: "localhost", baseUrl: "http://localhost:8888/" };
  assert.equal(mediaUrl("proxy", ENDPOINT, plain), "ws://localhost:8888/proxy/5123/rtnb/media?ticket=a%20b");
});

test("the server's base comes from JupyterLab's configuration or the classic body", () => {
  const location = { hostname: "localhost", href: "http://localhost:8888/lab/tree/x.ipynb" };
  const lab = { getElementById: () => ({ textContent: '{"baseUrl": "/user/me/"}' }), body: { dataset: {} } };
  const classic = { getElementById: () => null, body: { dataset: { baseUrl: "/old/" } } };
  const other = { getElementById: () => null, body: { dataset: {} } };
  assert.equal(describePage(lab, location).baseUrl, "http://localhost:8888/user/me/");
  assert.equal(describePage(classic, location).baseUrl, "http://localhost:8888/old/");
  assert.equal(describePage(other, location).baseUrl, null);
});

test("the first that says hello is taken, the others are not tried", async () => {
  const { clock, dialled, linking } = way(["direct", "proxy", "comm"]);
  await settle();
  dialled[0].says(HELLO);
  const link = await linking;
  assert.deepEqual([link.name, link.hello, dialled.length], ["direct", HELLO, 1]);
  assert.equal(clock.waiting, 0);
});

test("a socket that opens and says nothing gets two and a half seconds, then the next has its turn", async () => {
  const { clock, dialled, linking } = way(["direct", "proxy", "comm"]);
  await clock.pass(2499);
  assert.equal(dialled.length, 1);
  await clock.pass(1);
  assert.deepEqual([dialled.length, dialled[0].closed], [2, true]);
  dialled[1].says(HELLO);
  assert.equal((await linking).name, "proxy");
});

test("one that breaks, closes or greets wrongly is passed over at once", async () => {
  const { dialled, linking } = way(["direct", "proxy", "comm"]);
  await settle();
  dialled[0].onerror();
  await settle();
  dialled[1].says({ type: "error", message: "bad ticket" });
  await settle();
  dialled[2].says(HELLO);
  assert.equal((await linking).name, "comm");
});

test("when none works, the error says why each did not", async () => {
  const { clock, dialled, linking } = way(["direct", "proxy"]);
  const failed = assert.rejects(linking, /direct: no answer in time; proxy: forbidden/);
  await clock.pass(2500);
  dialled[1].breaks("forbidden");
  await failed;
});

test("a kernel that refuses ends the search", async () => {
  let asked = 0;
  const dial = async () => {
    asked += 1;
    throw new Refused("the session is closed");
  };
  await assert.rejects(connect(["direct", "proxy"], { dial }), /the session is closed/);
  assert.equal(asked, 1);
});

test("what comes before anyone listens is not lost", async () => {
  const { dialled, linking } = way(["direct"]);
  await settle();
  dialled[0].says(HELLO);
  dialled[0].says({ type: "settings" });
  const link = await linking;
  dialled[0].says({ type: "mic" });
  const heard = [];
  link.listen({ message: (data) => heard.push(JSON.parse(data).type), close: (reason) => heard.push(reason) });
  dialled[0].says({ type: "tick" });
  dialled[0].breaks("gone");
  assert.deepEqual(heard, ["settings", "mic", "tick", "gone"]);
});

test("a socket that closed before anyone listened says so", async () => {
  const { dialled, linking } = way(["direct"]);
  await settle();
  dialled[0].says(HELLO);
  dialled[0].breaks("too soon");
  const heard = [];
  (await linking).listen({ message: () => {}, close: (reason) => heard.push(reason) });
  assert.deepEqual(heard, ["too soon"]);
});
