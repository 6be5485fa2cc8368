/** The noise's spectrum as a drawing: steps on a logarithmic axis, levels as lines. */

const SVG = "http://www.w3.org/2000/svg";
const SIZE = { width: 640, height: 190, left: 46, right: 100, top: 10, bottom: 30 };
const OCTAVES = [63, 125, 250, 500, 1000, 2000, 4000, 8000];
const STEP_DB = 20;
const HALF_BAND = 10 ** 0.05;

/** How near two labels of lines may stand, in the drawing's units. */
const LINE_HEIGHT = 14;

/**
 * @typedef {{ centres: number[], levels: number[], noise: number, speech: number | null, hum: number | null }} Measured
 */

/**
 * Where everything stands.
 * @param {Measured} measured
 */
export function layOut({ centres, levels, noise, speech, hum }) {
  const { width, height, left, right, top, bottom } = SIZE;
  const low = STEP_DB * Math.floor(Math.min(...levels, noise) / STEP_DB);
  const high = Math.min(0, STEP_DB * (Math.floor(Math.max(...levels, noise, speech ?? -120) / STEP_DB) + 1));
  const [first, last] = [centres[0] / HALF_BAND, centres[centres.length - 1] * HALF_BAND];
  const x = (/** @type {number} */ hertz) => left + ((width - left - right) * Math.log(hertz / first)) / Math.log(last / first);
  const y = (/** @type {number} */ level) => top + ((height - top - bottom) * (high - level)) / (high - low);
  const bars = centres.map((centre, i) => ({
    x: x(centre / HALF_BAND),
    width: x(centre * HALF_BAND) - x(centre / HALF_BAND),
    y: y(levels[i]),
    height: y(low) - y(levels[i]),
  }));
  const lines = [{ kind: "noise", label: `noise ${minus(noise)}`, y: y(noise) }];
  if (speech !== null) lines.push({ kind: "speech", label: `speech ${minus(speech)}`, y: y(speech) });
  const frequencies = OCTAVES.filter((hertz) => hertz > first && hertz < last);
  const count = (high - low) / STEP_DB;
  return {
    bars,
    lines: spread(lines),
    hum: hum && hum >= first ? { x: x(hum), label: `hum ${hum} Hz` } : null,
    frequencies: frequencies.map((hertz) => ({ x: x(hertz), label: hertz < 1000 ? `${hertz}` : `${hertz / 1000}k` })),
    levels: Array.from({ length: count + 1 }, (_, i) => ({ y: y(low + STEP_DB * i), label: minus(low + STEP_DB * i) })),
  };
}

/** @param {number} level as it is written */
function minus(level) {
  return String(Math.round(level)).replace("-", "−");
}

/**
 * Keep the labels of two lines apart.
 * @param {{ kind: string, label: string, y: number }[]} lines
 */
function spread(lines) {
  const placed = lines.map((line) => ({ ...line, at: line.y }));
  const [noise, speech] = placed;
  if (speech && noise.y - speech.y < LINE_HEIGHT) {
    const middle = (noise.y + speech.y) / 2;
    speech.at = middle - LINE_HEIGHT / 2;
    noise.at = middle + LINE_HEIGHT / 2;
  }
  return placed;
}

/**
 * @param {Measured} measured
 * @param {string} description of it in words
 * @returns {SVGElement}
 */
export function drawSpectrum(measured, description) {
  const { width, height, left, right, bottom } = SIZE;
  const shape = layOut(measured);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, class: "rtnb-spectrum", role: "img", "aria-label": description });
  for (const { y, label } of shape.levels) {
    svg.append(make("line", { class: "rtnb-grid", x1: left, x2: width - right, y1: y, y2: y }));
    svg.append(text(label, { x: left - 6, y: y + 4, "text-anchor": "end" }));
  }
  for (const bar of shape.bars) svg.append(make("rect", { class: "rtnb-band", ...bar }));
  for (const { x, label } of shape.frequencies) {
    svg.append(text(label, { x, y: height - bottom + 14, "text-anchor": "middle" }));
  }
  if (shape.hum) {
    const { x, label } = shape.hum;
    svg.append(make("line", { class: "rtnb-hum", x1: x, x2: x, y1: SIZE.top, y2: height - bottom }));
    svg.append(text(label, { x: x + 4, y: SIZE.top + 10, class: "rtnb-hum-label" }));
  }
  for (const { kind, label, y, at } of shape.lines) {
    svg.append(make("line", { class: `rtnb-line-${kind}`, x1: left, x2: width - right, y1: y, y2: y }));
    svg.append(text(label, { x: width - right + 6, y: at + 4 }));
  }
  svg.append(text("dBFS by third octave, Hz", { x: (left + width - right) / 2, y: height - 2, "text-anchor": "middle" }));
  return /** @type {SVGElement} */ (svg);
}

/**
 * @param {string} words
 * @param {Record<string, any>} attributes
 */
function text(words, attributes) {
  const made = make("text", attributes);
  made.textContent = words;
  return made;
}

/**
 * @param {string} name
 * @param {Record<string, any>} attributes
 */
function make(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, typeof value === "number" ? String(Math.round(value * 10) / 10) : value);
  }
  return made;
}
