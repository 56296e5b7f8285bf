import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { CellFiles } from "../../src/dashboard/deps.ts";
import { createCellFiles } from "../../src/http/cell-files.ts";
import { createRedactor } from "../../src/redact.ts";
import { type ControlRig, createControl } from "../fakes/control-rig.ts";

const SECRET = "schlüssel-7f3a91c2";
const MOST_BYTES = 1_000;

let rig: ControlRig;
let files: CellFiles;
beforeEach(() => {
  rig = createControl();
  rig.idle();
  mkdirSync(join(dirOf(), "artifacts/reports"), { recursive: true });
  mkdirSync(rig.config.dataDir, { recursive: true });
  const { config, registry } = rig;
  files = createCellFiles({ config, registry, redact: createRedactor([SECRET]).redact });
});

afterEach(() => rig.remove());

const dirOf = () => join(rig.config.missionsDir, rig.cell().id);

/** What somebody gets who asks for an artifact; `write` puts it there. */
async function artifact(path: string, write: (at: string) => void) {
  const at = join(dirOf(), "artifacts", path);
  mkdirSync(dirname(at), { recursive: true });
  write(at);
  return files.artifact(rig.cell(), path, MOST_BYTES);
}

it("shows an artifact without the secrets in it, letters of all languages included", async () => {
  const found = await artifact("reports/r.md", (at) => writeFileSync(at, `Grüße: ${SECRET}\n`));
  const text = found?.bytes.toString() ?? "";
  expect(text).toMatch(/^Grüße: /);
  expect(text).not.toContain(SECRET);
});

it("shows what is no text as it is", async () => {
  const bytes = Buffer.from([0xff, 0xfe, 0x00, 0xfc, 0x0a]);
  expect((await artifact("image", (at) => writeFileSync(at, bytes)))?.bytes).toEqual(bytes);
});

it("opens nothing that leads out of the cell, and nothing that is no file of one name", async () => {
  const outside = join(rig.config.missionsDir, "outside");
  writeFileSync(outside, "of somebody else");
  expect(await artifact("link", (at) => symlinkSync(outside, at)).catch(() => null)).toBeNull();
  expect(await artifact("twin", (at) => linkSync(outside, at))).toBeNull();
  expect(await artifact("pipe", (at) => void execFileSync("mkfifo", [at]))).toBeNull();
  for (const path of ["../config", "reports/../../x", "", "a//b", "/etc/passwd"])
    expect(await files.artifact(rig.cell(), path, MOST_BYTES)).toBeNull();
  const listed = await files.artifacts(rig.cell());
  expect(listed.map((one) => one.path)).toEqual(["twin"]);
});

it("says that one is too large, and shows nothing of it", async () => {
  const found = await artifact("large", (at) => writeFileSync(at, "x".repeat(MOST_BYTES + 1)));
  expect(found).toEqual({ bytes: Buffer.alloc(0), cut: true });
});
