import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { closedDirectory } from "../../src/backends/os/user.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const NOBODY = { uid: 65_534, gid: 65_534, groups: [] };
const FILES = ["sandbox", "process", "user"].map((name) => join(ROOT, `test/backends/${name}.test.ts`));

/** Where we are no root, those tests are themselves such a run; and nobody can run what nobody can read. */
const CLOSED = closedDirectory(join(ROOT, "package.json"), NOBODY);
const MISSING = CLOSED === null ? null : `${CLOSED} is closed to others`;

if (process.getuid?.() === 0) {
  it.skipIf(MISSING !== null)(
    `backends keep their promises for an ordinary user${MISSING === null ? "" : ` (NOT TRIED: ${MISSING})`}`,
    { timeout: 180_000 },
    async () => {
      const home = mkdtempSync(join(tmpdir(), "lazarus-ordinary-"));
      onTestFinished(() => rmSync(home, { recursive: true }));
      chmodSync(home, 0o777);
      const config = join(home, "vitest.config.mjs");
      const test = { include: FILES, pool: "forks", maxWorkers: 1, testTimeout: 30_000 };
      writeFileSync(
        config,
        `export default ${JSON.stringify({ root: ROOT, cacheDir: join(home, "cache"), test })};\n`,
      );
      chmodSync(config, 0o644);
      const { uid, gid } = NOBODY;
      const words = ["--reuid", String(uid), "--regid", String(gid), "--clear-groups", process.execPath];
      const vitest = [
        join(ROOT, "node_modules/vitest/vitest.mjs"),
        "run",
        "--config",
        config,
        "--reporter",
        "dot",
      ];
      const env = { PATH: "/usr/bin:/bin", HOME: home, NO_COLOR: "1" };
      const options = { cwd: ROOT, env, maxBuffer: 2 ** 24 };
      const ended = await promisify(execFile)("setpriv", [...words, ...vitest], options).catch(
        (error: { stdout: string; stderr: string }) => error,
      );
      expect(`${ended.stdout}\n${ended.stderr}`).toMatch(/Test Files {2}3 passed \(3\)/);
    },
  );
}
