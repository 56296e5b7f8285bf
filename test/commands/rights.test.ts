import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDirectorIds } from "../../src/commands/director-ids.ts";
import { VERBS } from "../../src/commands/index.ts";
import { matches, roleOf } from "../../src/commands/rights.ts";
import { PERMISSIONS } from "../../src/gitea/port.ts";
import { operator, origin } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig();
});
afterEach(() => rig.stop());

const standing = (who: { id: number | null; login: string }) => rig.deps.rights.standing(who, rig.repository);

describe("what somebody may do", () => {
  it("is what the forge says now, by permission", async () => {
    const { owner, dev, reader, stranger } = rig.people;
    const roles = await Promise.all([owner, dev, reader, stranger].map(standing));
    expect(roles.map((one) => (one.kind === "known" ? one.role : one.kind))).toEqual([
      "director",
      "executor",
      "observer",
      "observer",
    ]);
    rig.standIn.people.removeCollaborator("acme/app", "dev");
    expect(await standing(dev)).toMatchObject({ role: null });
  });

  it("stays with an account that is called otherwise now, and not with whoever has its login", async () => {
    const { dev } = rig.people;
    rig.standIn.people.renameUser("dev", "former");
    expect(await standing(dev)).toMatchObject({ role: "executor" });
    const taken = rig.standIn.people.createUser("dev");
    expect(await standing(dev)).toMatchObject({ role: "executor" });
    rig.standIn.people.removeCollaborator("acme/app", "former");
    rig.standIn.people.addCollaborator("acme/app", "dev", "admin");
    expect(await standing(dev)).toEqual({ kind: "known", permission: "none", role: null });
    expect(await standing({ id: taken.id, login: "dev" })).toMatchObject({ role: "director" });
  });

  it("is nothing for somebody who is gone", async () => {
    rig.standIn.people.deleteUser("dev");
    expect(await standing(rig.people.dev)).toMatchObject({ role: null });
  });

  it("is unknowable where the bot is no admin: nobody may do anything", async () => {
    rig.standIn.people.addCollaborator("acme/app", "lazarus", "write");
    expect(await standing(rig.people.owner)).toMatchObject({
      kind: "unknowable",
      why: expect.stringContaining("the bot needs admin rights on acme/app"),
    });
  });

  it("is everything for the operator", async () => {
    expect(await standing({ id: null, login: "operator root" })).toMatchObject({ role: "director" });
  });
});

describe("a configured director", () => {
  const isDirector = async (who: { id: number; login: string }) => {
    const seen = await standing(who);
    return seen.kind === "known" && seen.role === "director";
  };
  beforeEach(async () => {
    await rig.stop();
    rig = await createForgeRig({ config: { directors: ["Dev"] } });
  });

  it("is the account that had the login when it was seen first, whatever becomes of the login", async () => {
    const { dev } = rig.people;
    expect(await isDirector(dev)).toBe(true);
    rig.standIn.people.renameUser("dev", "former");
    const taken = rig.standIn.people.createUser("dev");
    rig.standIn.people.addCollaborator("acme/app", "dev", "read");
    expect(await isDirector({ id: taken.id, login: "dev" })).toBe(false);
    expect(await isDirector({ id: dev.id, login: "former" })).toBe(true);
  });

  it("is bound at a start already, before anybody types", async () => {
    const { dev } = rig.people;
    await rig.deps.rights.bindDirectors();
    rig.standIn.people.renameUser("dev", "former");
    const taken = rig.standIn.people.createUser("dev");
    rig.standIn.people.addCollaborator("acme/app", "dev", "read");
    await rig.deps.rights.bindDirectors();
    expect(await isDirector({ id: taken.id, login: "dev" })).toBe(false);
    expect(await isDirector({ id: dev.id, login: "former" })).toBe(true);
  });

  it("is bound anew once the login was taken out of the file and named again", () => {
    const ids = createDirectorIds(rig.db);
    ids.bind("dev", 1);
    ids.bind("dev", 2);
    expect(ids.of("DEV")).toBe(1);
    ids.keep(["owner"]);
    expect(ids.of("dev")).toBeNull();
  });
});

describe("the names of people who can", () => {
  const asked = () => rig.standIn.requests.filter((one) => /permission|assignees/.test(one.path)).length;

  it("are asked for once a minute, and no more than twenty of them", async () => {
    for (let n = 0; n < 30; n++) {
      rig.standIn.people.createUser(`writer${n}`);
      rig.standIn.people.addCollaborator("acme/app", `writer${n}`, "admin");
    }
    const before = asked();
    for (let n = 0; n < 10; n++)
      expect((await rig.deps.rights.peopleWho("director", rig.repository)).length).toBeLessThanOrEqual(20);
    expect(asked() - before).toBeLessThanOrEqual(21);
    rig.standIn.people.removeCollaborator("acme/app", "writer0");
    await rig.clock.advance(60_000);
    expect(await rig.deps.rights.peopleWho("director", rig.repository)).not.toContain("writer0");
  });
});

/** What each verb says of an idle cell and of a stranger's summon, by permission. */
const MATRIX: Record<string, readonly string[]> = {
  // reader, dev, owner
  summon: ["refused", "done", "done"],
  status: ["done", "done", "done"],
  logs: ["refused", "later", "later"],
  revive: ["refused", "done", "done"],
  close: ["refused", "refused", "done"],
  destroy: ["refused", "refused", "done"],
  why: ["done", "done", "done"],
  help: ["done", "done", "done"],
};

describe("the matrix of permission and verb", () => {
  it.each(Object.keys(MATRIX))("holds for %s", async (name) => {
    rig.idle({ repository: rig.repository, number: rig.at.number });
    const verb = VERBS.find((one) => one.name === name);
    const { reader, dev, owner } = rig.people;
    const thread = { repository: rig.repository, number: rig.at.number };
    const command = {
      verb: name,
      words: name === "summon" ? ["allegro"] : [],
      flags: name === "destroy" ? { "--force": true } : {},
      text: null,
    };
    const kinds: string[] = [];
    for (const person of [reader, dev, owner]) {
      const answer = await verb?.run?.(command, origin(person, thread), rig.deps);
      kinds.push(answer?.kind ?? "nothing");
    }
    expect(kinds).toEqual(MATRIX[name]);
  });

  it("says who can, and names no cell to people without a role", async () => {
    rig.idle({ repository: rig.repository, number: rig.at.number });
    rig.standIn.people.removeCollaborator("acme/app", "reader");
    const status = VERBS.find((one) => one.name === "status");
    const thread = { repository: rig.repository, number: rig.at.number };
    const ask = (word: string) =>
      status?.run?.(
        { verb: "status", words: [word], flags: {}, text: null },
        origin(rig.people.reader, thread),
        rig.deps,
      );
    const [there, not] = [await ask("4f1c0b7e"), await ask("deadbeef")];
    const text = (one: typeof there) => (one?.kind === "refused" ? one.reply.text : one?.kind);
    expect(text(there)).toBe("There is no cell 4f1c0b7e here that you may see.");
    expect(text(not)?.replace("deadbeef", "4f1c0b7e")).toBe(text(there));
    const asOperator = await status?.run?.(
      { verb: "status", words: ["4f1c"], flags: {}, text: null },
      operator(),
      rig.deps,
    );
    expect(asOperator?.kind).toBe("done");
  });

  it("hides a cell of another repository", async () => {
    rig.idle({ repository: { id: 999, fullName: "acme/web" }, number: 1 });
    const stop = VERBS.find((one) => one.name === "stop");
    const thread = { repository: rig.repository, number: rig.at.number };
    const answer = await stop?.run?.(
      { verb: "stop", words: ["4f1c0b7e"], flags: {}, text: null },
      origin(rig.people.owner, thread),
      rig.deps,
    );
    expect(answer).toMatchObject({ kind: "refused", code: "not-found" });
  });
});

it("takes configured directors by login in any case, and by team", async () => {
  await rig.stop();
  rig = await createForgeRig({ config: { directors: ["DEV", "acme/leads"] } });
  expect(await standing(rig.people.dev)).toMatchObject({ permission: "write", role: "director" });
  expect(await standing(rig.people.stranger)).toMatchObject({ permission: "read", role: "director" });
  expect(await standing(rig.people.reader)).toMatchObject({ role: "observer" });
});

it("reads permissions as roles", () => {
  expect(PERMISSIONS.map(roleOf)).toEqual([null, "observer", "executor", "director", "director"]);
});

it.each([
  ["acme/*", "ACME/App", true],
  ["acme/*", "acme/app/x", false],
  ["acme/*", "acmex/app", false],
  ["acme/app", "acme/app2", false],
  ["acme/a.p", "acme/axp", false],
  ["*", "any/thing", true],
])("matches %s with %s: %s", (pattern, name, is) => {
  expect(matches(pattern, name)).toBe(is);
});
