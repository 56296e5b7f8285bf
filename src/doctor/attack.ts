import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../backends/backend.ts";
import type { Config } from "../config/config.ts";
import type { Finding } from "./finding.ts";
import { childOn, onScene, type Scene } from "./scene.ts";

/** Says the number of each file of which it could read a byte; what is in them goes nowhere. */
const THIEF =
  'n=0; for file in "$@"; do n=$((n + 1)); head -c 1 "$file" >/dev/null 2>&1 && echo "$n"; done; echo tried';

/**
 * Starts what an agent would be, in a cell of its own below the missions root, and lets it try to read
 * another cell, the configuration with the token, the registry and what Lazarus has in its environment. The
 * sandbox must stop that; a plain process is said to be able to.
 */
export async function tryToGetOut(backend: Backend, config: Config): Promise<Finding[]> {
  const what = `attack on ${backend.name}`;
  return onScene(what, config, async (scene) => [{ what, ...(await steal(backend, scene)) }]);
}

async function steal(backend: Backend, scene: Scene): Promise<Pick<Finding, "level" | "detail">> {
  const treasures = treasuresOf(scene);
  const spec = childOn(scene, ["/bin/sh", "-c", THIEF, "thief", ...treasures.map(([, path]) => path)]);
  const end = await backend.runToEnd(spec);
  const said = readFileSync(spec.stdoutPath, "utf8").trim().split("\n");
  if (said.at(-1) !== "tried") {
    return {
      level: "FAIL",
      detail: `it could not be tried: exit ${end.code ?? end.signal} ${end.stderr.trim()}`,
    };
  }
  const got = treasures.filter((_, index) => said.includes(String(index + 1))).map(([name]) => name);
  if (got.length === 0)
    return { level: "ok", detail: `an agent tried to read ${list(treasures)}, and got nothing` };
  if (backend.name === "process" && scene.user === null) {
    return {
      level: "warn",
      detail: `an agent can read ${got.join(", ")}: it is a plain process with the rights of Lazarus`,
    };
  }
  return {
    level: "FAIL",
    detail: `AN AGENT COULD READ ${got.join(", ")}: make these unreadable for others (chmod o-r); if they are already, report this as a bug`,
  };
}

function list(treasures: readonly (readonly [string, string])[]): string {
  return treasures.map(([name]) => name).join(", ");
}

function treasuresOf({ root, user, config }: Scene): (readonly [name: string, path: string])[] {
  const other = join(root, "other", "worktree");
  mkdirSync(other, { recursive: true, mode: 0o700 });
  writeFileSync(join(other, "secret.txt"), "of another cell\n", { mode: 0o600 });
  // The user after it: of a range's last one there is no other.
  if (user !== null)
    for (const path of [join(root, "other"), other]) chownSync(path, user.uid - 1, user.gid - 1);
  const all: (readonly [string, string | null])[] = [
    ["another cell", join(other, "secret.txt")],
    ["the configuration", config.file],
    ["the registry", join(config.dataDir, "lazarus.db")],
    ["the environment of Lazarus", `/proc/${process.pid}/environ`],
  ];
  return all.flatMap(([name, path]) => (path !== null && existsSync(path) ? [[name, path] as const] : []));
}
