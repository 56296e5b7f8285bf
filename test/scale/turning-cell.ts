import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Thread } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";
import type { FleetStage } from "./fleet.ts";
import type { RunnerProcess } from "./runner-process.ts";

/** An agent whose turns each add a file, and a line to what stays with the cell. */
export const TURNS = `
echo turn >> "$LAZARUS_ARTIFACTS/turns"
n=$(wc -l < "$LAZARUS_ARTIFACTS/turns")
echo "$n" > "turn-$n.txt"; git add .; git commit -qm "turn $n"
`;

/** A cell of the agent `turns`, which is closed and brought back again and again. */
export class TurningCell {
  readonly issue: Thread;
  readonly cellId: string;
  readonly #fleet: FleetStage;

  private constructor(fleet: FleetStage, { issue, cellId }: { issue: Thread; cellId: string }) {
    this.#fleet = fleet;
    this.issue = issue;
    this.cellId = cellId;
  }

  /** Its first turn is a draft. */
  static async summon(fleet: FleetStage, title: string): Promise<TurningCell> {
    const { stage } = fleet;
    const issue = await stage.openIssue(title);
    await stage.type(stage.dev, issue, "/lazarus summon turns");
    await stage.card(issue, /\*\*turns is done\*\*[\s\S]*→ draft #\d+/);
    return new TurningCell(fleet, { issue, cellId: await stage.cellId(issue) });
  }

  async close(): Promise<void> {
    await this.#tell("close");
    await this.#is("archived");
  }

  async revive(): Promise<void> {
    await this.#tell("revive");
  }

  async destroy(): Promise<void> {
    await this.#tell("destroy");
    await this.#is("destroyed");
  }

  /** Waits until the work of a turn is in the draft. */
  async isPublished(turn: number): Promise<void> {
    const { stage } = this.#fleet;
    const [draft] = await stage.server.pullRequests(stage.repo);
    await until(`turn ${turn} is published`, async () =>
      (await stage.server.diff(stage.repo, draft?.number ?? 0)).includes(`turn-${turn}.txt`),
    );
    await this.#is("idle");
  }

  /** How many turns it remembers where it lies. */
  async turnsOn(runner: RunnerProcess): Promise<number> {
    const path = join(runner.missionsDir, this.cellId, "artifacts", "turns");
    return (await readFile(path, "utf8")).split("\n").length - 1;
  }

  async #tell(verb: string): Promise<void> {
    const { stage } = this.#fleet;
    await stage.type(stage.lead, this.issue, `/lazarus ${verb} ${this.cellId.slice(0, 8)}`);
  }

  async #is(state: string): Promise<void> {
    const { stage } = this.#fleet;
    await until(`it is ${state}`, async () => (await stage.status(this.cellId)).state === state);
  }
}
