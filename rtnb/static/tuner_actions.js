/**
 * What a person can do with the tuner, without any element of the page: gestures come in,
 * the store changes, the kernel is asked.
 */

import { pan, reveal, zoom } from "./tuner_axis.js";
import { binLength } from "./tuner_columns.js";
import { float32, int16, int32, KernelLink, Unanswered } from "./tuner_link.js";
import { TunerPlayer } from "./tuner_player.js";
import { TunerStore } from "./tuner_store.js";

/** How often settings and view are written to the model while they change, ms. */
const SHARE_MS = 100;

/** How long the window must rest before its detail is asked for, ms. */
const DETAIL_MS = 60;

/** How long the pointer must rest on a turn before it is explained, ms. */
const HOVER_MS = 180;

/** Finding the ends of sentences takes a second for some ten of speech, ms. */
const RECOGNITION_LIMIT_MS = 3600000;

/** Nobody answers "ready", ms. */
const READY_LIMIT_MS = 20000;

const FINDING = "Finding the speech probability";
const COMPUTING = "Computing where sentences end: the recogniser listens to the whole sound, once …";
const LATE = "Waiting for the kernel: it answers when the running cell is done.";
const NOBODY = "No kernel answers for this tuner: run its cell again to see the sound.";
const EXPLAINED = 200;
const FEWEST_BINS = 200;

/**
 * @typedef {import("./tuner_store.js").Settings} Settings
 * @typedef {import("./tuner_axis.js").Stretch} Stretch
 */

export class TunerActions {
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #timers = new Map();
  #fetching = false;
  /** @type {Map<string, string>} */
  #explained = new Map();
  #recognising = false;
  #receiving = false;
  /** Names of the settings that were changed here and not told yet. */
  #unshared = new Set();
  /** @type {{ side: "settings" | "compared", index: number } | null} */
  hovered = null;
  explanation = "";
  /** What is said to the person: one sentence, and whether it is about trouble. */
  status = { text: "Asking the kernel for the sound …", alert: false };
  /** What the kernel told of itself. */
  facts = { session: false, dialects: /** @type {string[]} */ ([]), path: "" };
  code = "";
  pixels = 1000;
  saved = true;

  /**
   * @param {any} model anywidget's
   * @param {{ now: () => number, setTimeout: any, clearTimeout: any, openContext: () => any, copy: (text: string) => Promise<void>,
   *   page: string }} env
   */
  constructor(model, env) {
    this.model = model;
    this.env = env;
    this.store = new TunerStore({
      changed: () => this.#changed(),
      labelled: (settled) => settled && this.#shareLabels(),
      env,
    });
    this.link = new KernelLink(model, {
      page: env.page,
      told: (content, buffers) => this.#told(content, buffers),
      waits: (late) => this.#waits(late),
      env,
    });
    this.player = new TunerPlayer({
      fetch: (stretch) => this.#audio(stretch),
      changed: () => this.#changed(),
      failed: (error) => this.say(`Nothing is played: ${error.message}`, true),
      env,
    });
    this.undo = [
      this.#watch("change:settings", () => this.#takeSettings()),
      this.#watch("change:compared", () => this.#takeSettings()),
      this.#watch("change:view", () => this.#takeView()),
    ];
    this.#takeSettings();
    this.#begin();
  }

  /**
   * @param {() => void} listener called after every change
   * @returns {() => void} what ends it
   */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close() {
    for (const end of this.undo) end();
    for (const { timer } of this.#timers.values()) this.env.clearTimeout(timer);
    this.player.close();
    this.link.close();
  }

  // -- to the person ---------------------------------------------------------------------

  /**
   * @param {string} text
   * @param {boolean} [alert]
   */
  say(text, alert = false) {
    this.status = { text, alert };
    this.#changed();
  }

  /**
   * What was said is over, if it is still what is said last.
   * @param {string} beginning
   */
  #unsay(beginning) {
    if (this.status.text.startsWith(beginning)) this.say("");
  }

  #changed() {
    for (const listener of this.#listeners) listener();
  }

  /** @param {boolean} late */
  #waits(late) {
    if (late) this.say(LATE);
    else this.#unsay(LATE);
  }

  /**
   * Ask the kernel; what it refuses is said.
   * @param {string} type
   * @param {Record<string, any>} [facts]
   * @param {{ limit?: number }} [options]
   */
  async #ask(type, facts = {}, options = {}) {
    try {
      return await this.link.ask(type, facts, options);
    } catch (error) {
      this.say(/** @type {Error} */ (error).message, true);
      return null;
    }
  }

  // -- from the kernel -------------------------------------------------------------------

  async #begin() {
    try {
      const { content, buffers } = await this.link.ask("ready", {}, { limit: READY_LIMIT_MS });
      this.#takeSound(content, buffers);
    } catch (error) {
      this.say(error instanceof Unanswered ? NOBODY : /** @type {Error} */ (error).message, true);
    }
  }

  /**
   * @param {any} content
   * @param {DataView[]} buffers
   */
  #told(content, buffers) {
    switch (content.type) {
      case "sound":
        return this.#takeSound(content, buffers);
      case "probability":
        return this.#takeProbability(content, buffers);
      case "progress":
        return this.say(`${FINDING}: ${Math.round((100 * content.done) / content.total)} %`);
      case "feed":
        return this.#takeFeed(content, buffers);
      case "labels":
        return content.drawn_by === this.env.page ? undefined : this.#takeLabels(content.labels);
      case "trouble":
        return this.say(content.message, true);
    }
  }

  /**
   * @param {any} content
   * @param {DataView[]} buffers
   */
  #takeSound({ start, end, live, facts }, [low, high]) {
    this.facts = facts;
    this.player.forget();
    this.store.takeSound({ start, end, live }, { start, stop: end, low: int16(low), high: int16(high) });
    this.#takeView();
    this.say(live ? "Listening: what the session hears is drawn here." : `${FINDING} …`);
    this.#seekDetail();
  }

  /**
   * @param {any} content
   * @param {DataView[]} buffers
   */
  #takeProbability({ hop_ms, first_hop }, [p]) {
    this.#explained.clear();
    this.store.takeProbability({ p: float32(p), hopMs: hop_ms, firstHop: first_hop });
    this.#unsay(FINDING);
    this.#seekSentences();
  }

  /**
   * @param {any} content
   * @param {DataView[]} buffers
   */
  #takeFeed(content, [low, high, p]) {
    const news = { low: int16(low), high: int16(high), p: float32(p) };
    if (this.store.overview && !this.store.grow(content, news)) this.#begin();
  }

  /** @param {[number, number, string, string][]} labels */
  #takeLabels(labels) {
    this.#receiving = true;
    this.store.labels.load(labels.map(([start, end, text, tier]) => ({ start, end, text, tier })));
    this.#receiving = false;
  }

  // -- the window ------------------------------------------------------------------------

  /**
   * @param {number} factor
   * @param {number} [at] the cursor, or the middle where it is out of sight
   */
  zoom(factor, at) {
    const { window, cursor } = this.store;
    const seen = window.start <= cursor && cursor <= window.end;
    const kept = this.store.following ? this.store.whole.end : seen ? cursor : (window.start + window.end) / 2;
    return this.see(zoom(window, factor, at ?? kept, this.store.extent));
  }

  /** @param {number} seconds */
  pan(seconds) {
    return this.see(pan(this.store.window, seconds, this.store.extent));
  }

  /** @param {Stretch} window */
  see(window) {
    const moved = this.store.see(window);
    if (moved) {
      this.#later("view", SHARE_MS, () => this.#shareView());
      this.#seekDetail();
    }
    return moved;
  }

  seeAll() {
    this.see(this.store.extent);
  }

  /** Go with a live sound again. */
  followLive() {
    const { window, whole } = this.store;
    this.see({ start: whole.end - (window.end - window.start), end: whole.end });
    this.store.following = this.store.live;
    this.store.follow();
  }

  /**
   * How many pixels of the device the window has.
   * @param {number} pixels
   */
  resize(pixels) {
    this.pixels = pixels;
    this.#seekDetail();
  }

  #shareView() {
    const { window, following } = this.store;
    const view = [window.start, window.end].map((time) => Math.round(time * 1000) / 1000);
    this.model.set("view", following ? null : view);
    this.model.save_changes();
  }

  #takeView() {
    const view = this.model.get("view");
    if (!view || !this.store.overview) return;
    const { start, end } = this.store.window;
    if (Math.abs(view[0] - start) < 0.001 && Math.abs(view[1] - end) < 0.001) return;
    this.store.see({ start: view[0], end: view[1] });
    this.#seekDetail();
  }

  #seekDetail() {
    this.#later("detail", DETAIL_MS, () => this.#fetchDetail());
  }

  /** Ask for what is missing in sight; one question at a time, and what is late is asked anew. */
  async #fetchDetail() {
    const { store } = this;
    const stretch = this.#wanted();
    if (this.#fetching || !stretch) return;
    this.#fetching = true;
    try {
      const { content, buffers } = await this.link.ask("detail", stretch);
      store.takeDetail({ start: content.start, stop: content.stop, low: int16(buffers[0]), high: int16(buffers[1]) });
    } catch (error) {
      this.say(/** @type {Error} */ (error).message, true);
      return;
    } finally {
      this.#fetching = false;
    }
    if (this.#wanted()) this.#seekDetail();
  }

  /** What detail to ask for: the window and as much to either side; null if there is enough. */
  #wanted() {
    const { envelope, window, whole, live } = this.store;
    if (live || !envelope) return null;
    const length = window.end - window.start;
    const fine = length / this.pixels;
    if (binLength(envelope) <= fine * 1.01 || this.#asFineAsCan(envelope)) return null;
    const start = Math.max(whole.start, window.start - length);
    const stop = Math.min(whole.end, window.end + length);
    return { start, stop, bins: Math.max(FEWEST_BINS, Math.ceil((stop - start) / fine)) };
  }

  /** @param {import("./tuner_columns.js").Envelope} envelope */
  #asFineAsCan(envelope) {
    const { window } = this.store;
    const { rate } = /** @type {any} */ (this.facts);
    return binLength(envelope) * rate <= 1.01 && envelope.start <= window.start && envelope.stop >= window.end;
  }

  // -- settings --------------------------------------------------------------------------

  /**
   * @param {Partial<Settings>} change
   */
  configure(change) {
    const settings = this.store.changed(change);
    if (equal(settings, this.store.settings)) return;
    this.#setSettings(settings, this.store.comparedSettings);
  }

  /** @param {number} by */
  nudgeThreshold(by) {
    const wanted = (this.store.settings.threshold ?? 0.5) + by;
    this.configure({ threshold: Math.round(100 * Math.min(1, Math.max(0, wanted))) / 100 });
  }

  /** Keep the settings as B. */
  freeze() {
    this.#setSettings(this.store.settings, this.store.settings);
  }

  swap() {
    const { settings, comparedSettings } = this.store;
    if (comparedSettings) this.#setSettings(comparedSettings, settings);
  }

  unfreeze() {
    this.#setSettings(this.store.settings, null);
  }

  /**
   * @param {Settings} settings
   * @param {Settings | null} compared
   */
  #setSettings(settings, compared) {
    if (!equal(settings, this.store.settings)) this.#unshared.add("settings");
    if (!equal(compared, this.store.comparedSettings)) this.#unshared.add("compared");
    this.#show(settings, compared);
    this.#later("settings", SHARE_MS, () => this.#shareSettings());
  }

  #shareSettings() {
    const { settings, comparedSettings } = this.store;
    const values = { settings, compared: comparedSettings };
    for (const name of this.#unshared) this.model.set(name, values[/** @type {"settings"} */ (name)]);
    this.#unshared.clear();
    this.model.save_changes();
  }

  /** Settings of the kernel, but for those that a hand is changing. */
  #takeSettings() {
    const { settings, comparedSettings } = this.store;
    const chosen = this.#unshared.has("settings") ? settings : this.model.get("settings");
    const compared = this.#unshared.has("compared") ? comparedSettings : (this.model.get("compared") ?? null);
    if (!equal(chosen, settings) || !equal(compared, comparedSettings)) this.#show(chosen, compared);
  }

  /**
   * @param {Settings} settings
   * @param {Settings | null} compared
   */
  #show(settings, compared) {
    this.code = "";
    this.store.takeSettings(settings, compared);
    this.#explainAnew();
    this.#seekSentences();
  }

  /** Write at once what would be written soon. */
  flush() {
    for (const name of ["settings", "view"]) this.#now(name);
  }

  /** `semantic_vad` wants the ends of sentences, which the kernel finds once. */
  async #seekSentences() {
    const { store } = this;
    const kinds = [store.settings.type, store.comparedSettings?.type];
    if (!kinds.includes("semantic_vad") || store.sentences || !store.trace || this.#recognising || store.live) return;
    this.#recognising = true;
    this.say(COMPUTING);
    const answer = await this.#ask("sentences", {}, { limit: RECOGNITION_LIMIT_MS });
    this.#recognising = false;
    if (!answer) return;
    store.takeSentences({ hops: int32(answer.buffers[0]), p: float32(answer.buffers[1]) });
    this.#unsay(COMPUTING);
  }

  // -- sound -----------------------------------------------------------------------------

  /** @param {number} time */
  place(time) {
    const { whole } = this.store;
    this.store.cursor = Math.min(whole.end, Math.max(whole.start, time));
    this.store.touch();
  }

  /** @param {number} time */
  moveTo(time) {
    this.place(time);
    const { cursor } = this.store;
    this.see(reveal(this.store.window, { start: cursor, end: cursor }, this.store.extent));
    this.store.labels.selected = this.store.labels.at(cursor);
    this.store.touch();
  }

  /** From the cursor to the end; or stop. */
  togglePlay() {
    if (this.player.playing) this.player.stop();
    else this.playFromCursor();
  }

  playFromCursor() {
    const { cursor, whole } = this.store;
    const start = cursor >= whole.end - 0.02 ? whole.start : cursor;
    this.player.play({ start, end: whole.end });
  }

  /** The turn at the cursor, as the API would have received it. */
  playTurn() {
    const { chosen, cursor } = this.store;
    if (!chosen?.turns.startedHop.length) return this.say("There is no turn to play: lower the threshold.", true);
    const at = this.store.turnAt(chosen.turns, cursor);
    const index = at >= 0 ? at : Math.max(0, this.#nextTurn(cursor));
    const stretch = this.store.stretch(chosen.turns, index);
    this.see(reveal(this.store.window, stretch, this.store.extent));
    this.place(stretch.start);
    this.player.play(stretch);
  }

  /** @param {boolean} loop */
  setLoop(loop) {
    this.player.loop = loop;
    this.#changed();
  }

  /** @param {number} time */
  #nextTurn(time) {
    const { turns } = /** @type {import("./tuner_store.js").Outcome} */ (this.store.chosen);
    return turns.audioStartMs.findIndex((ms) => (ms + this.store.offsetMs) / 1000 >= time);
  }

  /** @param {Stretch} stretch */
  async #audio(stretch) {
    const { buffers } = await this.link.ask("audio", stretch);
    return int16(buffers[0]);
  }

  // -- turns in words --------------------------------------------------------------------

  /**
   * @param {{ side: "settings" | "compared", index: number } | null} hovered
   */
  hover(hovered) {
    if (equal(hovered, this.hovered)) return;
    this.hovered = hovered;
    this.explanation = "";
    this.store.touch();
    this.#explainAnew();
  }

  #explainAnew() {
    if (!this.hovered) return;
    this.#later("explain", HOVER_MS, () => this.#explain());
  }

  async #explain() {
    const { hovered, store } = this;
    const outcome = hovered && (hovered.side === "settings" ? store.chosen : store.compared);
    if (!hovered || !outcome || hovered.index >= outcome.turns.startedHop.length) return;
    const started = outcome.turns.startedHop[hovered.index] + /** @type {any} */ (store.trace).firstHop;
    const key = JSON.stringify([outcome.settings, started]);
    const show = (/** @type {string} */ text) => {
      if (!equal(this.hovered, hovered)) return;
      this.explanation = `${hovered.side === "compared" ? "B, turn" : "Turn"} ${hovered.index + 1}: ${text}`;
      this.#changed();
    };
    const known = this.#explained.get(key);
    if (known !== undefined) return show(known);
    const answer = await this.#ask("explain", { settings: outcome.settings, started });
    if (!answer) return;
    if (this.#explained.size >= EXPLAINED) this.#explained.clear();
    this.#explained.set(key, answer.content.text);
    show(answer.content.text);
  }

  // -- labels ----------------------------------------------------------------------------

  #shareLabels() {
    if (this.#receiving) return;
    this.saved = false;
    const labels = this.store.labels.labels.map(({ start, end, text, tier }) => [start, end, text, tier]);
    this.link.say("labels", { labels });
  }

  /** A label over the turn at the cursor, for those who use no pointer. */
  labelTurn() {
    const { chosen, cursor, labels } = this.store;
    const index = chosen ? this.store.turnAt(chosen.turns, cursor) : -1;
    if (!chosen || index < 0) return this.say("Move the cursor into a turn to label it.", true);
    const { end } = this.store.stretch(chosen.turns, index);
    const { hopMs, firstHop } = /** @type {any} */ (this.store.trace);
    const start = ((chosen.turns.startedHop[index] + firstHop) * hopMs) / 1000;
    if (!labels.add(start, end)) this.say("There is a label already.", true);
  }

  deleteLabel() {
    const { labels } = this.store;
    if (labels.selected) labels.remove(labels.selected);
  }

  /** @param {string} path */
  async save(path) {
    const answer = await this.#ask("save", { path });
    if (!answer) return;
    this.saved = true;
    this.say(answer.content.text);
  }

  // -- settings go elsewhere -------------------------------------------------------------

  async apply() {
    this.flush();
    this.say("Asking the session …");
    const answer = await this.#ask("apply", { settings: this.store.settings });
    if (answer) this.say(answer.content.text);
  }

  /** @param {string} dialect */
  async copy(dialect) {
    const answer = await this.#ask("code", { settings: this.store.settings, dialect });
    if (!answer) return;
    this.code = answer.content.text;
    try {
      await this.env.copy(this.code);
      this.say("Copied.");
    } catch {
      this.say("This page may not write to the clipboard: the code is selected below, press Ctrl+C.");
    }
  }

  // -- time ------------------------------------------------------------------------------

  /**
   * @param {string} name of what is put off; what was put off under it before begins its wait anew, but for what is shared
   * @param {number} delay ms
   * @param {() => void} act
   */
  #later(name, delay, act) {
    const waiting = this.#timers.get(name);
    if (waiting && delay === SHARE_MS) return;
    if (waiting) this.env.clearTimeout(waiting.timer);
    const timer = this.env.setTimeout(() => this.#now(name), delay);
    this.#timers.set(name, { timer, act });
  }

  /** @param {string} name */
  #now(name) {
    const waiting = this.#timers.get(name);
    if (!waiting) return;
    this.env.clearTimeout(waiting.timer);
    this.#timers.delete(name);
    waiting.act();
  }

  /**
   * @param {string} name
   * @param {() => void} act
   */
  #watch(name, act) {
    this.model.on(name, act);
    return () => this.model.off(name, act);
  }
}

/**
 * @param {any} a
 * @param {any} b
 */
function equal(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
