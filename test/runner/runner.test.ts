import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { git, resolveCommit } from "../fakes/forge/git.ts";
import { BRIEF, createRunnerRig, LIMITS, type RunnerRig, readJsonFile, TOKEN } from "../fakes/runner-rig.ts";
import { IS_ROOT } from "../fakes/uids.ts";
import { until } from "../fakes/until.ts";

let rig: RunnerRig;
let base: string;

beforeEach(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "a.txt": "one\n", "src/b.txt": "two\n" });
});
afterEach(() => rig.remove());

it("makes a cell, runs the agent in it, and brings its commit to the forge", async () => {
  rig.agent(
    'cat >got.md; echo changed >a.txt; git add -A; git commit -qm "a change"; echo "# Done" >"$LAZARUS_ARTIFACTS/reports/r.md"; exit 3',
  );
  const cell = rig.spec(base);
  const end = await rig.runToEnd(cell);
  expect(end).toMatchObject({ code: 3, signal: null, stopped: null, leftovers: [], began: true });

  const harvest = await rig.collect(cell);
  expect(harvest).toMatchObject({
    changed: true,
    commitCount: 1,
    files: 2,
    hadUncommitted: false,
    unfinished: null,
    salvaged: null,
    heldBack: [],
  });
  expect(harvest.commits[0]).toMatchObject({ subject: "a change", author: "allegro" });
  expect(harvest.report).toBe("# Done\n");

  const tip = harvest.tip ?? "";
  await rig.perform("push", {
    cellId: cell.id,
    run: 1,
    repository: cell.repository,
    branch: cell.branch,
    tip,
    lease: null,
    theirs: null,
  });
  expect(rig.said("pushed")).toEqual([
    { cellId: cell.id, run: 1, branch: cell.branch, tip, divertedFrom: null },
  ]);
  expect(await resolveCommit(rig.forgeRepository, cell.branch)).toBe(tip);
  expect(await git(rig.forgeRepository, ["show", `${cell.branch}:got.md`])).toBe(cell.brief.trimEnd());
  expect(existsSync(join(rig.data, "quarantine", cell.id))).toBe(false);
});

it("lays the directory out as the contract says", async () => {
  rig.agent("exit 0");
  const cell = rig.spec(base);
  await rig.runToEnd(cell);
  const at = (...names: string[]) => rig.cellPath(cell, ...names);
  expect(readJsonFile(at("meta/mission.json"))).toEqual({
    mission_id: cell.id,
    created_at: "2026-01-05T09:00:00.000Z",
    status: "proposed",
    title: "Make it so",
    target: "acme/app#262",
    issue_url: cell.issueUrl,
    requested_by: "dev",
    members: cell.members,
    brief_sha256: cell.briefSha256,
    history: [{ at: "2026-01-05T09:00:00.000Z", from: null, to: "proposed", who: "dev", why: "asked for" }],
  });
  expect(readJsonFile(at("config/cell.json"))).toMatchObject({
    worktree: at("worktree"),
    artifacts: at("artifacts"),
    heartbeat: at("state/heartbeat.json"),
    logs: at("logs"),
    backend: "process",
    branch: cell.branch,
    base_commit: base,
  });
  expect(readFileSync(at("config/brief.md"), "utf8")).toBe(cell.brief);
  expect(readJsonFile(at("state/heartbeat.json"))).toMatchObject({ state: "ended", by: "runner" });
  for (const name of [
    "artifacts/handoff",
    "artifacts/answers",
    "artifacts/reports",
    "artifacts/checkpoints",
    "home/allegro",
    "logs/daemon.log",
    "logs/allegro-1.log",
  ]) {
    expect(existsSync(at(name)), name).toBe(true);
  }
  expect(readFileSync(at("meta/mission.json"), "utf8")).toMatch(/^\{\n {2}"mission_id".*\}\n$/s);
  expect(lstatSync(rig.missions).mode & 0o777).toBe(0o711);
  expect(lstatSync(at()).mode & 0o777).toBe(IS_ROOT ? 0o710 : 0o700);
  expect(readdirSync(rig.missions)).toEqual([cell.id]);
});

it("keeps the token out of the worktree, the mirror and the agent's environment", async () => {
  rig.agent("env >env.txt; git config --list >config.txt");
  const cell = rig.spec(base);
  await rig.runToEnd(cell);
  const everything = rig.inWorktree(
    cell,
    `cat env.txt config.txt .git/config ../../../data/mirrors/7.git/config; git remote get-url origin`,
  );
  expect(everything).toContain(`${rig.server.url}/acme/app.git`);
  expect(everything).not.toContain(TOKEN);
  expect(everything).not.toContain(Buffer.from(`lazarus:${TOKEN}`).toString("base64"));
  expect(rig.server.requests.every((request) => request.authorized)).toBe(true);
});

it("refuses what cannot be started, and leaves nothing on disk", async () => {
  rig.agent("exit 0", { command: ["/nowhere/agent"] });
  await rig.start(rig.spec(base));
  rig.agent("exit 0", { unavailable: "its backend sandbox is not in this version" });
  await rig.start(rig.spec(base));
  rig.agent("exit 0");
  await rig.start(rig.spec("f".repeat(40)));
  expect(rig.said("run-refused").map((report) => report.why)).toEqual([
    "cannot start allegro: /nowhere/agent does not exist",
    "allegro cannot be started: its backend sandbox is not in this version",
    expect.stringContaining("the forge no longer sends commit ffffffffff"),
  ]);
  expect(readdirSync(rig.missions)).toEqual([]);
});

it("says what is missing when the forge hides the repository, and tries again when it is down", async () => {
  rig.agent("exit 0");
  await rig.start(rig.spec(base, { repository: { id: 8, fullName: "acme/none" } }));
  expect(rig.said("run-refused")[0]?.why).toContain(
    "fetching acme/none: the forge has no such repository for the bot (404)",
  );
  rig.server.fault = (_request, response) => {
    response.writeHead(503).end();
    return true;
  };
  await expect(rig.start(rig.spec(base))).rejects.toMatchObject({
    code: "forge-unreachable",
    retryable: true,
  });
  expect(readdirSync(rig.missions)).toEqual([]);
});

it("starts no run where too little is free, and names the root that cannot be made", async () => {
  rig.agent("exit 0");
  const { config } = rig.deps;
  rig.restart({ config: { ...config, limits: { ...config.limits, freeBytes: 1e18 } } });
  await expect(rig.start(rig.spec(base))).rejects.toMatchObject({ code: "disk-full", retryable: true });
  writeFileSync(join(rig.root, "file"), "");
  rig.restart({ config: { ...config, missionsDir: join(rig.root, "file", "missions") } });
  await expect(rig.start(rig.spec(base))).rejects.toThrow(/making the missions root .*file\/missions/);
});

it("finds the run it started before, and throws away half a cell of a killed attempt", async () => {
  rig.agent("echo started; while [ ! -e go ]; do sleep 0.05; done");
  const cell = rig.spec(base);
  mkdirSync(join(rig.missions, `.new-${cell.id}`, "worktree"), { recursive: true });
  await rig.start(cell);
  rig.reports.length = 0;
  rig.restart();
  await rig.start(cell);
  writeFileSync(rig.cellPath(cell, "worktree", "go"), "");
  await until("it ended", () => rig.said("run-ended").length === 1);
  expect(readFileSync(rig.cellPath(cell, "logs/allegro-1.log"), "utf8")).toBe("started\n");
  expect(readdirSync(rig.missions)).toEqual([cell.id]);
});

it("adopts a run after a restart and reports its end once", async () => {
  rig.agent("while [ ! -e go ]; do sleep 0.05; done; exit 7");
  const cell = rig.spec(base);
  await rig.start(cell);
  const [started] = rig.said("run-started");
  rig.restart();
  const { handle = {}, startedAt = 0 } = started ?? {};
  rig.runner.adopt({
    runs: [{ cellId: cell.id, run: 1, agent: "allegro", handle, startedAt, before: null }],
    setups: [],
    checks: [],
  });
  writeFileSync(rig.cellPath(cell, "worktree", "go"), "");
  await until("it ended", () => rig.said("run-ended").length > 0);
  expect(rig.said("run-ended")).toEqual([expect.objectContaining({ run: 1, code: 7, stopped: null })]);
});

it("stops a run that ignores TERM, once, with the reason", async () => {
  rig.agent("trap '' TERM; while :; do sleep 0.1; done");
  const cell = rig.spec(base);
  await rig.start(cell);
  const handle = rig.said("run-started")[0]?.handle ?? null;
  await rig.perform("stop", { cellId: cell.id, run: 1, user: cell.user, handle, why: "stopped by dev" });
  expect(rig.said("run-ended")).toEqual([
    expect.objectContaining({ stopped: "stopped by dev", leftovers: [], began: true }),
  ]);
});

it("stops what nobody has a handle of, and says when nothing ever began", async () => {
  rig.agent("while :; do sleep 0.1; done");
  const cell = rig.spec(base);
  await rig.start(cell);
  rig.restart();
  await rig.perform("stop", {
    cellId: cell.id,
    run: 1,
    user: cell.user,
    handle: null,
    why: "stopped by dev",
  });
  const other = rig.spec(base);
  await rig.perform("stop", {
    cellId: other.id,
    run: 1,
    user: other.user,
    handle: null,
    why: "stopped by dev",
  });
  expect(rig.said("run-ended").map((end) => [end.began, end.leftovers])).toEqual([
    [true, []],
    [false, []],
  ]);
});

it("ends what a run left behind in another session", async () => {
  rig.agent("setsid sh -c 'while :; do sleep 0.1; done' >/dev/null 2>&1 & sleep 0.2");
  const cell = rig.spec(base);
  expect((await rig.runToEnd(cell)).leftovers).toEqual([]);
  expect(await rig.deps.backends.get("process")?.leftovers(cell.id, null)).toEqual([]);
});

it("reports a run over its wall clock and a log over its limit, and cuts the log", async () => {
  const limits = { ...LIMITS, runMs: 200, logBytes: 300_000 };
  rig.agent(
    "head -c 2000000 /dev/zero | tr '\\0' x; echo; while [ ! -e go ]; do sleep 0.05; done; echo the end",
    { limits },
  );
  const cell = rig.spec(base);
  await rig.start(cell);
  await until(
    "both were reported",
    () => rig.said("over-limit").length === 1 && rig.said("log-cut").length === 1,
  );
  writeFileSync(rig.cellPath(cell, "worktree", "go"), "");
  await until("it ended", () => rig.said("run-ended").length === 1);
  const log = readFileSync(rig.cellPath(cell, "logs/allegro-1.log"), "utf8");
  expect(log.length).toBeLessThan(300_000);
  expect(log).toContain("bytes of output left out");
  expect(log).toMatch(/the end\n$/);
});

it("reports a run that fills more disk than its cell may", async () => {
  rig.restart({
    config: {
      ...rig.deps.config,
      limits: { ...rig.deps.config.limits, diskBytes: 3_000_000 },
      pit: { ...rig.deps.config.pit, scanMs: 100 },
    },
  });
  rig.agent("head -c 5000000 /dev/urandom >big; while [ ! -e go ]; do sleep 0.05; done");
  const cell = rig.spec(base);
  await rig.start(cell);
  await until("it was reported", () => rig.said("over-limit").length > 0);
  expect(rig.said("over-limit")[0]?.why).toMatch(/^over its disk: \d+(\.\d)? MB of 2\.9 MB$/);
  writeFileSync(rig.cellPath(cell, "worktree", "go"), "");
  await until("it ended", () => rig.said("run-ended").length === 1);
  rig.restart();
});

it("copies the home template once, links as links", async () => {
  const template = join(rig.root, "template");
  mkdirSync(join(template, "dir"), { recursive: true });
  writeFileSync(join(template, "dir", "tool"), "x", { mode: 0o750 });
  symlinkSync("/etc/passwd", join(template, "link"));
  rig.agent('echo mine >"$HOME/dir/tool"', { homeTemplate: template });
  const cell = rig.spec(base);
  await rig.runToEnd(cell);
  await rig.runToEnd(cell, 2);
  expect(readFileSync(rig.cellPath(cell, "home/allegro/dir/tool"), "utf8")).toBe("mine\n");
  expect(lstatSync(rig.cellPath(cell, "home/allegro/dir/tool")).mode & 0o777).toBe(0o750);
  expect(lstatSync(rig.cellPath(cell, "home/allegro/link")).isSymbolicLink()).toBe(true);
});

it("rewrites the mission file and keeps what it is not told", async () => {
  rig.agent("exit 0");
  const cell = rig.spec(base);
  await rig.runToEnd(cell);
  const mission = { status: "idle", members: cell.members, history: [] };
  await rig.perform("mark", { cellId: cell.id, mission });
  expect(readJsonFile(rig.cellPath(cell, "meta/mission.json"))).toMatchObject({
    status: "idle",
    title: "Make it so",
    history: [],
  });
  await rig.perform("mark", { cellId: crypto.randomUUID(), mission });
});

it("shows the redacted end of a log as plain text", async () => {
  rig.agent(`printf 'one\\n\\033[31mred\\033[0m ${TOKEN}\\r\\nlast\\007\\n'`);
  const cell = rig.spec(base);
  await rig.runToEnd(cell);
  const asker = { via: "cli", request: "r", operator: "root" } as const;
  await rig.perform("tail", {
    secrets: [],
    cellId: cell.id,
    run: 1,
    agent: "allegro",
    lines: 2,
    raw: false,
    asker,
  });
  expect(rig.said("tailed")[0]).toMatchObject({ text: "red [redacted]\nlast", truncated: true });
});

it("shows an agent's events in words, and the file as it is where that is asked for", async () => {
  const say = (text: string) =>
    JSON.stringify({ type: "item.completed", item: { id: "1", type: "agent_message", text } });
  const secret = [...TOKEN].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
  rig.agent(
    `cat <<'END'\n${say("I begin.")}\n${say("SECRET").replace("SECRET", secret)}\n{"type":"turn.completed"}\nEND`,
  );
  const cell = rig.spec(base);
  await rig.runToEnd(cell);
  const asker = { via: "cli", request: "r", operator: "root" } as const;
  const tail = { cellId: cell.id, run: 1, agent: "allegro", lines: 50, asker };
  await rig.perform("tail", { secrets: [], ...tail, raw: false });
  await rig.perform("tail", { secrets: [], ...tail, raw: true });
  const [words, file] = rig.said("tailed");
  expect(words).toMatchObject({ text: "I begin.\n[redacted]\n[done]", truncated: false });
  expect(file?.text).toContain('"type":"turn.completed"');
  expect(await rig.collect(cell)).toMatchObject({
    said: { words: "[redacted]" },
    logTail: "I begin.\n[redacted]\n[done]\n",
  });
});

it("leaves nothing behind when a start is ended half way", async () => {
  rig.agent("exit 0");
  const abort = new AbortController();
  rig.server.fault = () => {
    abort.abort(new Error("stopped"));
    return false;
  };
  const start = { cell: rig.spec(base), run: 1, agent: "allegro", role: "executor", prompt: BRIEF } as const;
  await expect(rig.perform("start", start, { signal: abort.signal })).rejects.toThrow("stopped");
  expect(readdirSync(rig.missions)).toEqual([]);
  expect(rig.reports).toEqual([]);
});
