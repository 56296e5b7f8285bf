import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OWN_LEAF } from "../src/backends/os/groups/hierarchies.ts";

const ROOT = resolve(import.meta.dirname, "..");
/** What every system has. */
const BASICS =
  "awk bash cat cut date dirname env find grep ln mkdir mktemp mv paste readlink rm sed sort tail touch".split(
    " ",
  );
const READY = "setup: ready\n";

/** A checkout with nothing in it but what setup looks at, and a machine whose PATH holds what a test says. */
class Machine {
  readonly dir = mkdtempSync(join(tmpdir(), "lazarus setup-"));
  readonly bin = join(this.dir, "bin");
  readonly checkout = join(this.dir, "checkout");

  constructor(uid: number) {
    for (const dir of [
      "bin",
      "checkout",
      "checkout/scripts",
      "checkout/src",
      "checkout/bin",
      "checkout/dist",
    ])
      mkdirSync(join(this.dir, dir));
    for (const file of ["scripts/setup", "scripts/packages", "package.json", "package-lock.json"])
      copyFileSync(join(ROOT, file), join(this.checkout, file));
    writeFileSync(join(this.checkout, "vite.build.config.ts"), "");
    for (const name of BASICS) symlinkSync(join("/usr/bin", name), join(this.bin, name));
    this.has("git", "echo git version 2.39.5");
    this.has("id", `echo ${uid}`);
    // New enough, and better-sqlite3 works with it.
    this.has("node", "");
    this.has(
      "npm",
      `echo "npm $*" >>"${this.dir}/said"; case $1 in ci) mkdir -p node_modules/.bin; : >node_modules/.package-lock.json ;; esac`,
    );
  }

  /** A program of that name is on the PATH. */
  has(name: string, script: string): void {
    const path = join(this.bin, name);
    writeFileSync(path, `#!/bin/bash\n${script}\n`);
    chmodSync(path, 0o755);
  }

  /** An apt-get that brings programs, or whose network is away. */
  hasApt(brings: Readonly<Record<string, string>> | null): void {
    const cases = Object.entries(brings ?? {}).map(
      ([name, program]) =>
        `${name}) printf '#!/bin/sh\\n' >"${this.bin}/${program}"; chmod +x "${this.bin}/${program}" ;;`,
    );
    const install =
      brings === null
        ? "echo 'Could not resolve host' >&2; exit 100"
        : `for one in "$@"; do case $one in ${cases.join(" ")} esac; done`;
    this.has("apt-get", `export PATH=/usr/bin:/bin; echo "apt-get $*" >>"${this.dir}/said"; ${install}`);
  }

  setUp(): { code: number | null; said: string } {
    const env = { PATH: this.bin, HOME: this.dir, TMPDIR: this.dir };
    const ended = spawnSync("/bin/bash", ["scripts/setup"], { cwd: this.checkout, env, encoding: "utf8" });
    return { code: ended.status, said: ended.stderr + ended.stdout };
  }

  /** What npm and apt-get were asked for. */
  get asked(): string[] {
    const path = join(this.dir, "said");
    return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  }
}

let machine: Machine;
const on = (uid: number) => {
  machine = new Machine(uid);
  return machine;
};
beforeEach(() => on(1000));
afterEach(() => rmSync(machine.dir, { recursive: true }));

describe("setup without bubblewrap", () => {
  it("brings it as root with apt-get, and is quiet the next time", () => {
    on(0).hasApt({ bubblewrap: "bwrap", python3: "python3", "redis-tools": "redis-check-rdb" });
    const { code, said } = machine.setUp();
    expect([code, said]).toEqual([
      0,
      expect.stringContaining("setup: installing bubblewrap python3 redis-tools\n"),
    ]);
    expect(said).not.toContain("setup: not here: ");
    expect(machine.asked.filter((one) => one.includes(" install "))).toEqual([
      "apt-get -qq install -y --no-install-recommends bubblewrap python3 redis-tools",
    ]);
    expect(machine.setUp()).toEqual({ code: 0, said: "" });
  });

  it("ends well where apt-get reaches nothing, and says what that means and what to type", () => {
    on(0).hasApt(null);
    const { code, said } = machine.setUp();
    expect(code).toBe(0);
    expect(said).toContain("Could not resolve host\n");
    expect(said).toContain("setup: apt-get could not install bubblewrap python3 redis-tools: see above\n");
    expect(said).toContain("agents that name no other backend cannot be summoned");
    expect(said).toContain("type: apt-get update && apt-get install -y bubblewrap python3 redis-tools\n");
  });

  it.each([
    ["apt-get", "sudo apt-get update && sudo apt-get install -y bubblewrap python3 redis-tools"],
    ["dnf", "sudo dnf install -y bubblewrap python3 redis-tools"],
    ["pacman", "sudo pacman -S --needed bubblewrap python3 redis-tools"],
    ["zypper", "sudo zypper install -y bubblewrap python3 redis-tools"],
    ["apk", "sudo apk add bubblewrap python3 redis-tools"],
    ["no-such", "install with this system's package manager: bubblewrap python3 redis-tools"],
  ])("ends well for an ordinary user with %s, and names the one line to type", (manager, line) => {
    machine.has(manager, "exit 1");
    const { code, said } = machine.setUp();
    expect(code).toBe(0);
    expect(said).toContain("setup: not here: bubblewrap: the sandbox, in which agents run\n");
    expect(said).toContain(`setup: Lazarus works without. To have it, type: ${line}\n`);
    expect(said).toContain(READY);
    expect(said).toContain("setup: optional, not here: podman: ");
  });
});

it("says nothing of the system where all is there", () => {
  const optional = ["podman", "systemd-notify", "chromium", "openssl"];
  for (const program of ["bwrap", "python3", "redis-check-rdb", ...optional]) machine.has(program, "");
  expect(machine.setUp().said).toMatch(/^setup: installing dependencies.*\nsetup: building\nsetup: ready\n$/);
});

it("ends where git is missing, and names the one line", () => {
  rmSync(join(machine.bin, "git"));
  machine.has("apt-get", "exit 1");
  expect(machine.setUp()).toEqual({
    code: 1,
    said: "setup: missing: git ca-certificates. Type this, then run it again: sudo apt-get update && sudo apt-get install -y git ca-certificates\n",
  });
});

it("refuses a node_modules that is a link", () => {
  symlinkSync(machine.dir, join(machine.checkout, "node_modules"));
  expect(machine.setUp()).toMatchObject({ code: 1, said: expect.stringContaining("node_modules is a link") });
});

it("the composition allows what the check of the sandbox asks of a container", () => {
  const asked = readFileSync(join(ROOT, "src/backends/sandbox/check.ts"), "utf8").matchAll(
    /--security-opt ([a-z]+=unconfined)/g,
  );
  const composed = readFileSync(join(ROOT, "docker-compose.yml"), "utf8");
  const options = [...asked].map(([, option]) => option);
  expect(options).toHaveLength(3);
  for (const option of options) expect(composed).toContain(`- ${option}\n`);
});

it("the unit gives each cell a group of its own, and nothing that keeps sandboxes from being made", () => {
  const unit = readFileSync(join(ROOT, "contrib/lazarus.service"), "utf8");
  const keys = new Map(
    [...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = "", value = ""]) => [key, value] as const),
  );
  expect(keys.get("DelegateSubgroup")).toBe(OWN_LEAF);
  expect(Object.fromEntries(keys)).toMatchObject({
    Delegate: "yes",
    OOMPolicy: "continue",
    KillMode: "process",
  });
  const harmful = [
    "RestrictNamespaces",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectControlGroups",
    "PrivateTmp",
  ];
  expect(harmful.filter((key) => keys.has(key))).toEqual([]);
});

it("the image has what the default backend needs", () => {
  const dockerfile =
    readFileSync(join(ROOT, "Dockerfile"), "utf8")
      .split(/^FROM /m)
      .at(-1) ?? "";
  const lines = readFileSync(join(ROOT, "scripts/packages"), "utf8").split("\n");
  const needed = lines
    .map((line) => line.split(/\s+/))
    .filter(([when]) => when === "need" || when === "default");
  expect(needed.map(([, , name]) => name)).toEqual(["git", "bubblewrap"]);
  for (const [, , name] of needed) expect(dockerfile).toMatch(new RegExp(`apt-get install .*\\b${name}\\b`));
});
