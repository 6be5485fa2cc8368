/** The tuner in the page: a canvas, what is pressed and dragged on it, and the controls below. */

import { element, listen } from "./dom.js";
import { readColours, watchSize, watchTheme, watchVisible } from "./surroundings.js";
import { clock } from "./tuner_axis.js";
import { buildControls } from "./tuner_controls.js";
import { handleKeys } from "./tuner_keys.js";
import { COLOURS, heightFor, layout, paint, shownIn } from "./tuner_paint.js";
import { handlePointer } from "./tuner_pointer.js";

/** How often the picture is put into words, ms. */
const SUMMARY_MS = 1000;

/** Of the canvas, pixels; its size in the page counts it. */
const BORDER = 1;

/** JupyterLab leaves keys alone only where the very element that has the focus says so. */
const FOCUSABLE = "canvas, button, input, select, textarea";

const DESCRIPTION =
  "Waveform, speech probability with its threshold, turns and labels. Space plays, the arrow keys left and right move the cursor, " +
  "up and down the threshold, plus and minus zoom, Enter plays the turn, L labels it, Delete removes the label, Ctrl+Z undoes.";

/**
 * @typedef {import("./tuner_actions.js").TunerActions} Actions
 */

/**
 * @param {Actions} actions
 * @param {HTMLElement} el
 * @returns {() => void} what takes it away
 */
export function drawTuner(actions, el) {
  const view = new TunerView(actions, el);
  return () => view.close();
}

export class TunerView {
  #request = 0;
  #visible = false;
  #painted = "";
  #said = 0;

  /**
   * @param {Actions} actions
   * @param {HTMLElement} el
   */
  constructor(actions, el) {
    this.actions = actions;
    const root = element("div", "rtnb rtnb-tuner", { role: "group", "aria-label": "Turn detection tuner" });
    const canvas = /** @type {HTMLCanvasElement} */ (element("canvas", "rtnb-canvas rtnb-tuner-canvas", { role: "application" }));
    canvas.tabIndex = 0;
    canvas.setAttribute("aria-label", DESCRIPTION);
    const summary = element("p", "rtnb-hidden", { id: `rtnb-tuner-${actions.env.page}-${Math.random().toString(36).slice(2)}` });
    canvas.setAttribute("aria-describedby", summary.id);
    const controls = buildControls(actions);
    const stage = element("div", "rtnb-tuner-stage");
    stage.append(canvas);
    root.append(controls.transport, stage, controls.tip, controls.body, summary);
    for (const each of root.querySelectorAll(FOCUSABLE)) each.setAttribute("data-lm-suppress-shortcuts", "true");
    el.append(root);
    this.root = root;
    this.canvas = canvas;
    this.stage = stage;
    this.summary = summary;
    this.controls = controls;
    this.colours = readColours(root, COLOURS);
    this.undo = [
      actions.onChange(() => this.#schedule()),
      watchSize(canvas, () => this.refresh()),
      watchTheme(() => this.refresh()),
      watchVisible(canvas, (visible) => this.#show(visible)),
      handlePointer(this),
      handleKeys(this),
      listen(root, "pointerleave", () => actions.hover(null)),
    ];
    this.#show(true);
  }

  close() {
    this.#visible = false;
    cancelAnimationFrame(this.#request);
    for (const end of this.undo) end();
    this.root.remove();
  }

  /** Size or theme have changed. */
  refresh() {
    this.#painted = "";
    this.colours = readColours(this.root, COLOURS);
    this.actions.resize(Math.round(this.canvas.clientWidth * (window.devicePixelRatio || 1)));
    this.#schedule();
  }

  /** Where everything is now. */
  get lanes() {
    return layout(this.#height, shownIn(this.actions.store));
  }

  get #height() {
    return heightFor(shownIn(this.actions.store));
  }

  /** @param {boolean} visible */
  #show(visible) {
    this.#visible = visible;
    if (visible) this.#schedule();
  }

  #schedule() {
    if (this.#request || !this.#visible) return;
    this.#request = requestAnimationFrame(() => {
      this.#request = 0;
      this.#frame();
    });
  }

  #frame() {
    const { actions } = this;
    const { store, player } = actions;
    store.playhead = player.position;
    this.controls.update();
    const state = `${store.version} ${store.playhead}`;
    if (state !== this.#painted) {
      this.#painted = state;
      this.#paint();
      this.#summarise();
    }
    if (player.playing) this.#schedule();
  }

  #paint() {
    const { canvas } = this;
    const tall = `${this.#height + 2 * BORDER}px`;
    if (canvas.style.height !== tall) canvas.style.height = tall;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint(context, this.actions.store, { width, height, colours: this.colours, hovered: this.actions.hovered });
  }

  #summarise() {
    const clockNow = performance.now();
    if (this.#said && clockNow - this.#said < SUMMARY_MS) return;
    this.#said = clockNow;
    this.summary.textContent = summary(this.actions);
  }
}

/**
 * The picture in words.
 * @param {Actions} actions
 */
export function summary({ store }) {
  const { window, cursor, chosen } = store;
  const words = [`In view: ${clock(window.start)} to ${clock(window.end)}; cursor at ${clock(cursor)}.`];
  if (!chosen) words.push("No segments yet.");
  else {
    const { turns, cutIns, delayMs } = chosen.counters;
    words.push(`${turns} turns, ${cutIns} cut-ins, delay ${delayMs === null ? "unknown" : `${Math.round(delayMs)} ms`}.`);
    const index = store.turnAt(chosen.turns, cursor);
    if (index >= 0) words.push(`The cursor is in turn ${index + 1}.`);
  }
  const { labels } = store.labels;
  if (labels.length) words.push(`${labels.length} labels.`);
  return words.join(" ");
}
