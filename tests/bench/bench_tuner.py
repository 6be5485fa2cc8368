"""How long the tuner's page works on one frame, for an hour of audio.

Run as ``python -m tests.bench.bench_tuner``: prints, for a hand that drags the threshold
with all of the hour in sight, a minute of it and five seconds, the median and the 95th
percentile of finding the turns and of painting, in milliseconds, both as shares of a
frame of 60 Hz; and the frames a second that a Chromium shows meanwhile. Without Chromium
Node does the same on a canvas that only remembers.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np

from rtnb.widgets.loader import bundle, stylesheet
from tests.conftest import find_chromium

ROOT = Path(__file__).resolve().parents[2]
HOUR_S = 3600
HOPS = HOUR_S * 1000 // 32
FRAME_MS = 1000 / 60
DRAGS = 150
WINDOWS = {"the hour": HOUR_S, "a minute": 60, "five seconds": 5}

MODEL = """
const handlers = new Map();
const settings = {type: "server_vad", threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 200};
const state = {tuner_id: "bench", settings, compared: settings, view: null};
const view = (array) => new DataView(array.buffer);
const noise = (bins) => Int16Array.from({length: bins}, (_, i) => 9000 * Math.abs(Math.sin(i * i)));
const fire = (content, buffers) => handlers.get("msg:custom").forEach((each) => each(content, buffers));
const model = {
  get: (name) => state[name], set: (name, value) => { state[name] = value; }, save_changes() {},
  on: (name, handler) => handlers.set(name, [...(handlers.get(name) ?? []), handler]), off() {},
  send({type, request, page, start, stop, bins}) {
    const outline = (n) => [view(noise(n).map((value) => -value)), view(noise(n))];
    const facts = {rate: 24000, session: false, dialects: [], path: ""};
    if (type === "ready") setTimeout(() => {
      fire({type, request, page, start: 0, end: SECONDS, live: false, facts}, outline(4096));
      fire({type: "probability", hop_ms: 32, first_hop: 0}, [view(Float32Array.from(P, (p) => p / 255))]);
    });
    if (type === "detail") setTimeout(() => fire({type, request, page, start, stop}, outline(bins)));
  },
};
"""

DRAG = """
async ([seconds, drags]) => {
  const { actions } = globalThis;
  actions.see({start: 1800 - seconds / 2, end: 1800 + seconds / 2});
  await new Promise((resolve) => setTimeout(resolve, 500));
  const [finding, painting] = [[], []];
  const began = performance.now();
  for (let i = 0; i < drags; i++) {
    await new Promise((resolve) => {
      let before;
      requestAnimationFrame(() => { before = performance.now(); });
      const start = performance.now();
      actions.configure({threshold: 0.3 + 0.4 * ((i * 37 % 100) / 100)});
      finding.push(performance.now() - start);
      requestAnimationFrame(() => { painting.push(performance.now() - before); resolve(); });
    });
  }
  return {finding, painting, rate: 1000 * drags / (performance.now() - began)};
}
"""

NODE = """
import { RecordingCanvas } from "./tests/js/recording_canvas.mjs";
import { COLOURS, paint } from "./rtnb/static/tuner_paint.js";
import { TunerActions } from "./rtnb/static/tuner_actions.js";
MODEL
const env = {now: () => performance.now(), setTimeout, clearTimeout, page: "bench"};
globalThis.actions = new TunerActions(model, env);
let waiting = [];
globalThis.requestAnimationFrame = (act) => { waiting.push(act); if (waiting.length === 2) setTimeout(frame); };
const colours = Object.fromEntries(COLOURS.map((name) => [name, name]));
const frame = () => {
  const [before, after] = waiting;
  waiting = [];
  before();
  paint(new RecordingCanvas(), actions.store, {width: 1200, height: 370, colours, hovered: null});
  after();
};
await new Promise((resolve) => setTimeout(resolve, 200));
const drag = DRAG;
const found = {};
for (const [name, seconds] of Object.entries(WINDOWS)) found[name] = await drag([seconds, DRAGS]);
console.log(JSON.stringify(found));
process.exit();
"""


def probability() -> list[int]:
    """Speech in 255ths, about a thousand turns an hour, with a ragged edge."""
    rng = np.random.default_rng(0)
    level = np.repeat(rng.random(HOPS // 50), 50) > 0.5
    p = np.where(level, 0.85, 0.1) + 0.15 * rng.standard_normal(len(level))
    return [int(255 * value) for value in np.clip(p, 0, 1)]


def prepared(program: str) -> str:
    return (
        program.replace("MODEL", MODEL)
        .replace("DRAGS", str(DRAGS))
        .replace("DRAG", DRAG)
        .replace("WINDOWS", json.dumps(WINDOWS))
        .replace("SECONDS", str(HOUR_S))
        .replace(
            "Float32Array.from(P,", f"Float32Array.from({json.dumps(probability())},"
        )
    )


def in_chromium(chromium: str) -> dict[str, dict[str, object]]:
    from playwright.sync_api import sync_playwright

    widget = bundle("tuner.js").replace("export default", "globalThis.widget =")
    page_text = (
        f"<!doctype html><style>{stylesheet('theme.css', 'tuner.css')}</style>"
        f"<body><div id=el></div><script type=module>{widget}\n{prepared(MODEL)}\n"
        "widget.initialize({model});"
        "widget.render({model, el: document.getElementById('el')});"
        "globalThis.actions = globalThis[Symbol.for('rtnb')].tuners.get('bench');"
        "</script>"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_content(page_text)
        page.wait_for_function("() => globalThis.actions?.store.chosen")
        found = {
            name: page.evaluate(DRAG, [seconds, DRAGS])
            for name, seconds in WINDOWS.items()
        }
        browser.close()
    return found


def in_node(node: str) -> dict[str, dict[str, object]]:
    done = subprocess.run(
        [node, "--input-type=module"],
        input=prepared(NODE),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def main() -> None:
    chromium, node = find_chromium(), shutil.which("node")
    runs = {}
    if chromium:
        runs["Chromium"] = in_chromium(chromium)
    if node:
        runs["Node"] = in_node(node)
    for where, found in runs.items():
        print(f"{where}, {HOPS} hops, {DRAGS} drags")
        for name, times in found.items():
            work = np.add(times["finding"], times["painting"])
            parts = [np.median(times[key]) for key in ("finding", "painting")]
            median, late = np.median(work), np.percentile(work, 95)
            print(
                f"  {name:>13}: turns {parts[0]:5.2f} ms, paint {parts[1]:5.2f} ms, "
                f"both {median:5.2f} ms = {median / FRAME_MS:4.0%} of a frame, "
                f"95 % within {late:5.2f} ms = {late / FRAME_MS:4.0%}; "
                f"{times['rate']:3.0f} frames/s"
            )


if __name__ == "__main__":
    main()
