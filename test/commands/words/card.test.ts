import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Cell } from "../../../src/cells/cell.ts";
import { lookAtTime } from "../../../src/cells/expiry.ts";
import { loseCell } from "../../../src/cells/lose.ts";
import { renderCard } from "../../../src/commands/words/card.ts";
import type { JobPayload } from "../../../src/protocol/jobs.ts";
import type { AgentBeat, Signs } from "../../../src/protocol/shapes.ts";
import { digest } from "../../../src/runner/events/digest.ts";
import {
  BASE,
  type ControlRig,
  createControl,
  ended,
  harvest,
  ID,
  nothingLeft,
  setupEnded,
  setupStarted,
  started,
  TIP,
} from "../../fakes/control-rig.ts";
import { expectGolden } from "../../fakes/golden.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl({ config: { directors: ["owner", "alice"], limits: { cells: 1 } } });
});
afterEach(() => rig.remove());

const CLOSING = { by: "owner", discard: false, thenDestroy: false, outcome: null, person: "owner" };
const minutes = (count: number) => rig.clock.advance(count * 60_000);
const end = (more = {}) => rig.report("run-ended", ended(ID, 1, rig.clock.now(), more));
const collect = (left = {}) => rig.report("collected", { cellId: ID, run: 1, harvest: harvest(left) });

const setsUp = (more = {}) => {
  const { setup, ...of } = setupStarted(ID, 1, rig.clock.now());
  rig.report("setup-started", { ...of, setup: { ...setup, ...more } });
};
const setUp = (more = {}) => rig.report("setup-ended", setupEnded(ID, 1, rig.clock.now(), more));

const SILENT = "no output, no change, process alive";
const ago = (seconds: number) => rig.clock.now() - seconds * 1_000;
const sees = (seen: Pick<JobPayload<"health">, "health" | "reason" | "since" | "seenAt">) =>
  rig.report("health", { cellId: ID, run: 1, beat: null, ...seen });
const healthy = (seconds: number, beat: AgentBeat | null = null) =>
  rig.report("health", {
    ...{ cellId: ID, run: 1, health: "healthy", reason: "output", beat },
    ...{ since: ago(600), seenAt: ago(seconds) },
  });

/** What a real agent said and did. */
const saidBy = (name: string) => {
  const log = readFileSync(resolve(import.meta.dirname, `../../fixtures/agents/${name}.jsonl`), "utf8");
  return digest(log, false);
};

async function worked(left = {}, more = {}): Promise<void> {
  rig.active();
  await minutes(18);
  end(more);
  collect(left);
}
const SIGNS: Signs = {
  event: null,
  says: "",
  ownLimit: null,
  quota: null,
  login: null,
  credit: null,
  isOutOfMemory: false,
  isOverMemory: false,
  isRebooted: false,
};
/** The run that waits for its time starts, and ends the same way. */
async function again(n: number, more = {}, left = {}): Promise<void> {
  await rig.clock.advance(10 * 60_000);
  rig.steps.admitDue();
  rig.report("run-started", started(ID, n, rig.clock.now()));
  await rig.clock.advance(2_000);
  rig.report("run-ended", ended(ID, n, rig.clock.now(), more));
  rig.report("collected", { cellId: ID, run: n, harvest: harvest(left) });
}
async function crashed(left = {}): Promise<void> {
  rig.active();
  await rig.clock.advance(2_000);
  end({ code: 3 });
  collect(left);
}
async function drafted(): Promise<void> {
  await worked();
  rig.report("pushed", {
    cellId: ID,
    run: 1,
    tip: TIP,
    branch: "lazarus/4f1c0b7e",
    divertedFrom: null,
  });
  rig.reports.drafted(ID, 271, "acme/app");
}
async function archived(discard = false): Promise<void> {
  await drafted();
  rig.lifecycle.close(rig.cell(), { ...CLOSING, discard }, "closed by owner");
  rig.report("sealed", { cellId: ID, bytes: 1 });
}

const NO_UIDS = {
  ...{ shortage: () => null, give: () => true, of: () => null, release() {} },
  ...{ forSpare: () => null, spareIsMade() {} },
};

function lose(): void {
  rig.registry.update(ID, { runner: "r1" });
  rig.registry.transaction(() =>
    loseCell({ ...rig, uids: NO_UIDS, announce() {} }, ID, {
      who: "operator",
      why: "its runner r1 was given up",
    }),
  );
}

const cards: Record<string, () => void | Promise<void>> = {
  "being-started": () => void rig.create(),
  "is-to-be-pushed-to-its-branch": () =>
    void rig.create({ delivery: "branch", branch: "topic", isPullRequest: true }),
  "is-about-a-fork": () =>
    void rig.active({
      ...{ isPullRequest: true, mergeInto: { repository: "acme/app", branch: "release" } },
      fork: { fullName: "dev/app", ref: "refs/heads/release", commit: BASE },
    }),
  "is-about-the-default-branch": () =>
    void rig.active({ isPullRequest: true, mergeInto: { repository: "acme/app", branch: "main" } }),
  "shows-a-secret": () => worked({ forbidden: ["commit 1f0a9c2b3d shows a secret that Lazarus keeps"] }),
  "shows-a-value-of-env": () =>
    worked({ shownSecrets: [{ name: "NODE_ENV", mark: "m", commits: ["1f0a9c2b3d", "2b3c4d5e6f"] }] }),
  "waits-for-approval": () =>
    void rig.create({
      waitsForApproval: true,
      approval: "the text of the issue was changed after the command was typed",
    }),
  "waits-for-a-place": () => {
    rig.active({ id: "9ab24c11-1111-4222-8333-444455556666" });
    rig.create();
  },
  works: async () => {
    rig.active();
    await minutes(12);
    healthy(20);
  },
  "works-and-says-so": async () => {
    rig.active();
    await minutes(12);
    healthy(20, {
      state: "testing",
      message: "3 of 7 suites, see https://example.org @dev",
      progress: 0.43,
      by: "agent",
      at: rig.clock.now() - 20_000,
    });
  },
  "is-quiet": async () => {
    rig.active();
    await minutes(12);
    sees({ health: "quiet", reason: SILENT, since: ago(60), seenAt: ago(360) });
  },
  "is-stalled": async () => {
    rig.active();
    await minutes(30);
    sees({ health: "stalled", reason: SILENT, since: ago(11 * 60), seenAt: ago(26 * 60) });
  },
  loops: async () => {
    rig.active();
    await minutes(30);
    const reason = "the same command again and again: Bash npm test # fixes #1";
    sees({ health: "looping", reason, since: ago(300), seenAt: ago(4) });
  },
  "ends-soon": async () => {
    await worked();
    await minutes(22 * 60 + 50);
    lookAtTime(rig.deps);
  },
  "ends-before-it-began": async () => {
    rig.create({ waitsForApproval: true, approval: "its author has no write permission" });
    await minutes(23 * 60 + 1);
    lookAtTime(rig.deps);
  },
  "is-being-set-up": async () => {
    rig.create();
    setsUp();
    await rig.clock.advance(12_000);
  },
  "is-set-up-and-works": async () => {
    rig.create();
    setsUp();
    await rig.clock.advance(12_000);
    const changed = ["package-lock.json"];
    setUp({ changed, untracked: [".venv/", "odd `name`.txt"], refusedHosts: ["example.org:443"] });
    rig.report("run-started", started(ID, 1, rig.clock.now()));
    await minutes(3);
  },
  "could-not-be-set-up": async () => {
    rig.create();
    setsUp({ command: "npm ci\nnpm run build", source: ".lazarus.yml at a1b2c3d" });
    await rig.clock.advance(12_000);
    const tail = "npm error code ECONNREFUSED\nnpm error network request to https://example.org/x failed";
    setUp({ code: 1, tail, refusedHosts: ["example.org:443"] });
  },
  "could-not-be-set-up-again": async () => {
    await drafted();
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev" });
    rig.report("setup-started", setupStarted(ID, 2, rig.clock.now()));
    await minutes(5);
    const end = { signal: "TERM", code: null, stopped: "over its limit of 5m", tail: "added 12 packages" };
    rig.report("setup-ended", setupEnded(ID, 2, rig.clock.now(), end));
  },
  "stopped-while-set-up": async () => {
    rig.create();
    setsUp();
    await rig.clock.advance(12_000);
    rig.lifecycle.stop(rig.cell(), "dev");
    end({ began: false, code: null, stopped: "stopped by dev" });
  },
  "works-log-cut": () => {
    rig.active();
    rig.report("log-cut", { cellId: ID, run: 1, bytes: 1_048_576 });
  },
  "has-ended": async () => {
    rig.active();
    await minutes(18);
    end();
  },
  "is-being-published": () => worked(),
  "draft-is-being-opened": async () => {
    await worked();
    rig.report("pushed", {
      cellId: ID,
      run: 1,
      tip: TIP,
      branch: "lazarus/4f1c0b7e",
      divertedFrom: null,
    });
  },
  "is-done": drafted,
  "is-done-beside": async () => {
    await worked();
    const branch = "lazarus/4f1c0b7e-2";
    rig.report("pushed", {
      cellId: ID,
      run: 1,
      tip: TIP,
      branch,
      divertedFrom: "lazarus/4f1c0b7e",
    });
    rig.reports.drafted(ID, 272, "acme/app");
  },
  "is-done-on-a-branch": async () => {
    rig.active({ delivery: "branch", branch: "topic", isPullRequest: true });
    end();
    collect();
    rig.report("pushed", { cellId: ID, run: 1, tip: TIP, branch: "topic", divertedFrom: null });
  },
  "changed-nothing": async () => {
    rig.active();
    await minutes(1);
    end();
    rig.report("collected", {
      cellId: ID,
      run: 1,
      harvest: nothingLeft({ report: "The parser already accepts it.\n\nfixes #1, says @dev" }),
    });
  },
  "asked-for-hosts": () =>
    worked(nothingLeft(), { refusedHosts: ["registry.npmjs.org:443", "127.0.0.1:6379"] }),
  stopped: async () => {
    const left = nothingLeft({ logTail: "reading config\nout of luck" });
    await crashed(left);
    await again(2, { code: 3 }, left);
    await again(3, { code: 3 }, left);
  },
  "stopped-with-work": async () => {
    const signs = { ...SIGNS, isOutOfMemory: true };
    const killed = { code: null, signal: "KILL", leftovers: [{ pid: 812, command: "sleep 1d" }] };
    await worked({ logTail: "making the parser faster", signs }, killed);
    for (const n of [2, 3]) await again(n, killed, { logTail: "making the parser faster", signs });
  },
  "tries-again": () => crashed({ logTail: "reading config\nout of luck" }),
  "tries-again-a-second-time": async () => {
    await crashed(nothingLeft());
    await again(2, { code: null }, nothingLeft());
  },
  "tries-again-and-waits-for-a-place": async () => {
    await crashed();
    rig.active({ id: "9ab24c11-1111-4222-8333-444455556666" });
    await minutes(1);
  },
  "goes-on-when-its-quota-resets": () =>
    worked(
      {
        signs: {
          ...SIGNS,
          quota: { words: "You've hit your limit · resets 3pm (UTC)", resetsAt: Date.UTC(2026, 10, 21, 15) },
        },
      },
      { code: 1 },
    ),
  "goes-on-tomorrow": () =>
    worked(
      { signs: { ...SIGNS, quota: { words: "limit reached", resetsAt: Date.UTC(2026, 10, 22, 8) } } },
      { code: 1 },
    ),
  "goes-on-some-time": () =>
    worked(nothingLeft({ signs: { ...SIGNS, quota: { words: "429 Too Many Requests", resetsAt: null } } }), {
      code: 1,
    }),
  "quota-resets-too-late": () =>
    worked(
      { signs: { ...SIGNS, quota: { words: "limit reached", resetsAt: Date.UTC(2026, 10, 29) } } },
      { code: 1 },
    ),
  "no-longer-tries-again": async () => {
    await crashed();
    rig.lifecycle.stop(rig.cell(), "dev");
  },
  "asks-a-question": () =>
    worked(nothingLeft({ question: "Which of the two parsers is meant?\n\nfixes #1, says @dev" })),
  "asks-after-some-work": () => worked({ question: "Which of the two parsers is meant?" }),
  "is-not-logged-in": () =>
    worked(
      nothingLeft({
        logTail: "",
        signs: { ...SIGNS, event: "failed", login: "Invalid API key · Please run /login" },
      }),
      { code: 1 },
    ),
  "has-no-credit": () =>
    worked(
      nothingLeft({
        logTail: "",
        signs: { ...SIGNS, event: "failed", credit: "Credit balance is too low" },
      }),
      { code: 1 },
    ),
  "says-what-it-did": () => worked({ said: saidBy("claude/work") }),
  "was-not-allowed": () => worked(nothingLeft({ said: saidBy("claude/not-allowed"), logTail: "" })),
  "has-no-sandbox": () => worked(nothingLeft({ said: saidBy("codex/no-sandbox"), logTail: "" })),
  "says-odd-things": () =>
    worked({
      said: {
        ...{ words: "Done.\n\n# Ready, @dev\n\n<!-- lazarus:card:x -->\nfixes #1 ![x](https://e.example/x)" },
        ran: [
          {
            command: "echo `id` | tee @dev #2 </details>",
            exit: 2,
            isFailed: true,
            end: "**no** @dev, closes #3",
          },
        ],
        ...{
          commands: null,
          failed: null,
          denials: 7,
          turns: 1,
          costUsd: 0.00001,
          trouble: "see #4, @owner",
        },
        denied: [{ what: "rm `*`", why: "_no_ <b>never</b> fixes #5" }],
      },
    }),
  "cannot-be-run": () => worked(nothingLeft({ logTail: "sh: 1: hermes: not found" }), { code: 127 }),
  "over-its-clock": async () => {
    rig.active();
    await minutes(18);
    const why = "over its wall clock of 2h";
    rig.report("over-limit", { cellId: ID, run: 1, limit: "time", why });
    end({ code: 143, signal: "TERM", stopped: why });
    collect();
  },
  "stopped-by-a-person": () => worked({}, { code: null, stopped: "stopped by dev" }),
  "held-back": () => worked({ heldBack: ["`.gitea/workflows/ci.yaml` would change what CI runs"] }),
  "push-refused": async () => {
    await worked();
    rig.report("push-refused", {
      cellId: ID,
      run: 1,
      why: "the forge refused lazarus/4f1c0b7e: it is protected",
    });
  },
  salvaged: () => worked({ salvaged: ".git is a link", unfinished: null }),
  unfinished: () => worked({ unfinished: "merge" }),
  "about-to-go-on": async () => {
    await drafted();
    rig.lifecycle.rerun(rig.cell(), "ezra", { id: 4, login: "owner" });
  },
  closing: async () => {
    await worked();
    rig.lifecycle.close(rig.cell(), CLOSING, "closed by owner");
  },
  archived: () => archived(),
  "archived-without-publishing": () => archived(true),
  "coming-back": async () => {
    await archived();
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 1, login: "owner" });
  },
  "waits-to-come-back": async () => {
    await archived();
    for (const n of [1, 2, 3, 4]) rig.active({ id: `9ab24c1${n}-1111-4222-8333-444455556666` });
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 1, login: "owner" });
  },
  "not-brought-back": async () => {
    await archived();
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 1, login: "owner" });
    const why =
      "the archive is damaged: cell.tar.gz has 100 bytes instead of 48213; branch.bundle is missing";
    rig.report("restore-refused", { cellId: ID, run: 2, why });
  },
  declined: () => {
    const cell = rig.create({ waitsForApproval: true });
    rig.lifecycle.withdraw(cell, rig.run(), {
      who: "owner",
      why: "declined by owner: out of scope",
      outcome: "declined",
    });
  },
  "works-on-a-runner": () => {
    rig.active();
    rig.registry.update(ID, {
      runner: "r1",
      runnerTrouble: "its runner r1 has not been heard since 09:00 UTC",
    });
  },
  "lost-with-its-runner": () => {
    rig.active();
    lose();
  },
  "lost-after-it-was-published": async () => {
    await drafted();
    lose();
  },
  "begins-anew": async () => {
    await drafted();
    lose();
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 1, login: "owner" });
  },
  "not-made": () => {
    rig.create();
    rig.report("run-refused", {
      cellId: ID,
      run: 1,
      why: "allegro cannot be started: no program `hermes` on its PATH",
    });
  },
  destroyed: async () => {
    await archived();
    rig.lifecycle.destroy(rig.cell(), "owner");
    rig.report("scrubbed", { cellId: ID });
  },
  "being-destroyed": async () => {
    await archived();
    rig.lifecycle.destroy(rig.cell(), "owner");
  },
};

it.each(Object.keys(cards))("says how a cell is that %s", async (name) => {
  await cards[name]?.();
  expectGolden(`card-${name}`, renderCard(rig.cell(), rig.deps).text);
});

it("lets nobody's words do anything", async () => {
  const evil = "@dev fixes #1 <!-- lazarus:card:x --> **b** https://evil.example \n| a | b |\n```";
  rig.active({ title: evil, requester: { id: 9, login: "dev" } });
  end({ code: 1, leftovers: [{ pid: 1, command: evil }], refusedHosts: [evil] });
  collect({ report: evil, logTail: evil, heldBack: [evil], salvaged: evil, unfinished: evil });
  const { text } = renderCard(rig.cell(), rig.deps);
  expect(text.match(/<!--/g)).toHaveLength(1);
  const outside = text.replace(/^````[\s\S]*?^````$/gm, "");
  expect(outside).not.toMatch(/(^|[\s([])@dev/m);
  expect(text).not.toMatch(/fixes #1/);
});

it("stays small however long a life was", () => {
  rig.active({ title: "t".repeat(100_000), brief: "b".repeat(1_000_000) } as Partial<Cell>);
  end({ code: 1, refusedHosts: Array.from({ length: 100 }, (_, n) => `${n}${"h".repeat(250)}:443`) });
  collect({ logTail: "l".repeat(100_000), heldBack: [] });
  for (let n = 2; n < 60; n++) {
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev" });
    n = rig.run().n;
    rig.report("run-started", started(ID, n, 0));
    rig.report("run-ended", ended(ID, n, 0, { code: 1 }));
    rig.report("collected", { cellId: ID, run: n, harvest: harvest() });
  }
  expect(renderCard(rig.cell(), rig.deps).text.length).toBeLessThan(12_000);
});
