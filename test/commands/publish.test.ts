import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createCommandHandlers } from "../../src/commands/dispatch.ts";
import { issueHash } from "../../src/hash.ts";
import { silentLog } from "../../src/log.ts";
import type { JobPayload } from "../../src/protocol/jobs.ts";
import { jobOf, origin, TIP } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
let comments = 100;
beforeEach(async () => {
  rig = await createForgeRig();
});
afterEach(() => rig.stop());

const here = () => ({ repository: rig.repository, number: rig.at.number });

/** Types `publish` with these flags in a comment of its own. */
async function publish(flags: Record<string, string | boolean> = {}, by: "dev" | "owner" = "owner") {
  const asker = { ...origin(rig.people[by], here()).asker, sourceId: ++comments };
  const payload = {
    ...{ asker: asker as JobPayload<"command">["asker"], verb: "publish", words: [], flags, text: null },
    issueHash: issueHash("Make the parser accept empty input", "It throws on an empty string."),
  };
  const { job, context } = jobOf("command", payload, { putAt: rig.clock.now() });
  const finish = await createCommandHandlers({ ...rig.deps, db: rig.db, log: silentLog }).command?.(
    job,
    context,
  );
  if (finish !== undefined) rig.db.transaction(finish);
  return rig.payloads("comment").at(-1)?.text;
}

const NODE_ENV = { name: "NODE_ENV", mark: "m1", commits: ["1f0a9c2b3d"] };
const KEY = { name: "KEY", mark: "m2", commits: ["1f0a9c2b3d"] };
const RELEASED = [{ name: "NODE_ENV", mark: "m1" }];

describe("work that shows the value of a variable", () => {
  it("is let go by a director who names it, in this cell from then on", async () => {
    rig.idle({ ...here() }, { shownSecrets: [NODE_ENV] });
    expect(await publish()).toContain("`/lazarus publish 4f1c0b7e --allow-secret NODE_ENV` releases it");
    expect(rig.cell().releasedTip).toBe(null);
    await publish({ "--allow-secret": "NODE_ENV" });
    expect(rig.cell()).toMatchObject({ releasedTip: TIP, releasedBy: "owner", releasedSecrets: RELEASED });
  });

  it("is let go by nobody else", async () => {
    rig.idle({ ...here() }, { shownSecrets: [NODE_ENV] });
    expect(await publish({ "--allow-secret": "NODE_ENV" }, "dev")).toContain("needs");
    expect(rig.cell().releasedSecrets).toBe(null);
  });

  it("is let go only where each value is named", async () => {
    rig.idle({ ...here() }, { shownSecrets: [NODE_ENV, KEY], protectedPaths: ["x decides what runs next"] });
    const flags = "--allow-protected --allow-secret";
    expect(await publish({ "--allow-secret": "NODE_ENV" })).toContain(`4f1c0b7e ${flags} NODE_ENV,KEY`);
    expect(await publish({ "--allow-secret": "NODE_ENV,KEY" })).toContain("changes what runs next");
    expect(rig.cell().releasedTip).toBe(null);
    await publish({ "--allow-secret": "NODE_ENV, KEY", "--allow-protected": true });
    expect(rig.cell()).toMatchObject({ releasedTip: TIP, releasedSecrets: [...RELEASED, { name: "KEY" }] });
  });

  it.each(["LAZARUS_FORGE_TOKEN", "forge.token", "forge.webhook_secret", "KEY", ""])(
    "is not let go by another name: %s",
    async (name) => {
      rig.idle({ ...here() }, { shownSecrets: [NODE_ENV] });
      expect(await publish({ "--allow-secret": `NODE_ENV,${name}` })).toContain("is not held back for");
      expect(rig.cell().releasedTip).toBe(null);
    },
  );

  it("is never let go where it shows a secret of Lazarus' own as well", async () => {
    const forbidden = ["commit 1f0a9c2b3d shows a secret that Lazarus keeps"];
    rig.idle({ ...here() }, { shownSecrets: [NODE_ENV], forbidden });
    expect(await publish({ "--allow-secret": "NODE_ENV" })).toContain("is not published, whoever asks");
    expect(rig.cell().releasedTip).toBe(null);
  });
});
