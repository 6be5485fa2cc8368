/**
 * The way to the gateway: the candidates in their order, each proved by the gateway's own
 * `hello` (a socket that merely opens proves nothing behind a proxy).
 */

/** How long one candidate may take, ms. */
export const LINK_TIMEOUT_MS = 2500;

/** Hosts that are this machine, so that its loopback ports are the kernel's. */
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/**
 * @typedef {"direct" | "proxy" | "comm"} Transport
 * @typedef {{ port: number, path: string, ticket: string }} Endpoint
 * @typedef {{ hostname: string, baseUrl: string | null }} Page `baseUrl` of the Jupyter server
 */

/** The kernel said no: there is nothing to try any further. */
export class Refused extends Error {}

/**
 * Where the Jupyter server is, if this page is one of its own.
 * @param {Document} document
 * @param {Location} location
 * @returns {Page}
 */
export function describePage(document, location) {
  const config = document.getElementById("jupyter-config-data")?.textContent;
  const path = config ? JSON.parse(config).baseUrl : document.body.dataset.baseUrl;
  const baseUrl = path ? new URL(path, location.href).href : null;
  return { hostname: location.hostname, baseUrl };
}

/**
 * The transports worth trying from a page, best first.
 * @param {Page} page
 * @returns {Transport[]}
 */
export function candidates({ hostname, baseUrl }) {
  /** @type {Transport[]} */
  const names = [];
  if (LOOPBACK.includes(hostname)) names.push("direct");
  if (baseUrl) names.push("proxy");
  return [...names, "comm"];
}

/**
 * The address of the media socket.
 * @param {Transport} name `direct` or `proxy`
 * @param {Endpoint} endpoint
 * @param {Page} page
 */
export function mediaUrl(name, { port, path, ticket }, { baseUrl }) {
  const query = `?ticket=${encodeURIComponent(ticket)}`;
  if (name === "direct") return `ws://127.0.0.1:${port}${path}${query}`;
  const base = new URL(`proxy/${port}${path}${query}`, /** @type {string} */ (baseUrl));
  base.protocol = base.protocol === "https:" ? "wss:" : "ws:";
  return base.href;
}

/**
 * Try the candidates until one says hello.
 * @param {Transport[]} names
 * @param {{ dial: (name: Transport) => Promise<any>, setTimer?: any, clearTimer?: any }} options
 *   `dial` gives a WebSocket, or what behaves like one
 * @returns {Promise<Link>}
 * @throws {Refused} if the kernel said no
 * @throws {Error} if none worked; its message says why each did not
 */
export async function connect(names, { dial, setTimer = setTimeout, clearTimer = clearTimeout }) {
  const reasons = [];
  for (const name of names) {
    try {
      return await prove(name, await dial(name), setTimer, clearTimer);
    } catch (error) {
      if (error instanceof Refused) throw error;
      reasons.push(`${name}: ${/** @type {Error} */ (error).message}`);
    }
  }
  throw new Error(reasons.join("; "));
}

/**
 * @param {Transport} name
 * @param {any} socket
 * @param {any} setTimer
 * @param {any} clearTimer
 * @returns {Promise<Link>}
 */
function prove(name, socket, setTimer, clearTimer) {
  socket.binaryType = "arraybuffer";
  return new Promise((resolve, reject) => {
    /** @param {string} reason */
    const fail = (reason) => {
      clearTimer(timer);
      socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close();
      reject(new Error(reason));
    };
    const timer = setTimer(() => fail("no answer in time"), LINK_TIMEOUT_MS);
    socket.onerror = () => fail("could not connect");
    socket.onclose = (/** @type {any} */ event) => fail(event.reason || "closed");
    socket.onmessage = (/** @type {any} */ { data }) => {
      const hello = typeof data === "string" ? JSON.parse(data) : {};
      if (hello.type !== "hello") return fail(hello.message || "no hello");
      clearTimer(timer);
      socket.onerror = null;
      resolve(new Link(name, socket, hello));
    };
  });
}

/** A proved socket; what comes before anyone listens waits. */
export class Link {
  /**
   * @param {Transport} name
   * @param {any} socket
   * @param {any} hello the gateway's
   */
  constructor(name, socket, hello) {
    this.name = name;
    this.hello = hello;
    this.socket = socket;
    /** @type {(string | ArrayBuffer)[]} */
    const early = [];
    /** @type {string | null} */
    this.closed = null;
    socket.onmessage = (/** @type {any} */ { data }) => early.push(data);
    socket.onclose = (/** @type {any} */ { reason }) => (this.closed = reason || "closed");
    this.early = early;
  }

  /**
   * @param {{ message: (data: string | ArrayBuffer) => void, close: (reason: string) => void }} on
   */
  listen({ message, close }) {
    for (const data of this.early.splice(0)) message(data);
    this.socket.onmessage = (/** @type {any} */ { data }) => message(data);
    this.socket.onclose = (/** @type {any} */ { reason }) => close(reason || "");
    if (this.closed !== null) close(this.closed);
  }

  /** Bytes that wait to leave. */
  get waiting() {
    return this.socket.bufferedAmount;
  }

  /** @param {object} message */
  tell(message) {
    this.socket.send(JSON.stringify(message));
  }

  /** @param {ArrayBuffer} frame */
  send(frame) {
    this.socket.send(frame);
  }

  close() {
    this.socket.onmessage = this.socket.onclose = this.socket.onerror = null;
    this.socket.close();
  }
}
