import type { JobPayload } from "../../protocol/jobs.ts";
import { SETUP } from "../check.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { goOnChecking } from "./check-ended.ts";
import type { ReportDeps } from "./deps.ts";

type Planned = Pick<JobPayload<"checks-planned">, "checks" | "faults">;

/** It is known what is to be run on what a cell pushed. */
export function checksPlanned(deps: ReportDeps) {
  const { registry, steps } = deps;
  return ({ cellId, tip, trouble, ...found }: JobPayload<"checks-planned">): void => {
    const cell = registry.mustCell(cellId);
    if (cell.state === "destroyed" || cell.publishedTip !== tip || cell.checked?.tip === tip) return;
    const wanted = registry.proposals.ofCell(cellId)?.wish?.checks ?? null;
    const { checks, faults } = wanted === null ? found : onlyThese(wanted, found);
    registry.update(cellId, {
      ...NOTHING_IN_THE_WAY,
      checked: { tip, plan: checks, faults, trouble, stopped: null },
    });
    if (checks.length > 0 || faults.length > 0 || trouble !== null) steps.showChecks(cellId);
    goOnChecking(deps, cellId);
  };
}

/** What a proposal asks for by name, after the setup; a name that nobody knows cannot be run. */
function onlyThese(wanted: readonly string[], { checks, faults }: Planned): Planned {
  const known = [...checks, ...faults].map(({ name }) => name);
  const unknown = wanted.filter((name) => !known.includes(name));
  return {
    checks: checks.filter(({ name }) => name === SETUP || wanted.includes(name)),
    faults: [
      ...faults.filter(({ name }) => wanted.includes(name)),
      ...unknown.map((name) => ({ name, why: "there is no check of that name" })),
    ],
  };
}
