/**
 * What the page does for a calibration: it has the microphone on while one lasts, and hands
 * on what is pressed. The kernel goes through the steps.
 *
 * Its events: `change`, `level` (dBFS).
 */

import { Emitter } from "./emitter.js";
import { watchPort } from "./registry.js";

/** Steps in which the microphone is needed. */
const RECORDING = ["preparing", "quiet", "speech", "loudspeaker"];

const TRAITS = ["step", "seconds_left", "message", "result", "sentence"];

export const NO_PORT = "The panel's microphone is not on this page: show the panel, then start again.";
export const NO_MICROPHONE = "The microphone could not be switched on: press Talk to see why.";
export const ASKED = "Waiting for the kernel: it begins when the running cell is done.";

export class CalibratorGuide extends Emitter {
  /** Whether the microphone was switched on for this. */
  #mine = false;
  /** @type {(() => void)[]} */
  #undo = [];
  /** @type {(() => void)[]} */
  #leave = [];

  /** @param {any} model anywidget's */
  constructor(model) {
    super();
    this.model = model;
    /** What only this page has to say. */
    this.notice = "";
    /** Whether the microphone is being switched on. */
    this.starting = false;
    /** @type {import("./port.js").Port | null} */
    this.port = null;
    /** Seconds that the step has in all. */
    this.seconds = 0;
    for (const name of TRAITS) this.#follow(name, () => this.emit("change"));
    this.#follow("step", () => this.#stepped());
    this.#undo.push(watchPort(model.get("port_id"), (port) => this.#take(port)));
  }

  get step() {
    return this.model.get("step");
  }

  /** What the person should know. */
  get message() {
    return this.notice || this.model.get("message");
  }

  /** Switch the microphone on and ask the kernel to begin. Call it within a gesture. */
  async start() {
    const { port } = this;
    if (!port) return this.#say(NO_PORT);
    if (this.starting) return;
    const was = port.facts.talking;
    this.starting = true;
    this.#say("");
    port.interrupt();
    await port.start({ hold: false });
    this.starting = false;
    if (!port.facts.talking) return this.#say(port.facts.message || NO_MICROPHONE);
    this.#mine = !was;
    this.#say(ASKED);
    this.model.send({ type: "start", started: this.#mine });
  }

  /** @param {"next" | "again" | "cancel" | "apply" | "discard"} type */
  ask(type) {
    this.model.send({ type });
  }

  close() {
    for (const undo of [...this.#undo.splice(0), ...this.#leave.splice(0)]) undo();
    this.#release();
  }

  #stepped() {
    this.seconds = this.model.get("seconds_left");
    this.notice = "";
    if (!RECORDING.includes(this.step)) this.#release();
    this.emit("change");
  }

  #release() {
    if (this.#mine) this.port?.stop();
    this.#mine = false;
  }

  /** @param {import("./port.js").Port | null} port */
  #take(port) {
    for (const leave of this.#leave.splice(0)) leave();
    this.port = port;
    if (port) this.#leave.push(port.on("level", (level) => this.emit("level", level)));
    this.emit("change");
  }

  /** @param {string} notice */
  #say(notice) {
    this.notice = notice;
    this.emit("change");
  }

  /**
   * @param {string} name
   * @param {() => void} callback
   */
  #follow(name, callback) {
    this.model.on(`change:${name}`, callback);
    this.#undo.push(() => this.model.off(`change:${name}`, callback));
  }
}
