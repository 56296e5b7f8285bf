import { join } from "node:path";
import type { World } from "./world.ts";

/** A Lazarus that has cells on its disk: control's own, or a runner. */
export interface Host {
  /** As `cells.runner` names it. */
  readonly name: string;
  readonly dataDir: string;
  readonly missionsDir: string;
}

/** Where a cell lies by the registry. */
export function hostOf({ hosts }: Pick<World, "hosts">, cell: { readonly runner: string }): Host {
  const host = hosts.find((one) => one.name === cell.runner);
  if (host === undefined) throw new Error(`nobody is ${cell.runner}`);
  return host;
}

/** A cell's directory, which need not be there. */
export function missionOf(
  world: Pick<World, "hosts">,
  cell: { readonly id: string; readonly runner: string },
): string {
  return join(hostOf(world, cell).missionsDir, cell.id);
}
