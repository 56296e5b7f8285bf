import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { build } from "vite";
import { PROGRAMS } from "./fakes/programs.ts";

const ROOT = resolve(import.meta.dirname, "..");
const CONFIG = join(ROOT, "vite.build.config.ts");

/**
 * Builds what is older than the code: `dist/`, since the end-to-end tests start the program as people do, and
 * the programs that tests start beside it, which would be compiled at each start otherwise.
 */
export default async function setup(): Promise<void> {
  const newest = Math.max(youngest(join(ROOT, "src")), statSync(CONFIG).mtimeMs);
  const isOld = (built: string, than = 0) =>
    !existsSync(built) || statSync(built).mtimeMs < Math.max(newest, than);
  if (
    ["cli/main.js", "runner/scan-secrets.js", "runner/worker.js"].some((file) =>
      isOld(join(ROOT, "dist", file)),
    )
  )
    await bundle(null, join(ROOT, "dist"));
  for (const { source, built } of Object.values(PROGRAMS))
    if (isOld(built, statSync(source).mtimeMs)) await bundle(source, dirname(built));
}

async function bundle(source: string | null, outDir: string): Promise<void> {
  // Aside first: a program that starts at this moment must not read half a file.
  mkdirSync(outDir, { recursive: true });
  const fresh = mkdtempSync(join(outDir, ".new-"));
  try {
    const own =
      source === null ? {} : { ssr: source, rolldownOptions: { output: { entryFileNames: "[name].js" } } };
    await build({ root: ROOT, configFile: CONFIG, logLevel: "warn", build: { outDir: fresh, ...own } });
    for (const file of filesBelow(fresh)) {
      const to = join(outDir, file);
      mkdirSync(dirname(to), { recursive: true });
      renameSync(join(fresh, file), to);
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function youngest(dir: string): number {
  return Math.max(...filesBelow(dir).map((file) => statSync(join(dir, file)).mtimeMs));
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((file) =>
    statSync(join(dir, file)).isFile(),
  );
}
