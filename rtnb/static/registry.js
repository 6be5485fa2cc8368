/**
 * Where the widgets of one page find each other, whichever bundle they came from:
 * `globalThis[Symbol.for("rtnb")]`.
 */

/**
 * @typedef {{ ports: Map<string, any>, timelines: Map<string, any>, calibrators: Map<string, any>, tuners: Map<string, any>, watchers: Set<() => void> }} Registry
 */

/** @returns {Registry} */
export function registry() {
  const page = /** @type {any} */ (globalThis);
  page[Symbol.for("rtnb")] ??= { ports: new Map(), timelines: new Map(), calibrators: new Map(), tuners: new Map(), watchers: new Set() };
  return page[Symbol.for("rtnb")];
}

/**
 * Make a port known.
 * @param {string} id
 * @param {any} port
 * @returns {() => void} what takes it out again
 */
export function addPort(id, port) {
  const { ports, watchers } = registry();
  ports.set(id, port);
  for (const watcher of watchers) watcher();
  return () => {
    if (ports.get(id) !== port) return;
    ports.delete(id);
    for (const watcher of watchers) watcher();
  };
}

/**
 * Follow whichever port has that id: called at once, and whenever it comes or goes.
 * @param {string} id
 * @param {(port: any | null) => void} follow
 * @returns {() => void} what ends it
 */
export function watchPort(id, follow) {
  const { ports, watchers } = registry();
  /** @type {any} */
  let current;
  const watcher = () => {
    const port = ports.get(id) ?? null;
    if (port === current) return;
    current = port;
    follow(port);
  };
  watchers.add(watcher);
  watcher();
  return () => watchers.delete(watcher);
}
