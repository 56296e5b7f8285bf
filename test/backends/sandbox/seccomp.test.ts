import { existsSync, readdirSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sandboxBackend } from "../../../src/backends/sandbox/sandbox.ts";
import { REFUSED, seccompProgram } from "../../../src/backends/sandbox/seccomp.ts";
import { type CellRig, createCellRig } from "../../fakes/cell-rig.ts";
import { lacking, needs } from "../../machine.ts";

const [ALLOW, EPERM, ENOSYS, EAFNOSUPPORT] = [0x7fff0000, 0x50001, 0x50026, 0x50061];
const MACHINES = [
  { arch: "x64", audit: 0xc000003e, column: 1, clone: 56, unshare: 272, socket: 41, getpid: 39, ptrace: 101 },
  {
    arch: "arm64",
    audit: 0xc00000b7,
    column: 2,
    clone: 220,
    unshare: 97,
    socket: 198,
    getpid: 172,
    ptrace: 117,
  },
] as const;

/** What a kernel does with a program of classic BPF, for the few instructions that ours has. */
function answerOf(program: Buffer, data: Readonly<Record<number, number>>): number {
  let register = 0;
  for (let at = 0; at * 8 < program.length; at++) {
    const [code, k] = [program.readUInt16LE(at * 8), program.readUInt32LE(at * 8 + 4)];
    if (code === 0x06) return k;
    if (code === 0x20) register = data[k] ?? 0;
    const holds: Record<number, boolean> = {
      21: register === k,
      53: register >= k,
      69: (register & k) !== 0,
    };
    if (code !== 0x20) at += program.readUInt8(at * 8 + (holds[code] === true ? 2 : 3));
  }
  throw new Error("the program has no end");
}

/** What has let programs out of sandboxes, with its numbers on x86_64 and aarch64, by the kernel's tables. */
const USUAL: Readonly<Record<string, readonly [x64: number, arm64: number]>> = {
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
};

describe.each(MACHINES)("the filter of system calls on $arch", ({ arch, audit, column, ...calls }) => {
  const program = seccompProgram(arch) ?? Buffer.alloc(0);
  const asked = (number: number, first = 0) => answerOf(program, { 0: number, 4: audit, 16: first });

  it("refuses what no agent needs, and lets the rest pass", () => {
    const numbers = REFUSED.flatMap((row) => row[column] ?? []);
    expect(new Set(numbers).size).toBe(numbers.length);
    for (const number of numbers) expect([number, asked(number)]).toEqual([number, EPERM]);
    const passed = [...Array(500).keys()].filter((number) => asked(number) === ALLOW);
    expect(passed).toEqual(expect.arrayContaining([calls.clone, calls.unshare, calls.getpid, calls.ptrace]));
    // The listed ones, `clone3` and a socket of no family.
    expect(passed).toHaveLength(500 - numbers.length - 2);
  });

  it.each(Object.entries(USUAL))("refuses %s, whatever the list says", (_, numbers) => {
    expect(asked(numbers[column - 1] ?? 0)).toBe(EPERM);
  });

  it("looks into the flags of clone and unshare, and has no clone3, whose flags it cannot see", () => {
    for (const call of [calls.clone, calls.unshare]) {
      expect(asked(call, 0x10000000 | 0x11)).toBe(EPERM);
      expect(asked(call, 0x3d0f00)).toBe(ALLOW);
    }
    expect(asked(435)).toBe(ENOSYS);
  });

  it("knows sockets that the namespace of a network keeps apart, and no others", () => {
    const families = [...Array(50).keys()].filter((family) => asked(calls.socket, family) === ALLOW);
    expect(families).toEqual([1, 2, 10, 16]);
    expect(asked(calls.socket, 40)).toBe(EAFNOSUPPORT);
  });

  it("refuses all calls of another architecture", () => {
    for (const other of MACHINES.filter((one) => one.arch !== arch))
      expect(answerOf(program, { 0: calls.getpid, 4: other.audit })).toBe(EPERM);
    expect(answerOf(program, { 0: 20, 4: 0x40000003 })).toBe(EPERM);
  });
});

it("refuses the calls of x32, which are x86_64's with a bit more", () => {
  const program = seccompProgram("x64") ?? Buffer.alloc(0);
  expect(answerOf(program, { 0: 0x40000000 + 39, 4: 0xc000003e })).toBe(EPERM);
});

it("is not there where nobody knows the numbers", () => {
  expect(seccompProgram("riscv64")).toBe(null);
});

describe("in a sandbox", needs("sandbox"), () => {
  let rig: CellRig;
  beforeEach(() => {
    rig = createCellRig();
  });
  afterEach(() => rig.remove());

  const column = process.arch === "arm64" ? 2 : 1;
  const inside = async (command: string, more: { paths?: string[]; path?: string } = {}) => {
    const env = { ...rig.around.env, PATH: `${more.path ?? ""}${rig.around.env.PATH}` };
    const paths = [...rig.around.paths, ...(more.paths ?? [])];
    const end = await sandboxBackend().runToEnd(
      rig.child(["sh", "-c", command], { env, paths, stderrBytes: 10_000 }),
    );
    return { ...end, said: rig.text("state/out") };
  };

  it("is in force for all that an agent starts", async () => {
    const { said } = await inside("grep -h Seccomp: /proc/self/status /proc/1/status");
    expect(said).toBe("Seccomp:\t2\nSeccomp:\t2\n");
  });

  it("answers each refused call as not permitted", async () => {
    const names = REFUSED.filter((row) => row[column] !== null);
    const tries = names.map((row) => `$! = 0; syscall(${row[column]}, 0, 0, 0, 0, 0); print "$!\\n";`);
    const { said } = await inside(`perl -e '${tries.join(" ")}'`);
    expect(said.trimEnd().split("\n")).toEqual(names.map(() => "Operation not permitted"));
  });

  it("gives no socket to the machine that this one runs on", async () => {
    const { said } = await inside(`perl -e 'socket(my $s, 40, 1, 0) or print "$!"'`);
    expect(said).toContain("not supported");
  });

  const TOOLS: [tool: string, command: string][] = [
    [
      "node",
      `node -e 'new (require("worker_threads").Worker)("1", {eval: true}).on("exit", () => console.log("works"))' `,
    ],
    [
      "git",
      `git init -q r && cd r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m works && git log --format=%s`,
    ],
    [
      "python3",
      `python3 -c 'import subprocess, threading; t = threading.Thread(target=lambda: subprocess.run(["echo", "works"])); t.start(); t.join()'`,
    ],
    [
      "go",
      `printf 'package main\\nfunc main() { println("works") }\\n' >m.go && GOFLAGS=-mod=mod GOPATH=$HOME/go GOCACHE=$HOME/c go run m.go 2>&1`,
    ],
    [
      "cargo",
      `cargo init -q --name w --vcs none . 2>/dev/null; printf 'fn main() { println!("works") }' >src/main.rs; cargo run -q --offline`,
    ],
    ["gcc", `printf 'int puts(char *); int main() { puts("works"); return 0; }' >m.c && gcc m.c && ./a.out`],
    ["strace", `strace -f -o t sh -c 'echo works'`],
    ["gdb", `gdb -q -batch -ex run -ex quit --args /bin/echo works 2>&1 | grep -o '^works'`],
  ];
  for (const [tool, command] of TOOLS) {
    const place = whereIs(tool);
    it(`lets ${tool} work`, place === null ? lacking(`${tool} below /usr`) : {}, async () => {
      const end = await inside(command, place ?? {});
      expect([end.stderr.slice(-800), end.said.trim()]).toEqual([expect.anything(), "works"]);
    });
  }
});

/** Where a tool lies outside of what a sandbox shows anyway; null where this machine has none. */
function whereIs(tool: string): { paths: string[]; path: string } | null {
  const found = (process.env.PATH ?? "")
    .split(":")
    .map((dir) => join(dir, tool))
    .find((file) => existsSync(file) && (tool === "cargo" || realpathSync(file).startsWith("/usr/")));
  if (found === undefined) return null;
  const real = realpathSync(found);
  if (tool === "cargo" && real.startsWith(homedir())) return cargoAt();
  return real.startsWith("/usr/") ? { paths: [], path: `${dirname(real)}:` } : null;
}

/** Rust's own programs behind rustup's. */
function cargoAt(): { paths: string[]; path: string } | null {
  const toolchains = join(homedir(), ".rustup/toolchains");
  const [first] = existsSync(toolchains) ? readdirSync(toolchains) : [];
  return first === undefined
    ? null
    : { paths: [join(toolchains, first)], path: `${join(toolchains, first, "bin")}:` };
}
