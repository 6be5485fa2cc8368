import assert from "node:assert/strict";
import test from "node:test";

import { CommSocket } from "../../rtnb/static/comm_socket.js";

function tunnel() {
  const sent = [];
  const heard = [];
  const socket = new CommSocket((content, buffers) => sent.push({ ...content, ...(buffers && { buffers }) }), "page");
  socket.onmessage = ({ data }) => heard.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
  socket.onclose = ({ reason }) => heard.push(`closed: ${reason}`);
  const answer = (facts, buffers = []) => socket.receive({ tunnel: socket.tunnel, ...facts }, buffers);
  return { socket, sent, heard, answer };
}

test("it opens, sends texts and frames, and closes, under its own number", () => {
  const { socket, sent } = tunnel();
  const frame = new ArrayBuffer(4);
  socket.send("hi");
  socket.send(frame);
  socket.close();
  socket.close();
  socket.send("late");
  const { tunnel: number } = socket;
  assert.deepEqual(sent, [
    { type: "tunnel.open", page: "page", tunnel: number },
    { type: "tunnel.send", page: "page", tunnel: number, text: "hi" },
    { type: "tunnel.send", page: "page", tunnel: number, buffers: [frame] },
    { type: "tunnel.close", page: "page", tunnel: number },
  ]);
  assert.notEqual(tunnel().socket.tunnel, number);
});

test("texts and frames come out in the order in which they went in", () => {
  const { heard, answer } = tunnel();
  const bytes = new Uint8Array([9, 1, 2, 3, 4]);
  const buffers = [new DataView(bytes.buffer, 1, 2), new DataView(bytes.buffer, 3, 2)];
  answer({ type: "tunnel.frames", taken: 0, frames: ["one", null, "two", null] }, buffers);
  assert.deepEqual(heard, ["one", [1, 2], "two", [3, 4]]);
});

test("what the kernel has not taken counts as waiting", () => {
  const { socket, answer } = tunnel();
  for (const size of [100, 200, 300]) socket.send(new ArrayBuffer(size));
  assert.equal(socket.bufferedAmount, 600);
  answer({ type: "tunnel.frames", taken: 2, frames: [] });
  assert.equal(socket.bufferedAmount, 300);
  answer({ type: "tunnel.frames", taken: 3, frames: [] });
  assert.equal(socket.bufferedAmount, 0);
});

test("the far end's close is told once, and what belongs to another tunnel is not heard", () => {
  const { socket, heard, answer } = tunnel();
  socket.receive({ type: "tunnel.closed", tunnel: socket.tunnel + 1, reason: "other" }, []);
  answer({ type: "tunnel.closed", reason: "gateway gone" });
  answer({ type: "tunnel.closed", reason: "again" });
  assert.deepEqual(heard, ["closed: gateway gone"]);
});
