import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { needs } from "../machine.ts";
import { withClone } from "./git-client.ts";
import { Stage, type Thread } from "./stage.ts";

/** The script of docs/agents.md, as a reader would copy it. */
const script = async () => {
  const docs = await readFile(join(import.meta.dirname, "../../docs/agents.md"), "utf8");
  return /```sh\n([\s\S]*?)```/.exec(docs)?.[1] ?? "";
};

let stage: Stage;
let keys: string;
const keyPath = () => join(keys, "my agent");

beforeAll(async () => {
  keys = await mkdtemp(join(tmpdir(), "lazarus-keys-"));
  // Without it every test here is skipped.
  if (inject("lacks")["ssh-keygen"] !== null) return;
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", keyPath()]);
  await mkdir(join(keys, "bin"));
  await writeFile(join(keys, "bin/mine"), await script(), { mode: 0o755 });
  await chmod(keys, 0o755);
  const git = { name: "My Agent", email: "agent@example.org", sign: keyPath(), co_author: true };
  const agentMore = {
    backend: "sandbox",
    command: [join(keys, "bin/mine")],
    paths: [join(keys, "bin")],
    git,
  };
  stage = await Stage.set({ agents: { mine: "" }, agentMore });
});

afterAll(async () => {
  await stage?.strike();
  await rm(keys, { recursive: true, force: true });
});

async function summon(title: string, words = ""): Promise<Thread> {
  const issue = await stage.openIssue(title);
  await stage.type(stage.dev, issue, `/lazarus summon mine${words}`);
  return issue;
}

describe("the ten lines of docs/agents.md", needs("sandbox", "ssh-keygen"), () => {
  it("make a commit, a report and a heartbeat, signed and with the name that was configured", async () => {
    const issue = await summon("Say hello");
    const card = await stage.card(issue, /mine is done.*→ draft #\d+/);
    const pull = await stage.server.pullRequest(stage.repo, Number(/→ draft #(\d+)/.exec(card)?.[1]));
    expect(pull.body).toContain("I said hello.");
    const id = await stage.cellId(issue);
    expect(JSON.parse(await stage.lazarus.readCell(id, "artifacts/heartbeat.json")).message).toBe("1 of 2");
    expect(await stage.lazarus.readCell(id, "config/brief.md")).toMatch(
      /`Co-authored-by: dev <dev@noreply\.[\w.-]+>`/,
    );
    const allowed = join(keys, "allowed");
    await writeFile(allowed, `agent@example.org ${await readFile(`${keyPath()}.pub`, "utf8")}`);
    const shown = await withClone(`${stage.server.url}/${stage.repo}.git`, stage.dev, async (dir) => {
      const git = (...args: string[]) => execFileSync("git", ["-C", dir, ...args], { encoding: "utf8" });
      return git(
        ...["-c", `gpg.ssh.allowedSignersFile=${allowed}`],
        ...["log", "-1", "--format=%an %ae %cn %G?", `origin/${pull.head.ref}`],
      );
    });
    expect(shown.trim()).toBe("My Agent agent@example.org My Agent G");
  });

  it("ask, and leave the key behind when the cell is sealed", async () => {
    const issue = await summon("Say hello", " -- which language?");
    await stage.reply(issue, "English or German?");
    const id = await stage.cellId(issue);
    const config = () => readdir(join(stage.lazarus.missionsDir, id, "config"));
    expect(await config()).toContain("signing-key");
    await stage.type(stage.lead, issue, "/lazarus close");
    await stage.card(issue, "**closed by lead**");
    expect(await config()).not.toContain("signing-key");
    const archive = join(stage.lazarus.missionsDir, id, "archive/cell.tar.gz");
    expect(execFileSync("tar", ["-tzf", archive], { encoding: "utf8" })).not.toContain("signing-key");
  });
});
