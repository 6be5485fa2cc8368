/** PCM16 and levels: full scale is 32768 both ways, saturating at +32767. */

/** Hz, of all audio between page and gateway. */
export const SAMPLE_RATE = 24000;

export const FULL_SCALE = 32768;

/** Level of silence, dBFS. */
export const LEVEL_FLOOR = -120;

/**
 * @param {number} sample in [-1, 1]; more is clipped
 * @returns {number} PCM16
 */
export function toPcm16(sample) {
  const scaled = Math.round(sample * FULL_SCALE);
  return scaled > 32767 ? 32767 : scaled < -32768 ? -32768 : scaled;
}

/**
 * Root-mean-square level in dBFS, where a full-scale square wave is 0.
 * @param {Int16Array} pcm
 * @returns {number} never below `LEVEL_FLOOR`
 */
export function rmsDbfs(pcm) {
  let sum = 0;
  for (let i = 0; i < pcm.length; i++) sum += pcm[i] * pcm[i];
  if (sum === 0) return LEVEL_FLOOR;
  return Math.max(LEVEL_FLOOR, 10 * Math.log10(sum / pcm.length / FULL_SCALE ** 2));
}
