import { afterEach, expect, it } from "vitest";
import { createReplyHandlers } from "../../src/commands/posting/post.ts";
import { ID, jobOf } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
afterEach(() => rig.stop());

const GONE = "1".repeat(40);
const BRANCH = "lazarus/4f1c0b7e";

/** A cell of which `tip` was pushed; its one check cannot be run, which is a status. */
async function checked(tip?: string): Promise<string> {
  rig = await createForgeRig();
  const there = await rig.standIn.people.commit("lazarus", "acme/app", {
    branch: BRANCH,
    files: { "a.txt": "1\n" },
  });
  rig.idle({ repository: rig.repository, number: rig.at.number }, { tip: tip ?? there });
  rig.report("pushed", { cellId: ID, run: 1, branch: BRANCH, tip: tip ?? there, divertedFrom: null });
  const faults = [{ name: "test", why: "it has no command" }];
  rig.registry.update(ID, {
    checked: { tip: tip ?? there, plan: [], faults, trouble: null, stopped: null },
  });
  return there;
}

async function post(attempt = 1): Promise<void> {
  const handlers = createReplyHandlers(rig.deps);
  const { job, context } = jobOf("statuses", { cellId: ID }, { attempt });
  const finish = await handlers.statuses?.(job, context);
  if (finish !== undefined) rig.db.transaction(finish);
}
const sent = () => rig.standIn.world.statuses.map(({ context, state }) => `${context} ${state}`);

it("of a commit is set once as it stands", async () => {
  await checked();
  await post();
  await post();
  expect(sent()).toEqual(["lazarus/test error"]);
});

it("of a commit that the forge does not know is left out, and not tried for ever", async () => {
  await checked(GONE);
  await expect(post(1)).rejects.toMatchObject({ code: "forge-unreachable" });
  await post(3);
  expect(sent()).toEqual([]);
  await post(4);
  expect(rig.standIn.count("POST", /\/statuses\//)).toBe(2);
});

it("of a commit that is there is tried again where the forge fails", async () => {
  await checked();
  rig.standIn.faults.add({ match: { method: "POST", path: /\/statuses\// }, answer: { status: 500 } });
  await expect(post(3)).rejects.toMatchObject({ code: "forge-unreachable", retryable: true });
  await post();
  expect(sent()).toEqual(["lazarus/test error"]);
});

it("that the bot may not set is left out", async () => {
  await checked();
  rig.standIn.faults.add({ match: { method: "POST", path: /\/statuses\// }, answer: { status: 403 } });
  await post();
  expect(sent()).toEqual([]);
});
