/**
 * The binary frames of the media socket; the gateway's half is `rtnb/gateway/frames.py`.
 * Integers and floats are little-endian, audio is PCM16 mono at 24 kHz.
 */

const MICROPHONE = 1;
const ANSWER = 2;
const MICROPHONE_HEAD = 16;
const ANSWER_HEAD = 8;

/**
 * @typedef {{ seq: number, browserMs: number, pcm: Int16Array }} MicrophoneFrame
 * @typedef {{ itemId: string, start: number, pcm: Int16Array }} AnswerFrame
 *   `start` is the position of the first sample within the item.
 */

/**
 * The bytes of a microphone frame; `seq` is taken modulo 2**32.
 * @param {MicrophoneFrame} frame
 * @returns {ArrayBuffer}
 */
export function packMicrophone({ seq, browserMs, pcm }) {
  const view = new DataView(new ArrayBuffer(MICROPHONE_HEAD + 2 * pcm.length));
  view.setUint8(0, MICROPHONE);
  view.setUint32(4, seq, true);
  view.setFloat64(8, browserMs, true);
  for (let i = 0; i < pcm.length; i++) view.setInt16(MICROPHONE_HEAD + 2 * i, pcm[i], true);
  return view.buffer;
}

/**
 * The answer frame in some bytes.
 * @param {ArrayBuffer | ArrayBufferView} data
 * @returns {AnswerFrame}
 * @throws {Error} if it is too short, of another kind, or ends within a sample
 */
export function unpackAnswer(data) {
  const view = viewOf(data);
  if (view.byteLength < ANSWER_HEAD || view.getUint8(0) !== ANSWER) {
    throw new Error("rtnb: not an answer frame");
  }
  const head = ANSWER_HEAD + view.getUint8(1);
  const samples = (view.byteLength - head) / 2;
  if (samples < 0 || !Number.isInteger(samples)) {
    throw new Error("rtnb: an answer frame of impossible length");
  }
  const id = new Uint8Array(view.buffer, view.byteOffset + ANSWER_HEAD, head - ANSWER_HEAD);
  const pcm = new Int16Array(samples);
  for (let i = 0; i < samples; i++) pcm[i] = view.getInt16(head + 2 * i, true);
  return { itemId: new TextDecoder().decode(id), start: view.getUint32(4, true), pcm };
}

/** @param {ArrayBuffer | ArrayBufferView} data */
function viewOf(data) {
  return data instanceof ArrayBuffer
    ? new DataView(data)
    : new DataView(data.buffer, data.byteOffset, data.byteLength);
}
