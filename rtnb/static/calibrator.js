/** The Calibrator widget: the guide lives as long as its model, views come and go. */

import { CalibratorGuide } from "./calibrator_guide.js";
import { drawCalibrator } from "./calibrator_view.js";
import { registry } from "./registry.js";

export default {
  /** @param {{ model: any }} props */
  initialize({ model }) {
    const id = model.get("calibrator_id");
    const guide = new CalibratorGuide(model);
    registry().calibrators.set(id, guide);
    return () => {
      guide.close();
      registry().calibrators.delete(id);
    };
  },

  /** @param {{ model: any, el: HTMLElement }} props */
  render({ model, el }) {
    return drawCalibrator(registry().calibrators.get(model.get("calibrator_id")), el);
  },
};
