import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lookAtCell } from "../../../src/runner/pit/pit.ts";
import { CONTRACT } from "../../../src/runner/pit/pit-look.ts";
import { initCell, provideRoot } from "../../../src/runner/pit/scaffold.ts";
import { CELL_ID, layCell } from "../../fakes/cell-directory.ts";
import { createFakeClock } from "../../fakes/clock.ts";

const clock = createFakeClock();
const CONTRACT_PATHS = [...CONTRACT.directories, ...CONTRACT.files];

let root: string;
let cell: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lazarus-scaffold-"));
  cell = join(root, CELL_ID);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const init = () => initCell(root, CELL_ID, clock);
const look = () => lookAtCell({ root, clock, staleMs: 120_000, skewMs: 30_000 }, CELL_ID);
const at = (path: string) => join(cell, path);
/** Everything there is, with times, sizes and modes. */
const picture = () => execFileSync("find", [root, "-printf", "%p %l %T@ %C@ %m %s\n"]).toString();

describe("a scaffold", () => {
  it("is whole, proposed and its owner's alone", async () => {
    expect(await init()).toEqual(CONTRACT_PATHS);
    expect(look()).toMatchObject({ class: "healthy", reason: "proposed needs no heartbeat" });
    expect(JSON.parse(readFileSync(at("meta/mission.json"), "utf8"))).toMatchObject({
      mission_id: CELL_ID,
      created_at: "2026-01-05T09:00:00.000Z",
      status: "proposed",
      history: [{ from: null, to: "proposed" }],
    });
    expect(JSON.parse(readFileSync(at("config/cell.json"), "utf8"))).toMatchObject({
      worktree: at("worktree"),
      artifacts: at("artifacts"),
      heartbeat: at("state/heartbeat.json"),
      logs: at("logs"),
    });
    for (const line of execFileSync("find", [cell, "-printf", "%y %m\n"]).toString().trim().split("\n"))
      expect(["d 700", "f 600"]).toContain(line);
    expect(readdirSync(root)).toEqual([CELL_ID]);
    expect(readdirSync(at("meta"))).toEqual(["mission.json"]);
  });

  it("is made in an empty directory, too", async () => {
    mkdirSync(cell);
    expect(await init()).toEqual(CONTRACT_PATHS);
    expect(existsSync(at("artifacts/handoff"))).toBe(true);
  });

  it("changes nothing where all is there, whatever its state", async () => {
    layCell(root, { now: clock.now(), status: "archived", ageMs: 1e9 });
    const before = picture();
    expect(await init()).toEqual([]);
    expect(picture()).toBe(before);
    rmSync(cell, { recursive: true });
    layCell(root, { now: clock.now(), status: "active", ageMs: 1e9 });
    const stale = picture();
    expect(await init()).toEqual([]);
    expect(picture()).toBe(stale);
  });

  it.each(CONTRACT_PATHS)("is completed where %s is missing", async (path) => {
    layCell(root, { now: clock.now(), status: "idle" });
    rmSync(at(path), { recursive: true });
    const mission = path.startsWith("meta") ? null : readFileSync(at("meta/mission.json"), "utf8");
    const made = CONTRACT_PATHS.filter((one) => one === path || one.startsWith(`${path}/`));
    expect(await init()).toEqual(made);
    expect(look()?.class).toBe("healthy");
    if (mission !== null) expect(readFileSync(at("meta/mission.json"), "utf8")).toBe(mission);
    expect(readFileSync(at("logs/daemon.log"), "utf8")).toContain('"by":"pit"');
    // What only a new cell gets.
    expect(existsSync(at("home"))).toBe(false);
  });

  it("overwrites nothing, not even what it cannot read, and follows no link", async () => {
    layCell(root, { now: clock.now() });
    const outside = mkdtempSync(join(tmpdir(), "lazarus-outside-"));
    try {
      writeFileSync(at("meta/mission.json"), "half");
      rmSync(at("state"), { recursive: true });
      symlinkSync(outside, at("state"));
      rmSync(at("logs/daemon.log"));
      symlinkSync(join(outside, "log"), at("logs/daemon.log"));
      rmSync(at("config/cell.json"));
      execFileSync("mkfifo", [at("config/cell.json")]);
      rmSync(at("artifacts"), { recursive: true });
      expect(await init()).toEqual(["artifacts"]);
      expect(readFileSync(at("meta/mission.json"), "utf8")).toBe("half");
      expect(lstatSync(at("config/cell.json")).isFIFO()).toBe(true);
      expect(lstatSync(at("logs/daemon.log")).isSymbolicLink()).toBe(true);
      expect(readdirSync(outside)).toEqual([]);
      expect(look()?.class).toBe("incomplete");
      expect(await init()).toEqual([]);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  it("is made in the open where a killed attempt left half of one aside", async () => {
    mkdirSync(join(root, `.new-${CELL_ID}`, "meta"), { recursive: true });
    writeFileSync(join(root, `.new-${CELL_ID}`, "junk"), "");
    expect(await init()).toEqual(CONTRACT_PATHS);
    expect(look()?.class).toBe("healthy");
    expect(existsSync(at("junk"))).toBe(false);
  });

  it("is made once by many at the same time, and nothing is left over", async () => {
    const made = (await Promise.all(Array.from({ length: 12 }, init))).flat();
    expect(look()?.class).toBe("healthy");
    expect([...new Set(made)].sort()).toEqual([...CONTRACT_PATHS].sort());
    expect(readdirSync(root)).toEqual([CELL_ID]);
    for (const name of CONTRACT.directories)
      expect(readdirSync(at(name)).filter((one) => one.startsWith("."))).toEqual([]);
  });

  it.each<[string, () => void]>([
    ["a file", () => writeFileSync(cell, "")],
    ["a link", () => symlinkSync("/tmp", cell)],
  ])("is refused where %s bears its name", async (_, put) => {
    put();
    const before = picture();
    await expect(init()).rejects.toMatchObject({
      code: "directory",
      message: expect.stringContaining(`${cell} is not a directory`),
    });
    expect(picture()).toBe(before);
  });

  it.each(["", "..", "../../etc", "x", `${CELL_ID}/..`, `${CELL_ID}0`, `${CELL_ID}\n`])(
    "is refused for %j, which is no UUID",
    async (id) => {
      await expect(initCell(root, id, clock)).rejects.toMatchObject({ code: "usage" });
      expect(readdirSync(root)).toEqual([]);
    },
  );
});

describe("the missions root", () => {
  it("is made passable and not to be listed, with what leads to it", () => {
    provideRoot(join(root, "a", "b"));
    expect(lstatSync(join(root, "a", "b")).mode & 0o777).toBe(0o711);
    provideRoot(join(root, "a", "b"));
  });

  it.each<[string, (where: string) => void, string]>([
    ["a file", (where) => writeFileSync(where, ""), "not a directory"],
    ["a link to nothing", (where) => symlinkSync("/nowhere", where), "it is missing"],
  ])("is refused where it is %s", (_, put, why) => {
    put(join(root, "m"));
    expect(() => provideRoot(join(root, "m"))).toThrow(why);
  });
});
