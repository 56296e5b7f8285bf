import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TestProject } from "vitest/node";
import { findGroups } from "../src/backends/os/groups/find-groups.ts";
import { findTool } from "../src/backends/os/tools.ts";
import { closedDirectory } from "../src/backends/os/user.ts";
import { sandboxBackend } from "../src/backends/sandbox/sandbox.ts";

/** What tests may want that a machine may not have. */
export type Want =
  | "root"
  | "ordinary user"
  | "sandbox"
  | "ordinary user's sandbox"
  | "control groups"
  | "others"
  | "python3"
  | "chromium"
  | "ssh-keygen"
  | "systemd-notify"
  | "systemd-analyze"
  | "promtool"
  | "openssl"
  | "redis-server";
/** Each want in words with why it is missing, or null where it is here. */
export type Lacks = Readonly<Record<Want, string | null>>;

/** Who may do least on every system. */
export const NOBODY = { uid: 65_534, gid: 65_534, groups: [] };
/** As that user, from root. */
export const AS_NOBODY = [
  "setpriv",
  "--reuid",
  `${NOBODY.uid}`,
  "--regid",
  `${NOBODY.gid}`,
  "--clear-groups",
];

/** Looks once what this machine can do, and tells all test files (vitest's `globalSetup`). */
export default async function probe(project: TestProject): Promise<void> {
  project.provide("lacks", await lacksHere());
}

async function lacksHere(): Promise<Lacks> {
  const isRoot = process.geteuid?.() === 0;
  const noRoot = isRoot ? null : "root: only root can give cells users of their own";
  const others = noRoot ?? othersLack();
  return {
    root: noRoot,
    "ordinary user": isRoot ? "an ordinary user: nothing is closed to root" : null,
    sandbox: await sandboxLacks(),
    "control groups": await groupsLack(),
    others,
    "ordinary user's sandbox": others ?? nobodysSandboxLacks(),
    "ssh-keygen": findTool("ssh-keygen") !== null ? null : "ssh-keygen, which signs commits (openssh-client)",
    chromium: has("chromium") ? null : "chromium, which looks at the dashboard",
    python3: has("python3") ? null : "python3, which plays the service manager",
    "systemd-analyze": has("systemd-analyze") ? null : "systemd-analyze, which checks units",
    "redis-server":
      findTool("redis-check-rdb") !== null
        ? null
        : "a redis-server, which carries messages to runners (redis-tools)",
    openssl: findTool("openssl") !== null ? null : "openssl, which makes certificates",
    promtool: has("promtool") ? null : "promtool, which tries alert rules (prometheus)",
    "systemd-notify": has("systemd-notify") ? null : "systemd-notify, which tells a service manager",
  };
}

async function sandboxLacks(): Promise<string | null> {
  const check = await sandboxBackend().check();
  return check.ok ? null : `a sandbox: ${check.why}; ${check.fix}`;
}

async function groupsLack(): Promise<string | null> {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-groups-"));
  const { check } = await findGroups(dir);
  rmSync(dir, { recursive: true });
  return check.ok ? null : `control groups: ${check.why}`;
}

/** Nobody can run what nobody can read. */
function othersLack(): string | null {
  const files = [join(resolve(import.meta.dirname, ".."), "package.json"), process.execPath];
  const closed = files.map((file) => closedDirectory(file, NOBODY)).find((dir) => dir !== null);
  return closed === undefined
    ? null
    : `a checkout and a node that others may read: ${closed} is closed to them`;
}

function nobodysSandboxLacks(): string | null {
  const bwrap = findTool("bwrap");
  if (bwrap === null) return "a sandbox of an ordinary user: bubblewrap is not installed";
  const [command = "", ...words] = [
    ...AS_NOBODY,
    bwrap,
    "--unshare-all",
    "--ro-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "true",
  ];
  const tried = spawnSync(command, words, { encoding: "utf8", env: {} });
  return tried.status === 0
    ? null
    : `a sandbox of an ordinary user: ${tried.stderr.trim() || "setpriv could not be run"}`;
}

function has(program: string): boolean {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}
