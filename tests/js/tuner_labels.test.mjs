import assert from "node:assert/strict";
import test from "node:test";

import { LabelEditor } from "../../rtnb/static/tuner_labels.js";

function editor(...labels) {
  const changes = [];
  const made = new LabelEditor((shown, settled) => changes.push(settled));
  made.load(labels.map(([start, end, text = "", tier = ""]) => ({ start, end, text, tier })));
  changes.length = 0;
  return { made, changes };
}

const times = (made) => made.labels.map(({ start, end }) => [start, end]);

test("a label can be added, and is in the order of time", () => {
  const { made } = editor([5, 6]);
  const label = made.add(2, 1);
  assert.deepEqual(times(made), [[1, 2], [5, 6]]);
  assert.equal(made.selected, label);
});

test("a neighbour stops a new label, and what has no room is not made", () => {
  const { made } = editor([2, 3]);
  made.add(1, 9);
  assert.deepEqual(times(made), [[1, 2], [2, 3]]);
  assert.equal(made.add(2.5, 2.7), null);
  assert.equal(made.add(5, 5.001), null);
});

test("labels of another tier are no neighbours", () => {
  const { made } = editor([2, 3, "", "a"], [7, 8, "", "b"]);
  made.add(2.2, 2.8, "b");
  assert.equal(made.labels.length, 3);
});

test("moving keeps the length and stops at neighbours and at the beginning", () => {
  const { made } = editor([1, 2], [4, 5], [8, 9]);
  let label = made.move(made.labels[1], 7.5);
  assert.deepEqual([label.start, label.end], [7, 8]);
  label = made.move(label, -3);
  assert.deepEqual([label.start, label.end], [2, 3]);
  label = made.move(made.labels[0], -3);
  assert.deepEqual([label.start, label.end], [0, 1]);
});

test("an edge stops at the other edge and at neighbours", () => {
  const { made } = editor([1, 2], [4, 5]);
  let label = made.stretch(made.labels[1], "start", 0);
  assert.equal(label.start, 2);
  label = made.stretch(label, "end", 0);
  assert.equal(label.end, 2.01);
  label = made.stretch(label, "end", 60);
  assert.equal(label.end, 60);
});

test("every change is undone by one step, and done again", () => {
  const { made } = editor([1, 2]);
  made.rename(made.labels[0], "hello");
  made.add(4, 5);
  made.remove(made.labels[0]);
  assert.deepEqual(times(made), [[4, 5]]);
  for (let i = 0; i < 3; i++) made.undo();
  assert.deepEqual(made.labels, [{ start: 1, end: 2, text: "", tier: "" }]);
  assert.equal(made.canUndo, false);
  for (let i = 0; i < 3; i++) made.redo();
  assert.deepEqual(times(made), [[4, 5]]);
  assert.equal(made.canRedo, false);
});

test("a new change ends what could be redone", () => {
  const { made } = editor([1, 2]);
  made.remove(made.labels[0]);
  made.undo();
  made.rename(made.labels[0], "x");
  assert.equal(made.canRedo, false);
});

test("a gesture is one step, and is told once, when it ends", () => {
  const { made, changes } = editor([1, 2]);
  made.begin();
  let label = made.labels[0];
  for (const start of [2, 3, 4]) label = made.move(label, start);
  made.end();
  assert.deepEqual(changes, [false, false, false, true]);
  made.undo();
  assert.deepEqual(times(made), [[1, 2]]);
});

test("a gesture can be given up, and one that changed nothing is no step", () => {
  const { made } = editor([1, 2]);
  made.begin();
  made.move(made.labels[0], 3);
  made.cancel();
  assert.deepEqual(times(made), [[1, 2]]);
  made.begin();
  made.move(made.labels[0], 1);
  made.end();
  assert.equal(made.canUndo, false);
});

test("times are whole milliseconds", () => {
  const { made } = editor();
  const label = made.add(1.00049, 2.9996);
  assert.deepEqual([label.start, label.end], [1, 3]);
});

test("a label is found by time and tier", () => {
  const { made } = editor([1, 2, "a", "x"], [1, 2, "b", "y"]);
  assert.equal(made.at(1.5, "y").text, "b");
  assert.equal(made.at(3), null);
  assert.deepEqual(made.tiers, ["x", "y"]);
});
