import { endianness } from "node:os";

/**
 * The filter of system calls that bubblewrap puts on all that runs in a sandbox, as classic BPF. It takes
 * away what no agent needs and what has let programs out of sandboxes before; the rest stays, `ptrace` too:
 * debuggers need it, and a sandbox shows nothing to trace but itself.
 * @see seccomp(2), linux/filter.h, linux/seccomp.h, linux/audit.h
 */
export function seccompProgram(arch: string = process.arch): Buffer | null {
  const machine = MACHINES[arch];
  return machine === undefined || endianness() !== "LE" ? null : assemble(linesFor(machine));
}

interface Machine {
  /** AUDIT_ARCH_… of linux/audit.h. */
  readonly audit: number;
  /** Position of the machine's number in a row of `REFUSED`. */
  readonly column: 0 | 1;
  /** From this number on it is another set of calls on the same machine: x32. */
  readonly foreignFrom: number | null;
}

const MACHINES: Readonly<Record<string, Machine>> = {
  x64: { audit: 0xc000003e, column: 0, foreignFrom: 0x40000000 },
  arm64: { audit: 0xc00000b7, column: 1, foreignFrom: null },
};

type Row = readonly [name: string, x64: number | null, arm64: number | null];

/**
 * Refused as not permitted, with their numbers on x86_64 and aarch64.
 * @see arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux 6.16
 */
export const REFUSED: readonly Row[] = [
  // Keys: they are not kept apart by any namespace.
  ["add_key", 248, 217],
  ["request_key", 249, 218],
  ["keyctl", 250, 219],
  // Programs for the kernel, and its events.
  ["bpf", 321, 280],
  ["perf_event_open", 298, 241],
  ["userfaultfd", 323, 282],
  // Calls that no filter sees.
  ["io_uring_setup", 425, 425],
  ["io_uring_enter", 426, 426],
  ["io_uring_register", 427, 427],
  // Mounts.
  ["mount", 165, 40],
  ["umount2", 166, 39],
  ["pivot_root", 155, 41],
  ["open_tree", 428, 428],
  ["move_mount", 429, 429],
  ["fsopen", 430, 430],
  ["fsconfig", 431, 431],
  ["fsmount", 432, 432],
  ["fspick", 433, 433],
  ["mount_setattr", 442, 442],
  ["open_tree_attr", 467, 467],
  // Namespaces of others.
  ["setns", 308, 268],
  ["open_by_handle_at", 304, 265],
  // The machine itself.
  ["kexec_load", 246, 104],
  ["kexec_file_load", 320, 294],
  ["init_module", 175, 105],
  ["finit_module", 313, 273],
  ["delete_module", 176, 106],
  ["reboot", 169, 142],
  ["swapon", 167, 224],
  ["swapoff", 168, 225],
  ["acct", 163, 89],
  ["quotactl", 179, 60],
  ["quotactl_fd", 443, 443],
  ["syslog", 103, 116],
  ["vhangup", 153, 58],
  ["nfsservctl", 180, 42],
  ["lookup_dcookie", 212, 18],
  // Of old x86 kernels.
  ["uselib", 134, null],
  ["_sysctl", 156, null],
  ["iopl", 172, null],
  ["ioperm", 173, null],
  ["create_module", 174, null],
  ["get_kernel_syms", 177, null],
  ["query_module", 178, null],
];

/** Looked at by their first argument, or answered as if the kernel did not have them. */
const CLONE: Row = ["clone", 56, 220];
const UNSHARE: Row = ["unshare", 272, 97];
const CLONE3: Row = ["clone3", 435, 435];
const SOCKET: Row = ["socket", 41, 198];

const CLONE_NEWUSER = 0x10000000;
/** unix, inet, inet6, netlink: others, such as vsock, are not kept apart by the namespace of a network. */
const FAMILIES = [1, 2, 10, 16] as const;
const [EPERM, ENOSYS, EAFNOSUPPORT] = [1, 38, 97];

/** Fields of `struct seccomp_data`; of an argument the lower half, on machines that write that first. */
const [NUMBER, ARCH, FIRST_ARGUMENT] = [0, 4, 16];

/** One instruction; `to` names the label that it goes on at where it holds, else at the next. */
interface Line {
  readonly label?: string;
  readonly code: number;
  readonly k: number;
  readonly to?: string;
}

/** BPF_LD|BPF_W|BPF_ABS, BPF_JMP with JEQ, JGE, JSET and a constant, BPF_RET|BPF_K. */
const CODE = { load: 0x20, equal: 0x15, least: 0x35, anyBit: 0x45, answer: 0x06 } as const;
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;

const load = (k: number, label?: string): Line => ({ code: CODE.load, k, ...(label && { label }) });
const answer = (label: string, k: number): Line => ({ label, code: CODE.answer, k });
const ifEqual = (k: number, to: string): Line => ({ code: CODE.equal, k, to });

function linesFor({ audit, column, foreignFrom }: Machine): Line[] {
  const numberOf = (row: Row) => row[column + 1] as number | null;
  const refused = REFUSED.map(numberOf).filter((one) => one !== null);
  const is = (row: Row, to: string) => ifEqual(numberOf(row) ?? -1, to);
  return [
    load(ARCH),
    ifEqual(audit, "ours"),
    { code: CODE.answer, k: ERRNO | EPERM },
    load(NUMBER, "ours"),
    ...(foreignFrom === null ? [] : [{ code: CODE.least, k: foreignFrom, to: "no" }]),
    is(CLONE, "flags"),
    is(UNSHARE, "flags"),
    is(SOCKET, "family"),
    // Its flags lie in memory, where no filter can read them: libraries use clone then.
    is(CLONE3, "absent"),
    ...refused.map((one) => ifEqual(one, "no")),
    { code: CODE.answer, k: ALLOW },
    load(FIRST_ARGUMENT, "flags"),
    { code: CODE.anyBit, k: CLONE_NEWUSER, to: "no" },
    { code: CODE.answer, k: ALLOW },
    load(FIRST_ARGUMENT, "family"),
    ...FAMILIES.map((one) => ifEqual(one, "yes")),
    { code: CODE.answer, k: ERRNO | EAFNOSUPPORT },
    answer("yes", ALLOW),
    answer("no", ERRNO | EPERM),
    answer("absent", ERRNO | ENOSYS),
  ];
}

const BYTES = 8;
const FARTHEST = 255;

/** `struct sock_filter`: code (2 bytes), jump if true, jump if false, k (4 bytes). */
function assemble(lines: readonly Line[]): Buffer {
  const places = new Map(
    lines.flatMap(({ label }, at) => (label === undefined ? [] : [[label, at] as const])),
  );
  const program = Buffer.alloc(lines.length * BYTES);
  for (const [at, { code, k, to }] of lines.entries()) {
    const jump = to === undefined ? 0 : (places.get(to) ?? -1) - at - 1;
    if (jump < 0 || jump > FARTHEST) throw new RangeError(`no jump of ${jump} instructions can be written`);
    program.writeUInt16LE(code, at * BYTES);
    program.writeUInt8(jump, at * BYTES + 2);
    program.writeUInt32LE(k >>> 0, at * BYTES + 4);
  }
  return program;
}
