import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "..");

/**
 * Builds `dist/` where it is older than the code: the end-to-end tests start the program as people do. Types are checked by
 * `npm run typecheck`, not here.
 */
export default function setup(): void {
  const built = join(ROOT, "dist", "cli", "main.js");
  if (existsSync(built) && statSync(built).mtimeMs > newest(join(ROOT, "src"))) return;
  // Aside first: a program that starts at this moment must not read half a file.
  const fresh = mkdtempSync(join(ROOT, "dist-"));
  try {
    const tsc = join(ROOT, "node_modules", ".bin", "tsc");
    const words = ["-p", "tsconfig.build.json", "--noCheck", "--outDir", fresh];
    execFileSync(tsc, words, { cwd: ROOT, stdio: "inherit" });
    for (const file of filesBelow(fresh)) {
      const to = join(ROOT, "dist", file);
      mkdirSync(dirname(to), { recursive: true });
      renameSync(join(fresh, file), to);
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function newest(dir: string): number {
  return Math.max(...filesBelow(dir).map((file) => statSync(join(dir, file)).mtimeMs));
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((file) =>
    statSync(join(dir, file)).isFile(),
  );
}
