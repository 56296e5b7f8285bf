import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system in memory: tests commit and sync thousands of times, and none of them pulls a plug. */
const MEMORY = "/dev/shm";
/** Short: the path of a socket may have 107 bytes. */
const PREFIX = "lz";
const GIB = 1024 ** 3;

/**
 * Makes the directory below which all tests of a run make theirs, and removes it after them: in memory where
 * there is plenty, else below the usual one. `LAZARUS_TEST_TMP` names another place.
 */
export default function setup(): () => void {
  const dir = makeTemporary();
  // Whatever is started from here on inherits it.
  process.env.TMPDIR = dir;
  return () => removeTree(dir);
}

/** Makes it, and removes what runs that were killed left. */
function makeTemporary(): string {
  const place = process.env.LAZARUS_TEST_TMP ?? (isPlenty() && mayRun() ? MEMORY : tmpdir());
  for (const name of readdirSync(place)) {
    const owner = /^lz(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) removeTree(join(place, name));
  }
  const dir = mkdtempSync(join(place, `${PREFIX}${process.pid}-`));
  // Agents of tests run as users of their own.
  chmodSync(dir, 0o1777);
  return dir;
}

/** Whether programs may lie there: containers often forbid it. */
function mayRun(): boolean {
  const dir = mkdtempSync(join(MEMORY, `${PREFIX}${process.pid}-`));
  const script = join(dir, "script");
  writeFileSync(script, "#!/bin/sh\n", { mode: 0o755 });
  const { status } = spawnSync(script);
  removeTree(dir);
  return status === 0;
}

/** Also where another user's files lie in it, of a run that was killed. */
function removeTree(dir: string): void {
  try {
    rmSync(dir, { recursive: true, force: true });
  } catch {
    // It is somebody else's, who removes it.
  }
}

/** Whether the tests' files leave the machine enough memory: they were seen to take less than 2 GiB at a time. */
function isPlenty(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    return bavail * bsize >= 4 * GIB && Number(available ?? 0) * 1024 >= 8 * GIB;
  } catch {
    return false;
  }
}
