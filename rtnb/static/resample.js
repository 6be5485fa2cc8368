/**
 * Streaming change of sample rate by a rational factor: a linear-phase polyphase FIR,
 * for browsers that refuse a 24 kHz context. The output is the same for any chunking.
 */

/** Zero crossings of the kernel on each side, at the lower of the two rates. */
const CROSSINGS = 32;

/** Attenuation of the stop band, dB. */
const ATTENUATION = 80;

export class Resampler {
  /**
   * @param {number} fromRate Hz, a whole number
   * @param {number} toRate Hz, a whole number
   */
  constructor(fromRate, toRate) {
    const divisor = gcd(fromRate, toRate);
    this.up = toRate / divisor;
    this.down = fromRate / divisor;
    const half = Math.ceil((CROSSINGS * Math.max(this.up, this.down)) / this.up);
    /** Delay of the linear-phase kernel, in seconds. */
    this.delay = half / fromRate;
    this.phases = polyphase(this.up, this.down, half);
    this.taps = this.phases[0].length;
    this.history = new Float32Array(this.taps - 1);
    /** Position of the next output, in input samples times `up`, from the next input. */
    this.position = 0;
  }

  /**
   * @param {Float32Array} input samples at the first rate
   * @returns {Float32Array} the samples at the second rate that are complete with it
   */
  process(input) {
    const { history, taps, up, down, phases } = this;
    const line = new Float32Array(history.length + input.length);
    line.set(history);
    line.set(input, history.length);
    const count = Math.max(0, Math.ceil((input.length * up - this.position) / down));
    const output = new Float32Array(count);
    for (let i = 0; i < count; i++, this.position += down) {
      const kernel = phases[this.position % up];
      const newest = Math.floor(this.position / up) + taps - 1;
      let sum = 0;
      for (let k = 0; k < taps; k++) sum += kernel[k] * line[newest - k];
      output[i] = sum;
    }
    this.position -= input.length * up;
    this.history = line.slice(line.length - history.length);
    return output;
  }
}

/**
 * The kernel, one row for each phase, every row with gain 1 at 0 Hz.
 * @param {number} up
 * @param {number} down
 * @param {number} half length of one side, in input samples
 */
function polyphase(up, down, half) {
  const beta = 0.1102 * (ATTENUATION - 8.7);
  const transition = (ATTENUATION - 7.95) / (2.285 * 2 * Math.PI * 2 * CROSSINGS);
  const cutoff = Math.min(1, up / down) * (0.5 - transition / 2);
  return Array.from({ length: up }, (_, phase) => {
    const row = new Float32Array(2 * half + 1);
    for (let k = 0; k < row.length; k++) {
      const t = k + phase / up - half;
      row[k] = sinc(2 * cutoff * t) * kaiser(t / half, beta);
    }
    const gain = row.reduce((sum, value) => sum + value, 0);
    return row.map((value) => value / gain);
  });
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * @param {number} x in [-1, 1]; zero outside
 * @param {number} beta
 */
function kaiser(x, beta) {
  return Math.abs(x) > 1 ? 0 : bessel(beta * Math.sqrt(1 - x * x)) / bessel(beta);
}

/** @param {number} x */
function bessel(x) {
  let sum = 1;
  for (let k = 1, term = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}
