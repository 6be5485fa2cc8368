/**
 * The port of one model: it owns the audio context, what is captured and what is played, and
 * the line to the gateway. Views draw its facts and call what it offers; it draws nothing.
 *
 * Its events: `change` (of facts), `context` (a new one: times begin again), `level` (dBFS), `microphone` ({ pcm, time, sent }), `answer`
 * (a frame), `anchor`, `ended`, `flushed` (of the player), `gateway` ({ message, time }).
 * Times are the audio context's, in seconds.
 */

import { Capture } from "./capture.js";
import { openContext, resumeContext } from "./context.js";
import { Emitter } from "./emitter.js";
import { Facts } from "./facts.js";
import { packMicrophone } from "./frames.js";
import { Line } from "./line.js";
import { ELSEWHERE, MICROPHONE_ENDED, NEEDS_CLICK, REDUCED, SUSPENDED } from "./messages.js";
import { followDevices, NoSound, openStream, trouble } from "./microphone.js";
import { LEVEL_FLOOR, rmsDbfs, SAMPLE_RATE } from "./pcm.js";
import { Player } from "./player.js";
import { Prober } from "./prober.js";

const CHUNK_MS = { "": 40, direct: 40, proxy: 40, comm: 100 };
const PREBUFFER_MS = { "": 80, direct: 80, proxy: 80, comm: 400 };

/** Bytes that may wait to leave before chunks are dropped: three seconds of audio. */
const WAITING_LIMIT = 3 * 2 * SAMPLE_RATE;

/** Silence sent beyond what the detector needs to see the end of speech, ms. */
const CLOSING_MARGIN_MS = 300;

const STATES = /** @type {const} */ ({ closed: "idle", connecting: "connecting", open: "live", failed: "error" });
const CAPTURE_TRAITS = ["device", "echo_cancellation", "noise_suppression", "auto_gain_control", "source"];

export class Port extends Emitter {
  /** Whether the person means to talk. */
  #wanted = false;
  /** Whether it is by holding a key down. */
  #holding = false;
  /** Whether chunks go out. */
  #sending = false;
  /** Samples of silence still to send, so that a turn cut off by Talk is seen to end. */
  #tail = 0;
  /** Whether the detector says speech. */
  #speech = false;
  /** Counts starts and stops, so that what an old one waited for is seen to be late. */
  #round = 0;
  #releasing = Promise.resolve();
  /** Whether the browser's own rate is used, because it does not resample devices. */
  #native = false;
  #trouble = "";
  #seq = 0;
  #dropped = 0;
  #reports = 0;
  /** @type {Promise<boolean> | null} */
  #capturing = null;
  /** @type {Promise<any> | null} */
  #building = null;
  /** @type {Capture | null} */
  #capture = null;
  /** @type {Player | null} */
  #player = null;
  /** @type {(() => void)[]} */
  #cleanups = [];
  #prober = new Prober(this);

  /**
   * @param {any} model anywidget's
   * @param {any} env what the browser offers, see `browser`
   */
  constructor(model, env) {
    super();
    this.model = model;
    this.env = env;
    this.page = Math.random().toString(36).slice(2);
    /** @type {AudioContext | null} */
    this.context = null;
    /** Samples sent to the gateway since the page opened. */
    this.sent = 0;
    /** The gateway's turn detection settings, once it has told them; null when it is off. */
    this.turnDetection = /** @type {any} */ (undefined);
    this.state = new Facts(model, {
      values: idle(),
      slow: ["level", "playing_item", "played_ms"],
      changed: () => this.emit("change"),
      env,
    });
    this.line = new Line({
      page: this.page,
      env,
      send: (content, buffers) => model.send(content, undefined, buffers),
    });
    this.line.on("state", () => this.#refresh());
    this.line.on("open", () => this.#suit());
    this.line.on("lost", () => this.#lose());
    this.line.on("text", (message) => this.#take(message));
    this.line.on("answer", (frame) => {
      this.emit("answer", frame);
      this.#player?.push(frame);
    });
    this.#followModel();
    this.#say("hello");
  }

  get facts() {
    return this.state.values;
  }

  /** The node whose output is what is heard; null before the first gesture. */
  get output() {
    return this.#player?.node ?? null;
  }

  /** Counts since the page opened. */
  get stats() {
    const { roundTripMs } = this.line;
    return { ...this.#player?.stats, sent: this.sent, dropped: this.#dropped, roundTripMs };
  }

  /** Be able to hear answers, without the microphone. Call it within a gesture. */
  listen() {
    this.#openContext();
    return this.#goLive();
  }

  /**
   * Begin to talk, until `stop`. Call it within a gesture.
   * @param {{ hold?: boolean }} [options] `hold` false: whatever the mode, no turn is begun
   */
  async start({ hold = this.#pushToTalk } = {}) {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#holding = hold;
    const round = ++this.#round;
    this.#trouble = "";
    this.#tail = 0;
    this.#openContext();
    this.state.set({ talking: true });
    const captured = await this.#openCapture();
    const live = await this.#goLive();
    await this.#releasing;
    if (round !== this.#round) return this.#settle();
    if (!captured || !live) return this.stop();
    if (this.#holding) this.line.tell({ type: "press" });
    this.#sending = true;
  }

  /** Stop talking; answers are still heard. */
  async stop() {
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#round += 1;
    this.state.set({ talking: false });
    if (this.#sending && this.#holding) this.#releasing = this.#release();
    else if (this.#sending && this.#speech) this.#tail = this.#closingSilence();
    await this.#releasing;
    if (!this.#wanted) this.#sending = false;
    this.#settle();
  }

  /** Cut the answer off. */
  interrupt() {
    this.line.tell({ type: "interrupt" });
  }

  /** Let the browser give sound again. Call it within a gesture. */
  async resume() {
    if (this.context) await resumeContext(this.context, this.env.setTimeout);
    this.#refresh();
  }

  /** Give everything back: microphone, socket, context. */
  dispose() {
    this.#say("bye");
    this.state.shared = false;
    this.#teardown();
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }

  get #pushToTalk() {
    return this.model.get("mode") === "push-to-talk";
  }

  // what is heard

  #openContext() {
    this.state.shared = true;
    if (!this.context) {
      this.context = openContext(this.env.AudioContext, { native: this.#native });
      this.context.onstatechange = () => this.#refresh();
      this.state.set({ sample_rate: this.context.sampleRate });
      this.emit("context");
    }
    this.resume();
  }

  /** @returns {Promise<boolean>} whether there is a player and an open line */
  async #goLive() {
    this.#building ??= this.#openPlayer().finally(() => (this.#building = null));
    await this.#building;
    return this.state.shared && this.line.open();
  }

  async #openPlayer() {
    if (this.#player) return;
    const context = /** @type {AudioContext} */ (this.context);
    const { AudioWorkletNode } = this.env;
    const player = await Player.open(context, {
      prebufferMs: PREBUFFER_MS[this.line.transport],
      AudioWorkletNode,
    });
    if (this.context !== context) return player.close();
    this.#player = player;
    player.on("anchor", (event) => {
      this.state.set({ playing_item: event.itemId });
      this.emit("anchor", event);
    });
    player.on("played", (event) => this.#report(event));
    player.on("ended", (event) => this.#finish("ended", event, {}));
    player.on("flushed", (event) => this.#finish("flushed", event, { flush_id: event.id }));
  }

  /** @param {{ itemId: string, playedMs: number }} event */
  #report({ itemId, playedMs }) {
    this.state.set({ playing_item: itemId, played_ms: Math.round(playedMs) });
    this.#reports += 1;
    if (this.line.transport === "comm" && this.#reports % 2) return;
    this.line.tell({ type: "played", item_id: itemId, played_ms: playedMs });
  }

  /**
   * @param {"ended" | "flushed"} type
   * @param {{ itemId: string | null, playedMs: number }} event of the player
   * @param {object} facts
   */
  #finish(type, event, facts) {
    const { itemId, playedMs } = event;
    this.line.tell({ type, ...facts, item_id: itemId, played_ms: itemId ? playedMs : 0 });
    this.state.set({ playing_item: "", ...(itemId && { played_ms: Math.round(playedMs) }) });
    this.emit(type, event);
  }

  // what is captured

  /** @returns {Promise<boolean>} whether there is a capture */
  #openCapture() {
    if (this.#capture) return Promise.resolve(true);
    this.#capturing ??= this.#attach()
      .catch((error) => this.#complain(trouble(this.model, this.env, error)))
      .finally(() => (this.#capturing = null));
    return this.#capturing;
  }

  async #attach() {
    const { stream, owned } = await openStream(this.model, this.env);
    if (!this.context) throw new NoSound("");
    const options = {
      owned,
      chunkMs: CHUNK_MS[this.line.transport],
      onChunk: (/** @type {any} */ chunk) => this.#onChunk(chunk),
      AudioWorkletNode: this.env.AudioWorkletNode,
    };
    const open = () => Capture.open(/** @type {AudioContext} */ (this.context), stream, options);
    const capture = await open().catch(async (error) => {
      if (this.#native || error.name !== "NotSupportedError") throw error;
      await this.#goNative();
      return open();
    });
    if (!this.state.shared) return capture.close(), false;
    this.#capture = capture;
    if (!owned) return true;
    for (const track of stream.getAudioTracks()) track.onended = () => this.#unplugged();
    await followDevices(this.env, (devices) => this.state.set({ devices }));
    return true;
  }

  async #goNative() {
    this.#native = true;
    const hadPlayer = Boolean(this.#player);
    this.#player?.close();
    this.#player = null;
    await this.context?.close();
    this.context = null;
    this.#openContext();
    if (hadPlayer) await this.#goLive();
  }

  #unplugged() {
    this.#closeCapture();
    this.stop();
    this.#complain(MICROPHONE_ENDED);
  }

  async #reopenCapture() {
    if (!this.#capture) return;
    this.#closeCapture();
    if (!(await this.#openCapture())) this.stop();
  }

  #closeCapture() {
    this.#capture?.close();
    this.#capture = null;
    this.#tail = 0;
    this.#meter(LEVEL_FLOOR);
  }

  /** Close the microphone when nobody needs it; between two presses it stays open. */
  #settle() {
    if (this.#capture && !this.#wanted && !this.#tail && !this.#pushToTalk) this.#closeCapture();
  }

  async #release() {
    await this.#capture?.flush();
    this.line.tell({ type: "release" });
  }

  /** @returns {number} samples */
  #closingSilence() {
    const needed = this.turnDetection?.silence_duration_ms ?? 1000;
    return ((needed + CLOSING_MARGIN_MS) * SAMPLE_RATE) / 1000;
  }

  /** @param {{ pcm: Int16Array, time: number }} chunk */
  #onChunk({ pcm, time }) {
    this.#meter(rmsDbfs(pcm));
    if (!this.#sending && !this.#tail) return;
    if (this.#tail || this.model.get("muted")) pcm.fill(0);
    const seq = this.#seq++;
    if (this.line.waiting > WAITING_LIMIT) return this.#drop();
    this.line.sendFrame(packMicrophone({ seq, browserMs: this.env.now(), pcm }));
    this.sent += pcm.length;
    this.emit("microphone", { pcm, time, sent: this.sent });
    this.#tail = Math.max(0, this.#tail - pcm.length);
    this.#settle();
  }

  #drop() {
    this.#dropped += 1;
    if (this.#dropped % 10 === 1) this.#say("dropped", { total: this.#dropped });
  }

  /** @param {number} level dBFS */
  #meter(level) {
    this.emit("level", level);
    this.state.set({ level: Math.round(level) });
  }

  // the gateway

  /** Chunks and prebuffer as the transport wants them. */
  #suit() {
    const { transport } = this.line;
    if (this.#player) this.#player.prebufferMs = PREBUFFER_MS[transport];
    if (this.#capture) this.#capture.chunkMs = CHUNK_MS[transport];
  }

  #lose() {
    this.#speech = false;
    if (this.#holding) this.stop();
  }

  /** @param {any} message */
  #take(message) {
    if (message.type === "flush") this.#player?.flush(message.flush_id);
    if (message.type === "item_done") this.#player?.done(message.item_id);
    if (message.type === "settings") this.turnDetection = message.turn_detection;
    if (message.type === "error") this.#complain(message.message);
    if (message.type === "speech_started") this.#speech = true;
    if (message.type === "speech_stopped") {
      this.#speech = false;
      this.#tail = 0;
      this.#settle();
    }
    this.emit("gateway", { message, time: this.context?.currentTime ?? 0 });
  }

  // the model and the kernel

  #followModel() {
    this.#follow("msg:custom", (content, buffers) => this.#hear(content, buffers ?? []));
    this.#follow("change:talking", () => this.#obey());
    this.#follow("change:muted", () => this.emit("change"));
    this.#follow("change:mode", () => {
      this.stop();
      this.#settle();
      this.emit("change");
    });
    for (const name of CAPTURE_TRAITS) this.#follow(`change:${name}`, () => this.#reopenCapture());
  }

  /**
   * @param {string} name
   * @param {(...args: any[]) => void} callback
   */
  #follow(name, callback) {
    this.model.on(name, callback);
    this.#cleanups.push(() => this.model.off(name, callback));
  }

  /**
   * @param {string} type
   * @param {object} [facts]
   */
  #say(type, facts) {
    this.model.send({ type, page: this.page, ...facts });
  }

  /**
   * @param {any} content
   * @param {DataView[]} buffers
   */
  #hear(content, buffers) {
    if (content.page === this.page && content.type === "probe") this.#probe(content.probe, buffers[0]);
    else if (content.page === this.page) this.line.hear(content, buffers);
    else if (content.type === "lease") this.#stepDown();
  }

  /**
   * @param {number} probe
   * @param {DataView} pcm
   */
  async #probe(probe, pcm) {
    try {
      this.#say("probe.played", { probe, sample: await this.#prober.play(pcm) });
    } catch (error) {
      this.#say("probe.failed", { probe, message: /** @type {Error} */ (error).message });
    }
  }

  /** Python said talk, or stop. */
  #obey() {
    const talking = this.model.get("talking");
    if (talking === this.#wanted) return;
    if (this.state.shared) return void (talking ? this.start() : this.stop());
    if (!talking || !["idle", "error"].includes(this.model.get("state"))) return;
    this.model.set({ talking: false, message: NEEDS_CLICK });
    this.model.save_changes();
    this.#complain(NEEDS_CLICK);
  }

  /** Another page has taken the sound. */
  #stepDown() {
    if (!this.state.shared) return;
    this.state.shared = false;
    this.#teardown();
    this.#complain(ELSEWHERE);
  }

  #teardown() {
    this.#round += 1;
    this.#wanted = this.#sending = false;
    this.#closeCapture();
    this.line.close();
    this.#player?.close();
    this.#player = null;
    this.context?.close();
    this.context = null;
    this.state.cancel();
    this.state.set({ talking: false, playing_item: "" });
  }

  /** @param {string} sentence */
  #complain(sentence) {
    this.#trouble = sentence;
    this.#refresh();
    return false;
  }

  #refresh() {
    const { transport, sentence } = this.line;
    const suspended = this.line.state === "open" && this.context?.state !== "running";
    const standing = suspended ? SUSPENDED : transport === "comm" ? REDUCED : "";
    const message = sentence || this.#trouble || standing;
    this.state.set({ state: suspended ? "suspended" : STATES[this.line.state], transport, message });
    if (this.line.state === "failed") this.stop();
  }
}

function idle() {
  return {
    state: "idle",
    transport: "",
    message: "",
    talking: false,
    level: LEVEL_FLOOR,
    playing_item: "",
    played_ms: 0,
    devices: /** @type {{ deviceId: string, label: string }[]} */ ([]),
    sample_rate: 0,
  };
}

/** What the port takes from the browser. */
export function browser() {
  const { AudioContext, AudioWorkletNode, WebSocket, navigator, document, location } = window;
  return {
    AudioContext,
    AudioWorkletNode,
    WebSocket,
    navigator,
    document,
    location,
    now: () => performance.timeOrigin + performance.now(),
    setTimeout: window.setTimeout.bind(window),
    clearTimeout: window.clearTimeout.bind(window),
    setInterval: window.setInterval.bind(window),
    clearInterval: window.clearInterval.bind(window),
  };
}
