import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { E2eUser } from "./servers.ts";
import { Stage, seen, type Thread } from "./stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set();
});

afterAll(() => stage?.strike());

/** Types a command into a new issue (or the given one), and answers the refusal; there must be no card. */
async function refused(
  command: string,
  options: { as?: "dev" | "reader" | "lead" | E2eUser; at?: Thread; like: string | RegExp },
): Promise<string> {
  const at = options.at ?? (await stage.openIssue(`About ${command}`));
  const { as = "dev" } = options;
  const comment = await stage.type(typeof as === "string" ? stage[as] : as, at, command);
  const said = await stage.reply(at, options.like);
  expect(await stage.reacted(at, comment, "confused")).toEqual(["confused", "eyes"]);
  expect(await stage.cards(at)).toEqual([]);
  return said;
}

describe("what cannot be understood", () => {
  it("names the nearest verb", async () => {
    const said = await refused("/lazarus sumon allegro", { like: "sumon" });
    expect(said).toBe("No command `sumon`. Did you mean `summon`?");
  });

  it("names the nearest agent, and all there are", async () => {
    const said = await refused("/lazarus summon alegro", { like: "alegro" });
    expect(said).toBe(
      "No agent `alegro` here. Did you mean `allegro`? Available: allegro, patient, endless, lazy, broken, halfway, linker.",
    );
  });

  it("asks which agent where several are configured", async () => {
    await refused("/lazarus summon", { like: "Which agent?" });
  });

  it("names a flag that is none, and a duration that is none", async () => {
    await refused("/lazarus summon allegro --bse main", {
      like: "There is no flag `--bse` here. Did you mean `--base`?",
    });
    await refused("/lazarus summon allegro --ttl bad", {
      like: "takes a duration from 1m to 90d, such as `4h`, not `bad`",
    });
    await refused("/lazarus summon allegro --ttl 91d", { like: "not `91d`" });
  });

  it("says that there is no cell", async () => {
    await refused("/lazarus stop", { like: "There is no cell on this thread." });
    await refused("/lazarus stop 0123abcd", { like: "There is no cell `0123abcd` here that you may see." });
    await refused("/lazarus stop 01", { like: "is too short for a cell's id" });
  });
});

describe("who may not", () => {
  it("refuses a reader and names who can", async () => {
    const issue = await stage.openIssue("By a reader", { as: stage.reader });
    const said = await refused("/lazarus summon allegro", {
      as: "reader",
      at: issue,
      like: "was not summoned",
    });
    expect(said).toContain(
      `allegro was not summoned: reader has read permission on ${stage.repo}, \`summon\` needs write.`,
    );
    expect(said).toMatch(/\nPeople who can: dev, lead, root1\.$/);
    expect(said).not.toContain("@");
  });

  it("has one sentence for repositories that are private, missing or not served", async () => {
    const secret = await stage.createRepository("acme/secret", { private: true });
    const hidden = await stage.openIssue("Behind the wall", { repo: secret });
    await stage.createRepository("elsewhere/app", { hook: null });
    // Somebody who was not refused yet: after three times there would be no words.
    const guest = await stage.server.createUser("guest");
    for (const target of [`${secret}#${hidden.number}`, "acme/nothing#1", "elsewhere/app#1"]) {
      const said = await refused(`/lazarus summon allegro ${target}`, {
        as: guest,
        like: "There is no repository",
      });
      expect(said).toBe(`There is no repository ${target.split("#")[0]} that I serve and you can read.`);
    }
    expect(await stage.comments(hidden)).toEqual([]);
  });

  it("does not tell what a private target says to a public thread", async () => {
    const vault = await stage.createRepository("acme/vault", { private: true });
    const hidden = await stage.openIssue("Behind the wall", { repo: vault });
    await refused(`/lazarus summon allegro ${vault}#${hidden.number}`, {
      like: `${vault} is private, and not everybody who can read this thread may read it`,
    });
    expect(await stage.comments(hidden)).toEqual([]);
  });

  it("does nothing where the forge does not tell it who may, and says what it needs", async () => {
    const repo = await stage.createRepository("acme/locked", { bot: "write" });
    const issue = await stage.openIssue("No admin", { repo });
    const said = await refused("/lazarus summon allegro", {
      at: issue,
      like: "I cannot tell what you may do here",
    });
    expect(said).toMatch(/admin/);
  });

  it("says the same of a cell of another repository as of one that does not exist", async () => {
    const issue = await stage.openIssue("Has a cell");
    await stage.type(stage.dev, issue, "/lazarus summon lazy");
    await stage.card(issue, "changed nothing");
    const cell = (await stage.cellId(issue)).slice(0, 8);
    const other = await stage.createRepository("acme/other");
    const there = await stage.openIssue("Elsewhere", { repo: other });
    await refused(`/lazarus close ${cell}`, {
      as: "lead",
      at: there,
      like: `There is no cell \`${cell}\` here that you may see.`,
    });
    const comment = await stage.type(stage.dev, issue, "/lazarus close");
    const said = await stage.reply(issue, "`close` was not done: dev has write permission");
    expect(said).toMatch(/needs a director \(admin rights\)\.\nPeople who can: lead, root1\.$/);
    expect(await stage.reacted(issue, comment, "confused")).toEqual(["confused", "eyes"]);
    expect((await stage.status(cell)).state).toBe("idle");
  });
});

describe("what cannot be worked on", () => {
  it("names a base that is missing", async () => {
    await refused("/lazarus summon allegro --base nowhere", {
      like: `There is no branch \`nowhere\` in ${stage.repo}.`,
    });
  });

  it("says what an empty repository needs", async () => {
    const repo = await stage.createRepository("acme/empty", { autoInit: false });
    const issue = await stage.openIssue("Begin", { repo });
    await refused("/lazarus summon allegro", {
      at: issue,
      like: `${repo} is empty: push a first commit, then summon again.`,
    });
  });

  it("says that an archived repository takes nothing", async () => {
    const repo = await stage.createRepository("acme/done");
    const old = await stage.openIssue("Once", { repo });
    await stage.server.archiveRepository(repo);
    await refused(`/lazarus summon allegro ${repo}#${old.number}`, {
      like: `${repo} is archived: nothing can be pushed to it.`,
    });
  });

  it("says that there is no such issue", async () => {
    await refused(`/lazarus summon allegro ${stage.repo}#9999`, {
      like: /There is no issue or pull request acme\/app\\?#9999\./,
    });
  });

  it("says what a target looks like", async () => {
    await refused("/lazarus summon allegro not-a-target", {
      like: "`not-a-target` is not a target: `owner/repo` or `owner/repo#262`.",
    });
  });
});

describe("what is not for it", () => {
  it("leaves repositories alone that it does not serve", async () => {
    const repo = await stage.createRepository("beyond/app");
    const issue = await stage.openIssue("Not yours", { repo });
    await stage.type(stage.dev, issue, "/lazarus summon allegro");
    await seen("serve's log", () => stage.lazarus.log, "beyond/app is not served");
    expect((await stage.comments(issue)).length).toBe(1);
  });

  it("reads nothing in quotes, code and HTML comments, and the browser's line ends as any", async () => {
    const issue = await stage.openIssue("Only mentioned");
    const silent = await stage.type(
      stage.dev,
      issue,
      [
        "> /lazarus summon allegro",
        "",
        "```",
        "/lazarus summon allegro",
        "```",
        "",
        "    /lazarus summon allegro",
        "",
        "<!--",
        "/lazarus summon allegro",
        "-->",
        "",
        "Type `/lazarus summon allegro`, or /lazarus summon allegro.",
      ].join("\n"),
    );
    const typed = await stage.server.commentInBrowser(stage.dev, stage.repo, {
      number: issue.number,
      body: "Hello,\n/lazarus summon lazy\n-- thanks\n",
    });
    await stage.card(issue, "lazy changed nothing");
    expect(await stage.reacted(issue, typed.id, "rocket")).toEqual(["eyes", "rocket"]);
    expect(await stage.server.reactions(stage.repo, silent)).toEqual([]);
    expect((await stage.comments(issue)).length).toBe(3);
  });

  it("runs ten commands of a comment and refuses the rest once", async () => {
    const issue = await stage.openIssue("Many");
    const lines = Array.from({ length: 12 }, (_, index) => `/lazarus help ${index < 10 ? "status" : "why"}`);
    const comment = await stage.type(stage.dev, issue, lines.join("\n"));
    await seen("the answers", async () => String((await stage.replies(issue)).length), "11");
    const said = await stage.replies(issue);
    expect(said.filter((one) => one.includes("`/lazarus status [CELL]`")).length).toBe(10);
    expect(said.filter((one) => one.includes("A comment holds up to 10 commands")).length).toBe(1);
    expect(await stage.reacted(issue, comment, "confused")).toContain("eyes");
  });

  it("takes several commands of one comment in their order", async () => {
    const issue = await stage.openIssue("Two at once");
    await stage.type(stage.dev, issue, "/lazarus status\n/lazarus summon lazy\n/lazarus status\n");
    await stage.card(issue, "lazy changed nothing");
    await seen("the answers", async () => String((await stage.replies(issue)).length), "2");
    const [before, after] = await stage.replies(issue);
    expect(before).toBe("There is no cell on this thread.");
    expect(after).toMatch(/\| lazy \|/);
  });
});
