import { loadWorklets } from "./context.js";
import { SAMPLE_RATE } from "./pcm.js";
import { Emitter } from "./emitter.js";

/**
 * The speaker's half of the port. It emits `anchor`, `played`, `ended` and `flushed`;
 * `played_ms` is what has reached the ear: the latency of the output is taken off.
 */
export class Player extends Emitter {
  /**
   * @param {AudioContext} context
   * @param {{ prebufferMs: number, AudioWorkletNode: any }} options
   * @returns {Promise<Player>}
   */
  static async open(context, options) {
    await loadWorklets(context);
    return new Player(context, options);
  }

  /**
   * @param {AudioContext} context
   * @param {{ prebufferMs: number, AudioWorkletNode: any }} options
   */
  constructor(context, { prebufferMs, AudioWorkletNode }) {
    super();
    this.context = context;
    /** Facts of the last report. */
    this.stats = { underruns: 0, late: 0, lost: 0 };
    /** @type {AudioWorkletNode} */
    this.node = new AudioWorkletNode(context, "rtnb-player", {
      numberOfInputs: 0,
      numberOfOutputs: 1,
      outputChannelCount: [1],
      processorOptions: { prebuffer: samplesOf(prebufferMs), rate: SAMPLE_RATE },
    });
    this.node.port.onmessage = ({ data }) => this.#tell(data);
    this.node.connect(context.destination);
  }

  /** @param {number} ms to gather before sound begins */
  set prebufferMs(ms) {
    this.node.port.postMessage({ type: "prebuffer", samples: samplesOf(ms) });
  }

  /** @param {import("./frames.js").AnswerFrame} frame */
  push({ itemId, start, pcm }) {
    this.node.port.postMessage({ type: "push", itemId, start, pcm }, [pcm.buffer]);
  }

  /** @param {string} itemId whose audio is complete */
  done(itemId) {
    this.node.port.postMessage({ type: "done", itemId });
  }

  /** @param {string} id comes back with `flushed` */
  flush(id) {
    this.node.port.postMessage({ type: "flush", id });
  }

  close() {
    this.node.port.postMessage({ type: "close" });
    this.node.disconnect();
  }

  /** @param {any} message of the worklet */
  #tell({ type, itemId, position, delay, ...facts }) {
    if (type === "anchor") return this.emit("anchor", { itemId, position, time: facts.time });
    if (type === "ended") {
      const playedMs = (1000 * position) / SAMPLE_RATE;
      return this.emit("ended", { itemId, position, playedMs, time: facts.time });
    }
    const playedMs = this.#heardMs(position, delay);
    if (type === "flushed") return this.emit("flushed", { itemId, position, playedMs, ...facts });
    this.stats = { underruns: facts.underruns, late: facts.late, lost: facts.lost };
    this.emit("played", { itemId, playedMs });
  }

  /**
   * @param {number} position samples counted by the worklet
   * @param {number} delay seconds
   */
  #heardMs(position, delay) {
    const { baseLatency, outputLatency } = this.context;
    const latency = delay + (baseLatency || 0) + (outputLatency || 0);
    return Math.max(0, (1000 * position) / SAMPLE_RATE - 1000 * latency);
  }
}

/** @param {number} ms */
function samplesOf(ms) {
  return Math.round((ms * SAMPLE_RATE) / 1000);
}
