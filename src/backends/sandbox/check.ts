import { execFile } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { explain } from "../../errors.ts";
import type { BackendCheck, CellUser, ChildEnd, ChildSpec } from "../backend.ts";
import { findTool } from "../os/tools.ts";
import { seccompProgram } from "./seccomp.ts";

const CHECK_MS = 10_000;
const NOTE =
  "agents run in namespaces of their own: they see the system's programs read-only, their own cell, and nothing else";
const calls = () =>
  seccompProgram() === null
    ? `; system calls are not filtered, since nobody wrote down their numbers on ${process.arch}`
    : "; system calls that no agent needs are refused";
/** Whoever may do least on every system: an agent's sandbox needs no more. */
const NOBODY: CellUser = { uid: 65_534, gid: 65_534, groups: [] };
const OLDEST = "0.8";

/**
 * Says `seen <own pid> <number of processes>` if it cannot read what lies outside, nor reach any network but
 * its own loopback.
 */
const PROBE = `
cat "$1" 2>/dev/null && exit 3
[ "$(grep -c : /proc/net/dev)" = 1 ] || exit 4
echo works >"$HOME/made" || exit 5
echo works
`;

/**
 * Whether sandboxes work here, found out by starting one (where Lazarus is root: as a user without rights, as
 * cells do).
 * @param run runs a child in a sandbox
 */
export async function checkSandbox(run: (spec: ChildSpec) => Promise<ChildEnd>): Promise<BackendCheck> {
  const bwrap = findTool("bwrap");
  if (bwrap === null) {
    return {
      ok: false,
      why: "bubblewrap is not installed",
      fix: "install it: apt-get install bubblewrap (dnf, pacman and apk call it the same)",
    };
  }
  const isRoot = process.getuid?.() === 0;
  if (isRoot && findTool("setpriv") === null) {
    return {
      ok: false,
      why: "there is no setpriv, by which agents get users of their own",
      fix: "install util-linux",
    };
  }
  const root = mkdtempSync(join(tmpdir(), "lazarus-check-"));
  try {
    return await tryOne(root, isRoot ? NOBODY : null, { run, bwrap });
  } catch (error) {
    return { ok: false, why: `no sandbox could be started: ${explain(error)}`, fix: await fixFor(bwrap) };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function tryOne(
  root: string,
  user: CellUser | null,
  how: { run: (spec: ChildSpec) => Promise<ChildEnd>; bwrap: string },
): Promise<BackendCheck> {
  const secret = join(root, "outside");
  const spec = childOf(root, user, ["/bin/sh", "-c", PROBE, "probe", secret]);
  writeFileSync(secret, "secret\n", { mode: 0o644 });
  const end = await how.run(spec);
  const said = readFileSync(spec.stdoutPath, "utf8");
  if (end.code === 0 && said === "works\n") return { ok: true, note: NOTE + calls() };
  if (said.includes("secret")) {
    return {
      ok: false,
      why: "a sandbox was started, and could read a file outside of it",
      fix: "report this as a bug",
    };
  }
  const line = end.stderr.trim().split("\n").at(-1) ?? "";
  const why = `bubblewrap could not make a sandbox (${end.timedOut ? "it took too long" : `exit ${end.code ?? end.signal}`}${line === "" ? "" : `: ${line}`})`;
  return { ok: false, why, fix: await fixFor(how.bwrap) };
}

function childOf(root: string, user: CellUser | null, command: readonly string[]): ChildSpec {
  const at = (name: string) => join(root, name);
  chmodSync(root, 0o711);
  const [worktree, artifacts, home] = [at("worktree"), at("artifacts"), at("home")];
  for (const dir of [worktree, artifacts, home]) {
    mkdirSync(dir, { mode: 0o700 });
    if (user !== null) chownSync(dir, user.uid, user.gid);
  }
  return {
    cellId: "check",
    dirs: {
      cell: root,
      worktree,
      artifacts,
      home,
      brief: at("brief.md"),
      prompt: null,
      mirror: at("mirror"),
    },
    env: { LAZARUS_CELL: "check", PATH: "/usr/bin:/bin", HOME: home },
    role: "executor",
    limits: { memoryBytes: null, processes: null, fileBytes: null, openFiles: null },
    network: "none",
    paths: [],
    image: null,
    user,
    command,
    stdoutPath: at("said"),
    timeoutMs: CHECK_MS,
    stderrBytes: 1_000,
  };
}

/** What most likely is in the way, by what the kernel says of itself. */
async function fixFor(bwrap: string): Promise<string> {
  const version = await versionOf(bwrap);
  if (version !== null && isOlder(version))
    return `bubblewrap ${version} is too old: install ${OLDEST} or newer`;
  if (setting("user/max_user_namespaces") === "0")
    return "allow user namespaces: sysctl user.max_user_namespaces=10000";
  if (setting("kernel/unprivileged_userns_clone") === "0")
    return "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1";
  if (setting("kernel/apparmor_restrict_unprivileged_userns") === "1")
    return "AppArmor keeps bubblewrap from user namespaces: give it a profile with `userns,` (the package apparmor-profiles has bwrap-userns-restrict), or sysctl kernel.apparmor_restrict_unprivileged_userns=0";
  return "inside a container, its engine has to allow user namespaces and mounts (docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined); else set the agent's backend to container or process";
}

function setting(name: string): string | null {
  try {
    return readFileSync(join("/proc/sys", name), "latin1").trim();
  } catch {
    return null;
  }
}

async function versionOf(bwrap: string): Promise<string | null> {
  const said = await promisify(execFile)(bwrap, ["--version"], { env: {} }).catch(() => null);
  return /(\d+\.\d+)/.exec(said?.stdout ?? "")?.[1] ?? null;
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major === 0 && minor < 8;
}
