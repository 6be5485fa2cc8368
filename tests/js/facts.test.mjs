import assert from "node:assert/strict";
import test from "node:test";

import { Facts } from "../../rtnb/static/facts.js";
import { FakeClock, FakeModel } from "./fakes.mjs";

function facts() {
  const clock = new FakeClock();
  const model = new FakeModel();
  let changes = 0;
  const values = { state: "idle", level: -120 };
  const made = new Facts(model, { values, slow: ["level"], changed: () => (changes += 1), env: clock });
  return { clock, model, facts: made, changes: () => changes };
}

test("slow facts are written five times a second at most", async () => {
  const { clock, model, facts: known } = facts();
  known.shared = true;
  for (let i = 0; i < 100; i++) {
    known.set({ level: -i - 1 });
    await clock.pass(10);
  }
  assert.ok(model.saves <= 5 && model.saves >= 4, `${model.saves} saves`);
});

test("other facts are written at once, and take the slow ones along", async () => {
  const { clock, model, facts: known } = facts();
  known.shared = true;
  known.set({ level: -20 });
  known.set({ state: "live" });
  assert.deepEqual([model.saves, model.get("state"), model.get("level")], [1, "live", -20]);
  await clock.pass(1000);
  assert.equal(model.saves, 1);
});

test("what stays the same is neither told nor written", () => {
  const { model, facts: known, changes } = facts();
  known.shared = true;
  known.set({ state: "live" });
  known.set({ state: "live" });
  assert.deepEqual([changes(), model.saves], [1, 1]);
});

test("a page that does not speak for the model writes nothing, then everything", () => {
  const { model, facts: known, changes } = facts();
  known.set({ state: "connecting" });
  assert.deepEqual([changes(), model.saves], [1, 0]);
  known.shared = true;
  known.set({ state: "live" });
  assert.deepEqual([model.saves, model.get("state"), model.get("level")], [1, "live", -120]);
});
