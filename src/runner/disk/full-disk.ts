import { statfs } from "node:fs/promises";
import type { ChildEnd } from "../../backends/backend.ts";
import { LazarusError, saysDiskFull } from "../../errors.ts";

/** What failed for want of room gives some of it back when it ends. */
const LITTLE_BYTES = 256 * 1024 ** 2;
const FEW_FILES = 1_000;
/** A file and a directory of it would not fit. */
const NOTHING_BYTES = 64 * 1024;

/** Whether nothing more can be written there: git does not always say why it could not write. */
export async function isFull(place: string): Promise<boolean> {
  const room = await statfs(place).catch(() => null);
  return room !== null && (room.bavail * room.bsize < NOTHING_BYTES || (room.files > 0 && room.ffree === 0));
}

/** What is tried again once there is room. */
export function fullDisk(doing: string, cause?: LazarusError): LazarusError {
  return new LazarusError("disk-full", `${doing}: no space left on the device`, { retryable: true, cause });
}

/**
 * Tells a child of a cell that failed for want of room from one that failed for another reason.
 * @param at `places`: where it wrote; `freeBytes`: below which no run starts
 * @throws LazarusError `disk-full`, retryable: it says so and there is little room, or there is none at all.
 */
export async function throwWhereFull(
  end: Pick<ChildEnd, "code" | "stderr">,
  at: { readonly doing: string; readonly places: readonly string[]; readonly freeBytes: number },
): Promise<void> {
  if (saysDiskFull(end.stderr) && (await mayBeFull(at.places, at.freeBytes))) throw fullDisk(at.doing);
  if (end.code === 0) return;
  for (const place of at.places) if (await isFull(place)) throw fullDisk(at.doing);
}

/**
 * Whether there is so little room at one of these places that somebody may have come to its end. A child that
 * works on what an agent made may say so of any disk, and would be tried again for hours.
 * @param freeBytes below which no run starts
 */
export async function mayBeFull(places: readonly string[], freeBytes: number): Promise<boolean> {
  for (const place of places) {
    const room = await statfs(place).catch(() => null);
    // What is gone is not full.
    if (room === null) continue;
    const { bavail, bsize, files, ffree } = room;
    if (bavail * bsize < Math.max(LITTLE_BYTES, freeBytes)) return true;
    // Some file systems count no files.
    if (files > 0 && ffree < FEW_FILES) return true;
  }
  return false;
}
