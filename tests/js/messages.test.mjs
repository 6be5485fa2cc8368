import assert from "node:assert/strict";
import test from "node:test";

import { gatewayGone, microphoneTrouble, REDUCED, refused, statusLine } from "../../rtnb/static/messages.js";

const LIVE = { state: "live", transport: "direct", talking: false, muted: false, mode: "hands-free", message: "" };

test("the status line says what goes on and how it is connected", () => {
  assert.equal(statusLine({ ...LIVE, state: "idle" }), "Press Talk and speak.");
  assert.equal(statusLine({ ...LIVE, state: "connecting" }), "Connecting …");
  assert.equal(statusLine(LIVE), "Press Talk and speak · connected direct.");
  assert.equal(statusLine({ ...LIVE, talking: true }), "Listening · connected direct.");
  assert.equal(statusLine({ ...LIVE, talking: true, muted: true }), "Muted · connected direct.");
  assert.match(statusLine({ ...LIVE, mode: "push-to-talk" }), /^Hold Talk, or the space bar/);
  assert.match(statusLine({ ...LIVE, transport: "proxy" }), /through the Jupyter server/);
});

test("reduced mode is said beside it, trouble instead of it", () => {
  assert.equal(statusLine({ ...LIVE, talking: true, transport: "comm", message: REDUCED }), `Listening · connected through the kernel. ${REDUCED}`);
  assert.equal(statusLine({ ...LIVE, message: "No microphone." }), "No microphone. (Connected direct.)");
  for (const state of ["idle", "connecting", "error", "suspended"]) {
    assert.equal(statusLine({ ...LIVE, state, message: "Do this." }), "Do this.");
  }
});

test("every trouble with the microphone names a way out", () => {
  const page = { secure: true, editor: false };
  for (const name of ["NotAllowedError", "SecurityError", "NotFoundError", "OverconstrainedError", "NotReadableError", "AbortError"]) {
    assert.match(microphoneTrouble({ name }, page), /then press Talk again/);
  }
  assert.match(microphoneTrouble({ name: "OddError", message: "odd" }, page), /\(odd\).*send_audio/);
  assert.match(microphoneTrouble({}, { secure: false, editor: false }), /https/);
  assert.match(microphoneTrouble({ name: "NotAllowedError" }, { secure: true, editor: true }), /open this one in a browser/);
});

test("reasons are quoted as sentences", () => {
  assert.equal(refused("The session is closed."), "The session is closed. Press Talk to try again.");
  assert.equal(refused("closed"), "closed. Press Talk to try again.");
  assert.match(gatewayGone("no answer"), /does not answer \(no answer\)\./);
  assert.match(gatewayGone(""), /does not answer\./);
});
