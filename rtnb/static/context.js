/** The audio context: 24 kHz, or the browser's own rate where it refuses that. */

import { SAMPLE_RATE } from "./pcm.js";

/** How long a context may take to start before it counts as held back, ms. */
const RESUME_MS = 1000;

/**
 * Open a context. Call it within a gesture, or the browser may keep it suspended.
 * @param {any} AudioContextClass
 * @param {{ native?: boolean }} [options] `native` asks for the browser's own rate
 * @returns {AudioContext}
 */
export function openContext(AudioContextClass, { native = false } = {}) {
  if (!native) {
    try {
      return new AudioContextClass({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
    } catch (error) {
      if (/** @type {any} */ (error).name !== "NotSupportedError") throw error;
    }
  }
  return new AudioContextClass({ latencyHint: "interactive" });
}

/**
 * Let a context run, if the browser allows it.
 * @param {AudioContext} context
 * @param {typeof setTimeout} [setTimer]
 * @returns {Promise<boolean>} whether it runs
 */
export async function resumeContext(context, setTimer = setTimeout) {
  if (context.state === "running") return true;
  const resumed = context.resume().catch(() => {});
  await Promise.race([resumed, new Promise((resolve) => setTimer(resolve, RESUME_MS))]);
  return /** @type {string} */ (context.state) === "running";
}

/** @type {WeakMap<AudioContext, Promise<any>>} */
const loaded = new WeakMap();

/**
 * Load both worklets into a context, once.
 * @param {AudioContext} context
 * @returns {Promise<any>}
 */
export function loadWorklets(context) {
  let loading = loaded.get(context);
  if (!loading) {
    loading = Promise.all([
      addModule(context, new URL("./tap.worklet.js", import.meta.url)),
      addModule(context, new URL("./player.worklet.js", import.meta.url)),
    ]);
    loaded.set(context, loading);
  }
  return loading;
}

/**
 * @param {AudioContext} context
 * @param {URL | string} url
 */
async function addModule(context, url) {
  await context.audioWorklet.addModule(url);
  URL.revokeObjectURL(String(url));
}
