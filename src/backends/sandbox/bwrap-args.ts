import { basename, join } from "node:path";
import type { Surroundings } from "../backend.ts";

/** Of the machine, as far as a sandbox shows it. */
export interface HostLayout {
  /** `/bin` and its like: what each links to (merged /usr), null where it is a directory of its own. */
  readonly roots: readonly { readonly path: string; readonly link: string | null }[];
  /** What is there of `ETC_SHOWN`, names below /etc. */
  readonly etc: readonly string[];
  /** Text of /etc/hosts. */
  readonly hosts: string;
}

/** What one sandbox is made of. */
export interface SandboxPlan extends Pick<Surroundings, "dirs" | "role" | "network" | "paths"> {
  readonly host: HostLayout;
  /** Who its processes are, on the host and inside alike. */
  readonly ids: { readonly uid: number; readonly gid: number };
  /**
   * Where the gate to listed hosts listens, and the Node that leads there; null unless the network is a list.
   */
  readonly gate: { readonly dir: string; readonly node: string } | null;
}

/** Candidates for `HostLayout.roots`. */
export const ROOTS = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] as const;

/**
 * What programs need of /etc and nobody minds showing: no keys (`ssl/private`), no accounts, no configuration
 * that may hold passwords. Java keeps half of its installation there.
 */
export const ETC_SHOWN =
  /^(ld\.so\.(cache|conf|conf\.d)|alternatives|localtime|timezone|nsswitch\.conf|gai\.conf|host\.conf|protocols|services|mime\.types|os-release|ca-certificates(\.conf)?|crypto-policies|java-\d+-openjdk)$/;
/** Below directories that also hold what is nobody's business. */
export const ETC_SHOWN_DEEPER = [
  "ssl/certs",
  "ssl/cert.pem",
  "ssl/openssl.cnf",
  "pki/tls/certs",
  "pki/ca-trust/extracted",
] as const;

/**
 * File descriptors from which bubblewrap reads its own words, the text that begins inside, the files that we
 * make up, in the order of `madeUpFiles`, and the filter of system calls.
 */
export const ARGS_FD = 5;
export const INSIDE_FD = 6;
export const FILE_FDS = [7, 8, 9] as const;
export const FILTER_FD = 10;
const MADE_UP = ["/etc/passwd", "/etc/group", "/etc/hosts"] as const;

/** Where the gate's directory and Node are seen inside. */
export const GATE_INSIDE = "/run/lazarus/gate";
export const NODE_INSIDE = "/run/lazarus/node";
/** The text that begins inside. */
export const BEGIN_INSIDE = "/run/lazarus/begin";
/** Where the relay to the gate listens inside. */
export const RELAY_PORT = 3128;

const TMP_BYTES = 2 * 1024 ** 3;
const SHM_BYTES = 256 * 1024 ** 2;
/** These live in memory, and only their own mounts may be written. */
const SEALED = ["/proc", "/dev", "/"];

/**
 * The arguments of bubblewrap for one sandbox, all but the command: what is not named here does not exist
 * inside.
 * @see bwrap(1), 0.8 or newer
 */
export function bwrapArguments(plan: SandboxPlan): string[] {
  return [
    ...namespaces(plan),
    ...system(plan),
    ...plan.paths.flatMap((path) => ["--ro-bind", path, path]),
    ...cell(plan),
    ...["--perms", "0444", "--ro-bind-data", String(INSIDE_FD), BEGIN_INSIDE],
    ...network(plan),
    // /proc too: to the host's root, also without any capability, the kernel's own settings are files like
    // others.
    ...SEALED.flatMap((path) => ["--remount-ro", path]),
    ...["--chdir", plan.dirs.worktree],
  ];
}

function namespaces({ network }: SandboxPlan): string[] {
  return [
    ...[
      "--unshare-user",
      "--disable-userns",
      "--unshare-pid",
      "--unshare-ipc",
      "--unshare-uts",
      "--unshare-cgroup-try",
    ],
    ...(network === "full" ? [] : ["--unshare-net"]),
    ...["--cap-drop", "ALL", "--new-session", "--die-with-parent", "--hostname", "lazarus"],
  ];
}

function system({ host, network }: SandboxPlan): string[] {
  const etc = [...host.etc, ...(network === "full" ? ["resolv.conf"] : [])].map((name) => join("/etc", name));
  const made = FILE_FDS.flatMap((fd, at) => [
    "--perms",
    "0444",
    "--ro-bind-data",
    String(fd),
    MADE_UP[at] ?? "",
  ]);
  return [
    ...["--ro-bind", "/usr", "/usr"],
    ...host.roots.flatMap(({ path, link }) =>
      link === null ? ["--ro-bind", path, path] : ["--symlink", link, path],
    ),
    ...etc.flatMap((path) => ["--ro-bind-try", path, path]),
    ...made,
    ...["--proc", "/proc", "--dev", "/dev"],
    ...["--perms", "1777", "--size", String(SHM_BYTES), "--tmpfs", "/dev/shm"],
    ...["--perms", "1777", "--size", String(TMP_BYTES), "--tmpfs", "/tmp"],
    ...["--symlink", "../tmp", "/var/tmp", "--dir", "/run"],
  ];
}

/** Everything at the paths it has on the host: git and the brief name them. */
function cell({ dirs, role }: SandboxPlan): string[] {
  const objects = join(dirs.mirror, "objects");
  return [
    ...["--ro-bind-try", objects, objects],
    ...["--ro-bind-try", dirs.brief, dirs.brief],
    ...(dirs.prompt === null ? [] : ["--ro-bind", dirs.prompt, dirs.prompt]),
    ...[role === "observer" ? "--ro-bind" : "--bind", dirs.worktree, dirs.worktree],
    ...["--bind", dirs.artifacts, dirs.artifacts],
    ...["--bind", dirs.home, dirs.home],
  ];
}

function network({ gate }: SandboxPlan): string[] {
  if (gate === null) return [];
  const proxy = `http://127.0.0.1:${RELAY_PORT}`;
  const local = "localhost,127.0.0.1,::1";
  const env = {
    ...{ HTTP_PROXY: proxy, HTTPS_PROXY: proxy, http_proxy: proxy, https_proxy: proxy },
    ...{ NO_PROXY: local, no_proxy: local, NODE_USE_ENV_PROXY: "1" },
  };
  return [
    ...["--ro-bind", gate.dir, GATE_INSIDE, "--ro-bind", gate.node, NODE_INSIDE],
    ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
}

/**
 * Texts of /etc/passwd, /etc/group and /etc/hosts: the one user there is, and no name of this machine or its
 * people, unless it shares their network.
 */
export function madeUpFiles({ ids, dirs, host, network }: SandboxPlan): string[] {
  const home = /[:\n]/.test(dirs.home) ? "/" : dirs.home;
  const own = `agent:x:${ids.uid}:${ids.gid}:${basename(dirs.home).replace(/[^\w.-]/g, "")}:${home}:/bin/sh`;
  const root = "root:x:0:0:root:/:/bin/sh";
  const users = ids.uid === 0 ? [own.replace(/^agent/, "root")] : [root, own];
  const groups = ids.gid === 0 ? ["root:x:0:"] : ["root:x:0:", `agent:x:${ids.gid}:`];
  const hosts = network === "full" ? host.hosts : "127.0.0.1 localhost lazarus\n::1 localhost";
  const nobody = ["nobody:x:65534:65534:nobody:/:/bin/false", "nogroup:x:65534:"];
  return [[...users, nobody[0]].join("\n"), [...groups, nobody[1]].join("\n"), hosts];
}
