import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { HOOK_SECRET, Lazarus } from "../e2e/lazarus.ts";
import { git } from "../fakes/forge/git.ts";
import { type StandIn, type StandInOptions, startStandIn } from "../fakes/forge/stand-in.ts";
import { PROGRAMS } from "../fakes/programs.ts";
import type { Needs } from "../machine.ts";
import { layAmbush } from "./ambush.ts";
import type { Death } from "./deadly-fs.ts";
import { freePort, Gate } from "./gate.ts";
import { isAlive, kill, livingOf } from "./living.ts";

const REPO = "acme/app";
/** Five servers at once: what takes a second on an idle machine. */
const PATIENCE_MS = 200_000;
const STEP_MS = 20;
const TEST_MS = 600_000;

/**
 * As `until` of the fakes, with the patience and the longer steps that many servers at once on a busy machine
 * need.
 */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${PATIENCE_MS} ms in vain until ${what}`);
    await pause(STEP_MS);
  }
}

export interface RigOptions {
  /**
   * Of the agent `allegro`, after it has written down that it runs. `$go` is a file that `rig.go()` makes.
   */
  readonly agent?: string;
  /** The same of an agent `kimi`, which there is only then. */
  readonly guest?: string;
  /** Whose ways the stand-in has; Gitea's 1.23 where untold. */
  readonly line?: StandInOptions["line"];
  /** Over the configuration's top level. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** What it wants of the machine. */
  readonly wants?: Needs;
}

/** What an agent does who makes one commit. */
export const COMMIT = "echo hello >hello.txt; git add hello.txt; git commit --quiet -m 'Say hello'";
/** The same, once the test says so. */
export const COMMIT_ON_GO = `while [ ! -e "$go" ]; do sleep 0.02; done; ${COMMIT}`;
/** A commit first, then an agent that never ends by itself. */
export const COMMIT_AND_STAY = `${COMMIT}; touch "$out/committed"; while :; do sleep 0.1; done`;

/** The state that everything must come to, whatever was killed on the way. */
export interface EndState {
  readonly state: string;
  readonly outcome?: string | null;
  readonly pullRequests?: number;
  /** On the cell's branch. */
  readonly commits?: number;
  readonly runs?: number;
  /** Comments of the bot's besides the card. */
  readonly replies?: number;
}

/** One forge, one repository, one issue, and a Lazarus that is killed and started again on the same data. */
export class ChaosRig {
  readonly lazarus: Lazarus;
  readonly standIn: StandIn;
  readonly gate: Gate;
  readonly issue: number;
  #dying: ChildProcess | null = null;
  #dyingLog = "";

  constructor(parts: { lazarus: Lazarus; standIn: StandIn; gate: Gate; issue: number }) {
    this.lazarus = parts.lazarus;
    this.standIn = parts.standIn;
    this.gate = parts.gate;
    this.issue = parts.issue;
  }

  get dir(): string {
    return this.lazarus.dir;
  }

  get log(): string {
    return `${this.#dyingLog}\n--\n${this.lazarus.log}`;
  }

  /** A plain `lazarus serve`; its `git` and `tar` go through `ambush`. */
  async serve(options: { ready?: boolean } = {}): Promise<void> {
    await this.lazarus.serve({ ...options, env: { PATH: `${join(this.dir, "bin")}:${process.env.PATH}` } });
    writeFileSync(join(this.dir, "pid"), `${this.lazarus.pid}\n`);
  }

  /** Serves until it dies where it was told to; the answer waits for that. */
  async serveUntil(death: Death): Promise<{ died(): Promise<void> }> {
    const child = spawn(
      process.execPath,
      [PROGRAMS.dyingApp.built, this.lazarus.configPath, JSON.stringify(death)],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: `${join(this.dir, "bin")}:${process.env.PATH}` },
      },
    );
    this.#dying = child;
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      this.#dyingLog += chunk.toString();
    });
    const isGone = () => child.exitCode !== null || child.signalCode !== null;
    await until("the program that is to die listens", () => said !== "" || isGone());
    const url = /http:\/\/\S+?(?=,)/.exec(said)?.[0];
    const isReady = async () => isGone() || (await fetch(`${url}/readyz`).catch(() => null))?.status === 200;
    await until("the program that is to die is ready", isReady);
    return {
      died: async () => {
        await until(`it died ${death.when} ${death.at}\n${this.#dyingLog}`, isGone);
        expect(child.signalCode).toBe("SIGKILL");
      },
    };
  }

  /**
   * The next `program` whose arguments hold `word` kills Lazarus: before it does anything (`instead`: it
   * never does), once it is done, or before, going on as an orphan (`late`) or hanging for ever (`hang`).
   */
  ambush(program: "git" | "tar", word: string, when: "instead" | "after" | "late" | "hang"): void {
    writeFileSync(join(this.dir, "ambush"), `${program} ${word} ${when}\n`);
  }

  async ambushed(): Promise<void> {
    const child = this.lazarus.pid;
    await until("Lazarus was ambushed", () => {
      if (existsSync(join(this.dir, "kill")) && child !== undefined) kill(child);
      return existsSync(join(this.dir, "ambushed"));
    });
    await until("Lazarus is dead", () => child === undefined || !isAlive(child));
    await this.lazarus.end("SIGKILL");
    rmSync(join(this.dir, "ambushed"));
  }

  /** Writes `limits.free` into the configuration; the answer puts it back. */
  async configureFree(free: string): Promise<() => Promise<void>> {
    const path = this.lazarus.configPath;
    const before = readFileSync(path, "utf8");
    writeFileSync(path, before.replace(/free: .*/, `free: ${free}`));
    return async () => writeFileSync(path, before);
  }

  /** Puts other text into the configuration, for the next server. */
  async changeConfig(change: (text: string) => string): Promise<void> {
    const path = this.lazarus.configPath;
    writeFileSync(path, change(readFileSync(path, "utf8")));
  }

  kill(): Promise<unknown> {
    return this.lazarus.end("SIGKILL");
  }

  /** Answers the comment's id. */
  say(text: string): Promise<number> {
    return this.standIn.people.comment("dev", { repo: REPO, number: this.issue }, text);
  }

  go(): void {
    writeFileSync(join(this.dir, "go"), "");
  }

  exists(name: string): boolean {
    return existsSync(join(this.dir, name));
  }

  query<T>(sql: string, ...values: unknown[]): T[] {
    const db = new Database(join(this.lazarus.dataDir, "lazarus.db"), { timeout: 10_000 });
    try {
      const statement = db.prepare(sql);
      return (statement.reader ? statement.all(...values) : [statement.run(...values)]) as T[];
    } finally {
      db.close();
    }
  }

  /** The one cell there is. */
  cell(): Record<string, string | number | null> & { id: string; state: string } {
    const [cell, ...others] = this.query<ReturnType<ChaosRig["cell"]>>("SELECT * FROM cells");
    if (cell === undefined || others.length > 0) throw new Error(`${others.length} cells`);
    return cell;
  }

  async cellIs(state: string): Promise<void> {
    const isSo = () =>
      existsSync(join(this.lazarus.dataDir, "lazarus.db")) &&
      this.query<{ state: string }>("SELECT state FROM cells")[0]?.state === state;
    await until(`the cell is ${state}`, isSo).catch((error: unknown) => {
      const cells = this.query("SELECT state, outcome, stuck, push_refused FROM cells");
      const runs = this.query("SELECT n, state, handle, started_at, ended_at, stopped FROM runs");
      throw new Error(
        `${String(error)}\n${JSON.stringify({ cells, runs, jobs: this.openJobs() }, null, 1)}\n${this.log}`,
      );
    });
  }

  handle(): { pid: number } & Record<string, unknown> {
    const [run] = this.query<{ handle: string }>("SELECT handle FROM runs ORDER BY n DESC");
    return JSON.parse(run?.handle ?? "null");
  }

  openJobs(): { id: string; kind: string; lane: string; state: string; error: string | null }[] {
    return this.query(
      "SELECT id, kind, lane, state, error FROM jobs WHERE state IN ('waiting', 'running', 'dead')",
    );
  }

  botComments(): string[] {
    const bot = this.standIn.world.mustUser("lazarus").id;
    return this.standIn.people
      .comments(REPO, this.issue)
      .filter((one) => one.authorId === bot)
      .map((one) => one.body);
  }

  card(): string {
    return this.botComments().find((body) => body.startsWith("<!-- lazarus:card:")) ?? "";
  }

  /**
   * Waits until nothing is left to do, and looks at everything that a kill could have doubled, halved or left
   * behind.
   */
  async comesTo(end: EndState): Promise<void> {
    await this.cellIs(end.state);
    await until("nothing is left to do", () => this.openJobs().length === 0).catch(() => {});
    expect(this.openJobs()).toEqual([]);
    const cell = this.cell();
    const seen = {
      state: cell.state,
      ran: this.exists("ran") ? readFileSync(join(this.dir, "ran"), "utf8") : "",
      runs: this.query<{ state: string }>("SELECT state FROM runs").map((run) => run.state),
      cards: this.botComments().filter((body) => body.startsWith("<!-- lazarus:card:")).length,
      replies: this.botComments().filter((body) => !body.startsWith("<!-- lazarus:card:")).length,
      pullRequests: this.standIn.people.pullRequests(REPO).map((one) => one.title.slice(0, 4)),
      branches: await this.#branches(cell.branch as string),
      inMissions: readdirSync(this.lazarus.missionsDir),
      quarantine: this.exists("data/quarantine") ? readdirSync(join(this.dir, "data/quarantine")) : [],
      living: livingOf(cell.id),
    };
    const ran = end.runs ?? 1;
    const commits = end.commits ?? 1;
    expect(seen).toEqual({
      state: end.state,
      ran: "ran\n".repeat(ran),
      runs: Array.from({ length: Math.max(1, ran) }, () => "ended"),
      cards: 1,
      replies: end.replies ?? 0,
      pullRequests: Array.from({ length: end.pullRequests ?? 1 }, () => "WIP:"),
      branches: commits === 0 ? [] : [`${cell.branch} +${commits}`],
      inMissions: end.state === "destroyed" ? [] : [cell.id],
      quarantine: [],
      living: [],
    });
    if (end.outcome !== undefined) expect(cell.outcome).toBe(end.outcome);
    if (end.state !== "destroyed") expect(this.mission(cell.id).status).toBe(end.state);
  }

  mission(id: string): { status: string } {
    return JSON.parse(readFileSync(join(this.lazarus.missionsDir, id, "meta", "mission.json"), "utf8"));
  }

  /** Reactions of the bot's to a comment, in their order. */
  reactions(commentId: number): string[] {
    const comment = this.standIn.world.comments.find((one) => one.id === commentId);
    return (comment?.reactions ?? []).map((one) => one.content);
  }

  async #branches(branch: string): Promise<string[]> {
    const { dir } = this.standIn.world.mustRepository(REPO);
    const names = await git(dir, ["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/lazarus/"]);
    const found: string[] = [];
    for (const name of names.split("\n").filter((one) => one !== "")) {
      const { base_commit: base } = this.cell();
      found.push(`${name} +${await git(dir, ["rev-list", "--count", `${base}..${name}`])}`);
    }
    expect(found.every((one) => one.startsWith(branch))).toBe(true);
    return found;
  }

  async remove(): Promise<void> {
    this.#dying?.kill("SIGKILL");
    await this.kill();
    const cells = this.exists("data/lazarus.db")
      ? this.query<{ id: string }>("SELECT id FROM cells").map((cell) => cell.id)
      : [];
    const alive = () => cells.flatMap((id) => livingOf(id));
    await until("the test's agents are gone", () => {
      for (const pid of alive()) kill(pid);
      return alive().length === 0;
    });
    await this.gate.shut();
    await this.standIn.stop();
    await this.lazarus.remove();
  }
}

/** A rig with nothing running yet. */
export async function createRig(options: RigOptions = {}): Promise<ChaosRig> {
  const standIn = await startStandIn({
    deliveryTimeoutMs: 60_000,
    ...(options.line === undefined ? {} : { line: options.line }),
  });
  const gate = await Gate.open(Number(new URL(standIn.url).port));
  const { people, world } = standIn;
  world.url = gate.url;
  const bot = people.createUser("lazarus");
  people.createUser("dev");
  people.createOrganization("acme", "root1");
  await people.createRepository(REPO, { files: { "README.md": "# app\n", "src/a.txt": "a\n" } });
  people.addCollaborator(REPO, "lazarus", "admin");
  people.addCollaborator(REPO, "dev", "admin");
  const port = await freePort();
  people.createHook(REPO, { url: `http://127.0.0.1:${port}/webhooks/gitea`, secret: HOOK_SECRET });
  const issue = await people.openIssue("dev", REPO, { title: "Say hello", body: "Please say hello." });

  const settings = { forgeUrl: gate.url, token: bot.token, agents: {} };
  const lazarus = await Lazarus.make(settings);
  const out = lazarus.dir;
  // Agents leave their traces there, as users of their own.
  chmodSync(out, 0o777);
  const head = `out='${out}'; go="$out/go"; echo ran >>"$out/ran"`;
  await lazarus.configure({
    ...settings,
    agents: {
      allegro: `${head}\n${options.agent ?? COMMIT}`,
      ...(options.guest === undefined ? {} : { kimi: `${head}\n${options.guest}` }),
    },
    more: {
      server: { listen: `127.0.0.1:${port}` },
      ...options.more,
      limits: { free: "1KB", grace: "1s", revives: 0, spares: 0, ...Object(options.more?.limits) },
    },
  });
  layAmbush(out);
  return new ChaosRig({ lazarus, standIn, gate, issue });
}

/** A test with a rig of its own; what the servers logged is told where it fails. */
export function chaos(name: string, options: RigOptions, test: (rig: ChaosRig) => Promise<void>): void {
  it.concurrent(name, { timeout: TEST_MS, ...options.wants }, async () => {
    const rig = await createRig(options);
    try {
      await test(rig);
    } catch (error) {
      if (error instanceof Error) error.message += `\n${rig.log}`;
      throw error;
    } finally {
      await rig.remove();
    }
  });
}

export { isAlive, livingOf };
