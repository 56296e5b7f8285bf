import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CellSpec } from "../../../src/protocol/shapes.ts";
import { createRunnerRig, type RunnerRig, readJsonFile } from "../../fakes/runner-rig.ts";
import { sealHand } from "../../fakes/seal-hand.ts";
import { treeFacts } from "../../fakes/tree-facts.ts";

let rig: RunnerRig;
let cell: CellSpec;

const mission = { status: "archived", members: [], history: [] };

beforeAll(async () => {
  rig = await createRunnerRig();
  await rig.commit("main", { "a.txt": "one\n" });
  rig.agent('echo more >>a.txt; git commit -qam more; echo "$HOME" >"$HOME/me"');
});
beforeEach(async () => {
  rig.reports.length = 0;
  cell = rig.spec(await rig.commit("main", { "b.txt": `${Math.random()}\n`, "keep.txt": "kept\n" }));
  await rig.runToEnd(cell);
});
afterAll(() => rig.remove());

async function archive(key?: string): Promise<void> {
  await rig.seal(cell, key);
  await rig.perform("prune", { cellId: cell.id, mission, run: null });
}

/** Answers why it was refused; null: it was restored. */
async function restore(run = 2): Promise<string | null> {
  const before = rig.reports.length;
  await rig.restore(cell, run);
  const [report] = rig.reports.slice(before);
  if (report?.kind === "restored") return null;
  if (report?.kind !== "restore-refused") throw new Error(`no report, but ${report?.kind}`);
  return (report.payload as { why: string }).why;
}

const at = (...names: string[]) => rig.cellPath(cell, ...names);
/** What an agent leaves belongs to its user. */
const own = (...paths: string[]) => {
  for (const path of paths) if (cell.user !== null) lchownSync(path, cell.user.uid, cell.user.gid);
};

/** A worktree with everything that is hard to keep. */
function makeOdd(): void {
  rig.inWorktree(
    cell,
    [
      "git checkout -q -b other && echo other >other.txt && git add other.txt && git commit -qm other && git checkout -q -",
      "echo staged >staged.txt && git add staged.txt && echo unstaged >>a.txt && rm keep.txt",
      "echo stashed >>b.txt && git stash -q && echo untracked >untracked.txt",
      "git tag -a -m tagged mine && git update-ref refs/odd/ref HEAD~1",
      "mkdir -p deep/er shut && echo x >deep/er/x && chmod 640 deep/er/x && echo run >run.sh && chmod 755 run.sh",
      "chmod 4755 deep/er/x && mkdir sticky && chmod 1777 sticky",
      "echo r >shut/r && chmod 444 shut/r && chmod 555 shut",
      "ln -s /etc/passwd out && ln -s nowhere dangling && ln deep/er/x hard",
      "printf x >\"$(printf 'new\\nline')\" && printf x >\"$(printf 'l\\303\\244st\\251')\" && printf x >\"$(printf '\\342\\200\\250')\"",
      "mkfifo pipe",
      "truncate -s 3M sparse && printf middle | dd of=sparse bs=1 seek=1048576 conv=notrunc 2>/dev/null && truncate -s 1M hollow",
      `long=$(printf 'd%.0s' $(seq 100)) && mkdir -p $long/$long/$long && echo deep >$long/$long/$long/$long`,
      "touch -h -d '2001-02-03 04:05:06.123456' dangling && touch -d '1999-12-31 23:59:59.987654' untracked.txt deep/er deep",
    ].join("\n"),
  );
}

describe("a cell that is brought back", () => {
  it("is file by file what it was: index, branches, stash, uncommitted, modes, links, times, odd names, holes", async () => {
    await rig.collect(cell);
    makeOdd();
    const status = rig.inWorktree(cell, "git status --porcelain=v2 --branch");
    rmSync(at("worktree/pipe"));
    chmodSync(at("worktree/deep/er/x"), 0o755);
    const before = { worktree: treeFacts(at("worktree")), home: treeFacts(at("home")) };
    execFileSync("mkfifo", [at("worktree/pipe")]);
    chmodSync(at("worktree/deep/er/x"), 0o4755);
    utimesSync(at("worktree"), statSync(at("worktree")).atime, statSync(at("worktree")).mtime);
    await archive();
    expect(readdirSync(at("worktree"))).toEqual([]);
    const others = ["artifacts", "logs", "meta", "state", "config"].map((part) =>
      treeFacts(at(part)).slice(1),
    );
    expect(await restore()).toBeNull();
    expect(withoutTopTime(treeFacts(at("worktree")))).toEqual(withoutTopTime(before.worktree));
    expect(treeFacts(at("home"))).toEqual(before.home);
    expect(rig.inWorktree(cell, "git status --porcelain=v2 --branch")).toBe(status);
    expect(rig.inWorktree(cell, "git fsck --strict && git stash list && git show other:other.txt")).toContain(
      "other",
    );
    expect(statSync(at("worktree/sparse")).blocks).toBeLessThan(100);
    const now = ["artifacts", "logs", "meta", "state", "config"].map((part) => treeFacts(at(part)).slice(1));
    const but = (facts: string[][]) => facts.flat().filter((line) => !line.includes("daemon.log"));
    expect(but(now)).toEqual(but(others));
    expect(existsSync(at(".restore"))).toBe(false);
    expect(readFileSync(at("logs/daemon.log"), "utf8")).toContain('"what":"restored"');
    const manifest = readJsonFile(at("archive/manifest.json"));
    expect(manifest.left_out).toEqual(["worktree/pipe"]);
  });

  it("goes on from its last commit, and is sealed and brought back once more", async () => {
    const first = await rig.collect(cell);
    await archive();
    expect(await restore()).toBeNull();
    rig.agent('test -f "$HOME/me" && echo again >>a.txt && git commit -qam again');
    await rig.runToEnd(cell, 2);
    const second = await rig.collect(cell, 2);
    expect(second.commitCount).toBe(first.commitCount + 1);
    await archive();
    expect(await restore(3)).toBeNull();
    expect(rig.inWorktree(cell, "git rev-parse HEAD").trim()).toBe(second.tip);
  });

  it("has its agent go on in the session it had, also where its logs were lost on the way", async () => {
    const bin = join(rig.root, "bin");
    mkdirSync(bin);
    const claude = [
      "#!/bin/sh",
      'for last; do :; done; session="$CLAUDE_CONFIG_DIR/$last.jsonl"',
      'case " $* " in',
      '*" --session-id "*) mkdir -p "$CLAUDE_CONFIG_DIR" && echo first >"$session" ;;',
      '*" --resume "*) echo again >>"$session" ;;',
      "esac",
    ];
    writeFileSync(join(bin, "claude"), `${claude.join("\n")}\n`, { mode: 0o755 });
    chmodSync(bin, 0o755);
    rig.agent("exit 9", { preset: "claude", command: null });
    const config = { ...rig.deps.config, childPath: `${bin}:${rig.deps.config.childPath}` };
    rig.restart({ config });
    const other = rig.spec(cell.baseCommit);
    cell = other;
    await rig.runToEnd(cell);
    await archive();
    rmSync(at("logs"), { recursive: true });
    expect(await restore()).toBeNull();
    await rig.runToEnd(cell, 2);
    const [session = "", ...more] = readdirSync(at("home/allegro/claude"));
    expect([session, more]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}\.jsonl$/), []]);
    expect(readFileSync(at("home/allegro/claude", session), "utf8")).toBe("first\nagain\n");
    rig.restart();
    rig.agent('echo more >>a.txt; git commit -qam more; echo "$HOME" >"$HOME/me"');
  });

  it("gets back what of the rest is missing, and keeps what is there", async () => {
    writeFileSync(at("artifacts/reports/r.md"), "report\n");
    own(at("artifacts/reports/r.md"));
    const before = treeFacts(at("artifacts"));
    await archive();
    rmSync(at("artifacts"), { recursive: true });
    rmSync(at("logs/allegro-1.log"));
    rmSync(at("state/run-1.lock"));
    writeFileSync(at("meta/mission.json"), '{"mine": true}\n');
    expect(await restore()).toBeNull();
    expect(treeFacts(at("artifacts"))).toEqual(before);
    expect(existsSync(at("logs/allegro-1.log")) && existsSync(at("state/run-1.lock"))).toBe(true);
    expect(readJsonFile(at("meta/mission.json"))).toEqual({ mine: true });
  });

  it("is found done when it is asked for again, and made anew for another run", async () => {
    await archive();
    expect(await restore(2)).toBeNull();
    writeFileSync(at("worktree/since"), "");
    expect(await restore(2)).toBeNull();
    expect(existsSync(at("worktree/since"))).toBe(true);
    expect(await restore(3)).toBeNull();
    expect(existsSync(at("worktree/since"))).toBe(false);
  });

  it("is not emptied by what was to follow the seal it was brought back from", async () => {
    await archive();
    expect(await restore(2)).toBeNull();
    await rig.perform("prune", { cellId: cell.id, mission, run: null });
    expect(existsSync(at("worktree/a.txt"))).toBe(true);
    await rig.perform("prune", { cellId: cell.id, mission, run: 2 });
    expect(readdirSync(at("worktree"))).toEqual([]);
    expect(await restore(3)).toBeNull();
    expect(existsSync(at("worktree/a.txt"))).toBe(true);
  });

  it("can be ended in the middle, leaves nothing half done, and comes back when it is asked again", async () => {
    const withoutTop = (facts: readonly string[]) => facts.slice(1);
    const before = withoutTop(treeFacts(at("worktree")));
    await archive();
    const ended: string[] = [];
    let run = 2;
    // What is unpacked aside is there for a moment: a worker may be quicker than whoever looks.
    for (let when = "at once"; ended.length < 2; run++) {
      const ending = new AbortController();
      let end = "";
      const restoring = rig.restore(cell, run, ending.signal).then(
        () => (end = "quick"),
        (error: Error) => (end = error.message),
      );
      while (when !== "at once" && end === "" && !existsSync(at(".restore"))) await turn();
      ending.abort(new Error("the cell is being destroyed"));
      if ((await restoring) === "quick") continue;
      ended.push(`${when}: ${end}`);
      when = "while it is unpacked";
      // One that was quick had put the worktree in its place already, whole.
      expect([[], before]).toContainEqual(withoutTop(treeFacts(at("worktree"))));
      expect(existsSync(at(".restore"))).toBe(false);
    }
    expect(ended).toEqual([
      "at once: the cell is being destroyed",
      "while it is unpacked: the cell is being destroyed",
    ]);
    expect(await restore(run)).toBeNull();
    expect(withoutTop(treeFacts(at("worktree")))).toEqual(before);
  });

  it("says what is damaged, also where what an earlier attempt left cannot be cleared away", async ({
    skip,
  }) => {
    await archive();
    truncateSync(at("archive/cell.tar.gz"), 100);
    mkdirSync(at(".restore/mounted"), { recursive: true });
    const mounting = spawnSync("mount", ["-t", "tmpfs", "tmpfs", at(".restore/mounted")]);
    if (mounting.status !== 0) skip("a file system of its own");
    try {
      expect(await restore()).toMatch(/cell\.tar\.gz/);
    } finally {
      execFileSync("umount", ["-l", at(".restore/mounted")]);
    }
  });

  it("comes back from an archive of before there was a list", async () => {
    makeOdd();
    rmSync(at("worktree/pipe"));
    const before = treeFacts(at("worktree"));
    await rig.seal(cell);
    const parts = ["worktree", "home", "artifacts", "logs", "meta", "state"];
    execFileSync(
      "tar",
      ["--create", "--gzip", "--one-file-system", "--sparse", "--file=archive/cell.tar.gz", "--", ...parts],
      {
        cwd: at(),
        env: { PATH: process.env.PATH ?? "", LC_ALL: "C" },
      },
    );
    rmSync(at("archive/entries.jsonl.gz"));
    sealHand(at("archive")).rewrite(["cell.tar.gz", "branch.bundle"]);
    await rig.perform("prune", { cellId: cell.id, mission, run: null });
    expect(await restore()).toBeNull();
    const coarse = (facts: string[]) =>
      facts.map((line) =>
        line.replace(
          /^("(?:[^"\\]|\\.)*" )(\d+) (\S+) (\d+)/,
          (_, name, mode, owner, time) =>
            `${name}${Number.parseInt(mode, 8) & 0o1777} ${owner} ${time.slice(0, -6)}`,
        ),
      );
    expect(coarse(treeFacts(at("worktree")))).toEqual(coarse(before));
  });
});

function withoutTopTime(facts: string[]): string[] {
  return [facts[0]?.replace(/ \d{10,} /, " ") ?? "", ...facts.slice(1)];
}

describe("an archive that is damaged", () => {
  const damages: Record<string, [() => void, RegExp]> = {
    "a flipped byte in the archive": [
      () => {
        const bytes = readFileSync(at("archive/cell.tar.gz"));
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        writeFileSync(at("archive/cell.tar.gz"), bytes);
      },
      /cell\.tar\.gz is not what was sealed/,
    ],
    "a cut archive": [
      () => truncateSync(at("archive/cell.tar.gz"), 100),
      /cell\.tar\.gz has 100 bytes instead of \d+/,
    ],
    "no archive": [() => rmSync(at("archive/cell.tar.gz")), /cell\.tar\.gz is missing/],
    "a link for an archive": [
      () => {
        rmSync(at("archive/cell.tar.gz"));
        symlinkSync("/etc/passwd", at("archive/cell.tar.gz"));
      },
      /cell\.tar\.gz is missing/,
    ],
    "a changed bundle": [
      () => appendFileSync(at("archive/branch.bundle"), "x"),
      /branch\.bundle has \d+ bytes/,
    ],
    "no list": [() => rmSync(at("archive/entries.jsonl.gz")), /entries\.jsonl\.gz is missing/],
    "no manifest": [() => rmSync(at("archive/manifest.json")), /manifest\.json is missing/],
    "half a manifest": [
      () => truncateSync(at("archive/manifest.json"), 50),
      /manifest\.json is missing, or cannot be read/,
    ],
    "no archive at all": [() => rmSync(at("archive"), { recursive: true }), /archive is missing/],
    "two things": [
      () => {
        rmSync(at("archive/branch.bundle"));
        appendFileSync(at("archive/cell.tar.gz"), "x");
      },
      /cell\.tar\.gz has .* bytes instead of .*; branch\.bundle is missing/,
    ],
  };
  for (const [name, [spoil, said]] of Object.entries(damages)) {
    it(`is refused with what is damaged, and nothing is changed: ${name}`, async () => {
      await archive();
      spoil();
      const before = treeFacts(at()).filter((line) => !line.includes("daemon.log"));
      const why = await restore();
      expect(why).toMatch(said);
      expect(why).not.toContain(rig.root);
      expect(treeFacts(at()).filter((line) => !line.includes("daemon.log"))).toEqual(before);
    });
  }

  it("is refused where the cell's directory is gone", async () => {
    await archive();
    rmSync(at(), { recursive: true });
    expect(await restore()).toMatch(/directory is gone/);
    expect(existsSync(at())).toBe(false);
  });
});

describe("an archive that somebody made", () => {
  /** Rewrites archive and list as somebody could who can also write the manifest. */
  async function forge(change: Parameters<ReturnType<typeof sealHand>["forge"]>[0]): Promise<string | null> {
    await archive();
    await sealHand(at("archive")).forge(change);
    return restore();
  }
  const outside = () => join(rig.root, "outside");
  beforeEach(() => {
    rmSync(outside(), { recursive: true, force: true });
    mkdirSync(outside());
  });

  const hostile: Record<string, [(dir: string) => { path: string; type: string; link?: string }[], RegExp]> =
    {
      "an absolute path": [(dir) => [{ path: `${dir}/x`, type: "0" }], /is no path in a cell/],
      "a path that climbs": [() => [{ path: "worktree/../../x", type: "0" }], /is no path in a cell/],
      "a path of another kind": [
        () => [{ path: "archive/manifest.json", type: "0" }],
        /is no path in a cell/,
      ],
      "a file behind a link that leads out": [
        (dir) => [
          { path: "worktree", type: "5" },
          { path: "worktree/l", type: "2", link: dir },
          { path: "worktree/l/x", type: "0" },
        ],
        /lies in no directory of the archive/,
      ],
      "a link in the place of a directory": [
        (dir) => [
          { path: "worktree", type: "2", link: dir },
          { path: "worktree/x", type: "0" },
        ],
        /lies in no directory of the archive/,
      ],
      "a hard link to a file outside": [
        (dir) => [
          { path: "worktree", type: "5" },
          { path: "worktree/h", type: "1", link: `${dir}/target` },
        ],
        /is no path in a cell/,
      ],
      "a hard link through a link": [
        (dir) => [
          { path: "worktree", type: "5" },
          { path: "worktree/l", type: "2", link: dir },
          { path: "worktree/h", type: "1", link: "worktree/l/target" },
        ],
        /hard link to nothing/,
      ],
      "the same name twice": [
        (dir) => [
          { path: "worktree", type: "5" },
          { path: "worktree/l", type: "2", link: `${dir}/target` },
          { path: "worktree/l", type: "0" },
        ],
        /is in the archive twice/,
      ],
      "a file without its directory": [() => [{ path: "worktree/x", type: "0" }], /lies in no directory/],
    };
  for (const [name, [members, said]] of Object.entries(hostile)) {
    it(`can do nothing: ${name}`, async () => {
      writeFileSync(join(outside(), "target"), "untouched\n");
      const why = await forge({ members: members(outside()) });
      expect(why).toMatch(said);
      expect(readdirSync(outside())).toEqual(["target"]);
      expect(readFileSync(join(outside(), "target"), "utf8")).toBe("untouched\n");
      expect(lstatSync(join(outside(), "target")).nlink).toBe(1);
      expect(readdirSync(at("worktree"))).toEqual([]);
      expect(readdirSync(at()).filter((each) => each.startsWith("."))).toEqual([]);
    });
  }

  it("is refused where a member is not in the list, or not as it was", async () => {
    const other = await forge({
      list: (lines) => lines.filter((line) => !line.includes('"worktree/a.txt"')),
    });
    expect(other).toMatch(/worktree\/.* is not what was sealed/);
    await rig.seal(cell, "anew");
    expect(await restoreForged({ list: (lines) => lines.slice(0, -1) })).toMatch(/holds more than the list/);
    expect(
      await restoreForged({ list: (lines) => [...lines, '{"path":"worktree/zz","type":"file"}'] }),
    ).toMatch(/worktree\/zz is missing/);
    const changed = await restoreForged({
      list: (lines) => lines.map((line) => line.replace(/"sha256":"...../, '"sha256":"00000')),
    });
    expect(changed).toMatch(/is not what was sealed/);
    expect(await restoreForged({ bytes: (tar) => tar.subarray(0, 5_000) })).toMatch(
      /in the middle|end is missing/,
    );
    expect(await restoreForged({ gzip: (bytes) => bytes.subarray(0, bytes.length - 20) })).toMatch(
      /cannot be decompressed/,
    );
  });

  async function restoreForged(
    change: Parameters<ReturnType<typeof sealHand>["forge"]>[0],
  ): Promise<string | null> {
    const hand = sealHand(at("archive"));
    const kept = hand.copy();
    await hand.forge(change);
    const why = await restore();
    kept.moveIntoPlace();
    return why;
  }

  it("drops what runs as somebody else", async () => {
    const why = await forge({
      members: [
        { path: "worktree", type: "5" },
        { path: "worktree/suid", type: "0", mode: 0o6755 },
      ],
    });
    expect(why).toBeNull();
    expect(lstatSync(at("worktree/suid")).mode & 0o7777).toBe(0o755);
  });
});

describe("what a cell borrows", () => {
  it("is fetched again where the mirror is gone", async () => {
    await archive();
    rmSync(join(rig.data, "mirrors"), { recursive: true });
    mkdirSync(join(rig.data, "mirrors"), { mode: 0o711 });
    rig.restart();
    expect(await restore()).toBeNull();
    expect(rig.inWorktree(cell, "git fsck && git log --oneline | wc -l")).not.toBe("");
  });

  it("is named where the forge has it no more", async () => {
    await archive();
    rmSync(join(rig.data, "mirrors"), { recursive: true });
    mkdirSync(join(rig.data, "mirrors"), { mode: 0o711 });
    rig.restart();
    const tree = execFileSync("git", ["-C", rig.forgeRepository, "rev-parse", "main^{tree}"], {
      encoding: "utf8",
    }).trim();
    const orphan = execFileSync(
      "git",
      [
        "-C",
        rig.forgeRepository,
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@x",
        "commit-tree",
        tree,
        "-m",
        "anew",
      ],
      { encoding: "utf8" },
    ).trim();
    execFileSync("git", ["-C", rig.forgeRepository, "update-ref", "refs/heads/main", orphan]);
    expect(await restore()).toMatch(/the forge no longer sends commit/);
    expect(readdirSync(at("worktree"))).toEqual([]);
  });
});
