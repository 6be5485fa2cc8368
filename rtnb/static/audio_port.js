/** The AudioPort widget: the port lives as long as its model, views come and go. */

import { browser, Port } from "./port.js";
import { drawPort } from "./port_view.js";
import { addPort, registry } from "./registry.js";

export default {
  /** @param {{ model: any }} props */
  initialize({ model }) {
    const port = new Port(model, browser());
    const forget = addPort(model.get("port_id"), port);
    const leave = () => {
      window.removeEventListener("pagehide", leave);
      forget();
      port.dispose();
    };
    window.addEventListener("pagehide", leave);
    return leave;
  },

  /** @param {{ model: any, el: HTMLElement }} props */
  render({ model, el }) {
    return drawPort(registry().ports.get(model.get("port_id")), model, el);
  },
};
