import { toIso } from "../clock.ts";
import type { Cell, Requester, Role } from "./cell.ts";
import type { LifecycleDeps } from "./lifecycle.ts";
import { movedOn } from "./must-be.ts";
import { beginNextTurn } from "./steps/next-turn.ts";
import { beginVisit } from "./steps/visit-turn.ts";

/** Somebody to be invited, and who invites. */
export interface Invitation {
  readonly userId: number;
  readonly login: string;
  readonly role: Role;
  /** How long; null: as long as the cell is there. */
  readonly forMs: number | null;
  readonly by: string;
}

/** Who joins a cell, and leaves it: each is one transaction. All methods are synchronous. */
export class Inviting {
  readonly #deps: LifecycleDeps;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  /**
   * Gives a person a role in a cell, for some time or for as long as it is there; another one that was agreed
   * before is replaced. Answers when it ends, epoch ms.
   * @throws LazarusError `internal`, retryable, where the cell ended since the caller looked.
   */
  person(cellId: string, { userId, login, role, forMs, by }: Invitation): number | null {
    const { registry, clock } = this.#deps;
    return registry.transaction(() => {
      if (!canBeJoined(registry.mustCell(cellId))) throw movedOn(cellId);
      const at = clock.now();
      const until = forMs === null ? null : at + forMs;
      registry.guests.invite({ cellId, userId, login, role, until, by, at });
      const end = until === null ? "" : ` until ${toIso(until).slice(0, 16).replace("T", " ")} UTC`;
      this.#remember(cellId, by, `invited ${login} as ${role}${end}`);
      return until;
    });
  }

  /** Ends a person's invitation: what they may do by the forge's own rights stays. */
  endPerson(cellId: string, { userId, login }: Pick<Invitation, "userId" | "login">, by: string): void {
    const { registry, clock } = this.#deps;
    registry.transaction(() => {
      registry.guests.end(cellId, userId, clock.now());
      this.#remember(cellId, by, `ended the invitation of ${login}`);
    });
  }

  /**
   * Has an agent look at the work once, after the present turn (`observer`), or work after all others
   * (`executor`).
   * @throws LazarusError `internal`, retryable, where the cell ended since the caller looked.
   */
  agent(cellId: string, agent: string, as: { role: "observer" | "executor"; by: Requester }): void {
    const { registry } = this.#deps;
    registry.transaction(() => {
      if (!canBeJoined(registry.mustCell(cellId))) throw movedOn(cellId);
      const { role, by } = as;
      registry.addMember(cellId, { name: agent, kind: "bot", role });
      if (role === "observer") registry.visits.add(cellId, agent, by);
      else registry.team.append(cellId, agent, by);
      this.#remember(cellId, by.login, `invited ${agent} as ${role}`);
      this.again(cellId);
    });
  }

  /** Ends an agent's invitation before its turn has begun. */
  endAgent(cellId: string, agent: string, by: string): void {
    const { registry } = this.#deps;
    registry.transaction(() => {
      registry.visits.drop(cellId, agent);
      registry.team.remove(cellId, agent);
      const hasWorked = registry.runs(cellId).some((run) => run.agent === agent && run.startedAt !== null);
      if (!hasWorked) registry.removeMember(cellId, agent);
      this.#remember(cellId, by, `ended the invitation of ${agent}`);
    });
  }

  /** Lets whoever waits to look at the work begin, where the cell is at rest. */
  look(cellId: string): void {
    beginVisit(this.#deps, cellId);
  }

  /** Begins the turn of a guest where the cell is at rest. */
  again(cellId: string): void {
    if (!beginVisit(this.#deps, cellId)) beginNextTurn(this.#deps, cellId);
  }

  #remember(cellId: string, who: string, why: string): void {
    const { registry, steps, clock } = this.#deps;
    const cell = registry.mustCell(cellId);
    const { state } = cell;
    // What closed a cell is the last thing that its history tells.
    if (canBeJoined(cell)) registry.remember(cellId, { at: clock.now(), from: state, to: state, who, why });
    if (state !== "proposed" && state !== "destroyed") steps.mark(cellId);
    steps.card(cellId);
  }
}

/** Whether anybody can still join a cell. */
export function canBeJoined(cell: Pick<Cell, "state" | "closing">): boolean {
  return cell.closing === null && ["proposed", "active", "idle"].includes(cell.state);
}
