import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { Stage, type Thread } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";
import { RedisServer } from "./redis.ts";
import { RunnerProcess, type RunnerProcessOptions } from "./runner-process.ts";

/** Works until somebody says go, and leaves a commit; counts how often it was started. */
export const WAITS = `
echo start >> "$LAZARUS_ARTIFACTS/starts"
while [ ! -e "$LAZARUS_ARTIFACTS/go" ]; do sleep 0.1; done
echo done > made.txt; git add made.txt; git commit -qm "made it"
`;

export interface Summoned {
  readonly issue: Thread;
  readonly cellId: string;
}

interface Listed {
  readonly name: string;
  readonly version: string | null;
  readonly heard_at: string | null;
  readonly note: string;
  readonly cells: number;
}

/** A forge, a Redis, a server that runs no cell itself, and runners in processes of their own. */
export class FleetStage {
  readonly stage: Stage;
  readonly redis: RedisServer;
  readonly runner: RunnerProcess;
  /** Of the first runner, `r1`. */
  readonly line: string;
  readonly #more: RunnerProcess[] = [];

  private constructor(parts: { stage: Stage; redis: RedisServer; runner: RunnerProcess; line: string }) {
    this.stage = parts.stage;
    this.redis = parts.redis;
    this.runner = parts.runner;
    this.line = parts.line;
  }

  /** `more`: merged over the top of the server's file; `agents`: of the runner. */
  static async set(
    more: Readonly<Record<string, unknown>> = {},
    agents: Readonly<Record<string, string>> = { waits: WAITS },
  ): Promise<FleetStage> {
    const redis = await RedisServer.start();
    const stage = await Stage.set({
      more: { queue: redis.url, runner: { slots: 0 }, ...more },
      agents: {},
    });
    const line = await addRunner(stage, "r1");
    const runner = await RunnerProcess.make({ redisUrl: redis.url, join: line, agents });
    await runner.start();
    const fleet = new FleetStage({ stage, redis, runner, line });
    await fleet.heard();
    return fleet;
  }

  async strike(): Promise<void> {
    for (const runner of [this.runner, ...this.#more]) await runner.remove();
    await this.stage.strike();
    await this.redis.remove();
  }

  /** Puts other values at the top of the server's file, for its next start. */
  reconfigure(more: Readonly<Record<string, unknown>>): Promise<void> {
    return this.stage.reconfigure({ queue: this.redis.url, runner: { slots: 0 }, ...more });
  }

  add(name: string): Promise<string> {
    return addRunner(this.stage, name);
  }

  /** Another process, which is removed with the stage; not started yet. */
  async make(options: Partial<RunnerProcessOptions> = {}): Promise<RunnerProcess> {
    const usual = { redisUrl: this.redis.url, join: this.line, agents: { waits: WAITS } };
    const made = await RunnerProcess.make({ ...usual, ...options });
    this.#more.push(made);
    return made;
  }

  async listed(name = "r1"): Promise<Listed | undefined> {
    const { stdout } = await this.stage.lazarus.cli("runner", "list", "--json");
    return (JSON.parse(stdout) as { runners: Listed[] }).runners.find((one) => one.name === name);
  }

  /** Waits until it is heard anew. */
  async heard(name = "r1"): Promise<void> {
    const since = Date.now();
    await until(
      `the runner ${name} is heard`,
      async () => Date.parse((await this.listed(name))?.heard_at ?? "1970") > since,
    );
  }

  async summon(title: string): Promise<Summoned> {
    const { stage } = this;
    const issue = await stage.openIssue(title);
    await stage.type(stage.dev, issue, "/lazarus summon waits");
    await stage.card(issue, /waits is working/);
    return { issue, cellId: await stage.cellId(issue) };
  }

  artifact(cellId: string, name: string): string {
    return join(this.runner.missionsDir, cellId, "artifacts", name);
  }

  /** Lets its agent end while nobody looks. */
  async endAlone({ cellId }: Summoned): Promise<void> {
    await writeFile(this.artifact(cellId, "go"), "");
    await until("the agent has ended", () =>
      existsSync(join(this.runner.missionsDir, cellId, "state", "exit.json")),
    );
  }

  /** It comes to its draft. However often anything was said again: one process, one draft. */
  async goOn({ issue, cellId }: Summoned): Promise<void> {
    const { stage } = this;
    await writeFile(this.artifact(cellId, "go"), "");
    await stage.card(issue, /\*\*waits is done\*\*[\s\S]*→ draft #\d+/);
    expect(await readFile(this.artifact(cellId, "starts"), "utf8")).toBe("start\n");
    const drafts = (await stage.server.pullRequests(stage.repo)).filter((one) =>
      one.title.endsWith(`(#${issue.number})`),
    );
    expect(drafts).toHaveLength(1);
  }
}

async function addRunner(stage: Stage, name: string): Promise<string> {
  return (JSON.parse((await stage.lazarus.cli("runner", "add", name, "--json")).stdout) as { join: string })
    .join;
}
