import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { wantsDraft } from "../../src/cells/steps/decide.ts";
import { commandDied, createCommandHandlers, tailDied } from "../../src/commands/dispatch.ts";
import { pruneAnswers, readAnswer } from "../../src/commands/posting/answer.ts";
import { LazarusError } from "../../src/errors.ts";
import { issueHash } from "../../src/hash.ts";
import { silentLog } from "../../src/log.ts";
import type { JobPayload } from "../../src/protocol/jobs.ts";
import { jobOf, operator, origin } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig();
});
afterEach(() => rig.stop());

type Payload = JobPayload<"command">;
let said: object[] = [];
beforeEach(() => {
  said = [];
});
const deps = () => ({
  ...rig.deps,
  db: rig.db,
  log: { ...silentLog, info: (facts: object, message: string) => void said.push({ ...facts, message }) },
  redact: (text: string) => text.replaceAll("hunter22", "[redacted]"),
});
const command = (asker: Payload["asker"], verb: string, more: Partial<Payload> = {}): Payload => ({
  asker,
  verb,
  words: [],
  flags: {},
  text: null,
  issueHash: issueHash("Make the parser accept empty input", "It throws on an empty string."),
  ...more,
});
async function perform(payload: Payload, more: object = { putAt: rig.clock.now() }): Promise<void> {
  const { job, context } = jobOf("command", payload, more);
  const finish = await createCommandHandlers(deps()).command?.(job, context);
  if (finish !== undefined) rig.db.transaction(finish);
}
const typed = (who: "owner" | "dev" | "reader") =>
  origin(rig.people[who], { repository: rig.repository, number: rig.at.number }).asker;
const answerOf = (asker: Payload["asker"]) =>
  asker.via === "cli" ? readAnswer(rig.db, asker.request) : null;

describe("a command", () => {
  it("is one line of the log: who, what, where, and what came of it", async () => {
    await perform(command(typed("dev"), "summon", { words: ["allegro"] }));
    await perform(command(typed("reader"), "summon", { words: ["allegro"] }));
    await perform(command(operator().asker, "status", { words: ["zzzz"] }));
    const where = "acme/app#1";
    const cell = rig.registry.list()[0]?.id;
    expect(said).toEqual([
      {
        verb: "summon",
        words: ["allegro"],
        who: "dev",
        where,
        cell,
        outcome: "done",
        message: "command done",
      },
      expect.objectContaining({
        ...{ verb: "summon", who: "reader", where, outcome: "refused", message: "command refused" },
        why: expect.stringContaining("reader has read permission on acme/app"),
      }),
      expect.objectContaining({ verb: "status", where: "command line", outcome: "refused" }),
    ]);
  });

  it("makes its cell and its start in one transaction", async () => {
    await perform(command(typed("dev"), "summon", { words: ["allegro"] }));
    const [cell] = rig.registry.list();
    expect(cell).toMatchObject({ state: "proposed", agent: "allegro", number: 1, requester: rig.people.dev });
    expect(rig.waiting()).toEqual(["start", "card"]);
  });

  it("is refused once for each comment and reason, at the price of a few questions", async () => {
    for (let n = 0; n < 40; n++) {
      rig.standIn.people.createUser(`writer${n}`);
      rig.standIn.people.addCollaborator("acme/app", `writer${n}`, "admin");
    }
    const { id } = rig.idle({ repository: rig.repository, number: 1 });
    rig.clearJobs();
    const before = rig.standIn.requests.length;
    const asker = typed("reader") as Extract<Payload["asker"], { via: "forge" }>;
    const verbs = ["close", "destroy", "publish", "extend", "stop", "revive", "logs", "close", "destroy"];
    for (const [index, verb] of verbs.entries()) {
      const words = verb === "extend" ? [id, "4h"] : [id];
      await perform(command({ ...asker, index }, verb, { words }));
    }
    await perform(command({ ...asker, index: 9 }, "close", { words: ["zzzz"] }));
    expect(rig.payloads("comment").map((one) => one.text)).toEqual([
      expect.stringContaining("reader has read permission on acme/app"),
      "There is no cell `zzzz` here that you may see.",
    ]);
    expect(rig.payloads("react")).toHaveLength(1);
    expect(rig.standIn.requests.length - before).toBeLessThan(60);
  });

  it("waits for approval where nobody knows what its typer saw of a stranger's text", async () => {
    await perform(command(typed("dev"), "summon", { words: ["allegro"], issueHash: "another" }));
    expect(rig.registry.list()[0]).toMatchObject({ waitsForApproval: true });
    expect(rig.waiting()).toEqual(["card"]);
  });

  it("waits for approval where nobody knows what its typer saw, whoever wrote the text", async () => {
    await perform(command(typed("owner"), "summon", { words: ["allegro"], issueHash: null }));
    expect(rig.registry.list()[0]).toMatchObject({
      waitsForApproval: true,
      reason: "the thread has changed since the command was typed, and I did not see what the text said then",
    });
  });

  it.each([
    ["an unknown agent", ["alegro"], {}, "Did you mean allegro?", 4],
    ["a repository that is not there", ["allegro", "acme/gone#1"], {}, "There is no repository acme/gone", 4],
    ["one that is not served", ["allegro", "other/app#1"], {}, "There is no repository other/app", 4],
    ["an issue that is not there", ["allegro", "acme/app#99"], {}, "no issue or pull request acme/app#99", 4],
    [
      "a branch that is not there",
      ["allegro", "acme/app#1"],
      { "--base": "gone" },
      "There is no branch gone",
      4,
    ],
    ["a name of no branch", ["allegro", "acme/app#1"], { "--base": "../../x" }, "no branch ../../x", 4],
    ["a TTL beyond 90 days", ["allegro", "acme/app#1"], { "--ttl": "91d" }, "from 1m to 90d", 2],
  ])("is refused to the command line with its exit code: %s", async (_what, words, flags, text, code) => {
    const { asker } = operator();
    await perform(command(asker, "summon", { words, flags }));
    expect(answerOf(asker)).toMatchObject({ exitCode: code, text: expect.stringContaining(text) });
    expect(rig.registry.list()).toEqual([]);
  });

  it("for a renamed repository hears the same as for one that is gone", async () => {
    rig.standIn.people.rename("acme/app", "renamed");
    const { asker } = operator();
    await perform(command(asker, "summon", { words: ["allegro", "acme/app#1"] }));
    expect(answerOf(asker)?.text).toBe("There is no repository acme/app that I serve and you can read.");
  });

  it("whose comment was deleted meanwhile does nothing", async () => {
    const id = await rig.standIn.people.comment("dev", rig.at, "/lazarus summon allegro");
    await rig.standIn.people.deleteComment("dev", id);
    const asker = { ...typed("dev"), sourceId: id } as Payload["asker"];
    await perform(command(asker, "summon", { words: ["allegro"] }), { attempt: 2, putAt: rig.clock.now() });
    expect(rig.registry.list()).toEqual([]);
    expect(rig.waiting()).toEqual([]);
  });
});

it("forgets answers that nobody waits for any more", async () => {
  const [old, fresh] = [operator().asker, operator().asker];
  await perform(command(old, "status"));
  const before = rig.clock.now() + 1;
  await rig.clock.advance(1_000);
  await perform(command(fresh, "status"));
  expect(pruneAnswers(rig.db, before)).toBe(1);
  expect([answerOf(old), answerOf(fresh)?.exitCode]).toEqual([null, 0]);
});

describe("what is given up", () => {
  it("is told to whoever typed it, without secrets", () => {
    const { asker } = operator();
    const error = new LazarusError("forge-unreachable", "asking with hunter22");
    commandDied(jobOf("command", command(asker, "summon")).job, error, deps());
    expect(answerOf(asker)).toMatchObject({
      exitCode: 5,
      text: "summon could not be carried out: asking with [redacted].",
    });
    tailDied(
      jobOf("tail", {
        secrets: [],
        cellId: "x",
        run: 1,
        agent: "allegro",
        lines: 1,
        raw: false,
        asker: typed("dev"),
      }).job,
      error,
      deps(),
    );
    expect(rig.waiting()).toEqual(["react", "comment"]);
    expect(rig.payloads("comment")[0]?.text).toContain("`logs` could not be carried out");
  });
});

describe("a run that gets its place", () => {
  const admit = async () => {
    const { job, context } = jobOf("admit", { cellId: rig.cell().id, run: 1 });
    const finish = await createCommandHandlers(deps()).admit?.(job, context);
    if (finish !== undefined) rig.db.transaction(finish);
  };
  let asked = 0;
  const wait = async () => {
    asked = await rig.standIn.people.comment("dev", rig.at, "/lazarus summon allegro");
    rig.create({
      repository: rig.repository,
      number: 1,
      requester: rig.people.dev,
      askedInComment: asked,
    });
    rig.clearJobs();
    rig.db.sql.exec("DELETE FROM job_keys");
  };

  it("starts where its requester still may", async () => {
    await wait();
    await admit();
    expect(rig.waiting()).toEqual(["start"]);
  });

  it("is withdrawn where not, and says so", async () => {
    await wait();
    rig.standIn.people.removeCollaborator("acme/app", "dev");
    await admit();
    expect(rig.cell()).toMatchObject({
      state: "archived",
      outcome: "declined",
      reason: expect.stringContaining("no longer has write"),
    });
  });

  it("is withdrawn where the comment that asked for it is gone, and nobody was told", async () => {
    await wait();
    const { comments } = rig.standIn.world;
    comments.splice(
      comments.findIndex((one) => one.id === asked),
      1,
    );
    await admit();
    expect(rig.waiting()).not.toContain("start");
    expect(rig.cell()).toMatchObject({
      state: "archived",
      outcome: "discarded",
      reason: "withdrawn: its comment was deleted",
    });
  });

  it("is not decided where the forge does not tell", async () => {
    await wait();
    rig.standIn.people.addCollaborator("acme/app", "lazarus", "write");
    await expect(admit()).rejects.toMatchObject({ code: "forge-refused", retryable: false });
  });
});

describe("a tip for the branch of a pull request", () => {
  const publish = async () => {
    const [payload] = rig.payloads("publish");
    if (payload === undefined) throw new Error("nothing is to be published");
    const { job, context } = jobOf("publish", payload);
    const finish = await createCommandHandlers(deps()).publish?.(job, context);
    if (finish !== undefined) rig.db.transaction(finish);
    return rig.payloads("push")[0]?.branch;
  };
  beforeEach(async () => {
    const { repository } = rig;
    await rig.standIn.people.commit("dev", "acme/app", { branch: "topic", files: { "a.txt": "a" } });
    rig.idle({ repository, number: 1, isPullRequest: true, delivery: "branch", branch: "topic" });
  });

  it("goes there", async () => {
    expect(await publish()).toBe("topic");
  });

  it.each([
    ["protected", () => rig.standIn.people.protectBranch("acme/app", "topic")],
    [
      "the default branch",
      () => Object.assign(rig.standIn.world.mustRepository("acme/app"), { defaultBranch: "topic" }),
    ],
  ])("goes to a branch of its own where that has become %s, for a draft into it", async (_what, become) => {
    become();
    expect(await publish()).toBe("lazarus/4f1c0b7e");
    expect(rig.cell()).toMatchObject({ publishedBranch: "lazarus/4f1c0b7e", branch: "topic" });
    expect(wantsDraft(rig.cell())).toBe(true);
    expect(rig.registry.history(rig.cell().id).at(-1)?.why).toContain("has become the default branch");
  });
});
