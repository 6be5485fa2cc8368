/** Plays a short sound beside the answer, and tells where in the session's audio it began. */

import { FULL_SCALE, SAMPLE_RATE } from "./pcm.js";
import { TimeBase } from "./timebase.js";

/** How far ahead the sound is set, so that it begins on time, seconds. */
const AHEAD_S = 0.1;

export class Prober {
  #base = new TimeBase();
  /** @type {{ time: number, resolve: (sample: number) => void, reject: (error: Error) => void }[]} */
  #waiting = [];

  /** @param {import("./port.js").Port} port */
  constructor(port) {
    this.port = port;
    port.on("context", () => this.#restart());
    port.on("microphone", ({ sent, time }) => this.#hear(sent, time));
    port.on("gateway", ({ message, time }) => {
      if (message.type === "mic") this.#base.session(message.samples, time);
    });
  }

  /**
   * @param {DataView} pcm PCM16 at 24 kHz, little-endian
   * @returns {Promise<number>} samples of the session's audio before it, once as much was sent
   * @throws {Error} if the page cannot give sound now
   */
  play(pcm) {
    const { context } = this.port;
    if (context?.state !== "running") return Promise.reject(new Error("the page gives no sound: press Talk"));
    const buffer = context.createBuffer(1, pcm.byteLength / 2, SAMPLE_RATE);
    const samples = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i++) samples[i] = pcm.getInt16(2 * i, true) / FULL_SCALE;
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    const time = context.currentTime + AHEAD_S;
    source.start(time);
    return new Promise((resolve, reject) => this.#waiting.push({ time, resolve, reject }));
  }

  /**
   * @param {number} sent
   * @param {number} time
   */
  #hear(sent, time) {
    this.#base.own(sent, time);
    this.#waiting = this.#waiting.filter((probe) => {
      const sample = this.#base.sampleAt(probe.time);
      if (sample !== null) probe.resolve(sample);
      return sample === null;
    });
  }

  #restart() {
    this.#base = new TimeBase();
    for (const { reject } of this.#waiting.splice(0)) reject(new Error("the page's sound began anew"));
  }
}
