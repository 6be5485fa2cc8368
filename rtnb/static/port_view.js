/** The port's header: buttons, level meter, status line. It draws facts and forwards gestures. */

import { button, element, listen, mark, write } from "./dom.js";
import { statusLine } from "./messages.js";
import { drawLevel, levelMeter } from "./meter.js";

/** What takes the space bar for itself. */
const TYPING = "input, textarea, select, button, a[href], summary, [contenteditable], [role=slider]";

/**
 * @param {import("./port.js").Port} port
 * @param {any} model anywidget's
 * @param {HTMLElement} el
 * @returns {() => void} what takes it away
 */
export function drawPort(port, model, el) {
  const parts = build(el);
  const update = () => draw(parts, port, model);
  const undo = [
    port.on("change", update),
    port.on("level", (level) => drawLevel(parts.meter, level)),
    talkButton(parts.talk, port, model),
    listen(parts.mute, "click", () => {
      model.set("muted", !model.get("muted"));
      model.save_changes();
    }),
    listen(parts.interrupt, "click", () => port.interrupt()),
    listen(parts.resume, "click", () => port.resume()),
    spaceBar(parts.root, port, model),
    firstGesture(parts.root, port),
  ];
  drawLevel(parts.meter, port.facts.level);
  update();
  return () => {
    for (const end of undo) end();
    parts.root.remove();
  };
}

/** @param {HTMLElement} el */
function build(el) {
  const root = element("div", "rtnb rtnb-port", { role: "group", "aria-label": "Microphone and speaker" });
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  root.tabIndex = -1;
  const talk = button("rtnb-talk", "Talk");
  const mute = button("", "Mute");
  const interrupt = button("", "Interrupt");
  const meter = levelMeter();
  const status = element("p", "rtnb-status", { role: "status" });
  const resume = button("rtnb-resume", "Resume sound");
  const row = element("div", "rtnb-row", {});
  row.append(talk, mute, interrupt, meter, resume);
  root.append(row, status);
  el.append(root);
  return { root, talk, mute, interrupt, meter, status, resume };
}

/**
 * @param {ReturnType<typeof build>} parts
 * @param {import("./port.js").Port} port
 * @param {any} model
 */
function draw({ root, talk, mute, interrupt, status, resume }, port, model) {
  const { facts } = port;
  const mode = model.get("mode");
  const muted = model.get("muted");
  mark(root, "data-state", facts.state);
  mark(root, "data-notice", String(Boolean(facts.message) && facts.state !== "connecting"));
  mark(talk, "aria-pressed", String(facts.talking));
  write(talk, talkLabel(mode, facts.talking));
  mark(mute, "aria-pressed", String(muted));
  write(mute, muted ? "Unmute" : "Mute");
  mark(interrupt, "disabled", ["live", "suspended"].includes(facts.state) ? null : "");
  mark(resume, "hidden", facts.state === "suspended" ? null : "");
  write(status, statusLine({ ...(/** @type {any} */ (facts)), mode, muted }));
}

/**
 * @param {string} mode
 * @param {boolean} talking
 */
function talkLabel(mode, talking) {
  if (mode === "push-to-talk") return talking ? "Release to send" : "Hold to talk";
  return talking ? "Stop" : "Talk";
}

/**
 * Talk: a toggle hands-free, held down for push-to-talk.
 * @param {HTMLButtonElement} talk
 * @param {import("./port.js").Port} port
 * @param {any} model
 */
function talkButton(talk, port, model) {
  const holds = () => model.get("mode") === "push-to-talk";
  const down = (/** @type {PointerEvent} */ event) => {
    if (!holds() || event.button) return;
    talk.setPointerCapture(event.pointerId);
    port.start();
  };
  const up = () => {
    if (holds()) port.stop();
  };
  const keyDown = (/** @type {KeyboardEvent} */ event) => {
    if (!holds() || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    if (!event.repeat) port.start();
  };
  const keyUp = (/** @type {KeyboardEvent} */ event) => {
    if (!holds() || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    port.stop();
  };
  const click = () => {
    if (holds()) return;
    if (port.facts.talking) port.stop();
    else port.start();
  };
  const undo = [
    listen(talk, "pointerdown", down),
    listen(talk, "pointerup", up),
    listen(talk, "pointercancel", up),
    listen(talk, "lostpointercapture", up),
    listen(talk, "keydown", keyDown),
    listen(talk, "keyup", keyUp),
    listen(talk, "blur", up),
    listen(talk, "click", click),
    listen(window, "blur", up),
  ];
  return () => undo.forEach((end) => end());
}

/**
 * The space bar talks while the focus is within the panel and on nothing that wants it.
 * @param {HTMLElement} root
 * @param {import("./port.js").Port} port
 * @param {any} model
 */
function spaceBar(root, port, model) {
  let held = false;
  const down = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== " " || model.get("mode") !== "push-to-talk" || !within(root, event.target)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat || held) return;
    held = true;
    port.start();
  };
  const up = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== " " || !held) return;
    held = false;
    event.preventDefault();
    port.stop();
  };
  const undo = [listen(document, "keydown", down, true), listen(document, "keyup", up, true)];
  return () => undo.forEach((end) => end());
}

/**
 * @param {HTMLElement} root
 * @param {EventTarget | null} target
 */
function within(root, target) {
  return target instanceof Element && panelOf(root).contains(target) && !target.closest(TYPING);
}

/**
 * The panel that the port stands in, or the port itself.
 * @param {HTMLElement} root
 * @returns {HTMLElement}
 */
function panelOf(root) {
  return root.closest(".rtnb-panel") ?? root;
}

/**
 * Any gesture within the panel lets answers be heard, before Talk was ever pressed.
 * @param {HTMLElement} root
 * @param {import("./port.js").Port} port
 */
function firstGesture(root, port) {
  const gesture = (/** @type {Event} */ event) => {
    const inside = event.target instanceof Node && panelOf(root).contains(event.target);
    if (inside && !port.context && event.isTrusted) port.listen();
  };
  const undo = [listen(document, "pointerup", gesture), listen(document, "keydown", gesture)];
  return () => undo.forEach((end) => end());
}
