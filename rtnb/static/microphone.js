/**
 * Where the sound comes from: the microphone, or any ipywebrtc MediaStream given as source.
 */

import { listMicrophones, openMicrophone } from "./capture.js";
import { microphoneTrouble, sourceTrouble } from "./messages.js";

/** Trouble with a sentence for the person. */
export class NoSound extends Error {}

/**
 * @param {any} model anywidget's
 * @param {any} env what the browser offers
 * @returns {Promise<{ stream: MediaStream, owned: boolean }>} `owned` ones are ours to stop
 * @throws {NoSound}
 */
export async function openStream(model, env) {
  const source = model.get("source");
  try {
    if (source) return { stream: await sourceStream(model, source), owned: false };
    return { stream: await microphone(model, env), owned: true };
  } catch (error) {
    throw new NoSound(trouble(model, env, error));
  }
}

/**
 * @param {any} model
 * @param {any} env
 * @param {any} error
 */
export function trouble(model, env, error) {
  if (error instanceof NoSound) return error.message;
  if (model.get("source")) return sourceTrouble(error);
  const secure = Boolean(env.navigator.mediaDevices);
  return microphoneTrouble(error, { secure, editor: env.location.protocol === "vscode-webview:" });
}

/**
 * Keep a list of the microphones up to date.
 * @param {any} env
 * @param {(devices: { deviceId: string, label: string }[]) => void} changed
 */
export async function followDevices(env, changed) {
  const { mediaDevices } = env.navigator;
  const list = async () => changed(await listMicrophones(mediaDevices));
  mediaDevices.ondevicechange = list;
  await list();
}

/**
 * @param {any} model
 * @param {any} env
 */
async function microphone(model, env) {
  if (!env.navigator.mediaDevices) throw new Error("insecure context");
  return openMicrophone(env.navigator.mediaDevices, {
    device: model.get("device"),
    echoCancellation: model.get("echo_cancellation"),
    noiseSuppression: model.get("noise_suppression"),
    autoGainControl: model.get("auto_gain_control"),
  });
}

/**
 * @param {any} model
 * @param {string} reference `IPY_MODEL_` and the widget's id
 * @returns {Promise<MediaStream>}
 */
async function sourceStream(model, reference) {
  const manager = model.widget_manager;
  if (!manager?.get_model) throw new Error("this front end passes no widget to another");
  const source = await manager.get_model(reference.replace("IPY_MODEL_", ""));
  if (!source?.captureStream) throw new Error("it is not an ipywebrtc MediaStream");
  return source.captureStream();
}
