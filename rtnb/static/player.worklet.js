import { PlayerCore } from "./player_core.js";
import { Resampler } from "./resample.js";

/** Seconds between two reports of progress. */
const REPORT_S = 0.1;

/**
 * Sounds a `PlayerCore`. Times are the context's, in seconds; `delay` is what a change of
 * sample rate holds back between the count and the output.
 *
 * page → player: `{ type: "push", itemId, start, pcm }`, `{ type: "done", itemId }`,
 * `{ type: "flush", id }`, `{ type: "prebuffer", samples }`, `{ type: "close" }`;
 * player → page: `{ type: "anchor" | "ended", itemId, position, time }`,
 * `{ type: "progress", itemId, position, delay, underruns, late, lost }`,
 * `{ type: "flushed", id, itemId, position, delay, dropped, time }`.
 */
class Player extends AudioWorkletProcessor {
  /** @param {{ processorOptions: { prebuffer: number, rate: number } }} options */
  constructor({ processorOptions: { prebuffer, rate } }) {
    super();
    this.open = true;
    this.core = new PlayerCore({ prebuffer });
    this.resampler = rate === sampleRate ? null : new Resampler(rate, sampleRate);
    this.block = new Float32Array(128);
    this.pending = new Float32Array(0);
    this.reported = 0;
    this.port.onmessage = ({ data }) => this.handle(data);
  }

  /** @param {any} message */
  handle(message) {
    const { core } = this;
    if (message.type === "push") core.push(message.itemId, message.start, message.pcm);
    if (message.type === "done") core.done(message.itemId);
    if (message.type === "prebuffer") core.prebuffer = message.samples;
    if (message.type === "close") this.open = false;
    if (message.type === "flush") {
      const facts = { ...core.flush(), delay: this.delay, time: currentTime };
      this.pending = new Float32Array(0);
      this.port.postMessage({ type: "flushed", id: message.id, ...facts });
    }
  }

  get delay() {
    return this.resampler ? this.resampler.delay + this.pending.length / sampleRate : 0;
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const out = outputs[0][0];
    if (this.resampler) this.fill(out, this.resampler);
    else this.core.pull(out, (event) => this.tell(event));
    this.report();
    return this.open;
  }

  /**
   * @param {Float32Array} out
   * @param {Resampler} resampler
   */
  fill(out, resampler) {
    while (this.pending.length < out.length) {
      this.core.pull(this.block, (event) => this.tell({ ...event, offset: 0 }));
      const fresh = resampler.process(this.block);
      const pending = new Float32Array(this.pending.length + fresh.length);
      pending.set(this.pending);
      pending.set(fresh, this.pending.length);
      this.pending = pending;
    }
    out.set(this.pending.subarray(0, out.length));
    this.pending = this.pending.slice(out.length);
  }

  /** @param {{ type: string, itemId: string, position: number, offset: number }} event */
  tell({ type, itemId, position, offset }) {
    const time = (currentFrame + offset) / sampleRate + this.delay;
    this.port.postMessage({ type, itemId, position, time });
  }

  report() {
    if (this.core.state !== "playing" || currentTime - this.reported < REPORT_S) return;
    this.reported = currentTime;
    const { underruns, late, lost } = this.core;
    const facts = { ...this.core.progress, delay: this.delay, underruns, late, lost };
    this.port.postMessage({ type: "progress", ...facts });
  }
}

registerProcessor("rtnb-player", Player);
