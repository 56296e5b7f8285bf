import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { needs } from "../machine.ts";
import { AS_NOBODY, type Want } from "../machine-probe.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const FILES: [string, Want][] = [
  ["test/backends/sandbox/sandbox.test.ts", "ordinary user's sandbox"],
  ["test/backends/process.test.ts", "others"],
  ["test/backends/os/user.test.ts", "others"],
];

/** Where we are no root, those tests are themselves such a run. */
describe("backends keep their promises for an ordinary user:", () => {
  for (const [file, want] of FILES) {
    it(file, { ...needs(want), timeout: 300_000 }, async () => {
      const { code, said } = await vitestAsNobody(file);
      expect(said).toMatch(/^[1-9]\d* passed, 0 failed, \d+ skipped$/m);
      expect(
        said.match(/^skipped: .*$/gm)?.filter((line) => !line.includes("for want of root")) ?? [],
      ).toEqual([]);
      expect(code).toBe(0);
    });
  }
});

async function vitestAsNobody(file: string): Promise<{ code: number; said: string }> {
  const home = mkdtempSync(join(tmpdir(), "lazarus-ordinary-"));
  onTestFinished(() => rmSync(home, { recursive: true }));
  chmodSync(home, 0o777);
  const config = join(home, "vitest.config.mjs");
  writeFileSync(config, configOf(file, home));
  chmodSync(config, 0o644);
  const [command = "", ...words] = [
    ...AS_NOBODY,
    process.execPath,
    join(ROOT, "node_modules/vitest/vitest.mjs"),
  ];
  const env = { PATH: "/usr/bin:/bin", HOME: home, NO_COLOR: "1" };
  const options = { cwd: ROOT, env, maxBuffer: 2 ** 24 };
  return promisify(execFile)(command, [...words, "run", "--config", config], options).then(
    ({ stdout }) => ({ code: 0, said: stdout }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      said: `${error.stdout}\n${error.stderr}`,
    }),
  );
}

function configOf(file: string, home: string): string {
  const test = {
    ...{ include: [join(ROOT, file)], globalSetup: [join(ROOT, "test/machine-probe.ts")] },
    ...{ pool: "forks", maxWorkers: 1, testTimeout: 180_000 },
  };
  const rest = JSON.stringify({ root: ROOT, cacheDir: join(home, "cache"), test }).slice(0, -2);
  return `import { ClosingLine } from ${JSON.stringify(join(ROOT, "test/closing-line.ts"))};
export default ${rest}, "reporters": ["dot", new ClosingLine()]}};
`;
}
