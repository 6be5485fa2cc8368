/** The timeline's canvas: drawn when it is seen and something has changed, with words beside it. */

import { readColours, watchSize, watchTheme, watchVisible } from "./surroundings.js";
import { paint, paintSentence } from "./timeline_paint.js";

const COLOURS = ["ground", "ink", "quiet", "line", "mic", "answer", "unplayed", "probability", "threshold", "band", "band-edge"];
const SHORTEST_S = 2;
const LONGEST_S = 60;
const ZOOM = 1.5;

/** How often the words are made anew, ms. */
const SUMMARY_MS = 1000;

const QUIET = "Press Talk and speak: what the turn detector sees is drawn here.";
const NO_PORT = "No microphone panel on this page yet: show an AudioPort or a Panel beside this.";

/**
 * @typedef {{ store: import("./timeline_store.js").TimelineStore, port: any, frames: number }} Entry
 *   `frames` counts what has been painted.
 * @param {Entry} entry
 * @param {any} model anywidget's
 * @param {HTMLElement} el
 * @returns {() => void} what takes it away
 */
export function drawTimeline(entry, model, el) {
  const parts = build(el, model);
  const view = new View(entry, model, parts);
  const undo = [
    watchSize(parts.canvas, () => view.refresh()),
    watchTheme(() => view.refresh()),
    watchVisible(parts.canvas, (visible) => view.show(visible)),
    ...["seconds", "threshold", "height"].map((name) => follow(model, `change:${name}`, () => view.refresh())),
  ];
  return () => {
    view.close();
    for (const end of undo) end();
    parts.root.remove();
  };
}

class View {
  #visible = false;
  #painted = "";
  #said = 0;
  #version = -1;
  #changed = 0;
  /** @type {number} */
  #request = 0;

  /**
   * @param {Entry} entry
   * @param {any} model
   * @param {ReturnType<typeof build>} parts
   */
  constructor(entry, model, parts) {
    this.entry = entry;
    this.model = model;
    this.parts = parts;
    this.colours = readColours(parts.root, COLOURS);
  }

  /** @param {boolean} visible */
  show(visible) {
    this.#visible = visible;
    cancelAnimationFrame(this.#request);
    if (visible) this.#next();
  }

  /** Size, theme or a setting has changed. */
  refresh() {
    this.#painted = "";
    this.colours = readColours(this.parts.root, COLOURS);
  }

  close() {
    this.show(false);
  }

  #next() {
    this.#request = requestAnimationFrame(() => {
      if (!this.#visible) return;
      this.#paintIfDirty();
      this.#next();
    });
  }

  #paintIfDirty() {
    const { store, port } = this.entry;
    const now = this.#moment(port?.context?.currentTime ?? null);
    const state = `${store.version} ${now} ${Boolean(port)}`;
    if (state === this.#painted) return;
    this.#painted = state;
    this.#paint(now);
    this.#summarise(now);
  }

  /**
   * The moment to draw: it stands when a whole window has gone by without anything new.
   * @param {number | null} now
   */
  #moment(now) {
    const { store } = this.entry;
    if (now === null) return null;
    if (store.version !== this.#version || store.playing) {
      this.#version = store.version;
      this.#changed = now;
    }
    return Math.min(now, this.#changed + this.model.get("seconds"));
  }

  /** @param {number | null} now */
  #paint(now) {
    const { store, port } = this.entry;
    const { canvas } = this.parts;
    canvas.style.height = `${this.model.get("height")}px`;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const frame = {
      width,
      height,
      now: now ?? 0,
      seconds: this.model.get("seconds"),
      threshold: this.model.get("threshold"),
      colours: this.colours,
    };
    if (now === null || store.origin === null) paintSentence(context, frame, port ? QUIET : NO_PORT);
    else paint(context, store, frame);
    this.entry.frames += 1;
  }

  /** @param {number | null} now */
  #summarise(now) {
    const clock = performance.now();
    if (clock - this.#said < SUMMARY_MS && this.#said) return;
    this.#said = clock;
    this.parts.summary.textContent = summary(this.entry, now, this.model.get("threshold"));
  }
}

/**
 * The picture in words.
 * @param {Entry} entry
 * @param {number | null} now
 * @param {number} threshold
 */
export function summary({ store, port }, now, threshold) {
  if (now === null || store.origin === null) return port ? QUIET : NO_PORT;
  const segments = store.segments.length;
  const { probabilities } = store;
  const p = probabilities.length ? probabilities[probabilities.length - 1].p.toFixed(2) : "unknown";
  return [
    `${(now - store.origin).toFixed(0)} seconds.`,
    store.speaking ? "Speech is detected." : "No speech is detected.",
    `Speech probability ${p}, threshold ${threshold.toFixed(2)}.`,
    `${segments} speech segment${segments === 1 ? "" : "s"} so far in view.`,
    store.playing ? "The answer is playing." : "No answer is playing.",
  ].join(" ");
}

/**
 * @param {HTMLElement} el
 * @param {any} model
 */
function build(el, model) {
  const root = document.createElement("div");
  root.className = "rtnb rtnb-timeline";
  const canvas = document.createElement("canvas");
  canvas.className = "rtnb-canvas";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Live timeline: microphone, speech probability, speech segments, answer. Plus and minus keys zoom.");
  canvas.setAttribute("data-lm-suppress-shortcuts", "true");
  const summaryText = document.createElement("p");
  summaryText.className = "rtnb-hidden";
  summaryText.id = `rtnb-summary-${Math.random().toString(36).slice(2)}`;
  canvas.setAttribute("aria-describedby", summaryText.id);
  const zoom = document.createElement("div");
  zoom.className = "rtnb-zoom";
  zoom.append(zoomButton("−", "Show more seconds", () => zoomBy(model, ZOOM)));
  zoom.append(zoomButton("+", "Show fewer seconds", () => zoomBy(model, 1 / ZOOM)));
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "-") zoomBy(model, ZOOM);
    if (event.key === "+" || event.key === "=") zoomBy(model, 1 / ZOOM);
  });
  root.append(canvas, zoom, summaryText);
  el.append(root);
  return { root, canvas, summary: summaryText };
}

/**
 * @param {string} sign
 * @param {string} name
 * @param {() => void} act
 */
function zoomButton(sign, name, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "rtnb-button rtnb-zoom-button";
  made.textContent = sign;
  made.title = name;
  made.setAttribute("aria-label", name);
  made.addEventListener("click", act);
  return made;
}

/**
 * @param {any} model
 * @param {number} factor
 */
function zoomBy(model, factor) {
  const seconds = Math.min(LONGEST_S, Math.max(SHORTEST_S, model.get("seconds") * factor));
  model.set("seconds", Math.round(seconds * 10) / 10);
  model.save_changes();
}

/**
 * @param {any} model
 * @param {string} name
 * @param {() => void} callback
 */
function follow(model, name, callback) {
  model.on(name, callback);
  return () => model.off(name, callback);
}
