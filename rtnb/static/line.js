/**
 * The line to the gateway, kept open: asks the kernel for tickets, connects, says `ping`,
 * reconnects when it breaks, and gives up with a sentence.
 */

import { CommSocket } from "./comm_socket.js";
import { Emitter } from "./emitter.js";
import { unpackAnswer } from "./frames.js";
import { candidates, connect, describePage, mediaUrl, Refused } from "./link.js";
import { gatewayGone, KERNEL_BUSY, RECONNECTING, refused } from "./messages.js";

const RECONNECT_MS = [500, 1000, 2000, 4000];
const KERNEL_PATIENCE_MS = 2500;
const PING_MS = 5000;
const SILENT_LIMIT_MS = 15000;

/** Emits `state`, `open`, `lost`, `text` (a message) and `answer` (a frame) of the gateway. */
export class Line extends Emitter {
  /** @type {"closed" | "connecting" | "open" | "failed"} */
  state = "closed";
  /** What is going on or went wrong, for the person. */
  sentence = "";
  /** Round trip to the gateway, ms. */
  roundTripMs = NaN;
  /** @type {import("./link.js").Link | null} */
  #link = null;
  /** @type {CommSocket | null} */
  #tunnel = null;
  /** @type {Promise<boolean> | null} */
  #opening = null;
  /** @type {Map<number, { resolve: (endpoint: any) => void, reject: (error: Error) => void }>} */
  #asked = new Map();
  #attempt = 0;
  /** Counts the openings and closings, so that what belongs to an old one is seen. */
  #epoch = 0;
  #heard = 0;
  /** What the gateway said last, if it was a complaint: with a close it means that it is over. */
  #farewell = "";
  /** @type {any} */
  #pinging = null;

  /**
   * @param {{ page: string, env: any, send: (content: object, buffers?: ArrayBuffer[]) => void }} options
   *   `send` a comm message to the kernel
   */
  constructor({ page, env, send }) {
    super();
    this.page = page;
    this.env = env;
    this.send = send;
  }

  /** @returns {import("./link.js").Transport | ""} */
  get transport() {
    return this.#link?.name ?? "";
  }

  /** Bytes that wait to leave; without a link everything would. */
  get waiting() {
    return this.#link ? this.#link.waiting : Infinity;
  }

  /** @returns {Promise<boolean>} whether it is open */
  open() {
    if (this.#link) return Promise.resolve(true);
    const epoch = this.#epoch;
    this.#opening ??= this.#connect(epoch)
      .then(() => epoch === this.#epoch)
      .catch((error) => this.#fail(error, epoch))
      .finally(() => (this.#opening = null));
    return this.#opening;
  }

  close() {
    this.#epoch += 1;
    for (const { reject } of this.#asked.values()) reject(new Error("closed"));
    this.#drop();
    this.#be("closed", "");
  }

  /** @param {object} message */
  tell(message) {
    this.#link?.tell(message);
  }

  /** @param {ArrayBuffer} frame */
  sendFrame(frame) {
    this.#link?.send(frame);
  }

  /**
   * Take a comm message that the kernel sent to this page.
   * @param {any} content
   * @param {DataView[]} buffers
   */
  hear(content, buffers) {
    if (content.type === "endpoint") this.#asked.get(content.attempt)?.resolve(content);
    if (content.type === "refused") this.#asked.get(content.attempt)?.reject(new Refused(content.message));
    if (content.type.startsWith("tunnel.")) this.#tunnel?.receive(content, buffers);
  }

  /** @param {number} epoch */
  async #connect(epoch) {
    this.#be("connecting", this.sentence === RECONNECTING ? RECONNECTING : "");
    const page = describePage(this.env.document, this.env.location);
    const dial = (/** @type {any} */ name) => this.#dial(name, page);
    const { setTimeout: setTimer, clearTimeout: clearTimer } = this.env;
    const link = await connect(candidates(page), { dial, setTimer, clearTimer });
    if (epoch !== this.#epoch) return link.close();
    this.#link = link;
    this.#farewell = "";
    this.#heard = this.env.now();
    this.#pinging = this.env.setInterval(() => this.#ping(), PING_MS);
    link.listen({ message: (data) => this.#take(data), close: (reason) => this.#reconnect(reason) });
    link.tell({ type: "ready" });
    this.#be("open", "");
    this.emit("open");
  }

  /**
   * @param {import("./link.js").Transport} name
   * @param {import("./link.js").Page} page
   */
  async #dial(name, page) {
    if (name === "comm") return (this.#tunnel = new CommSocket(this.send, this.page));
    return new this.env.WebSocket(mediaUrl(name, await this.#ask(), page));
  }

  /** @returns {Promise<import("./link.js").Endpoint>} with a ticket of its own */
  #ask() {
    const attempt = ++this.#attempt;
    const before = this.sentence;
    const patience = this.env.setTimeout(() => this.#be(this.state, KERNEL_BUSY), KERNEL_PATIENCE_MS);
    return new Promise((resolve, reject) => {
      this.#asked.set(attempt, { resolve, reject });
      this.send({ type: "open", page: this.page, attempt, origin: this.env.location.origin });
    }).finally(() => {
      this.env.clearTimeout(patience);
      this.#asked.delete(attempt);
      this.#be(this.state, before);
    });
  }

  /** @param {string} reason */
  async #reconnect(reason) {
    const epoch = this.#epoch;
    this.#drop();
    this.emit("lost");
    if (this.#farewell) return void this.#be("failed", this.#farewell);
    for (const delay of RECONNECT_MS) {
      this.#be("connecting", RECONNECTING);
      await new Promise((resolve) => this.env.setTimeout(resolve, delay));
      if (epoch !== this.#epoch) return;
      try {
        return await this.#connect(epoch);
      } catch (error) {
        if (error instanceof Refused) return void this.#fail(error, epoch);
      }
    }
    this.#fail(new Error(reason), epoch);
  }

  /**
   * @param {Error} error
   * @param {number} epoch
   */
  #fail(error, epoch) {
    if (epoch !== this.#epoch) return false;
    this.#be("failed", error instanceof Refused ? refused(error.message) : gatewayGone(error.message));
    return false;
  }

  #drop() {
    this.env.clearInterval(this.#pinging);
    this.#link?.close();
    this.#link = null;
    this.#tunnel = null;
  }

  #ping() {
    const silent = this.env.now() - this.#heard;
    if (this.transport !== "comm" && silent > SILENT_LIMIT_MS) return void this.#reconnect("no answer");
    this.tell({ type: "ping", t: this.env.now() });
  }

  /** @param {string | ArrayBuffer} data one frame of the gateway */
  #take(data) {
    this.#heard = this.env.now();
    if (typeof data !== "string") return this.emit("answer", unpackAnswer(data));
    const message = JSON.parse(data);
    this.#farewell = message.type === "error" ? message.message : "";
    if (message.type === "pong") this.roundTripMs = this.#heard - message.t;
    this.emit("text", message);
  }

  /**
   * @param {"closed" | "connecting" | "open" | "failed"} state
   * @param {string} sentence
   */
  #be(state, sentence) {
    this.state = state;
    this.sentence = sentence;
    this.emit("state");
  }
}
