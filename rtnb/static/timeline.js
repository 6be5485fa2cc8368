/** The LiveTimeline widget: the store lives as long as its model, views come and go. */

import { registry, watchPort } from "./registry.js";
import { TimelineStore } from "./timeline_store.js";
import { drawTimeline } from "./timeline_view.js";

export default {
  /** @param {{ model: any }} props */
  initialize({ model }) {
    const entry = { store: new TimelineStore(), port: /** @type {any} */ (null), frames: 0 };
    const id = model.get("timeline_id");
    registry().timelines.set(id, entry);
    let leave = () => {};
    let unwatch = () => {};
    const follow = () => {
      unwatch();
      unwatch = watchPort(model.get("port_id"), (port) => {
        leave();
        entry.store.clear();
        entry.port = port;
        leave = port ? entry.store.follow(port) : () => {};
      });
    };
    model.on("change:port_id", follow);
    follow();
    return () => {
      model.off("change:port_id", follow);
      unwatch();
      leave();
      registry().timelines.delete(id);
    };
  },

  /** @param {{ model: any, el: HTMLElement }} props */
  render({ model, el }) {
    const entry = registry().timelines.get(model.get("timeline_id"));
    return drawTimeline(entry, model, el);
  },
};
