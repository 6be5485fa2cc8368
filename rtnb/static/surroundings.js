/** What a drawing depends on besides its data: colours, size, theme, whether it is seen. */

/**
 * The theme's colours, as they are now.
 * @param {HTMLElement} root
 * @param {string[]} names without `--rtnb-`
 * @returns {any} name by name
 */
export function readColours(root, names) {
  const style = getComputedStyle(root);
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--rtnb-${name}`).trim()]));
}

/**
 * @param {HTMLElement} target
 * @param {() => void} changed
 * @returns {() => void} what ends it
 */
export function watchSize(target, changed) {
  const observer = new ResizeObserver(changed);
  observer.observe(target);
  return () => observer.disconnect();
}

/**
 * @param {() => void} changed
 * @returns {() => void} what ends it
 */
export function watchTheme(changed) {
  const observer = new MutationObserver(changed);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    scheme.removeEventListener("change", changed);
  };
}

/**
 * @param {HTMLElement} target
 * @param {(visible: boolean) => void} changed
 * @returns {() => void} what ends it
 */
export function watchVisible(target, changed) {
  const observer = new IntersectionObserver((entries) => changed(Boolean(entries.at(-1)?.isIntersecting)));
  observer.observe(target);
  return () => observer.disconnect();
}
