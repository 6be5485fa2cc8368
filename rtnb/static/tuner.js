/** The VadTuner widget: what it knows lives as long as its model, views come and go. */

import { TunerActions } from "./tuner_actions.js";
import { drawTuner } from "./tuner_view.js";
import { registry } from "./registry.js";

export default {
  /** @param {{ model: any }} props */
  initialize({ model }) {
    const id = model.get("tuner_id");
    const actions = new TunerActions(model, browser());
    registry().tuners.set(id, actions);
    return () => {
      actions.close();
      registry().tuners.delete(id);
    };
  },

  /** @param {{ model: any, el: HTMLElement }} props */
  render({ model, el }) {
    return drawTuner(registry().tuners.get(model.get("tuner_id")), el);
  },
};

function browser() {
  return {
    now: () => performance.now(),
    setTimeout: (/** @type {any} */ act, /** @type {number} */ delay) => setTimeout(act, delay),
    clearTimeout: (/** @type {any} */ id) => clearTimeout(id),
    openContext: () => new AudioContext(),
    copy: async (/** @type {string} */ text) => navigator.clipboard.writeText(text),
    page: Math.random().toString(36).slice(2),
  };
}
