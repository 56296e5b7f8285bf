import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { createForge } from "../../src/gitea/client.ts";
import type { Forge } from "../../src/gitea/port.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

const APP = { owner: "acme", name: "app" };
/** Less than in earnest, so that filling it takes no time. */
const MOST_BYTES = 4 * 1024 * 1024;
/** More of it than is kept of a comment; 34 of them are too large an answer. */
const LONG = "x".repeat(MOST_BYTES / 32);
let rig: ForgeRig;
let forge: Forge;
beforeEach(async () => {
  rig = await createForgeRig();
  const { url } = rig.standIn;
  const { token } = rig.standIn.admin;
  const read = { redact: String, clock: systemClock, proxyFor: () => null, mostBytes: MOST_BYTES };
  forge = createForge({ url, token, ...read });
});
afterEach(() => rig.stop());

const say = (body: string) => rig.standIn.people.comment("reader", rig.at, body);
const date = (ids: readonly number[], at: (index: number) => number) => {
  for (const [index, id] of ids.entries()) {
    const found = rig.standIn.world.comments.find((one) => one.id === id);
    Object.assign(found ?? {}, { createdAt: at(index), updatedAt: at(index) });
  }
};
const since = Date.UTC(2026, 10, 1);

describe("comments that are too large to be read at once", () => {
  const many = async (length: number, at: (index: number) => number) => {
    const ids: number[] = [];
    for (let n = 0; n < length; n++) ids.push(await say(LONG));
    date(ids, at);
    return ids;
  };

  it.each([
    ["over days", (index: number) => since + index * 3_600_000],
    ["within one second", () => since + 5_000],
  ])("are all read, whenever they were made: %s", async (_what, at) => {
    const before = await say("/lazarus help");
    date([before], () => since);
    const ids = await many(34, at);
    const last = await say("/lazarus status");
    date([last], () => since + 40 * 3_600_000);
    const { entries, skipped } = await forge.comments(APP, 1, since);
    expect(entries.map((one) => one.id)).toEqual([before, ...ids, last]);
    expect(skipped).toEqual([]);
    // What nobody reads as Markdown is not kept.
    expect(entries.every((one) => one.body.length <= 100_000)).toBe(true);
  });

  it("are stepped past where a single one is too large, and what is around it is read", async () => {
    const ids = [await say("before"), await say("x".repeat(MOST_BYTES)), await say("after")];
    date(ids, () => since + 5_000);
    const { entries, skipped } = await forge.comments(APP, 1, since);
    expect(entries.map((one) => one.id)).toEqual([ids[0], ids[2]]);
    expect(skipped).toEqual([since + 5_000]);
  });

  it("say that a command stands in what is not kept", async () => {
    const [deep] = [await say(`${"x\n".repeat(MOST_BYTES / 8)}/lazarus help`), await say(LONG)];
    const { entries } = await forge.comments(APP, 1, since);
    const found = entries.find((one) => one.id === deep);
    expect(found).toMatchObject({ isCut: true });
    expect(found?.body.endsWith("\n/lazarus\n")).toBe(true);
    expect(entries.filter((one) => one.body.includes("/lazarus"))).toHaveLength(1);
  });
});

describe("a server whose pages are shorter than 50", () => {
  beforeEach(() => Object.assign(rig.standIn.world.ways, { mostItems: 2 }));
  afterEach(() => Object.assign(rig.standIn.world.ways, { mostItems: 50 }));

  it("is asked for the next page: reviews, pull requests, hooks, teams", async () => {
    const { people } = rig.standIn;
    for (let n = 0; n < 3; n++) {
      await people.commit("owner", "acme/app", { branch: `topic-${n}`, files: { [`${n}.txt`]: "x" } });
      people.createHook("acme/app", { url: `http://127.0.0.1:9/${n}`, secret: "s" });
      people.createTeam("acme", `team-${n}`, { permission: "read", members: [] });
    }
    const pulls: number[] = [];
    for (let n = 0; n < 3; n++)
      pulls.push(
        await people.openPullRequest("owner", "acme/app", {
          ...{ title: "t", body: "", head: `topic-${n}`, base: "main" },
        }),
      );
    const number = pulls[0] ?? 0;
    for (let n = 0; n < 5; n++)
      await people.review("dev", { repo: "acme/app", number }, { state: "COMMENT", body: `${n}` });
    expect(await forge.reviews(APP, number)).toHaveLength(5);
    expect(await forge.hooks(APP)).toHaveLength(3);
    expect(await forge.findPullRequest(APP, "topic-0", "main")).toMatchObject({ number });
    expect(await forge.isTeamVisible("acme", "team-2")).toBe(true);
  });

  it("answers reviews too large to be read at once in smaller pages", async () => {
    Object.assign(rig.standIn.world.ways, { mostItems: 50 });
    const { people } = rig.standIn;
    await people.commit("owner", "acme/app", { branch: "topic", files: { "a.txt": "x" } });
    const number = await people.openPullRequest("owner", "acme/app", {
      ...{ title: "t", body: "", head: "topic", base: "main" },
    });
    const at = { repo: "acme/app", number };
    for (let n = 0; n < 34; n++) await people.review("dev", at, { state: "COMMENT", body: LONG });
    expect(await forge.reviews(APP, number)).toHaveLength(34);
  });
});
