import { Chunker } from "./chunker.js";
import { Resampler } from "./resample.js";

/**
 * Hands the microphone to the page in PCM16 chunks, each with the context's time at its end.
 * Without an input it hands on silence, so the clock never stands.
 *
 * page → tap: `{ type: "resize", size }`, `{ type: "flush", id }`, `{ type: "close" }`;
 * tap → page: `{ type: "chunk", pcm, time }`, `{ type: "flushed", id }`.
 */
class Tap extends AudioWorkletProcessor {
  /** @param {{ processorOptions: { size: number, rate: number } }} options */
  constructor({ processorOptions: { size, rate } }) {
    super();
    this.open = true;
    this.rate = rate;
    this.resampler = rate === sampleRate ? null : new Resampler(sampleRate, rate);
    this.silence = new Float32Array(128);
    this.end = currentTime;
    this.chunker = new Chunker(size, (pcm, after) => {
      const time = this.end - after / this.rate - (this.resampler?.delay ?? 0);
      this.port.postMessage({ type: "chunk", pcm, time }, [pcm.buffer]);
    });
    this.port.onmessage = ({ data }) => this.handle(data);
  }

  /** @param {any} message */
  handle(message) {
    if (message.type === "resize") this.chunker.resize(message.size);
    if (message.type === "close") this.open = false;
    if (message.type === "flush") {
      this.chunker.flush();
      this.port.postMessage({ type: "flushed", id: message.id });
    }
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const block = inputs[0][0] ?? this.silence;
    this.end = (currentFrame + block.length) / sampleRate;
    this.chunker.push(this.resampler ? this.resampler.process(block) : block);
    return this.open;
  }
}

registerProcessor("rtnb-tap", Tap);
