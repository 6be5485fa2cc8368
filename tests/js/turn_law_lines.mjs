/** The page's turn law as a filter: one JSON question a line, one JSON answer a line. */

import { createInterface } from "node:readline";

import { counters, segments } from "../../rtnb/static/turn_law.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { p, settings, hopMs, labels, sentenceEnds } = JSON.parse(line);
  const probabilities = Float32Array.from(p);
  const judged = sentenceEnds && { hops: Int32Array.from(sentenceEnds.hops), p: Float32Array.from(sentenceEnds.p) };
  const found = segments(probabilities, settings, hopMs, judged);
  const { startedHop, stoppedHop, audioStartMs, audioEndMs, ended } = found;
  const turns = ended.map((why, i) => [audioStartMs[i], audioEndMs[i], startedHop[i], stoppedHop[i], why]);
  process.stdout.write(`${JSON.stringify({ turns, counters: counters(probabilities, found, hopMs, labels) })}\n`);
}
