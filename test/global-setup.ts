import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "..");

/**
 * Builds `dist/` where it is older than the code: the end-to-end tests start the program as people do. Types are checked by
 * `npm run typecheck`, not here.
 */
export default function setup(): void {
  const built = join(ROOT, "dist", "cli.js");
  if (existsSync(built) && statSync(built).mtimeMs > newest(join(ROOT, "src"))) return;
  const tsc = join(ROOT, "node_modules", ".bin", "tsc");
  execFileSync(tsc, ["-p", "tsconfig.build.json", "--noCheck"], { cwd: ROOT, stdio: "inherit" });
}

function newest(dir: string): number {
  const files = readdirSync(dir, { recursive: true, encoding: "utf8" });
  return Math.max(...files.map((file) => statSync(join(dir, file)).mtimeMs));
}
