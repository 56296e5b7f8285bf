import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CELL_ID, layCell } from "../fakes/cell-directory.ts";
import { listenForWords } from "../fakes/service-manager.ts";
import { Systemd } from "../fakes/systemd.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";

const BIN = resolve(import.meta.dirname, "../../bin/lazarus.js");
const OTHER = "00000000-0000-4000-8000-000000000001";

let dir: string;
let root: string;
let config: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-pit-cli-"));
  root = join(dir, "missions");
  config = join(dir, "lazarus.yaml");
  // Secrets that are not there, a forge that is not: the pit needs neither.
  const forge = "forge: {url: 'https://git.example.org', token: '$" + "{NO_SUCH_TOKEN}'}";
  writeFileSync(config, `${forge}\ndata: ./data\nmissions: ./missions\npit: {scan: 1s}\n`);
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

const children: ChildProcess[] = [];
interface Started {
  readonly child: ChildProcess;
  readonly out: { text: string; errors: string };
}
function start(
  words: readonly string[],
  more: { env?: Record<string, string>; user?: number } = {},
): Started {
  const child = spawn(process.execPath, [BIN, ...words], {
    cwd: dir,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH ?? "", ...more.env },
    ...(more.user === undefined ? {} : { uid: more.user, gid: more.user }),
  });
  children.push(child);
  const out = { text: "", errors: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    out.text += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    out.errors += chunk.toString();
  });
  return { child, out };
}
async function pit(words: readonly string[], more: Parameters<typeof start>[1] = {}) {
  const { child, out } = start(["--config", config, "pit", ...words], more);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout: out.text, stderr: out.errors };
}
const at = (path: string) => join(root, CELL_ID, path);
const lay = (cell: Partial<Parameters<typeof layCell>[1]> = {}) =>
  layCell(root, { now: Date.now(), ...cell });
const json = (text: string) => JSON.parse(text) as Record<string, unknown>;

describe("on a bare machine", () => {
  it("makes a scaffold, and reports that one cell", async () => {
    const { code, stdout, stderr } = await pit(["--init-cell", CELL_ID, "--json"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(json(stdout)).toEqual({
      generated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      root,
      initialized: { id: CELL_ID, made: expect.arrayContaining(["meta/mission.json", "logs/daemon.log"]) },
      counts: { healthy: 1, stale: 0, incomplete: 0, uninitialized: 0 },
      cells: [{ id: CELL_ID, class: "healthy", reason: "proposed needs no heartbeat", age_seconds: 0 }],
      strangers: [],
    });
    expect(lstatSync(root).mode & 0o777).toBe(0o711);
    expect(existsSync(join(dir, "data"))).toBe(false);

    const again = await pit(["--init-cell", CELL_ID.toUpperCase(), "--json"]);
    expect(json(again.stdout)).toMatchObject({
      initialized: { id: CELL_ID, made: [] },
      counts: { healthy: 1 },
    });
    const said = await pit(["--init-cell", CELL_ID]);
    expect([said.code, said.stdout]).toEqual([
      0,
      `cell ${CELL_ID}: nothing was changed; healthy: proposed needs no heartbeat\n`,
    ]);
  });

  it("writes its heartbeat and makes one document, in which there is nothing yet", async () => {
    const { code, stdout, stderr } = await pit(["--write-heartbeat", "--json"]);
    expect([code, stderr]).toEqual([0, ""]);
    const counts = { healthy: 0, stale: 0, incomplete: 0, uninitialized: 0 };
    expect(json(stdout)).toEqual({
      generated_at: expect.any(String),
      root,
      counts,
      cells: [],
      strangers: [],
    });
    const beat = json(readFileSync(join(dir, "data", "pit-heartbeat.json"), "utf8"));
    expect(beat).toMatchObject({ state: "done", by: "pit", root, counts });
    expect(Math.abs(Date.now() - Date.parse(String(beat.at)))).toBeLessThan(60_000);
    expect(readdirSync(join(dir, "data"))).toEqual(["pit-heartbeat.json"]);
  });

  it("needs no configuration at all, only to know where", async () => {
    const env = { LAZARUS_DATA: join(dir, "d"), LAZARUS_MISSIONS: join(dir, "m") };
    const { child, out } = start(["pit", "--init-cell", CELL_ID, "--write-heartbeat", "--json"], { env });
    rmSync(config);
    const [code] = await once(child, "close");
    expect([code, out.errors]).toEqual([0, ""]);
    expect(json(out.text)).toMatchObject({ root: join(dir, "m"), counts: { healthy: 1 } });
    expect(existsSync(join(dir, "d", "pit-heartbeat.json"))).toBe(true);
  });

  it("takes JSON as its configuration", async () => {
    writeFileSync(config, JSON.stringify({ missions: root, data: join(dir, "data") }));
    expect((await pit(["--init-cell", CELL_ID, "--json"])).code).toBe(0);
  });
});

describe("exit codes", () => {
  it("is 0 where all are healthy, strangers or not", async () => {
    lay();
    lay({ id: OTHER, status: "archived", ageMs: 1e9 });
    writeFileSync(join(root, "note"), "");
    symlinkSync("/etc", join(root, "link"));
    const { code, stdout } = await pit(["--once"]);
    expect(code).toBe(0);
    expect(stdout.replace(/\b\d(?=s )/g, "N")).toBe(
      [
        "CELL                                  CLASS          AGE   REASON",
        `${OTHER}  healthy        11d   archived needs no heartbeat`,
        `${CELL_ID}  healthy        Ns    active, heartbeat Ns ago`,
        "",
        "Strangers, left alone:",
        `${root}/link  a link`,
        `${root}/note  a file`,
        "",
        `2 cells in ${root}: 2 healthy; strangers: 2`,
        "",
      ].join("\n"),
    );
  });

  it.each<[string, () => void, string]>([
    ["stale", () => void lay({ ageMs: 3_600_000 }), "active, and no heartbeat for 1h"],
    [
      "incomplete",
      () => {
        lay();
        rmSync(at("config"), { recursive: true });
      },
      "missing: config, config/cell.json",
    ],
    [
      "uninitialized",
      () => void mkdirSync(join(root, CELL_ID), { recursive: true }),
      "the directory is empty",
    ],
  ])("is 1 where a cell is %s", async (found, make, reason) => {
    make();
    lay({ id: OTHER });
    const once = await pit(["--once"]);
    expect([once.code, once.stderr]).toEqual([1, ""]);
    // The one that is not well comes first.
    expect(once.stdout.split("\n")[1]).toMatch(new RegExp(`^${CELL_ID}  ${found} `));
    const asJson = await pit(["--json"]);
    expect(asJson.code).toBe(1);
    expect(json(asJson.stdout)).toMatchObject({ counts: { healthy: 1, [found]: 1 } });
    expect(json(asJson.stdout).cells).toContainEqual(
      expect.objectContaining({ id: CELL_ID, class: found, reason }),
    );
  });

  it.each<[string, readonly string[], () => void, RegExp]>([
    [
      "the root is missing",
      ["--once"],
      () => {},
      /looking into .*missions: it is missing \(missions in lazarus\.yaml\)/,
    ],
    ["the root is a file", ["--once"], () => writeFileSync(root, ""), /it is a file, not a directory/],
    [
      "the root is a link to nothing",
      ["--once"],
      () => symlinkSync(`${root}-gone`, root),
      /looking into .*missions: it is missing/,
    ],
    [
      "the root is a link to nothing",
      ["--init-cell", CELL_ID],
      () => symlinkSync(`${root}-gone`, root),
      /making the missions root/,
    ],
    [
      "the root cannot be made",
      ["--init-cell", CELL_ID],
      () => writeFileSync(config, "missions: /proc/nowhere/m\n"),
      /making the missions root \/proc\/nowhere\/m \(missions in lazarus\.yaml\)/,
    ],
    [
      "data cannot be made",
      ["--write-heartbeat"],
      () => writeFileSync(config, `missions: ${root}\ndata: /proc/nowhere\n`),
      /making \/proc\/nowhere: .*\(data in lazarus\.yaml\)/,
    ],
    [
      "data is a file",
      ["--write-heartbeat"],
      () => writeFileSync(join(dir, "data"), ""),
      /data in lazarus\.yaml/,
    ],
    ["it is no UUID", ["--init-cell", "../x"], () => {}, /--init-cell takes a UUID, not "\.\.\/x"/],
    ["it is missing", ["--init-cell"], () => {}, /argument missing/],
    ["a flag is unknown", ["--twice"], () => {}, /unknown option/],
    ["the configuration is not there", ["--once"], () => rmSync(config), /no such file/],
    [
      "the configuration is wrong",
      ["--once"],
      () => writeFileSync(config, "pit: {stale: soon}"),
      /pit\.stale/,
    ],
  ])("is 2, with the reason, where %s", async (_, words, spoil, why) => {
    spoil();
    const said = await pit(words);
    expect([said.code, said.stdout]).toEqual([2, ""]);
    expect(said.stderr).toMatch(why);
    if (/argument missing|unknown/.test(said.stderr)) return;
    const asJson = await pit([...words, "--json"]);
    expect([asJson.code, asJson.stderr]).toEqual([2, ""]);
    expect(json(asJson.stdout)).toEqual({
      error: { code: expect.any(String), message: expect.stringMatching(why) },
    });
  });

  it(
    "is 2 for root where the missions are somebody else's, and leaves nothing behind",
    needs("root"),
    async () => {
      mkdirSync(root);
      chownSync(root, 12_345, 12_345);
      const said = await pit(["--init-cell", CELL_ID]);
      expect([said.code, said.stderr]).toEqual([
        2,
        expect.stringContaining("belongs to user 12345 and this is root"),
      ]);
      expect(readdirSync(root)).toEqual([]);
      expect((await pit(["--once"])).code).toBe(0);
    },
  );

  it("names what an ordinary user may not read", needs("others"), async () => {
    chmodSync(dir, 0o755);
    lay();
    lay({ id: OTHER });
    const user = 12_345;
    execFileSync("chown", ["-R", `${user}:${user}`, root]);
    chmodSync(at("meta/mission.json"), 0);
    chmodSync(at("config/cell.json"), 0);
    chmodSync(at("worktree"), 0);
    chmodSync(join(root, OTHER), 0);
    const { code, stdout } = await pit(["--json"], { user });
    expect(code).toBe(1);
    const cells = json(stdout).cells as { id: string; reason: string }[];
    expect(Object.fromEntries(cells.map((cell) => [cell.id, cell.reason]))).toEqual({
      [CELL_ID]:
        "worktree may not be read; meta/mission.json may not be read; config/cell.json may not be read",
      [OTHER]: expect.stringContaining("may not be read"),
    });
    chmodSync(root, 0);
    const shut = await pit(["--once"], { user });
    expect([shut.code, shut.stderr]).toEqual([2, expect.stringContaining("it may not be read")]);
  });
});

it("completes what is incomplete and says what stays wrong", async () => {
  lay();
  rmSync(at("artifacts"), { recursive: true });
  writeFileSync(at("meta/mission.json"), "{ha");
  const said = await pit(["--init-cell", CELL_ID]);
  expect([said.code, said.stdout]).toEqual([
    1,
    `cell ${CELL_ID}: made artifacts; incomplete: meta/mission.json is not JSON, or half of it\n`,
  ]);
  expect(readFileSync(at("meta/mission.json"), "utf8")).toBe("{ha");
});

it("looks at all the others, too, where that is asked for with a scaffold", async () => {
  lay({ id: OTHER, ageMs: 3_600_000 });
  const { code, stdout } = await pit(["--init-cell", CELL_ID, "--once", "--json"]);
  expect(code).toBe(1);
  expect(json(stdout)).toMatchObject({ initialized: { id: CELL_ID }, counts: { healthy: 1, stale: 1 } });
});

it("shows names so that they steer no terminal, and as they are to programs", async () => {
  const odd = "a\u001b[2Jb\n\u202ec\u009bd";
  mkdirSync(join(root, odd), { recursive: true });
  const shown = await pit(["--once"]);
  expect(shown.stdout).toContain(`${root}/a\\u{1b}[2Jb\\u{a}\\u{202e}c\\u{9b}d  a directory whose name`);
  const { stdout } = await pit(["--json"]);
  expect(stdout).not.toMatch(/[\u001b\u009b\u202e]/);
  expect(json(stdout).strangers).toEqual([{ path: join(root, odd), what: expect.any(String) }]);
});

it("streams thousands of cells as one document", async () => {
  mkdirSync(root);
  for (let n = 0; n < 3_000; n++)
    mkdirSync(join(root, `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`));
  const { code, stdout } = await pit(["--json"]);
  expect(code).toBe(1);
  const report = json(stdout);
  expect(new Set((report.cells as { id: string }[]).map((cell) => cell.id)).size).toBe(3_000);
  expect(report.counts).toEqual({ healthy: 0, stale: 0, incomplete: 0, uninitialized: 3_000 });
});

describe("for ever", () => {
  const lines = (started: Started) =>
    started.out.text
      .split("\n")
      .slice(0, -1)
      .map((line) => line.replace(/^\S+ /, ""));
  const watching = (started: Started, count: number) =>
    until(
      `it said ${count} things: ${started.out.text}${started.out.errors}`,
      () => lines(started).length >= count,
    );

  it.each(["SIGTERM", "SIGINT"] as const)(
    "says what changed and nothing else, until %s, which is 0",
    async (signal) => {
      lay({ status: "idle" });
      const started = start(["--config", config, "pit", "--write-heartbeat"]);
      await watching(started, 1);
      expect(lines(started)).toEqual([`watching 1 cell in ${root}: 1 healthy; looking each 1s`]);
      const beat = join(dir, "data", "pit-heartbeat.json");
      const first = readFileSync(beat, "utf8");
      expect(json(first)).toMatchObject({ state: "running", pid: started.child.pid });
      mkdirSync(join(root, OTHER));
      await watching(started, 2);
      rmSync(at("logs"), { recursive: true });
      await watching(started, 3);
      rmSync(join(root, OTHER), { recursive: true });
      writeFileSync(join(root, "note"), "");
      await watching(started, 5);
      rmSync(join(root, "note"));
      expect((await pit(["--init-cell", CELL_ID])).code).toBe(0);
      const isWell = (line: string) => line.startsWith(`${CELL_ID} healthy`);
      await until("it is healthy again", () => lines(started).some(isWell));
      await until("the note is gone", () => lines(started).some((line) => line.includes("note is gone")));
      utimesSync(root, 1, 1);
      await until("it has looked once more", () => json(readFileSync(beat, "utf8")).at !== json(first).at);
      started.child.kill(signal);
      const [code] = await once(started.child, "close");
      expect([code, started.out.errors]).toEqual([0, ""]);
      // A look may fall between the directory that is made anew and its file.
      const half = `${CELL_ID} incomplete: missing: logs/daemon.log`;
      const told = lines(started)
        .slice(1)
        .filter((line) => !line.startsWith(half))
        .map((line) => line.replace(/ \(was incomplete.*/, " (was incomplete)"));
      expect(told.sort()).toEqual(
        [
          `${OTHER} uninitialized: the directory is empty`,
          `${CELL_ID} incomplete: missing: logs, logs/daemon.log (was healthy)`,
          `${OTHER} is gone (was uninitialized)`,
          `${root}/note no cell, a file`,
          `${root}/note is gone (was no cell, a file)`,
          `${CELL_ID} healthy: idle needs no heartbeat (was incomplete)`,
        ].sort(),
      );
    },
  );

  it("ends with 2 where the first look fails, and goes on where a later one does", async () => {
    expect((await pit([])).code).toBe(2);
    mkdirSync(root);
    const started = start(["--config", config, "pit"]);
    await watching(started, 1);
    rmSync(root, { recursive: true });
    await watching(started, 2);
    mkdirSync(root);
    await watching(started, 3);
    started.child.kill("SIGTERM");
    expect((await once(started.child, "close"))[0]).toBe(0);
    expect(lines(started).slice(1)).toEqual([
      `lazarus: looking into ${root}: it is missing (missions in lazarus.yaml); trying again`,
      "it goes on",
    ]);
  });

  it("tells the service manager that started it", needs("python3"), async () => {
    lay();
    const words = await listenForWords(join(dir, "notify"));
    try {
      const env = { NOTIFY_SOCKET: words.socket, WATCHDOG_USEC: "200000" };
      const started = start(["--config", config, "pit"], { env });
      await words.until((all) => all.filter((one) => one.text === "WATCHDOG=1").length >= 3);
      started.child.kill("SIGTERM");
      await once(started.child, "close");
      await words.until((all) => all.some((one) => one.text === "STOPPING=1"));
      expect(words.all[0]).toEqual({
        text: `READY=1\nSTATUS=1 cell in ${root}: 1 healthy`,
        pid: started.child.pid,
      });
      expect(words.all.at(-1)?.text).toBe("STOPPING=1");
      expect(started.out.errors).toBe("");
    } finally {
      await words.close();
    }
  });

  it("does no harm where there are two of them on one root", async () => {
    mkdirSync(root);
    const both = [
      start(["--config", config, "pit", "--write-heartbeat"]),
      start(["--config", config, "pit", "--write-heartbeat"]),
    ];
    for (const one of both) await watching(one, 1);
    const ids = Array.from({ length: 6 }, (_, n) => `00000000-0000-4000-8000-00000000000${n}`);
    const made = await Promise.all([...ids, ...ids].map((id) => pit(["--init-cell", id, "--json"])));
    expect(made.map((one) => [one.code, one.stderr])).toEqual(made.map(() => [0, ""]));
    for (const one of both) {
      await watching(one, 1 + ids.length);
      one.child.kill("SIGTERM");
      expect((await once(one.child, "close"))[0]).toBe(0);
      expect(one.out.errors).toBe("");
    }
    expect(readdirSync(root).sort()).toEqual(ids);
    expect(readdirSync(join(dir, "data"))).toEqual(["pit-heartbeat.json"]);
  });
});

describe("contrib", () => {
  const installed = () => ({
    "/usr/local/lib/lazarus/bin/lazarus.js": BIN,
    "/etc/lazarus/lazarus.yaml": config,
  });

  it("has a unit that systemd is told by", needs("python3"), async () => {
    lay({ status: "idle" });
    const unitPath = resolve(import.meta.dirname, "../../contrib/lazarus-pit.service");
    const systemd = await Systemd.load({ unitPath, dir, paths: installed(), others: () => [] });
    try {
      await systemd.start();
      expect(systemd.heard).toEqual([`READY=1\nSTATUS=1 cell in ${root}: 1 healthy`]);
      expect(existsSync(join(dir, "data", "pit-heartbeat.json"))).toBe(true);
      expect(await systemd.stop()).toBe(0);
    } finally {
      await systemd.close();
    }
  });

  it("has a line for cron that says something only where something is not healthy", () => {
    const text = readFileSync(resolve(import.meta.dirname, "../../contrib/lazarus-pit.cron"), "utf8");
    let command = /^\*\/5 \* \* \* \* lazarus (.*)$/m.exec(text)?.[1] ?? "";
    for (const [from, to] of Object.entries(installed())) command = command.replace(from, `'${to}'`);
    const run = () =>
      execFileSync("sh", ["-c", command], { env: { PATH: process.env.PATH ?? "" } }).toString();
    lay({ status: "idle" });
    expect(run()).toBe("");
    lay({ ageMs: 3_600_000 });
    expect(run()).toContain(`${CELL_ID}  stale`);
    rmSync(root, { recursive: true });
    writeFileSync(root, "");
    expect(run()).toContain("not a directory");
  });
});
