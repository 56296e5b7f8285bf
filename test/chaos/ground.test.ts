import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect } from "vitest";
import { needs } from "../machine.ts";
import { type ChaosRig, COMMIT_ON_GO, chaos, until } from "./rig.ts";

const SUMMON = "/lazarus summon allegro";

function registryPath(rig: ChaosRig): string {
  return join(rig.lazarus.dataDir, "lazarus.db");
}

/** A registry as a first start leaves it. */
async function servedOnce(rig: ChaosRig): Promise<void> {
  await rig.serve();
  await rig.lazarus.end();
}

/** Another process that writes to the registry and does not come to an end. */
function lockRegistry(rig: ChaosRig): () => void {
  const db = new Database(registryPath(rig));
  db.exec("BEGIN IMMEDIATE");
  return () => {
    db.exec("ROLLBACK");
    db.close();
  };
}

describe("a forge that does not know the token at the start", () => {
  chaos("is named by readyz, until it does", {}, async (rig) => {
    const match = { path: /\/api\/v1\/user$/ };
    const mend = rig.standIn.faults.add({ match, times: 100, answer: { status: 401, body: "{}" } });
    await rig.serve({ ready: false });
    const reasons = async () => {
      const answer = await fetch(`${rig.lazarus.url}/readyz`);
      return { status: answer.status, text: await answer.text() };
    };
    await until("it says why", async () => (await reasons()).text.includes("is forge.token valid?"));
    expect((await reasons()).status).toBe(503);
    mend();
    await until("it is ready", async () => (await reasons()).status === 200);
    await rig.say(SUMMON);
    await rig.comesTo({ state: "idle", outcome: "done" });
  });
});

describe("a registry", () => {
  chaos("that is locked while somebody types loses nothing", {}, async (rig) => {
    await rig.serve();
    const unlock = lockRegistry(rig);
    await rig.say(SUMMON);
    const isHeldUp = () =>
      fetch(`${rig.lazarus.url}/healthz`, { signal: AbortSignal.timeout(300) }).then(
        () => false,
        () => true,
      );
    await until("the delivery waits for the lock", isHeldUp).finally(unlock);
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos("that is locked for longer than anybody waits loses no run", { agent: COMMIT_ON_GO }, async (rig) => {
    await rig.serve();
    await rig.say(SUMMON);
    await rig.cellIs("active");
    await until("all is quiet", () => rig.openJobs().length === 0);
    const unlock = lockRegistry(rig);
    rig.go();
    await until("it was tried in vain", () => rig.log.includes("database is locked")).finally(unlock);
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos("that somebody has locked is not opened", {}, async (rig) => {
    await servedOnce(rig);
    const unlock = lockRegistry(rig);
    // A write of our own is needed at the start: what an earlier process was at work on is taken back.
    await expect(rig.serve().finally(unlock)).rejects.toThrow(
      /serve did not start: [\s\S]*lazarus\.db: another program has it locked/,
    );
    await rig.serve();
  });

  chaos("that is read-only is not opened", {}, async (rig) => {
    await servedOnce(rig);
    // Also root is refused by a file that says itself that its format may only be read.
    const file = openSync(registryPath(rig), "r+");
    writeSync(file, Buffer.from([3]), 0, 1, 18);
    await expect(rig.serve()).rejects.toThrow(/serve did not start: [\s\S]*lazarus\.db: it is read-only/);
    writeSync(file, Buffer.from([2]), 0, 1, 18);
    await rig.serve();
  });

  chaos(
    "that cannot be opened while the disk is full is opened as soon as there is room",
    { wants: needs("root") },
    async (rig) => {
      await servedOnce(rig);
      const free = fillDisk(rig.lazarus.dataDir);
      try {
        const serving = rig.serve();
        await until("it says what it waits for", () => rig.log.includes("the disk is full: make room"));
        free();
        await serving;
        await rig.say(SUMMON);
        await rig.comesTo({ state: "idle", outcome: "done" });
      } finally {
        await rig.kill();
        run("umount", "--lazy", rig.lazarus.dataDir);
      }
    },
  );

  chaos("of a newer version is left alone", {}, async (rig) => {
    await servedOnce(rig);
    rig.query("PRAGMA user_version = 999");
    await expect(rig.serve()).rejects.toThrow(
      /serve did not start: [\s\S]*it was written by a newer Lazarus/,
    );
    expect(rig.query("PRAGMA user_version")).toEqual([{ user_version: 999 }]);
  });
});

/** Makes the missions root unusable; the answer mends it. */
type Spoil = (root: string) => () => void;

function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function mounted(root: string, options: string): boolean {
  mkdirSync(root, { recursive: true });
  return process.getuid?.() === 0 && run("mount", "-t", "tmpfs", "-o", options, "lazarus-test", root);
}

const replaced: Spoil = (root) => {
  writeFileSync(root, "");
  return () => rmSync(root);
};

/** Puts a directory on a small disk of its own, with what it holds, and fills that; the answer makes room. */
function fillDisk(dir: string): () => void {
  const held = `${dir}.held`;
  renameSync(dir, held);
  expect(mounted(dir, "size=8m")).toBe(true);
  cpSync(held, dir, { recursive: true });
  const ballast = join(dir, "ballast");
  // Its last write fails: nothing is left then.
  run("dd", "if=/dev/zero", `of=${ballast}`, "bs=4096");
  return () => rmSync(ballast);
}

/** Root may write whatever the modes say, so for root it is mounted. */
const readOnly: Spoil = (root) => {
  if (mounted(root, "ro")) return () => void run("umount", root);
  if (process.getuid?.() === 0) {
    rmSync(root, { recursive: true });
    return replaced(root);
  }
  chmodSync(root, 0o500);
  return () => chmodSync(root, 0o700);
};

describe("a missions root", () => {
  const faults: [string, Spoil, RegExp][] = [
    ["that is a file", replaced, /making the missions root .*something that is not a directory/],
    [
      "that is read-only",
      readOnly,
      /making (cell|the missions root) .*: (it is read-only|Lazarus may not write|there is something that is not)/,
    ],
  ];
  for (const [what, spoil, sentence] of faults) {
    chaos(`${what} is told on the card, and used when it is mended`, {}, async (rig) => {
      const mend = spoil(rig.lazarus.missionsDir);
      try {
        await rig.serve();
        await rig.say(SUMMON);
        await until("the card says so", () => sentence.test(rig.card()));
        expect(rig.cell().state).toBe("proposed");
      } finally {
        mend();
      }
      await rig.comesTo({ state: "idle", outcome: "done" });
      expect(rig.card()).not.toMatch(sentence);
    });
  }

  chaos("that is full is told on the card, and used when there is room", {}, async (rig) => {
    const root = rig.lazarus.missionsDir;
    const isMounted = mounted(root, "size=64k");
    try {
      if (!isMounted) return await tellsThatLittleIsFree(rig);
      await rig.serve();
      await rig.say(SUMMON);
      await until("the card says so", () => rig.card().includes("no space left on the device"));
      expect(rig.cell().state).toBe("proposed");
      expect(run("mount", "-o", "remount,size=64m", root)).toBe(true);
      await rig.comesTo({ state: "idle", outcome: "done" });
    } finally {
      await rig.kill();
      if (isMounted) run("umount", "--lazy", root);
    }
  });

  chaos("with too little room is told on the card, until the limit is lowered", {}, tellsThatLittleIsFree);
});

async function tellsThatLittleIsFree(rig: ChaosRig): Promise<void> {
  const lower = await rig.configureFree("900000GB");
  await rig.serve();
  await rig.say(SUMMON);
  await until("the card says so", () => rig.card().includes("(limits.free in lazarus.yaml)"));
  expect(rig.cell().state).toBe("proposed");
  await rig.lazarus.end();
  await lower();
  await rig.serve();
  await rig.comesTo({ state: "idle", outcome: "done" });
}
