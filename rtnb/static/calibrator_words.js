/** What the calibrator says at each step, to eyes and to screen readers. */

/**
 * @typedef {"start" | "next" | "again" | "cancel" | "apply" | "discard"} Action
 * @typedef {{ text: string, actions: Partial<Record<Action, string>>, meant?: Action, reads?: boolean }} Words
 *   `actions` are the buttons and their labels, `meant` is the one that leads on
 */

/** @type {Record<string, Words>} */
const STEPS = {
  idle: {
    text: "Half a minute: be quiet, read one sentence aloud, hear one tone. The model answers none of it.",
    actions: { start: "Start" },
    meant: "start",
  },
  preparing: { text: "Getting ready: be quiet now.", actions: { cancel: "Cancel" } },
  quiet: { text: "Step 1 of 3: be quiet, until the countdown is over.", actions: { cancel: "Cancel", again: "Again" } },
  speech: {
    text: "Step 2 of 3: read this aloud, as you would speak.",
    actions: { next: "Done", again: "Again", cancel: "Cancel" },
    meant: "next",
    reads: true,
  },
  loudspeaker: {
    text: "Step 3 of 3: be quiet. A rising tone shows whether the microphone hears the loudspeaker.",
    actions: { cancel: "Cancel", next: "Skip" },
  },
  measuring: { text: "Measuring …", actions: {} },
};

/**
 * @param {string} step
 * @param {{ usable?: boolean, recommended?: string, problems?: string[] }} result
 * @param {string} sentence to be read aloud
 * @returns {Words}
 */
export function wordsOf(step, result, sentence) {
  if (step !== "done") {
    const words = STEPS[step];
    return words.reads ? { ...words, text: `${words.text} ${quoted(sentence)}` } : words;
  }
  if (!result.usable) {
    return {
      text: "This recommends nothing yet.",
      actions: { start: "Start again", discard: "Discard" },
      meant: "start",
    };
  }
  const trouble = result.problems?.length ? " There is trouble, too." : "";
  return {
    text: `Recommended: ${result.recommended}.${trouble}`,
    actions: { apply: "Apply", discard: "Discard", start: "Start again" },
    meant: "apply",
  };
}

/** @param {string} sentence */
function quoted(sentence) {
  return `“${sentence}”`;
}

/**
 * The spectrum in words.
 * @param {{ centres: number[], levels: number[], noise: number, speech: number | null }} result
 */
export function describeSpectrum({ centres, levels, noise, speech }) {
  const loudest = levels.indexOf(Math.max(...levels));
  const parts = [
    `Noise by third octave: the floor is ${Math.round(noise)} dBFS,`,
    `loudest around ${hertz(centres[loudest])} with ${Math.round(levels[loudest])} dBFS.`,
  ];
  if (speech !== null) parts.push(`Speech is ${Math.round(speech)} dBFS.`);
  return parts.join(" ");
}

/** @param {number} frequency */
export function hertz(frequency) {
  return frequency >= 1000 ? `${(frequency / 1000).toPrecision(2)} kHz` : `${Math.round(frequency)} Hz`;
}
