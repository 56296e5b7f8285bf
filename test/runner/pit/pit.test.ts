import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { STATES } from "../../../src/cells/cell.ts";
import { systemClock } from "../../../src/clock.ts";
import { lookAtCell, noCounts, type PitEntry, scan } from "../../../src/runner/pit/pit.ts";
import { createLook } from "../../../src/runner/pit/pit-look.ts";
import { inSlices } from "../../../src/slices.ts";
import { CELL_ID, layCell } from "../../fakes/cell-directory.ts";
import { createFakeClock } from "../../fakes/clock.ts";
import { needs } from "../../machine.ts";

const STALE_MS = 120_000;
const SKEW_MS = 30_000;
const clock = createFakeClock();
const NOW = clock.now();

let root: string;
let cell: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lazarus-pit-"));
  cell = join(root, CELL_ID);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const options = () => ({ root, clock, staleMs: STALE_MS, skewMs: SKEW_MS });
const all = (): PitEntry[] => [...scan(options())];
const only = () => {
  const [one, ...others] = all();
  expect(others).toEqual([]);
  if (one?.kind !== "cell") throw new Error("no cell was found");
  return one;
};
const at = (path: string) => join(cell, path);
const lay = (over: Partial<Parameters<typeof layCell>[1]> = {}) => layCell(root, { now: NOW, ...over });
const replace = (path: string, put: (where: string) => void) => {
  rmSync(at(path), { recursive: true });
  put(at(path));
};

describe("classes", () => {
  it("calls an empty directory with a cell's name uninitialized", () => {
    mkdirSync(cell);
    expect(only()).toEqual({
      kind: "cell",
      id: CELL_ID,
      class: "uninitialized",
      reason: "the directory is empty",
      ageSeconds: null,
    });
  });

  it("names everything that is missing, in the order of the contract", () => {
    mkdirSync(at("state"), { recursive: true });
    writeFileSync(at("note"), "");
    expect(only()).toMatchObject({
      class: "incomplete",
      reason:
        "missing: meta, config, logs, artifacts, worktree, meta/mission.json, config/cell.json, state/heartbeat.json, logs/daemon.log",
    });
  });

  it.each([
    "meta",
    "config",
    "state",
    "logs",
    "artifacts",
    "worktree",
    "meta/mission.json",
    "config/cell.json",
    "state/heartbeat.json",
    "logs/daemon.log",
  ])("is incomplete without %s", (path) => {
    lay();
    rmSync(at(path), { recursive: true });
    const seen = only();
    expect(seen.class).toBe("incomplete");
    expect(seen.reason).toMatch(new RegExp(`^missing: .*\\b${path}(,|$)`));
  });

  it.each([
    ["active", 0, "healthy", "active, heartbeat 0s ago"],
    ["active", STALE_MS - 1, "healthy", "active, heartbeat 119s ago"],
    ["active", STALE_MS, "stale", "active, and no heartbeat for 2m"],
    ["closing", 3 * 86_400_000 + 5, "stale", "closing, and no heartbeat for 3d"],
    ["active", -SKEW_MS, "healthy", "active, heartbeat 0s ago"],
    ["active", -SKEW_MS - 1, "stale", "the heartbeat is 30s from the future, 30s are tolerated"],
    ["closing", -3_600_000, "stale", "the heartbeat is 1h from the future, 30s are tolerated"],
  ])("takes a cell that is %s with a heartbeat of %i ms for %s", (status, ageMs, found, reason) => {
    lay({ status, ageMs });
    expect(only()).toMatchObject({ class: found, reason, ageSeconds: Math.trunc(ageMs / 1000) });
  });

  it.each(STATES.filter((state) => state !== "active" && state !== "closing"))(
    "needs no heartbeat of a cell that is %s",
    (status) => {
      for (const ageMs of [86_400_000, -86_400_000]) {
        lay({ status, ageMs });
        expect(only()).toMatchObject({ class: "healthy", reason: `${status} needs no heartbeat` });
      }
    },
  );

  it("takes an archived cell with an empty worktree, an archive and no home for complete", () => {
    lay({ status: "archived", ageMs: 86_400_000 });
    mkdirSync(at("archive"));
    expect(only().class).toBe("healthy");
  });

  it("understands times with an offset, and a name in capitals", () => {
    const id = CELL_ID.toUpperCase();
    lay({ id });
    writeFileSync(join(root, id, "state/heartbeat.json"), '{"at":"2026-01-05T10:00:00+01:00","state":"x"}');
    expect(only()).toMatchObject({ id, class: "healthy", ageSeconds: 0 });
  });
});

describe("what is wrong in a cell", () => {
  const link = (where: string) => symlinkSync("/etc/passwd", where);
  const fifo = (where: string) => void execFileSync("mkfifo", [where]);
  const dir = (where: string) => void mkdirSync(where);
  const text = (body: string) => (where: string) => writeFileSync(where, body);
  const sparse = (where: string) => {
    writeFileSync(where, "{");
    truncateSync(where, 2 ** 40);
  };
  const STATUS = "meta/mission.json: status is none of proposed, active, idle, closing, archived, destroyed";

  it.each<[string, string, (where: string) => void, string]>([
    ["meta", "a link", (where) => symlinkSync("/etc", where), "meta is a link, not a directory"],
    ["worktree", "a link", (where) => symlinkSync("/", where), "worktree is a link, not a directory"],
    ["logs", "a file", text(""), "logs is a file, not a directory"],
    ["state", "a fifo", fifo, "state is a fifo, not a directory"],
    ["meta/mission.json", "a link", link, "meta/mission.json is a link, not a file"],
    ["meta/mission.json", "a fifo", fifo, "meta/mission.json is a fifo, not a file"],
    ["meta/mission.json", "a directory", dir, "meta/mission.json is a directory, not a file"],
    ["meta/mission.json", "a terabyte of nothing", sparse, "meta/mission.json is larger than 4 MB"],
    ["meta/mission.json", "half", text('{"mission_id": "1'), "meta/mission.json is not JSON, or half of it"],
    ["meta/mission.json", "empty", text(""), "meta/mission.json is empty"],
    ["meta/mission.json", "a list", text("[]"), "meta/mission.json is no JSON object"],
    ["meta/mission.json", "null", text("null"), "meta/mission.json is no JSON object"],
    ["config/cell.json", "a link", link, "config/cell.json is a link, not a file"],
    ["config/cell.json", "a fifo", fifo, "config/cell.json is a fifo, not a file"],
    ["state/heartbeat.json", "a link", link, "state/heartbeat.json is a link, not a file"],
    ["state/heartbeat.json", "a fifo", fifo, "state/heartbeat.json is a fifo, not a file"],
    [
      "state/heartbeat.json",
      "no time",
      text('{"at":"soon","state":"x"}'),
      "state/heartbeat.json: at is not a time",
    ],
    [
      "state/heartbeat.json",
      "a number",
      text('{"at":1,"state":"x"}'),
      "state/heartbeat.json: at is not a time",
    ],
    [
      "state/heartbeat.json",
      "a day",
      text('{"at":"2026-01-05","state":"x"}'),
      "state/heartbeat.json: at is not a time",
    ],
    ["logs/daemon.log", "a link", link, "logs/daemon.log is a link, not a file"],
    ["logs/daemon.log", "a directory", dir, "logs/daemon.log is a directory, not a file"],
  ])("names %s where it is %s", (path, _, put, reason) => {
    lay();
    replace(path, put);
    expect(only()).toMatchObject({ class: "incomplete", reason });
  });

  it.each([
    [
      "another id",
      { mission_id: "x", created_at: "2026-01-05T09:00:00Z", status: "idle" },
      /mission_id is not/,
    ],
    ["no creation", { mission_id: CELL_ID, status: "idle" }, /created_at is not a time/],
    ["a made-up status", { mission_id: CELL_ID, created_at: "2026-01-05T09:00:00Z", status: "done" }, STATUS],
    ["no status", { mission_id: CELL_ID, created_at: "2026-01-05T09:00:00Z" }, STATUS],
    ["nothing", {}, /mission_id.*created_at.*status/],
  ])("names what a mission with %s lacks", (_, mission, reason) => {
    lay();
    writeFileSync(at("meta/mission.json"), JSON.stringify(mission));
    expect(only()).toMatchObject({ class: "incomplete", reason: expect.stringMatching(reason) });
  });

  it("names a socket", async () => {
    lay();
    rmSync(at("state/heartbeat.json"));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at("state/heartbeat.json"), resolve));
    try {
      expect(only().reason).toBe("state/heartbeat.json is a socket or a device, not a file");
    } finally {
      server.close();
    }
  });

  it("quotes nothing that stands in a file", () => {
    lay();
    writeFileSync(at("meta/mission.json"), '{"status": "\u001b[2Jsecret", "mission_id": "secret"}');
    writeFileSync(at("state/heartbeat.json"), "secret");
    expect(only().reason).not.toMatch(/secret|\u001b/);
  });

  it(
    "names what may not be read (as root the command line's test has another user)",
    needs("ordinary user"),
    () => {
      lay();
      chmodSync(at("meta/mission.json"), 0);
      chmodSync(at("config/cell.json"), 0);
      chmodSync(at("worktree"), 0);
      expect(only().reason).toBe(
        "worktree may not be read; meta/mission.json may not be read; config/cell.json may not be read",
      );
      chmodSync(cell, 0);
      expect(only().class).toBe("incomplete");
      chmodSync(cell, 0o700);
    },
  );
});

describe("what is under the root", () => {
  it("tells cells from strangers, and from what is on its way in or out", () => {
    mkdirSync(cell);
    mkdirSync(join(root, `.new-${CELL_ID}`));
    mkdirSync(join(root, `.gone-${CELL_ID}`));
    mkdirSync(join(root, ".new-x"));
    mkdirSync(join(root, "lost+found"));
    writeFileSync(join(root, "README"), "");
    const linked = "00000000-0000-4000-8000-000000000001";
    symlinkSync(cell, join(root, linked));
    symlinkSync("/etc", join(root, `.gone-${linked}`));
    execFileSync("mkfifo", [join(root, "fifo")]);
    mkdirSync(join(root, "odd\n\u001b[31mname"));
    const found = all().map((seen) => (seen.kind === "cell" ? seen.id : `${seen.path}: ${seen.what}`));
    const odd = "a directory whose name is no cell's id";
    expect(found.sort()).toEqual(
      [
        CELL_ID,
        `${root}/${linked}: a link`,
        `${root}/.gone-${linked}: a link`,
        `${root}/.new-x: ${odd}`,
        `${root}/lost+found: ${odd}`,
        `${root}/README: a file`,
        `${root}/fifo: a fifo`,
        `${root}/odd\n\u001b[31mname: ${odd}`,
      ].sort(),
    );
  });

  it("leaves everything as it was: it neither writes nor follows", () => {
    lay();
    symlinkSync("/etc", join(root, "link"));
    const before = execFileSync("find", [root, "-printf", "%p %l %T@ %C@ %m\n"]).toString();
    all();
    expect(execFileSync("find", [root, "-printf", "%p %l %T@ %C@ %m\n"]).toString()).toBe(before);
  });

  it("takes a link for its root, as the server does", () => {
    lay();
    const link = `${root}-link`;
    symlinkSync(root, link);
    try {
      const direct = [...scan({ ...options(), root })].length;
      expect([...scan({ ...options(), root: link })]).toHaveLength(direct);
      expect(direct).toBeGreaterThan(0);
    } finally {
      rmSync(link);
    }
  });

  it.each<[string, () => void, RegExp]>([
    ["is missing", () => rmSync(root, { recursive: true }), /looking into .*: it is missing \(missions in/],
    [
      "is a link to nothing",
      () => {
        rmSync(root, { recursive: true });
        symlinkSync(`${root}-gone`, root);
      },
      /it is missing/,
    ],
    [
      "is a file",
      () => {
        rmSync(root, { recursive: true });
        writeFileSync(root, "");
      },
      /it is a file, not a directory/,
    ],
  ])("refuses a root that %s", (_, spoil, why) => {
    spoil();
    try {
      expect(() => all()).toThrowError(
        expect.objectContaining({ code: "directory", message: expect.stringMatching(why) }),
      );
    } finally {
      rmSync(`${root}-real`, { recursive: true, force: true });
    }
  });

  it("leaves out a cell that vanishes while the scan is under way", () => {
    const ids = Array.from(
      { length: 700 },
      (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
    );
    for (const id of ids) mkdirSync(join(root, id));
    const seen: PitEntry[] = [];
    for (const one of scan(options())) {
      if (seen.length === 0)
        for (const id of ids)
          if (one.kind === "cell" && id !== one.id) rmSync(join(root, id), { recursive: true });
      seen.push(one);
    }
    // A file system in memory may list what is left once more.
    expect(new Set(seen.map((one) => ("id" in one ? one.id : one.kind))).size).toBe(1);
  });

  it("takes a cell that was renamed away half-way through for gone, not for incomplete", () => {
    lay();
    const look = createLook({ staleMs: STALE_MS, skewMs: SKEW_MS });
    renameSync(cell, join(root, `.gone-${CELL_ID}`));
    expect(look(cell, CELL_ID, NOW)).toBeNull();
    expect(lookAtCell(options(), CELL_ID)).toBeNull();
  });

  it("closes the root again, also where nobody wanted the rest", () => {
    for (let n = 0; n < 40; n++) mkdirSync(join(root, `dir-${n}`));
    const open = () =>
      readdirSync("/proc/self/fd").filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
        } catch {
          // Closed since its name was read.
          return false;
        }
      });
    const half = scan(options());
    half.next();
    expect(open()).toHaveLength(1);
    half.return();
    for (let n = 0; n < 20; n++) for (const _ of scan(options())) break;
    expect(open()).toEqual([]);
  });
});

describe("a scan in slices", () => {
  it("finds the same, lets others have the event loop, and ends when it is told to", async () => {
    const ids = Array.from(
      { length: 300 },
      (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
    );
    for (const id of ids) mkdirSync(join(root, id));
    const counts = noCounts();
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await inSlices(scan(options()), { sliceMs: 1, clock: systemClock }, (seen) => {
      if (seen.kind === "cell") counts[seen.class]++;
    });
    clearInterval(timer);
    expect(counts).toEqual({ ...noCounts(), uninitialized: 300 });
    expect(turns).toBeGreaterThan(0);

    const ending = new AbortController();
    let handed = 0;
    const cut = inSlices(scan(options()), { sliceMs: 0, clock: systemClock, signal: ending.signal }, () => {
      if (++handed === 10) ending.abort(new Error("enough"));
    });
    await expect(cut).rejects.toThrow("enough");
    expect(handed).toBe(10);
  });
});

it("reads a file that grew beyond the usual", () => {
  lay();
  appendFileSync(at("meta/mission.json"), " ".repeat(200_000));
  expect(only().class).toBe("healthy");
});
