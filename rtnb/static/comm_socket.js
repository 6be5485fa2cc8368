/**
 * The media socket tunnelled through the kernel's comm, for pages that can reach neither
 * the gateway's port nor a proxy. It behaves like a WebSocket; the kernel holds the real one.
 *
 * page → kernel: `{ type: "tunnel.open" | "tunnel.close", page, tunnel }`,
 * `{ type: "tunnel.send", page, tunnel, text? }` with a binary frame as buffer;
 * kernel → page: `{ type: "tunnel.frames", page, tunnel, taken, frames }`, where a frame is a text
 * or null for the next buffer and `taken` counts the binary frames the kernel has dealt with;
 * `{ type: "tunnel.closed", page, tunnel, reason }`.
 */

let tunnels = 0;

export class CommSocket {
  #send;
  #page;

  /**
   * @param {(content: object, buffers?: ArrayBuffer[]) => void} send a comm message
   * @param {string} page its id
   */
  constructor(send, page) {
    this.tunnel = ++tunnels;
    this.open = true;
    /** @type {((event: { data: string | ArrayBuffer }) => void) | null} */
    this.onmessage = null;
    /** @type {((event: { reason: string }) => void) | null} */
    this.onclose = null;
    /** @type {(() => void) | null} */
    this.onerror = null;
    /** @type {number[]} sizes of the frames under way */
    this.sizes = [];
    this.taken = 0;
    this.#send = send;
    this.#page = page;
    this.#say("tunnel.open");
  }

  /** Bytes that the kernel has not yet passed on: they wait while a cell keeps it busy. */
  get bufferedAmount() {
    return this.sizes.reduce((sum, size) => sum + size, 0);
  }

  /** @param {string | ArrayBuffer} data */
  send(data) {
    if (!this.open) return;
    if (typeof data === "string") return this.#say("tunnel.send", { text: data });
    this.sizes.push(data.byteLength);
    this.#say("tunnel.send", {}, [data]);
  }

  close() {
    if (!this.open) return;
    this.open = false;
    this.#say("tunnel.close");
  }

  /**
   * @param {string} type
   * @param {object} [facts]
   * @param {ArrayBuffer[]} [buffers]
   */
  #say(type, facts, buffers) {
    this.#send({ type, page: this.#page, tunnel: this.tunnel, ...facts }, buffers);
  }

  /**
   * Take a comm message of the kernel.
   * @param {any} content
   * @param {DataView[]} buffers
   */
  receive(content, buffers) {
    if (!this.open || content.tunnel !== this.tunnel) return;
    if (content.type === "tunnel.closed") {
      this.open = false;
      return this.onclose?.({ reason: content.reason });
    }
    this.sizes.splice(0, content.taken - this.taken);
    this.taken = content.taken;
    const binary = buffers[Symbol.iterator]();
    for (const frame of content.frames) this.onmessage?.({ data: frame ?? bytesOf(binary.next().value) });
  }
}

/** @param {DataView | undefined} view */
function bytesOf(view) {
  if (!view) throw new Error("rtnb: a tunnelled frame without its bytes");
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
}
