/** The tuner's buttons, sliders, counters and fields: they draw the store and forward gestures. */

import { button, element, listen, mark, write } from "./dom.js";
import { clock } from "./tuner_axis.js";

const ZOOM = 1.5;
const EAGERNESS = ["auto", "low", "medium", "high"];

/** Longer code is scrolled. */
const MOST_ROWS = 16;

/** The sliders of `server_vad`; the fields take any value that can be. */
const SLIDERS = [
  { name: "threshold", label: "Threshold", unit: "", max: 1, step: 0.01 },
  { name: "silence_duration_ms", label: "Silence that ends", unit: "ms", max: 2000, step: 20 },
  { name: "prefix_padding_ms", label: "Kept before speech", unit: "ms", max: 1000, step: 20 },
];

/**
 * @typedef {import("./tuner_actions.js").TunerActions} Actions
 * @typedef {{ element: HTMLElement, update: () => void }} Part
 */

/** @param {Actions} actions */
export function buildControls(actions) {
  const transport = buildTransport(actions);
  const tip = element("p", "rtnb-tuner-tip", { role: "status" });
  const settings = [buildSettings(actions), buildOutlets(actions)];
  const outcome = [buildCounters(actions), buildLabels(actions)];
  const parts = [...settings, ...outcome];
  const status = element("p", "rtnb-tuner-status", { role: "status" });
  const body = element("div", "rtnb-tuner-body");
  for (const column of [settings, outcome]) {
    const made = element("div", "rtnb-tuner-column");
    made.append(...column.map((part) => part.element));
    body.append(made);
  }
  body.append(status);
  return {
    transport: transport.element,
    tip,
    body,
    update() {
      transport.update();
      for (const part of parts) part.update();
      write(tip, actions.explanation || hint(actions));
      mark(tip, "data-hint", actions.explanation ? null : "");
      mark(status, "role", actions.status.alert ? "alert" : "status");
      mark(status, "data-alert", actions.status.alert ? "" : null);
      mark(status, "hidden", actions.status.text ? null : "");
      write(status, actions.status.text);
    },
  };
}

/** @param {Actions} actions */
function hint({ store }) {
  return store.chosen ? "Point at a turn to read why it began and ended. Drag the threshold; the wheel zooms, Shift with it pans." : "";
}

/**
 * @param {Actions} actions
 * @returns {Part}
 */
function buildTransport(actions) {
  const play = button("rtnb-tuner-play", "Play");
  const turn = button("", "Play turn");
  const loop = button("", "Loop");
  const fewer = button("rtnb-tuner-small", "−");
  const more = button("rtnb-tuner-small", "+");
  const all = button("", "All");
  const follow = button("", "Follow");
  const time = element("output", "rtnb-tuner-time", { "aria-label": "Cursor" });
  named(play, "From the cursor, or stop (space)");
  named(turn, "The turn at the cursor, as the API would have received it: with its prefix, PCM16 at 24 kHz (Enter)");
  named(loop, "Play it again and again");
  named(fewer, "Zoom out (−)");
  named(more, "Zoom in (+)");
  named(all, "See all of it (0)");
  named(follow, "Go with the microphone");
  fewer.setAttribute("aria-label", "Zoom out");
  more.setAttribute("aria-label", "Zoom in");
  press(play, () => actions.togglePlay());
  press(turn, () => actions.playTurn());
  press(loop, () => actions.setLoop(!actions.player.loop));
  press(fewer, () => actions.zoom(ZOOM));
  press(more, () => actions.zoom(1 / ZOOM));
  press(all, () => actions.seeAll());
  press(follow, () => actions.followLive());
  const row = element("div", "rtnb-tuner-row", { role: "toolbar", "aria-label": "Play and zoom" });
  row.append(play, turn, loop, gap(), fewer, more, all, follow, time);
  return {
    element: row,
    update() {
      const { store, player } = actions;
      const ready = store.overview !== null;
      write(play, player.playing ? "Stop" : "Play");
      for (const each of [play, fewer, more, all]) mark(each, "disabled", ready ? null : "");
      mark(turn, "disabled", store.chosen?.turns.startedHop.length ? null : "");
      mark(loop, "aria-pressed", String(player.loop));
      mark(follow, "hidden", store.live ? null : "");
      mark(follow, "aria-pressed", String(store.following));
      write(time, clock(store.playhead ?? store.cursor));
    },
  };
}

/**
 * @param {Actions} actions
 * @returns {Part}
 */
function buildSettings(actions) {
  const box = element("fieldset", "rtnb-tuner-box rtnb-tuner-settings");
  box.append(legend("Turn detection"));
  const kind = /** @type {HTMLSelectElement} */ (select(["server_vad", "semantic_vad"], "Kind of turn detection"));
  listen(kind, "change", () => actions.configure({ type: kind.value }));
  const sliders = SLIDERS.map((each) => slider(actions, each));
  const eagerness = /** @type {HTMLSelectElement} */ (select(EAGERNESS, "Eagerness"));
  listen(eagerness, "change", () => actions.configure({ eagerness: eagerness.value }));
  const eager = line("Eagerness", eagerness);
  box.append(line("Kind", kind), ...sliders.map((each) => each.element), eager);
  return {
    element: box,
    update() {
      const { settings } = actions.store;
      const server = settings.type === "server_vad";
      if (kind.value !== settings.type) kind.value = settings.type;
      mark(eager, "hidden", server ? "" : null);
      for (const each of sliders) {
        mark(each.element, "hidden", server ? null : "");
        each.update();
      }
      if (settings.eagerness && eagerness.value !== settings.eagerness) eagerness.value = settings.eagerness;
    },
  };
}

/**
 * A slider with a field beside it.
 * @param {Actions} actions
 * @param {{ name: string, label: string, unit: string, max: number, step: number }} facts
 * @returns {Part}
 */
function slider(actions, { name, label, unit, max, step }) {
  const attributes = { min: "0", max: String(max), step: String(step) };
  const named = unit ? `${label}, ${unit}` : label;
  const range = /** @type {HTMLInputElement} */ (element("input", "", { type: "range", "aria-label": named, ...attributes }));
  const bounds = unit ? { min: "0", step: "1" } : attributes;
  const field = /** @type {HTMLInputElement} */ (element("input", "rtnb-tuner-field", { type: "number", "aria-label": `${named}, exactly`, ...bounds }));
  const value = () => /** @type {any} */ (actions.store.settings)[name];
  listen(range, "input", () => actions.configure({ [name]: Number(range.value) }));
  listen(range, "change", () => actions.flush());
  listen(field, "change", () => {
    const wanted = Number(field.value);
    const possible = field.value !== "" && wanted >= 0 && (unit ? Number.isInteger(wanted) : wanted <= 1);
    if (possible) {
      actions.configure({ [name]: wanted });
      actions.say("");
    } else {
      const limit = unit ? "whole milliseconds, 0 or more" : "a number between 0 and 1";
      actions.say(`${label} is ${field.value || "empty"}, but takes ${limit}.`, true);
      field.value = String(value());
    }
  });
  const row = line(label, range, field);
  if (unit) row.append(unit);
  return {
    element: row,
    update() {
      const current = value();
      if (current === undefined) return;
      if (Number(range.value) !== Math.min(max, current)) range.value = String(current);
      if (document.activeElement !== field && field.value !== String(current)) field.value = String(current);
    },
  };
}

/**
 * @param {Actions} actions
 * @returns {Part}
 */
function buildCounters(actions) {
  const box = element("fieldset", "rtnb-tuner-box");
  const table = element("table", "rtnb-tuner-counters");
  table.innerHTML =
    "<thead><tr><td></td><th scope=col>turns</th><th scope=col title='the turn ended, and the speech went on within a second'>cut-ins</th>" +
    "<th scope=col title='median time from the end of speech to speech_stopped'>delay</th><th scope=col title='threshold, silence and prefix; or eagerness'>settings</th></tr></thead>";
  const rows = element("tbody", "");
  table.append(rows);
  const make = (/** @type {string} */ name) => {
    const row = element("tr", `rtnb-tuner-${name}`);
    const head = element("th", "", { scope: "row" });
    head.textContent = name;
    const cells = ["turns", "cut-ins", "delay", "settings"].map((kind) => element("td", "", { "data-kind": kind }));
    row.append(head, ...cells);
    rows.append(row);
    return { row, cells };
  };
  const [a, b] = [make("A"), make("B")];
  const freeze = button("", "Freeze as B");
  const swap = button("", "Swap");
  const clear = button("", "Clear B");
  named(freeze, "Keep these settings as B, and go on changing A");
  press(freeze, () => actions.freeze());
  press(swap, () => actions.swap());
  press(clear, () => actions.unfreeze());
  const buttons = element("div", "rtnb-tuner-row");
  buttons.append(freeze, swap, clear);
  box.append(legend("What would have happened"), table, buttons);
  return {
    element: box,
    update() {
      const { store } = actions;
      fill(a.cells, store.chosen, store.settings);
      const frozen = store.comparedSettings;
      mark(b.row, "hidden", frozen ? null : "");
      if (frozen) fill(b.cells, store.compared, frozen);
      for (const each of [swap, clear]) mark(each, "disabled", frozen ? null : "");
    },
  };
}

/**
 * @param {HTMLElement[]} cells
 * @param {import("./tuner_store.js").Outcome | null} outcome
 * @param {import("./tuner_store.js").Settings} settings
 */
function fill([turns, cutIns, delay, words], outcome, settings) {
  const known = outcome?.counters;
  write(turns, known ? String(known.turns) : "…");
  write(cutIns, known ? String(known.cutIns) : "…");
  mark(cutIns, "data-some", known?.cutIns ? "" : null);
  write(delay, !known ? "…" : known.delayMs === null ? "–" : `${Math.round(known.delayMs)} ms`);
  write(words, inShort(settings));
}

/**
 * @param {import("./tuner_store.js").Settings} settings
 */
export function inShort({ type, threshold, silence_duration_ms, prefix_padding_ms, eagerness }) {
  if (type === "semantic_vad") return `semantic, ${eagerness}`;
  return `${/** @type {number} */ (threshold).toFixed(2)} · ${silence_duration_ms} · ${prefix_padding_ms} ms`;
}

/**
 * @param {Actions} actions
 * @returns {Part}
 */
function buildLabels(actions) {
  const { labels } = actions.store;
  const box = element("fieldset", "rtnb-tuner-box");
  const undo = button("", "Undo");
  const redo = button("", "Redo");
  const remove = button("", "Delete");
  const save = button("", "Save");
  const path = /** @type {HTMLInputElement} */ (element("input", "rtnb-tuner-path", { type: "text", "aria-label": "File for the labels", spellcheck: "false" }));
  path.placeholder = "labels.txt, .csv, .vtt, .rttm or .TextGrid";
  named(undo, "Ctrl+Z");
  named(redo, "Ctrl+Shift+Z");
  named(remove, "The selected label (Delete)");
  press(undo, () => labels.undo());
  press(redo, () => labels.redo());
  press(remove, () => actions.deleteLabel());
  press(save, () => actions.save(path.value));
  listen(path, "keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && actions.save(path.value));
  const count = element("span", "rtnb-tuner-count");
  const row = element("div", "rtnb-tuner-row");
  row.append(undo, redo, remove, count);
  const file = element("div", "rtnb-tuner-row");
  file.append(path, save);
  box.append(legend("Labels"), row, file);
  let offered = "";
  return {
    element: box,
    update() {
      mark(undo, "disabled", labels.canUndo ? null : "");
      mark(redo, "disabled", labels.canRedo ? null : "");
      mark(remove, "disabled", labels.selected ? null : "");
      const { length } = labels.labels;
      write(count, `${length} label${length === 1 ? "" : "s"}${length && !actions.saved ? ", not saved" : ""}`);
      if (offered === actions.facts.path) return;
      offered = actions.facts.path;
      path.value = offered;
    },
  };
}

/**
 * Where settings go from here.
 * @param {Actions} actions
 * @returns {Part}
 */
function buildOutlets(actions) {
  const box = element("fieldset", "rtnb-tuner-box");
  const apply = button("rtnb-tuner-apply", "Apply to session");
  const copy = button("", "Copy as code");
  const dialect = /** @type {HTMLSelectElement} */ (select([], "Dialect of the code"));
  const code = /** @type {HTMLTextAreaElement} */ (element("textarea", "rtnb-tuner-code", { readonly: "", "aria-label": "Code", spellcheck: "false" }));
  press(apply, () => actions.apply());
  press(copy, () => actions.copy(dialect.value));
  const row = element("div", "rtnb-tuner-row");
  row.append(apply, gap(), copy, dialect);
  box.append(legend("Use these settings"), row, code);
  let dialects = "";
  return {
    element: box,
    update() {
      const { facts } = actions;
      mark(apply, "disabled", facts.session ? null : "");
      apply.title = facts.session ? "session.configure(turn_detection=…)" : "No session is attached: rtnb.VadTuner(clip, session=session)";
      if (dialects !== facts.dialects.join()) {
        dialects = facts.dialects.join();
        dialect.replaceChildren(...facts.dialects.map(option));
      }
      mark(code, "hidden", actions.code ? null : "");
      if (code.value === actions.code) return;
      code.value = actions.code;
      code.rows = Math.min(MOST_ROWS, actions.code.split("\n").length);
      code.select();
    },
  };
}

// -- elements --------------------------------------------------------------------------

/** @param {string} text */
function legend(text) {
  const made = element("legend", "");
  made.textContent = text;
  return made;
}

/**
 * @param {string} label
 * @param {...HTMLElement} inputs
 */
function line(label, ...inputs) {
  const made = element("label", "rtnb-tuner-line");
  const text = element("span", "");
  text.textContent = label;
  made.append(text, ...inputs);
  return made;
}

/**
 * @param {string[]} values
 * @param {string} name
 */
function select(values, name) {
  const made = element("select", "rtnb-tuner-select", { "aria-label": name });
  made.append(...values.map(option));
  return made;
}

/** @param {string} value */
function option(value) {
  const made = /** @type {HTMLOptionElement} */ (element("option", "", { value }));
  made.textContent = value;
  return made;
}

/**
 * @param {HTMLElement} target
 * @param {() => void} act
 */
function press(target, act) {
  target.addEventListener("click", act);
}

/**
 * @param {HTMLElement} target
 * @param {string} title
 */
function named(target, title) {
  target.title = title;
}

function gap() {
  return element("span", "rtnb-tuner-gap");
}
