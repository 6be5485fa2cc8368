/** Doubles for what the browser and the kernel offer, all on a clock that tests move. */

/** Timers that fire when the test says how much time has passed. */
export class FakeClock {
  now = 0;
  #timers = new Map();
  #last = 0;

  setTimeout = (act, delay) => this.#add(act, delay, null);
  setInterval = (act, delay) => this.#add(act, delay, delay);
  clearTimeout = (id) => this.#timers.delete(id);
  clearInterval = (id) => this.#timers.delete(id);

  #add(act, delay, every) {
    this.#timers.set(++this.#last, { act, at: this.now + delay, every });
    return this.#last;
  }

  get waiting() {
    return this.#timers.size;
  }

  /** Let time pass, with everything that happens in it. */
  async pass(ms) {
    const end = this.now + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      const [id, timer] = due;
      this.now = timer.at;
      if (timer.every === null) this.#timers.delete(id);
      else timer.at += timer.every;
      timer.act();
    }
    this.now = end;
    await settle();
  }
}

/** Let every promise that can go on do so. */
export async function settle() {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

/** A WebSocket whose other end is the test. */
export class FakeSocket {
  sent = [];
  closed = false;
  bufferedAmount = 0;

  constructor(url) {
    this.url = url;
  }

  send(data) {
    this.sent.push(data);
  }

  close() {
    this.closed = true;
  }

  /** What the page said in text. */
  get texts() {
    return this.sent.filter((data) => typeof data === "string").map((text) => JSON.parse(text));
  }

  get frames() {
    return this.sent.filter((data) => typeof data !== "string");
  }

  says(message) {
    this.onmessage?.({ data: typeof message === "object" && !(message instanceof ArrayBuffer) ? JSON.stringify(message) : message });
  }

  breaks(reason = "") {
    this.onclose?.({ reason });
  }
}

/** anywidget's model, with a kernel that the test plays. */
export class FakeModel {
  sent = [];
  saves = 0;
  #listeners = new Map();

  constructor(traits = {}) {
    this.traits = {
      mode: "hands-free",
      muted: false,
      talking: false,
      device: "",
      echo_cancellation: true,
      noise_suppression: true,
      auto_gain_control: true,
      source: null,
      state: "idle",
      ...traits,
    };
  }

  get(name) {
    return this.traits[name];
  }

  set(name, value) {
    if (typeof name === "object") Object.assign(this.traits, name);
    else this.traits[name] = value;
  }

  save_changes() {
    this.saves += 1;
  }

  send(content, _callbacks, buffers) {
    this.sent.push({ ...content, ...(buffers && { buffers }) });
    this.answer?.(content, buffers);
  }

  on(name, callback) {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), callback]);
  }

  off(name, callback) {
    this.#listeners.set(name, this.#listeners.get(name).filter((known) => known !== callback));
  }

  get listening() {
    return [...this.#listeners.values()].flat().length;
  }

  emit(name, ...details) {
    for (const callback of this.#listeners.get(name) ?? []) callback(...details);
  }

  /** The kernel changes a trait. */
  change(name, value) {
    this.traits[name] = value;
    this.emit(`change:${name}`);
  }

  /** The kernel sends a custom message. */
  hears(content, buffers = []) {
    this.emit("msg:custom", content, buffers);
  }

  types() {
    return this.sent.map(({ type }) => type);
  }
}

export class FakeNode {
  static made = [];
  connected = [];

  constructor(context, name, options) {
    Object.assign(this, { context, name, options, posted: [] });
    this.port = {
      onmessage: null,
      postMessage: (message) => {
        this.posted.push(message);
        if (message.type === "flush" && name === "rtnb-tap") queueMicrotask(() => this.says({ type: "flushed", id: message.id }));
      },
    };
    FakeNode.made.push(this);
  }

  connect(target) {
    this.connected.push(target);
  }

  disconnect() {
    this.connected = [];
  }

  /** The worklet posts a message. */
  says(message) {
    this.port.onmessage?.({ data: message });
  }

  static last(name) {
    return FakeNode.made.findLast((node) => node.name === name);
  }
}

export class FakeContext {
  static made = [];
  /** Rates that the browser refuses for a context. */
  static refused = [];
  /** Whether the browser refuses streams at a rate other than its own. */
  static rigid = false;
  static allowed = true;
  state = "suspended";
  currentTime = 0;
  baseLatency = 0.01;
  outputLatency = 0.03;
  destination = {};
  modules = [];
  audioWorklet = { addModule: async (url) => void this.modules.push(String(url)) };

  constructor({ sampleRate } = {}) {
    if (FakeContext.refused.includes(sampleRate)) throw named("NotSupportedError");
    this.sampleRate = sampleRate ?? 48000;
    FakeContext.made.push(this);
  }

  async resume() {
    if (FakeContext.allowed) this.be("running");
  }

  async close() {
    this.be("closed");
  }

  be(state) {
    this.state = state;
    this.onstatechange?.();
  }

  createMediaStreamSource(stream) {
    if (FakeContext.rigid && this.sampleRate === 24000) throw named("NotSupportedError");
    return Object.assign(new FakeNode(this, "source", {}), { stream });
  }
}

export class FakeStream {
  constructor() {
    this.tracks = [{ stopped: false, stop() { this.stopped = true; } }];
  }

  getTracks() {
    return this.tracks;
  }

  getAudioTracks() {
    return this.tracks;
  }

  get stopped() {
    return this.tracks.every(({ stopped }) => stopped);
  }
}

export function named(name, message = "") {
  return Object.assign(new Error(message), { name });
}

/** What `browser()` gives in a page, on a fake clock. */
export function fakeBrowser({ hostname = "localhost", baseUrl = "/" } = {}) {
  const clock = new FakeClock();
  const sockets = [];
  const streams = [];
  FakeNode.made = [];
  Object.assign(FakeContext, { made: [], refused: [], rigid: false, allowed: true });
  const config = baseUrl && { textContent: JSON.stringify({ baseUrl }) };
  return {
    clock,
    sockets,
    streams,
    AudioContext: FakeContext,
    AudioWorkletNode: FakeNode,
    WebSocket: class extends FakeSocket {
      constructor(url) {
        super(url);
        sockets.push(this);
      }
    },
    navigator: {
      mediaDevices: {
        getUserMedia: async (constraints) => {
          streams.push(Object.assign(new FakeStream(), { constraints }));
          return streams.at(-1);
        },
        enumerateDevices: async () => [
          { kind: "audioinput", deviceId: "one", label: "Desk" },
          { kind: "videoinput", deviceId: "two", label: "Camera" },
        ],
      },
    },
    document: { getElementById: () => config, body: { dataset: {} } },
    location: { hostname, href: `http://${hostname}:8888/lab`, origin: `http://${hostname}:8888` },
    now: () => clock.now,
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    setInterval: clock.setInterval,
    clearInterval: clock.clearInterval,
  };
}
