import { loadWorklets } from "./context.js";
import { SAMPLE_RATE } from "./pcm.js";

/** How long to wait for the last chunk; a suspended context does not answer. */
const FLUSH_MS = 200;

/**
 * @typedef {{ device: string, echoCancellation: boolean, noiseSuppression: boolean,
 *   autoGainControl: boolean }} CaptureSettings
 */

/**
 * The microphone's stream.
 * @param {MediaDevices} devices
 * @param {CaptureSettings} settings
 * @returns {Promise<MediaStream>}
 */
export function openMicrophone(devices, { device, ...processing }) {
  const chosen = device ? { deviceId: { exact: device } } : {};
  return devices.getUserMedia({ audio: { ...chosen, ...processing }, video: false });
}

/**
 * The microphones one can choose from; without permission they have no labels.
 * @param {MediaDevices} devices
 * @returns {Promise<{ deviceId: string, label: string }[]>}
 */
export async function listMicrophones(devices) {
  const all = await devices.enumerateDevices();
  return all
    .filter(({ kind, deviceId }) => kind === "audioinput" && deviceId)
    .map(({ deviceId, label }) => ({ deviceId, label }));
}

/** A stream on its way into the page: mono PCM16 chunks at 24 kHz, each with its time. */
export class Capture {
  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   * @param {{ chunkMs: number, onChunk: (chunk: { pcm: Int16Array, time: number }) => void,
   *   AudioWorkletNode: any, owned: boolean }} options `owned` streams end with the capture
   * @returns {Promise<Capture>}
   * @throws {DOMException} NotSupportedError, where the browser does not resample the device
   */
  static async open(context, stream, options) {
    const source = context.createMediaStreamSource(stream);
    await loadWorklets(context);
    return new Capture(context, stream, { ...options, source });
  }

  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   * @param {any} options
   */
  constructor(context, stream, { chunkMs, onChunk, AudioWorkletNode, owned, source }) {
    this.stream = stream;
    this.owned = owned;
    this.source = source;
    /** @type {Map<number, () => void>} */
    this.flushes = new Map();
    this.flushed = 0;
    /** @type {AudioWorkletNode} */
    this.node = new AudioWorkletNode(context, "rtnb-tap", {
      numberOfInputs: 1,
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
      channelInterpretation: "speakers",
      processorOptions: { size: samplesOf(chunkMs), rate: SAMPLE_RATE },
    });
    this.node.port.onmessage = ({ data }) => {
      if (data.type === "chunk") onChunk(data);
      else this.flushes.get(data.id)?.();
    };
    source.connect(this.node);
  }

  /** @param {number} ms */
  set chunkMs(ms) {
    this.node.port.postMessage({ type: "resize", size: samplesOf(ms) });
  }

  /**
   * Have the chunk that is being gathered emitted now.
   * @returns {Promise<void>} when it has been, or cannot be
   */
  flush() {
    const id = ++this.flushed;
    const done = new Promise((resolve) => {
      this.flushes.set(id, () => resolve(undefined));
      setTimeout(resolve, FLUSH_MS);
    });
    this.node.port.postMessage({ type: "flush", id });
    return done.then(() => void this.flushes.delete(id));
  }

  close() {
    this.node.port.postMessage({ type: "close" });
    this.node.port.onmessage = null;
    for (const resolve of this.flushes.values()) resolve();
    this.source.disconnect();
    if (this.owned) for (const track of this.stream.getTracks()) track.stop();
  }
}

/** @param {number} ms */
function samplesOf(ms) {
  return Math.round((ms * SAMPLE_RATE) / 1000);
}
