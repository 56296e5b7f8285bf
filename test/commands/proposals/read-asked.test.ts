import { describe, expect, it } from "vitest";
import type { Asked } from "../../../src/commands/proposals/read-asked.ts";
import { readAsked } from "../../../src/commands/proposals/read-asked.ts";
import { readForm } from "../../../src/gitea/form.ts";
import { type FormValues, formBody } from "../../e2e/proposal-forms.ts";
import { createControl } from "../../fakes/control-rig.ts";

const rig = createControl({
  config: {
    checks: { "acme/app": { lint: "npm run lint", test: "npm test" }, "acme/own": { from: "branch" } },
  },
});
rig.remove();
const GOOD: FormValues = { Objective: "Do it.", "Acceptance criteria": "It is done.", Agents: "allegro" };
function read(values: FormValues, fullName = "acme/app"): { asked: Asked; said: string[] } {
  const form = readForm(formBody({ ...GOOD, ...values }));
  if (form === null) throw new Error("no form");
  const { asked, found } = readAsked(form, { repository: { fullName }, number: 262, config: rig.config });
  return { asked, said: found.map(({ field, text }) => `${field}: ${text}`) };
}

describe("what a form asks for", () => {
  it("is read from its fields", () => {
    const { asked, said } = read({
      Agents: "allegro+ezra",
      "Base branch": " release/2 ",
      "Time to live": "4h",
      Checks: "lint, test",
      "Not to be touched": "docs/**\n\n*.lock\ndocs/**",
    });
    expect(said).toEqual([]);
    expect(asked.agents.map((one) => one.name)).toEqual(["allegro", "ezra"]);
    expect(asked.base).toBe("release/2");
    expect(asked.wish).toEqual({
      ttlMs: 4 * 60 * 60_000,
      checks: ["lint", "test"],
      untouched: ["docs/**", "*.lock"],
    });
  });

  it("is the default where a field is left empty", () => {
    const { asked } = read({});
    expect(asked).toMatchObject({ base: null, wish: { checks: null, untouched: [] } });
    expect(asked.wish.ttlMs).toBe(rig.config.limits.ttlMs);
  });

  it.each(["acme/app", "#262", "acme/app#262", "ACME/App"])(
    "is about its own issue, named as %s",
    (Target) => {
      expect(read({ Target }).said).toEqual([]);
    },
  );

  it("names everything that is in the way at once", () => {
    expect(
      read({
        Objective: "<!-- hidden -->",
        "Acceptance criteria": "",
        Agents: "alegro",
        "Time to live": "10 years",
      }).said,
    ).toEqual([
      "Objective: empty. Say what is to be true afterwards.",
      "Acceptance criteria: empty. Say how one sees that it is done.",
      "Agents: no agent `alegro` here. Did you mean `allegro`? Available: allegro, ezra, kimi.",
      "Time to live: `10 years` is not a duration from 1m to 90d, such as `4h`.",
    ]);
  });
});

const agents = "Available: allegro, ezra, kimi.";
describe("a bad value", () => {
  it.each([
    ["Agents", "a+", `no agent \`a\` here. ${agents}`],
    ["Agents", "allegro+", "`allegro+` names nobody on one side of a `+`. Write it as in `allegro+ezra`."],
    ["Agents", "+", "`+` names nobody on one side of a `+`. Write it as in `allegro+ezra`."],
    [
      "Agents",
      "allegro++ezra",
      "`allegro++ezra` names nobody on one side of a `+`. Write it as in `allegro+ezra`.",
    ],
    ["Agents", "allegro, ezra", `no agent \`allegro, ezra\` here. ${agents}`],
    ["Agents", "allegro+allegro", "allegro is named twice: each agent of a team has one turn."],
    ["Agents", "", `empty. Name who is to work. ${agents}`],
    [
      "Agents",
      Array(200).fill("allegro").join("+"),
      "200 agents are too many: a team has at most 5 (limits.team).",
    ],
    ["Target", "acme/web", "`acme/web` is another repository: file the proposal there."],
    ["Target", "#1", "`#1` is another thread: leave it empty, since a proposal is about its own issue."],
    [
      "Target",
      "https://evil.example/x",
      "`https://evil.example/x` is no target: leave it empty, since a proposal is about its own issue.",
    ],
    ["Time to live", "0", "`0` is not a duration from 1m to 90d, such as `4h`."],
    ["Time to live", "1e9d", "`1e9d` is not a duration from 1m to 90d, such as `4h`."],
    ["Time to live", "91d", "`91d` is not a duration from 1m to 90d, such as `4h`."],
    ["Checks", "tset", "no check `tset` here. Did you mean `test`? Available: lint, test."],
    ["Not to be touched", "../x", "`../x` is not a path of the repository, such as `docs/**` or `*.lock`."],
    ["Not to be touched", "/etc", "`/etc` is not a path of the repository, such as `docs/**` or `*.lock`."],
    ["Not to be touched", "[a", "`[a` is not a path of the repository, such as `docs/**` or `*.lock`."],
    ["Not to be touched", "**", "`**` is every file: nothing could be made."],
    [
      "Objective",
      "x".repeat(33 * 1024),
      "longer than 32 KB. Put the rest into a file of the repository, and name it.",
    ],
  ] as const)("%s `%.40s` is told", (field, value, expected) => {
    expect(read({ [field]: value }).said).toContain(`${field}: ${expected}`);
  });

  it("is told without end of it, and with nothing that acts", () => {
    const { said } = read({ Agents: `@owner fixes #1 ${"x".repeat(10_000)} <!-- ` });
    expect(said.join("").length).toBeLessThan(400);
    expect(said.join("")).not.toContain("<!--");
    expect(read({ Agents: "\u202e\u0000al\u200blegro" }).said).toEqual([]);
  });

  it("is believed where the repository's own file may name it, in the form of a name", () => {
    expect(read({ Checks: "e2e" }, "acme/own").said).toEqual([]);
    expect(read({ Checks: "setup" }, "acme/own").said).toEqual([
      "Checks: no check `setup` here. None is configured: leave it empty.",
    ]);
    expect(read({ Checks: "../x" }, "acme/own").said).toHaveLength(1);
  });

  it("needs no agent where one alone is configured", () => {
    const one = createControl({ config: { agents: { solo: { command: ["true"], backend: "process" } } } });
    one.remove();
    const form = readForm(formBody({ ...GOOD, Agents: "" }));
    if (form === null) throw new Error("no form");
    const at = { repository: { fullName: "acme/app" }, number: 1, config: one.config };
    expect(readAsked(form, at).asked.agents.map((each) => each.name)).toEqual(["solo"]);
  });
});
