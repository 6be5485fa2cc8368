import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { packMicrophone, unpackAnswer } from "../../rtnb/static/frames.js";

const fixture = JSON.parse(readFileSync(new URL("frames.json", import.meta.url), "utf8"));
const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex")).buffer;
const pcm16 = (hex) => new Int16Array(bytes(hex));

for (const { name, seq, browser_ms: browserMs, pcm_hex: pcm, frame_hex: frame } of fixture.microphone) {
  test(`a microphone frame is what the gateway reads: ${name}`, () => {
    const packed = packMicrophone({ seq, browserMs, pcm: pcm16(pcm) });
    assert.equal(Buffer.from(packed).toString("hex"), frame);
  });
}

for (const { name, item_id: itemId, start_sample: start, pcm_hex: pcm, frame_hex: frame } of fixture.answer) {
  test(`an answer frame is what the gateway wrote: ${name}`, () => {
    assert.deepEqual(unpackAnswer(bytes(frame)), { itemId, start, pcm: pcm16(pcm) });
  });
}

test("a frame may lie anywhere in a larger buffer", () => {
  const { frame_hex: frame, item_id: itemId } = fixture.answer[1];
  const padded = new Uint8Array(bytes(`ffffff${frame}ff`));
  const view = new DataView(padded.buffer, 3, frame.length / 2);
  assert.equal(unpackAnswer(view).itemId, itemId);
});

test("what is no answer frame is refused", () => {
  for (const hex of ["", "0201", fixture.microphone[0].frame_hex, "0209000000000000", "020000000000000000"]) {
    assert.throws(() => unpackAnswer(bytes(hex)), /answer frame/);
  }
});

test("the sequence number starts again after its largest", () => {
  const packed = packMicrophone({ seq: 2 ** 32 + 5, browserMs: 0, pcm: new Int16Array(0) });
  assert.equal(new DataView(packed).getUint32(4, true), 5);
});
