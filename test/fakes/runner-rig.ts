import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "../../src/backends/backend.ts";
import { noGroups } from "../../src/backends/os/groups/cell-groups.ts";
import { asUser } from "../../src/backends/os/user.ts";
import { processBackend } from "../../src/backends/process.ts";
import { systemClock } from "../../src/clock.ts";
import type { AgentConfig } from "../../src/config/config.ts";
import type { Granted, RepositoryChecks } from "../../src/config/repository-checks.ts";
import { silentLog } from "../../src/log.ts";
import type { JobPayload } from "../../src/protocol/jobs.ts";
import type { AnyReport, ReportKind, RunnerKind } from "../../src/protocol/reports.ts";
import type { Outcome, RunnerJob, RunnerPort } from "../../src/protocol/runner-port.ts";
import type { CellSpec, Fork, GivenSecret, Harvest, RunPrompt, Seams } from "../../src/protocol/shapes.ts";
import { createRedactor } from "../../src/redact.ts";
import { type HeartbeatAccess, openHeartbeatAccess } from "../../src/runner/heartbeat-tokens.ts";
import { localPort } from "../../src/runner/local-port.ts";
import { createRunner, type RunnerDeps } from "../../src/runner/runner.ts";
import { git, gitEnvironment, initRepository, type NewCommit, writeCommit } from "./forge/git.ts";
import { type GitServer, serveGit } from "./git-http.ts";
import { freeUids, IS_ROOT } from "./uids.ts";
import { until } from "./until.ts";

export const TOKEN = "sekrit-token-1234567890";
const AUTHOR = { name: "Dev", email: "dev@example.org" };

/** A runner on real git, real processes and a small git server, with its reports collected. */
export interface RunnerRig {
  readonly root: string;
  readonly missions: string;
  readonly data: string;
  readonly server: GitServer;
  /** The forge's bare repository of acme/app. */
  readonly forgeRepository: string;
  readonly reports: AnyReport[];
  readonly heartbeats: HeartbeatAccess;
  runner: RunnerPort;
  deps: RunnerDeps;
  /** The agent `allegro` is a shell script from now on. */
  agent(script: string, more?: Partial<AgentConfig>): void;
  /** Sets acme/app up from now on; null: not. `named`: its checks. */
  setUpWith(
    setup: RepositoryChecks["setup"],
    from?: RepositoryChecks["from"],
    named?: Readonly<Record<string, Granted>>,
  ): void;
  /** A fresh runner on the same directories, as after a restart. */
  restart(more?: Partial<RunnerDeps>): void;
  /** Commits to the forge's branch and answers the commit. */
  commit(branch: string, files: NewCommit["files"]): Promise<string>;
  spec(base: string, more?: Partial<CellSpec>): CellSpec;
  /**
   * Takes what came of a job as control does: each report once, and what began is watched. `asked`: of a
   * start.
   */
  hear(outcome: Outcome, asked?: JobPayload<"start">): void;
  /** Has a job done, and hears what came of it. */
  perform<K extends RunnerKind>(
    kind: K,
    payload: JobPayload<K>,
    how?: { signal?: AbortSignal; key?: string },
  ): Promise<void>;
  /** Of the brief, unless it has a prompt of its own. */
  start(cell: CellSpec, run?: number, prompt?: RunPrompt): Promise<void>;
  /** Starts a run and waits until its end was reported. */
  runToEnd(cell: CellSpec, run?: number, prompt?: RunPrompt): Promise<JobPayload<"run-ended">>;
  collect(
    cell: CellSpec,
    run?: number,
    seams?: Seams,
    fork?: Fork | null,
    secrets?: GivenSecret[],
    untouched?: string[],
  ): Promise<Harvest>;
  /** Seals a cell as a closing does; the same key is the same sealing. */
  seal(cell: CellSpec, key?: string): Promise<void>;
  /** Brings an archived cell back for a run. */
  restore(cell: CellSpec, run: number, signal?: AbortSignal): Promise<void>;
  /** Payloads of the reports of one kind. */
  said<K extends ReportKind>(kind: K): JobPayload<K>[];
  cellPath(cell: CellSpec, ...names: string[]): string;
  inWorktree(cell: CellSpec, script: string): string;
  remove(): Promise<void>;
}

export async function createRunnerRig(): Promise<RunnerRig> {
  const root = mkdtempSync(join(tmpdir(), "lazarus-runner-"));
  // Cells' own users pass through.
  chmodSync(root, 0o711);
  const uids = freeUids();
  const forgeRepository = join(root, "forge", "acme", "app.git");
  mkdirSync(join(root, "forge", "acme"), { recursive: true });
  await initRepository(forgeRepository, "main");
  rmSync(join(forgeRepository, "hooks"), { recursive: true });
  const server = await serveGit(join(root, "forge"), TOKEN);
  const agents = new Map<string, AgentConfig>();
  const checks: RepositoryChecks[] = [];
  const reports: AnyReport[] = [];
  const take = (report: AnyReport) => {
    if (!reports.some((one) => one.key === report.key)) reports.push(report);
  };
  const missions = join(root, "missions");
  const data = join(root, "data");
  mkdirSync(data);
  chmodSync(data, 0o711);
  const heartbeats = openHeartbeatAccess(data, "https://lazarus.example.org");
  let jobs = 0;
  let users = 0;

  const redactor = createRedactor([TOKEN]);
  const deps = (): RunnerDeps => ({
    name: "local",
    config: {
      dataDir: data,
      missionsDir: missions,
      forge: {
        publicUrl: "",
        url: server.url,
        token: TOKEN,
        rightsToken: TOKEN,
        webhookSecrets: [],
        repositories: [],
        caFile: null,
        pollMs: 0,
      },
      agents,
      checks,
      limits: {
        cells: 8,
        perOwner: 0,
        spares: 2,
        perRepository: 4,
        perPerson: 3,
        runMs: 60_000,
        ttlMs: 0,
        graceMs: 300,
        keepMs: 0,
        proposals: 3,
        team: 5,
        reviewWaitMs: 60_000,
        rounds: 5,
        turns: 20,
        costUsd: 0,
        tokens: 0,
        revives: 2,
        diskBytes: 10 * 1024 ** 3,
        freeBytes: 0,
        checkMs: 600_000,
        checksMs: 1_200_000,
        fixes: 1,
        confinedBytes: 1024 ** 3,
      },
      publish: { prune: false, skipCi: false, maxFileBytes: 100_000, protected: [] },
      pit: { scanMs: 30_000, staleMs: 0, skewMs: 0, quietMs: 300_000, stalledMs: 900_000 },
      childPath: process.env.PATH ?? "/usr/bin:/bin",
      proxyFor: () => null,
      secrets: [TOKEN],
      envSecrets: [],
    },
    asRoot: IS_ROOT,
    backends: new Map<"process", Backend>([["process", processBackend()]]),
    groups: noGroups(),
    clock: systemClock,
    log: silentLog,
    redact: redactor.redact,
    learn: redactor.add,
    heartbeats,
    report: take,
  });

  /** As control does once it has written the start down. */
  const watchCheck = (outcome: Outcome, asked: JobPayload<"check">): void => {
    for (const { kind, payload } of outcome.reports) {
      if (kind !== "check-started") continue;
      const { cellId: id, repository, user, agent, name } = asked;
      const plan = rig
        .said("checks-planned")
        .at(-1)
        ?.checks.find((one) => one.name === name);
      const { check, handle, startedAt, limitMs } = payload;
      const { command = "", network = "none" } = plan ?? {};
      const watched = { check, agent, name, command, network, limitMs, startedAt, handle };
      rig.runner.adopt({ runs: [], setups: [], checks: [{ cell: { id, repository, user }, ...watched }] });
    }
  };

  const rig: RunnerRig = {
    root,
    missions,
    data,
    server,
    forgeRepository,
    reports,
    heartbeats,
    deps: deps(),
    runner: localPort(createRunner(deps())),
    agent(script, more = {}) {
      const path = join(root, `agent-${++jobs}.sh`);
      writeFileSync(path, `#!/bin/sh\n${script}\n`);
      chmodSync(path, 0o755);
      agents.set("allegro", agentOf(path, more));
    },
    setUpWith(setup, from = "here", named = {}) {
      const others = { run: null, network: "none", limitMs: 600_000, set: {} } as const;
      checks.splice(0, 1, { pattern: "acme/*", from, setup, checks: new Map(Object.entries(named)), others });
    },
    restart(more = {}) {
      void rig.runner.close();
      rig.deps = { ...deps(), ...more };
      rig.runner = localPort(createRunner(rig.deps));
    },
    async commit(branch, files) {
      const parent = await git(forgeRepository, ["rev-parse", "--verify", `refs/heads/${branch}`]).catch(
        () => null,
      );
      const hash = await writeCommit(forgeRepository, {
        parent,
        files,
        message: "a commit\n",
        author: AUTHOR,
      });
      await git(forgeRepository, ["update-ref", `refs/heads/${branch}`, hash]);
      return hash;
    },
    spec(base, more = {}) {
      const id = crypto.randomUUID();
      return {
        id,
        repository: { id: 7, fullName: "acme/app" },
        user: IS_ROOT ? { ...userOf(uids.first + ++users), groups: [uids.first] } : null,
        target: "acme/app#262",
        title: "Make it so",
        issueUrl: `${server.url}/acme/app/issues/262`,
        requestedBy: "dev",
        createdAt: Date.UTC(2026, 0, 5, 9),
        members: [{ name: "allegro", kind: "bot", role: "executor" }],
        branch: `lazarus/${id.slice(0, 8)}`,
        baseRef: "refs/heads/main",
        baseCommit: base,
        ...{ startsAt: null, rules: null },
        brief: "# Brief\n\nDo it: äöü\n",
        briefSha256: "0".repeat(64),
        ...more,
      };
    },
    hear(outcome, asked) {
      for (const report of outcome.reports) {
        take(report);
        if (report.kind === "run-started") {
          const { cellId, run, handle, startedAt } = report.payload;
          const agent = asked?.agent ?? "allegro";
          rig.runner.adopt({
            runs: [{ cellId, run, agent, handle, startedAt, before: null }],
            setups: [],
            checks: [],
          });
        }
        if (report.kind === "setup-started" && asked !== undefined) {
          const { handle, ...setup } = report.payload.setup;
          const { cell, run, agent } = asked;
          rig.runner.adopt({ runs: [], setups: [{ cell, run, agent, setup, handle }], checks: [] });
        }
      }
    },
    async perform(kind, payload, how = {}) {
      const key = how.key ?? `job-${++jobs}`;
      const job = { id: key, kind, key, payload, attempt: 1 } as RunnerJob;
      const outcome = await rig.runner.do(job, how.signal ?? new AbortController().signal);
      rig.hear(outcome, kind === "start" ? (payload as JobPayload<"start">) : undefined);
      if (kind === "check") watchCheck(outcome, payload as JobPayload<"check">);
    },
    start: (cell, run = 1, prompt = BRIEF) =>
      rig.perform("start", { cell, run, agent: "allegro", role: "executor", prompt }),
    async runToEnd(cell, run = 1, prompt = BRIEF) {
      await rig.start(cell, run, prompt);
      const isOurs = (one: JobPayload<"run-ended">) => one.cellId === cell.id && one.run === run;
      await until(
        "the run has ended",
        () => rig.said("run-ended").some(isOurs) || rig.said("run-refused").length > 0,
      );
      const end = rig.said("run-ended").find(isOurs);
      if (end === undefined) throw new Error(`refused: ${rig.said("run-refused")[0]?.why}`);
      return end;
    },
    async collect(cell, run = 1, seams = [], fork = null, secrets = [], untouched = []) {
      const { id: cellId, repository, user, branch, baseCommit } = cell;
      await rig.perform("collect", {
        cellId,
        run,
        repository,
        user,
        agent: "allegro",
        branch,
        baseCommit,
        handle: null,
        endedAt: null,
        seams,
        fork,
        secrets,
        untouched,
        asked: null,
      });
      const harvest = rig.said("collected").at(-1)?.harvest;
      if (harvest === undefined) throw new Error("nothing was collected");
      return harvest;
    },
    seal: (cell, key) =>
      rig.perform(
        "seal",
        {
          cellId: cell.id,
          repository: cell.repository,
          baseCommit: cell.baseCommit,
          user: cell.user,
          run: 1,
          agent: "allegro",
          handle: null,
        },
        key === undefined ? {} : { key },
      ),
    restore: ({ id: cellId, repository, user, baseCommit, baseRef }, run, signal) =>
      rig.perform(
        "restore",
        { cellId, run, repository, user, baseCommit, baseRef, stored: null },
        signal === undefined ? {} : { signal },
      ),
    said: (kind) => reports.filter((job) => job.kind === kind).map((job) => job.payload as never),
    cellPath: (cell, ...names) => join(missions, cell.id, ...names),
    inWorktree(cell, script) {
      const sh = asUser(cell.user, ["sh"]);
      return execFileSync(sh[0] ?? "", [...sh.slice(1), "-ec", script], {
        cwd: join(missions, cell.id, "worktree"),
        env: { ...gitEnvironment(), ...identity("a"), ...committer("a") },
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
    },
    async remove() {
      await rig.runner.close();
      await server.close();
      execFileSync("chmod", ["-R", "u+rwX", root]);
      // What was started last may still write down how it ended.
      rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  return rig;
}

function userOf(uid: number) {
  return { uid, gid: uid };
}

function identity(name: string): Record<string, string> {
  return { GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: `${name}@x` };
}

function committer(name: string): Record<string, string> {
  return { GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: `${name}@x` };
}

/** What a first run is asked. */
export const BRIEF: RunPrompt = { kind: "brief", text: "", earlier: [] };

/** Of an agent of the rig, unless told otherwise. */
export const LIMITS: AgentConfig["limits"] = {
  runMs: 60_000,
  memoryBytes: null,
  processes: null,
  logBytes: 1_000_000,
  fileBytes: 2 ** 31,
  quietMs: 300_000,
  stalledMs: 900_000,
  costUsd: 0,
  tokens: 0,
};

function agentOf(path: string, more: Partial<AgentConfig>): AgentConfig {
  return {
    name: "allegro",
    preset: null,
    command: [path],
    args: [],
    model: null,
    brief: "stdin",
    homeTemplate: null,
    env: {},
    unsetEnv: [],
    pass: {},
    unsetPass: [],
    set: {},
    git: { name: null, email: null, keyPath: null, hasCoAuthor: false },
    healthUrl: null,
    runsOn: [],
    backend: "process",
    isDefaultBackend: false,
    unavailable: null,
    network: "none",
    image: null,
    paths: [],
    limits: LIMITS,
    ...more,
  };
}

/** A file's JSON. */
export function readJsonFile(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, "utf8"));
}
