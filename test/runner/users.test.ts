import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toInfo } from "../../src/backends/os/proc.ts";
import { processesOf } from "../../src/backends/os/scan.ts";
import { asUser } from "../../src/backends/os/user.ts";
import type { CellSpec } from "../../src/protocol/shapes.ts";
import { BRIEF, createRunnerRig, LIMITS, type RunnerRig, readJsonFile } from "../fakes/runner-rig.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";

describe("a cell's own user", needs("root"), () => {
  let rig: RunnerRig;
  let base: string;

  beforeEach(async () => {
    rig = await createRunnerRig();
    base = await rig.commit("main", { "a.txt": "a\n" });
  });
  afterEach(() => rig.remove());

  /** Runs an agent that tries each line as its own shell, and answers what it could do. */
  async function attempt(cell: CellSpec, lines: readonly string[], run = 1): Promise<string[]> {
    const tries = lines.map((line, at) => `if (${line}) >/dev/null 2>&1; then echo ${at}; fi`);
    rig.agent(tries.join("\n"));
    await rig.runToEnd(cell, run);
    const log = rig.cellPath(cell, "logs", `allegro-${run}.log`);
    const done = execFileSync("cat", [log], { encoding: "utf8" }).split("\n");
    return done.filter((at) => at !== "").map((at) => lines[Number(at)] ?? at);
  }

  it("reads and writes its own worktree, artifacts and home, and reads its brief", async () => {
    const cell = rig.spec(base);
    const may = [
      "echo x >in-the-tree && git status && git add . && git commit -m x && git log --stat",
      'echo x >"$LAZARUS_ARTIFACTS/reports/x.md"',
      'echo x >"$HOME/x"',
      'grep Brief "$LAZARUS_BRIEF"',
      `[ "$(id -u)" = ${cell.user?.uid} ]`,
      "! grep -q '^CapBnd:.*[1-9a-f]' /proc/self/status",
    ];
    expect(await attempt(cell, may)).toEqual(may);
    const harvest = await rig.collect(cell);
    expect([harvest.commitCount, harvest.report, harvest.heldBack]).toEqual([1, "x\n", []]);
  });

  it("reaches nothing of another cell, of ours, or of another repository", async () => {
    const other = rig.spec(base);
    rig.agent('echo secret >"$HOME/s"; echo secret >s');
    await rig.runToEnd(other);
    const elsewhere = rig.spec(base, {
      repository: { id: 8, fullName: "acme/app" },
      user: { uid: 999_990, gid: 999_990, groups: [999_991] },
    });
    await rig.runToEnd(elsewhere);
    writeFileSync(join(rig.root, "lazarus.yaml"), "token: x\n", { mode: 0o600 });
    const cell = rig.spec(base);
    const at = (...names: string[]) => `'${rig.cellPath(cell, ...names)}'`;
    const its = (...names: string[]) => `'${rig.cellPath(other, ...names)}'`;
    const tries = [
      `ls ${its()}`,
      `cat ${its("worktree", "s")}`,
      `cat ${its("home", "allegro", "s")}`,
      `cat ${its("config", "brief.md")}`,
      `echo x >${its("worktree", "x")}`,
      `ls '${rig.missions}'`,
      `ls '${rig.data}'`,
      `cat '${rig.root}/lazarus.yaml'`,
      `ls '${rig.data}/mirrors'`,
      `ls '${rig.data}/mirrors/8.git'`,
      `cat '${rig.data}/mirrors/8.git/HEAD'`,
      `echo x >'${rig.data}/mirrors/7.git/x'`,
      `echo x >'${rig.data}/mirrors/7.git/objects/x'`,
      `git -C '${rig.data}/mirrors/7.git' -c safe.directory='*' update-ref refs/heads/evil HEAD`,
      `ls '${rig.data}/quarantine'`,
      `ls '${rig.data}/git-home'`,
      ...["state", "meta", "logs"].flatMap((name) => [`ls ${at(name)}`, `echo x >${at(name, "x")}`]),
      `cat ${at("config", "cell.json")}`,
      `echo x >${at("config", "x")}`,
      `echo x >>${at("config", "brief.md")}`,
      `mv ${at("config")} ${at("other")}`,
      `mv ${at("state")} ${at("worktree")}/`,
      `echo x >${at("x")}`,
      `ls ${at()}`,
      "cat /proc/$PPID/environ",
      "kill -0 $PPID",
    ];
    expect(await attempt(cell, tries)).toEqual([]);
  });

  it("writes its own files, a stranger's repository may be what it is: nothing is written there as root", async () => {
    const { PATH: path } = process.env;
    const bin = join(rig.root, "bin");
    const noted = join(rig.root, "noted");
    mkdirSync(bin);
    writeFileSync(noted, "");
    chmodSync(noted, 0o666);
    const script = `#!/bin/sh\ncase " $* " in *" checkout "*) id -u >>'${noted}';; esac\nPATH='${path}' exec git "$@"\n`;
    writeFileSync(join(bin, "git"), script, { mode: 0o755 });
    process.env.PATH = `${bin}:${path}`;
    rig.restart();
    const cell = rig.spec(base);
    rig.agent("exit 0");
    await rig.runToEnd(cell).finally(() => {
      process.env.PATH = path;
    });
    expect(readFileSync(noted, "utf8")).toBe(`${cell.user?.uid}\n`);
    const others = ["find", rig.cellPath(cell, "worktree"), "!", "-uid", String(cell.user?.uid)] as const;
    expect(execFileSync(others[0], others.slice(1), { encoding: "utf8" })).toBe("");
    expect(rig.inWorktree(cell, "git status --short; cat a.txt")).toBe("a\n");
  });

  it("has modes and owners as the contract says", async () => {
    rig.agent("exit 0");
    const cell = rig.spec(base);
    await rig.runToEnd(cell);
    const uid = cell.user?.uid;
    const seen = (name: string) => {
      const stat = lstatSync(rig.cellPath(cell, ...name.split("/")));
      return [(stat.mode & 0o7777).toString(8), stat.uid, stat.gid];
    };
    for (const name of ["", "config"]) expect([name, ...seen(name)]).toEqual([name, "710", 0, uid]);
    expect(seen("config/brief.md")).toEqual(["640", 0, uid]);
    for (const name of ["worktree", "artifacts", "home", "home/allegro"])
      expect([name, ...seen(name)]).toEqual([name, "700", uid, uid]);
    for (const name of ["meta", "state", "logs"])
      expect([name, ...seen(name)]).toEqual([name, "700", 0, expect.any(Number)]);
    expect(lstatSync(rig.missions).mode & 0o7777).toBe(0o711);
    const mirror = lstatSync(join(rig.data, "mirrors/7.git"));
    expect([(mirror.mode & 0o7777).toString(8), mirror.uid, mirror.gid]).toEqual(["2750", 0, uid && uid - 1]);
  });

  it("keeps the mirror readable for cells when later fetches bring more", async () => {
    rig.agent("exit 0");
    const first = rig.spec(base);
    await rig.runToEnd(first);
    const head = await rig.commit("main", { "b.txt": "b\n", "deep/er/c.txt": "c\n" });
    const groups = first.user?.groups ?? [];
    const second = rig.spec(head, { user: { uid: 999_992, gid: 999_992, groups } });
    const may = ["git log --stat", "git fsck --connectivity-only", "git show HEAD:deep/er/c.txt"];
    expect(await attempt(second, may)).toEqual(may);
    // What the first cell borrows has grown as well.
    expect(rig.inWorktree(first, `git cat-file -t ${head}`)).toBe("commit\n");
  });

  it("lends a mirror of before, and one whose group has changed", async () => {
    rig.agent("exit 0");
    await rig.runToEnd(rig.spec(base, { user: null }));
    const may = ["git log --stat HEAD"];
    expect(await attempt(rig.spec(base), may)).toEqual(may);
    rig.restart();
    const moved = rig.spec(base, { user: { uid: 999_993, gid: 999_993, groups: [999_994] } });
    expect(await attempt(moved, may)).toEqual(may);
  });

  /** Commands of the live processes of a cell's user. */
  async function living(cell: CellSpec): Promise<string[]> {
    const { user, id: cellId } = cell;
    const found = await processesOf({ cellId, leader: null, byMarker: false, uid: user?.uid ?? null });
    return found.map((one) => toInfo(one).command);
  }

  it("is counted for itself: each cell has all of limits.processes", async () => {
    const limits = { ...LIMITS, processes: 40 };
    // The shell that may start no more dies of it; what it has started stays.
    rig.agent("(n=0; while [ $n -lt 60 ]; do sleep 60 & n=$((n+1)); done) & exec tail -f /dev/null", {
      limits,
    });
    const cells = [rig.spec(base), rig.spec(base)];
    for (const cell of cells) await rig.start(cell);
    const sleepers = async (cell: CellSpec) =>
      (await living(cell)).filter((command) => command === "sleep 60").length;
    for (const cell of cells) {
      await until("it is full", async () => (await sleepers(cell)) >= 37);
      expect((await living(cell)).length).toBeLessThanOrEqual(40);
    }
    for (const cell of cells)
      await rig.perform("stop", { cellId: cell.id, run: 1, user: cell.user, handle: null, why: "enough" });
    expect(rig.said("run-ended").flatMap((end) => end.leftovers)).toEqual([]);
    for (const cell of cells) expect(await living(cell)).toEqual([]);
  });

  it("is ended with all it started, also what hid its marker and its session", async () => {
    rig.agent("setsid env -i /bin/sh -c 'while :; do sleep 1; done' & sleep 0.2; exit 0");
    const cell = rig.spec(base);
    expect((await rig.runToEnd(cell)).leftovers).toEqual([]);
    expect(await living(cell)).toEqual([]);
  });

  it("leaves nothing behind of what its repository starts while its work is taken out", async () => {
    const hidden =
      "touch $PWD/.git/ran; setsid env -i /bin/sh -c 'while :; do sleep 1; done' >/dev/null 2>&1 </dev/null & cat";
    rig.agent(
      `git config filter.x.clean "${hidden}"; mkdir .git/info; echo '* filter=x' >.git/info/attributes; echo x >new.txt`,
    );
    const cell = rig.spec(base);
    await rig.runToEnd(cell);
    expect(await living(cell)).toEqual([]);
    await rig.collect(cell);
    expect(existsSync(rig.cellPath(cell, "worktree/.git/ran"))).toBe(true);
    expect(await living(cell)).toEqual([]);
    expect(rig.said("collected")).toHaveLength(1);
  });

  it("owns what was copied from the home's template", async () => {
    const template = join(rig.root, "template");
    mkdirSync(join(template, "deep"), { recursive: true });
    writeFileSync(join(template, "deep", "settings"), "s\n", { mode: 0o600 });
    rig.agent('cat "$HOME/deep/settings" && echo more >>"$HOME/deep/settings"', { homeTemplate: template });
    const cell = rig.spec(base);
    expect(await rig.runToEnd(cell)).toMatchObject({ code: 0 });
    expect(lstatSync(rig.cellPath(cell, "home/allegro/deep/settings")).uid).toBe(cell.user?.uid);
    expect(lstatSync(join(template, "deep", "settings")).uid).toBe(0);
  });

  it("leaves nothing when its cell is destroyed, read-only directories neither", async () => {
    rig.agent('mkdir -p "$HOME/mod/a"; echo x >"$HOME/mod/a/b"; chmod -R a-w "$HOME/mod"; chmod 0 "$HOME"');
    const cell = rig.spec(base);
    await rig.runToEnd(cell);
    const { id: cellId, repository, user } = cell;
    await rig.perform("scrub", { cellId, repository, user, handle: null });
    expect(readdirSync(rig.missions)).toEqual([]);
    expect(rig.said("scrubbed")).toEqual([{ cellId }]);
  });

  it.each([
    ["missions", "(missions in lazarus.yaml)"],
    ["data", "(data in lazarus.yaml)"],
  ])("is told where it may not enter: %s", async (name, key) => {
    rig.agent("exit 0");
    mkdirSync(join(rig.root, name), { recursive: true });
    chmodSync(join(rig.root, name), 0o700);
    const cell = rig.spec(base);
    await rig.perform("start", { cell, run: 1, agent: "allegro", role: "executor", prompt: BRIEF });
    const why = rig.said("run-refused")[0]?.why;
    expect(why).toContain(`may not enter ${join(rig.root, name)}: chmod o+x`);
    expect(why).toContain(key);
    expect(existsSync(rig.cellPath(cell))).toBe(false);
  });

  it("runs git in its worktree without being told of dubious ownership", async () => {
    rig.agent("exit 0");
    const cell = rig.spec(base);
    await rig.runToEnd(cell);
    const [sh = "", ...words] = asUser(cell.user, ["git", "-C", rig.cellPath(cell, "worktree"), "status"]);
    expect(execFileSync(sh, words, { encoding: "utf8", env: { PATH: process.env.PATH } })).toContain("clean");
    expect(readJsonFile(rig.cellPath(cell, "meta", "mission.json")).mission_id).toBe(cell.id);
  });
});
