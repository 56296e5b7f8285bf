import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { LazarusError, systemCode } from "./errors.ts";

const KEY_BYTES = 32;

/**
 * A secret of 32 bytes in a file of the data directory, which is made where it is missing. `lost`: what it
 * means to be without it.
 * @throws LazarusError `registry-unusable` where it cannot be read or made.
 */
export function openKeyFile(dataDir: string, name: string, lost: string): Buffer {
  const path = join(dataDir, name);
  return readKey(path, lost) ?? makeKey(path);
}

function readKey(path: string, lost: string): Buffer | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw new LazarusError("registry-unusable", `reading ${path}`, { cause: error });
  }
  if (!/^[0-9a-f]{64}\n?$/.test(text)) {
    const mend = `remove it and start again; ${lost}`;
    throw new LazarusError("registry-unusable", `reading ${path}: it holds no key of 64 hex digits: ${mend}`);
  }
  return Buffer.from(text.slice(0, 2 * KEY_BYTES), "hex");
}

/**
 * Written whole under another name: whoever is killed here leaves no half of a key. The data directory is
 * ours alone, under its lock.
 */
function makeKey(path: string): Buffer {
  const aside = `${path}.new`;
  const key = randomBytes(KEY_BYTES);
  try {
    rmSync(aside, { force: true });
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const fd = openSync(aside, flags, 0o600);
    try {
      writeSync(fd, `${key.toString("hex")}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(aside, path);
  } catch (error) {
    throw new LazarusError("registry-unusable", `making ${path}`, { cause: error });
  }
  return key;
}
