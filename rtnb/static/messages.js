/** What the port says to the person: one sentence that names the trouble and the way out. */

const OTHERWISE = "You can still type, or send a recorded clip: session.send_audio(clip).";

/** The banner of the comm transport. */
export const REDUCED =
  "Reduced mode: the audio goes through the kernel, so it lags and pauses while a cell runs.";

/** The kernel has not answered yet. */
export const KERNEL_BUSY =
  "Waiting for the kernel: it answers when the running cell is done. If none is running, run this panel's cell again.";

/** Python asked to talk before anybody had clicked. */
export const NEEDS_CLICK = "Browsers give sound only after a click: press Talk once.";

export const SUSPENDED = "The browser holds the sound back until you click: press Resume sound.";

export const RECONNECTING = "The connection to the gateway was lost; reconnecting.";

export const ELSEWHERE = "The sound has moved to another tab with this panel; press Talk to have it here.";

/** @param {string} reason */
export function gatewayGone(reason) {
  const why = reason ? ` (${reason})` : "";
  return `The gateway does not answer${why}. Press Talk to try again; if that fails, connect a new session.`;
}

/** @param {string} reason the kernel's own sentence */
export function refused(reason) {
  return `${reason.replace(/\.?\s*$/, "")}. Press Talk to try again.`;
}

/**
 * Why there is no microphone.
 * @param {{ name?: string, message?: string }} error of `getUserMedia`
 * @param {{ secure: boolean, editor: boolean }} page whether it is a secure context, and whether
 *   it belongs to VS Code
 */
export function microphoneTrouble(error, { secure, editor }) {
  if (editor) return `VS Code gives notebooks no microphone: open this one in a browser. ${OTHERWISE}`;
  if (!secure) {
    return `Browsers give the microphone only to https pages and to localhost, and this page is neither. ${OTHERWISE}`;
  }
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return `The browser denies the microphone: allow it for this page (the icon beside the address), then press Talk again. ${OTHERWISE}`;
    case "NotFoundError":
      return `No microphone was found: connect one, then press Talk again. ${OTHERWISE}`;
    case "OverconstrainedError":
      return "The chosen microphone is not there any more: choose another, then press Talk again.";
    case "NotReadableError":
    case "AbortError":
      return `The microphone is taken by another program: close that, then press Talk again. ${OTHERWISE}`;
    default:
      return `The microphone does not work (${error.message || error.name}). ${OTHERWISE}`;
  }
}

/**
 * @param {{ message?: string }} error why an ipywebrtc stream is not to be had
 */
export function sourceTrouble(error) {
  return `The stream given as source cannot be used (${error.message}). ${OTHERWISE}`;
}

export const MICROPHONE_ENDED = `The microphone went away: connect it, then press Talk again. ${OTHERWISE}`;

const TRANSPORTS = { direct: "direct", proxy: "through the Jupyter server", comm: "through the kernel" };

/**
 * The status line.
 * @param {{ state: string, transport: string, talking: boolean, muted: boolean, mode: string,
 *   message: string }} facts
 */
export function statusLine({ state, transport, talking, muted, mode, message }) {
  const hint = mode === "push-to-talk" ? "Hold Talk, or the space bar, while you speak" : "Press Talk and speak";
  if (state === "connecting") return message || "Connecting …";
  if (state !== "live") return message || `${hint}.`;
  const how = TRANSPORTS[/** @type {"direct"} */ (transport)];
  if (message && message !== REDUCED) return `${message} (Connected ${how}.)`;
  const doing = !talking ? hint : muted ? "Muted" : "Listening";
  return `${doing} · connected ${how}.${message ? ` ${message}` : ""}`;
}
