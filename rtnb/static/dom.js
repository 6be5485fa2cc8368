/** Elements of the page, made and changed. */

/**
 * @param {string} tag
 * @param {string} className
 * @param {Record<string, string>} attributes
 */
export function element(tag, className, attributes = {}) {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/**
 * @param {string} className
 * @param {string} label
 */
export function button(className, label) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = `rtnb-button ${className}`;
  made.textContent = label;
  return made;
}

/**
 * @param {EventTarget} target
 * @param {string} name
 * @param {(event: any) => void} handler
 * @param {boolean | AddEventListenerOptions} [options]
 * @returns {() => void} what ends it
 */
export function listen(target, name, handler, options = false) {
  target.addEventListener(name, handler, options);
  return () => target.removeEventListener(name, handler, options);
}

/**
 * Set an attribute only when it changes: the front end watches the document.
 * @param {HTMLElement} target
 * @param {string} name
 * @param {string | null} value null takes it away
 */
export function mark(target, name, value) {
  if (target.getAttribute(name) === value) return;
  if (value === null) target.removeAttribute(name);
  else target.setAttribute(name, value);
}

/**
 * Set a text only when it changes, so that screen readers are not told twice.
 * @param {HTMLElement} target
 * @param {string} text
 */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
