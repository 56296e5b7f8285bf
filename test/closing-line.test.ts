import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");
const VITEST = join(ROOT, "node_modules", "vitest", "vitest.mjs");

describe("the closing line", () => {
  let dir: string;
  beforeEach(async () => {
    // Below the checkout, so that vitest is found from there.
    dir = await mkdtemp(join(ROOT, "node_modules", ".closing-line-"));
    const reporter = JSON.stringify(join(import.meta.dirname, "closing-line.ts"));
    await writeFile(
      join(dir, "vitest.config.ts"),
      `import { ClosingLine } from ${reporter};
export default { test: { include: ["*.test.ts"], reporters: ["default", new ClosingLine()] } };`,
    );
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  /**
   * Runs vitest as a person would, on these files; answers its exit code and the closing lines of its output.
   */
  async function run(files: Readonly<Record<string, string>>): Promise<{ code: number; last: string[] }> {
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(dir, name), `import { describe, expect, it } from "vitest";\n${text}\n`);
    }
    const ended = await promisify(execFile)(process.execPath, [VITEST, "run", "--root", dir], {
      env: { PATH: process.env.PATH },
    }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { code: number; stdout: string }) => error,
    );
    const lines = ended.stdout.trimEnd().split("\n");
    return { code: ended.code, last: lines.slice(lines.lastIndexOf("") + 1) };
  }

  it("counts what passed, and what was skipped", async () => {
    expect(
      await run({
        "a.test.ts": 'it("a", () => {}); it("b", () => {}); it.skip("c", () => {}); it.todo("d");',
      }),
    ).toEqual({ code: 0, last: ["skipped: 2 that do not say why", "2 passed, 0 failed, 2 skipped"] });
  });

  it("says for want of what tests were skipped, most first, in suites too", async () => {
    const text = `const lacking = (lacks) => ({ skip: true, meta: { lacks } });
it("a", lacking("root"), () => {});
describe("b", lacking("a sandbox: none"), () => {
  it("c", () => {});
  describe.each([1, 2])("d %i", () => { it("e", () => {}); });
});
it("f", { skip: false, meta: {} }, () => {});`;
    expect(await run({ "a.test.ts": text })).toEqual({
      code: 0,
      last: [
        "skipped: 3 for want of a sandbox: none",
        "skipped: 1 for want of root",
        "1 passed, 0 failed, 4 skipped",
      ],
    });
  });

  it("counts what failed, and a file that does not load", async () => {
    expect(
      await run({
        "a.test.ts": 'it("a", () => {}); it("b", () => expect(1).toBe(2));',
        "b.test.ts": 'throw new Error("no");',
      }),
    ).toEqual({ code: 1, last: ["1 passed, 2 failed, 0 skipped"] });
  });

  it("counts an error that belongs to no test", async () => {
    const text = 'it("a", async () => { void Promise.reject(new Error("stray")); });';
    expect(await run({ "a.test.ts": text })).toEqual({ code: 1, last: ["1 passed, 1 failed, 0 skipped"] });
  });
});
