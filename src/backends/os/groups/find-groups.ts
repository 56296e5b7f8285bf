import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { explain } from "../../../errors.ts";
import type { BackendCheck } from "../../backend.ts";
import { type CellGroups, cellGroups, noGroups } from "./cell-groups.ts";
import { type Hierarchy, openHierarchies, placesIn } from "./hierarchies.ts";

const TRY_MS = 10_000;
const TRY_BYTES = 64 * 1024 ** 2;
const FIX =
  "under systemd 254 or newer set Delegate=yes and DelegateSubgroup=serve in the unit (contrib/lazarus.service), or run as root; docs/operations.md says more";

/**
 * Looks once whether this machine lets us make control groups, by making one and putting a process into it.
 * @throws LazarusError `backend` where the data directory cannot be written.
 */
export async function findGroups(dataDir: string): Promise<CellGroups> {
  let hierarchies: Hierarchy[];
  try {
    const own = (name: string) => readFileSync(`/proc/self/${name}`, "latin1");
    hierarchies = openHierarchies(placesIn(own("mountinfo"), own("cgroup")));
  } catch (error) {
    return noGroups(without(explain(error)));
  }
  const groups = cellGroups(hierarchies, dataDir, noteOf(hierarchies));
  const why = await tryOne(groups);
  return why === null ? groups : noGroups(without(why));
}

function without(why: string): BackendCheck {
  const lost =
    "limits.memory holds for each process by itself, and not for shared memory, memfd and /dev/shm; nothing holds all of a cell together";
  return { ok: false, why: `no control group can be had (${why}): ${lost}`, fix: FIX };
}

function noteOf(hierarchies: readonly Hierarchy[]): string {
  const held = new Set(hierarchies.flatMap((one) => one.controllers));
  const version = hierarchies.every((one) => one.isUnified) ? "2" : "1";
  const cpu = held.has("cpu") ? ", and a share of the CPU" : "";
  return `version ${version}: each cell has one, which holds its memory together with /tmp, /dev/shm and memfd, its processes${cpu}`;
}

/** Why none works here; null: one does. */
async function tryOne(groups: CellGroups): Promise<string | null> {
  const limits = { memoryBytes: TRY_BYTES, processes: 16, fileBytes: null, openFiles: null };
  const cell = { cellId: "try", limits };
  try {
    return await groups.during(cell, async (enter) => {
      const script = `${enter}cat /proc/self/cgroup`;
      const { stdout } = await promisify(execFile)("/bin/sh", ["-c", script], { env: {}, timeout: TRY_MS });
      return stdout.includes("/lazarus-") ? null : "a process that was put into one is not in it";
    });
  } catch (error) {
    return explain(error);
  }
}
