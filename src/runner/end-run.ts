import type { Backend, BackendName, CellUser, Handle } from "../backends/backend.ts";
import { readLock } from "../backends/os/state-files.ts";
import { LazarusError } from "../errors.ts";
import { backendNamed, type Parts } from "./context.ts";
import { pathsOf } from "./disk/directory.ts";
import { setupStateOf } from "./setup/start-setup.ts";

export interface EndedRun {
  readonly handle: Handle;
  readonly backend: Backend;
  /** What lives on in spite of it. */
  readonly leftovers: readonly { readonly pid: number; readonly command: string }[];
  /** Whether a process of this run was ever started. */
  readonly began: boolean;
}

/**
 * Ends whatever lives in a cell, also where nobody knows a handle: a start that was killed may have left a
 * process that only its environment names.
 */
export async function endAll(
  parts: Parts,
  cell: {
    readonly cellId: string;
    readonly run: number;
    readonly handle: Handle | null;
    readonly user: CellUser | null;
  },
): Promise<EndedRun> {
  const { cellId, run } = cell;
  const known = cell.handle ?? parts.watch.find(cellId)?.handle ?? null;
  const stateDir = pathsOf(parts.cellDir(cellId)).state;
  const graceMs = parts.config.limits.graceMs;
  if (known !== null) {
    const backend = backendNamed(parts, known.backend);
    return { handle: known, backend, leftovers: await backend.stop(known, graceMs), began: true };
  }
  const command = parts.commands.find(cellId)?.handle;
  if (command !== undefined) {
    const backend = backendNamed(parts, command.backend);
    return { handle: command, backend, leftovers: await backend.stop(command, graceMs), began: false };
  }
  // No process has the number 0: only the cell's marker and its user are looked for.
  const nobody = (backend: BackendName): Handle => ({
    ...{ backend, cellId, run, bootId: "", pid: 0, startTicks: 0 },
    ...{ stateDir, startedAt: 0, uid: cell.user?.uid ?? null },
  });
  const began = readLock(stateDir, run) !== undefined;
  // A setup that was begun for this run and told to nobody: what lives is that.
  const isSetup = !began && readLock(setupStateOf({ state: stateDir }), run) !== undefined;
  let ended: EndedRun | null = null;
  for (const backend of parts.backends.values()) {
    const handle = nobody(backend.name);
    const living = await backend.leftovers(cellId, handle);
    if (living.length === 0 && !(began && ended === null)) continue;
    ended = {
      handle,
      backend,
      leftovers: await backend.stop(handle, graceMs),
      began: began || (living.length > 0 && !isSetup),
    };
  }
  if (ended !== null) return ended;
  const [backend] = parts.backends.values();
  if (backend === undefined) throw new LazarusError("backend", "there is no backend here");
  return { handle: nobody(backend.name), backend, leftovers: [], began: false };
}

/**
 * Ends what a child of ours that worked in an idle cell left there: the agent's own configuration of git
 * starts programs, and these leave the child's session.
 */
export async function endWhatStayed(parts: Parts, cell: Parameters<typeof endAll>[1]): Promise<void> {
  const { handle, cellId } = cell;
  const backend = handle === null ? null : backendNamed(parts, handle.backend);
  if (backend !== null && (await backend.leftovers(cellId, handle)).length === 0) return;
  await endAll(parts, cell);
}
