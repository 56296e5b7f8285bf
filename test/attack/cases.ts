import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { RunSpec } from "../../src/backends/backend.ts";
import type { Ground, Name } from "./ground.ts";

export const DEGREES = [
  ...(["process", "process, own user", "sandbox", "sandbox, own user"] as const),
  ...(["container", "container, own user"] as const),
] as const;
export type Degree = (typeof DEGREES)[number];

/** One attack on what a backend promises. */
export interface Case {
  /** Number of the attack in safety.md, then a running one. */
  readonly id: string;
  readonly tries: string;
  /** The degrees that must stop it. */
  readonly stoppedBy: readonly Degree[];
  /** Those that stop it where the machine has control groups. */
  readonly heldBy?: readonly Degree[];
  /** What the agent does: a shell script, which prints whatever it can get. */
  readonly script: (ground: Ground) => string;
  /** What it got, seen from outside or proven by a canary; null: nothing. */
  readonly got: (ground: Ground, printed: string) => string | null;
  readonly spec?: Partial<RunSpec> | ((ground: Ground) => Partial<RunSpec>);
  /**
   * Not tried without isolation, nor where a degree does not promise to stop it: it could harm the machine.
   */
  readonly isDangerous?: boolean;
  /** Whether a plain process without limits shows that it works; else something is wrong with the case. */
  readonly hasControl?: boolean;
}

const CONTAINERS: readonly Degree[] = ["container", "container, own user"];
const NUMBERED: readonly Degree[] = ["process, own user", "sandbox, own user"];
const OWN_USER: readonly Degree[] = [...NUMBERED, "container, own user"];
const NAMESPACES: readonly Degree[] = ["sandbox", "sandbox, own user", ...CONTAINERS];
const CLOSED: readonly Degree[] = ["process, own user", ...NAMESPACES];
const ALL: readonly Degree[] = DEGREES;
const FILTERED: readonly Degree[] = ["sandbox", "sandbox, own user"];
/** An agent with our own rights can leave a group. */
const GROUPED: readonly Degree[] = ["process, own user", ...FILTERED, ...CONTAINERS];
const IS_ROOT = process.getuid?.() === 0;
/**
 * Where Lazarus is root itself, the kernel holds a sandbox without a user of its own to no number of
 * processes.
 */
const COUNTED: readonly Degree[] = IS_ROOT ? NUMBERED : ["sandbox", ...NUMBERED];
const KILLED = "it is dead or stopped";

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const shown = (canary: (ground: Ground) => string) => (ground: Ground, printed: string) =>
  printed.includes(canary(ground)) ? "its content" : null;

function reads(id: string, tries: string, name: Name, stoppedBy = CLOSED): Case {
  return {
    ...{ id, tries: `read ${tries}`, stoppedBy },
    script: ({ at }) => `cat ${quote(at[name])}`,
    got: shown(({ canary }) => canary(name)),
  };
}

function writes(id: string, tries: string, name: Name, stoppedBy = CLOSED): Case {
  return {
    ...{ id, tries: `write ${tries}`, stoppedBy },
    script: ({ at }) =>
      `echo evil >>${quote(at[name])}; echo evil >${quote(`${at[name]}.new`)}; mv ${quote(`${at[name]}.new`)} ${quote(at[name])}`,
    got: ({ at, canary }) =>
      readFileSync(at[name], "utf8") === `${canary(name)}\n` ? null : "its content changed",
  };
}

const inProc = (
  id: string,
  tries: string,
  script: (pid: number) => string,
  more: Pick<Case, "got" | "stoppedBy">,
): Case => ({
  ...{ id, tries, ...more },
  script: ({ lazarus }) => script(lazarus.pid),
});

const hit = (prefix: string) => (ground: Ground) =>
  ground.hits.some((each) => each.startsWith(prefix)) ? "an answer" : null;
const own = ({ root }: Ground, ...names: string[]) => join(root, "missions/own", ...names);
const perl = (text: string) => `perl -e ${quote(text)}`;

const READING: readonly Case[] = [
  reads("1.1", "another cell's worktree", "otherWork"),
  reads("1.2", "another cell's home", "otherHome"),
  reads("1.3", "another cell's artifacts", "otherArtifact"),
  reads("1.4", "another cell's brief", "otherBrief"),
  reads("1.5", "another cell's log", "otherLog"),
  reads("1.6", "the configuration, with the token", "config"),
  reads("1.7", "the registry", "registry"),
  reads("1.8", "another repository's mirror", "mirror"),
  reads("1.9", "what waits in quarantine", "quarantine"),
  reads("1.10", "its own cell's meta", "ownMeta"),
  reads("1.11", "its own cell's state", "ownState"),
  reads("1.12", "its own cell's archive", "ownArchive"),
  reads("1.13", "a key of the host", "hostKey"),
  reads("1.14", "somebody else's file in /tmp", "othersTmp"),
  {
    ...{ id: "1.15", tries: "read it through a link in its worktree", stoppedBy: CLOSED },
    script: ({ at }) => `ln -sf ${quote(at.registry)} link; cat link`,
    got: shown(({ canary }) => canary("registry")),
  },
  {
    ...{ id: "1.16", tries: "read it through a hard link", stoppedBy: CLOSED },
    script: ({ at }) => `ln ${quote(at.otherHome)} hard; cat hard`,
    got: shown(({ canary }) => canary("otherHome")),
  },
  {
    ...{ id: "1.17", tries: "list the cells there are", stoppedBy: CLOSED },
    script: ({ root }) => `ls ${quote(join(root, "missions"))}`,
    got: (_, printed) => (/^neighbour$/m.test(printed) ? "their names" : null),
  },
  inProc("1.18", "read the environment of Lazarus", (pid) => `cat /proc/${pid}/environ`, {
    ...{ stoppedBy: CLOSED, got: shown(({ canary }) => canary("process")) },
  }),
  inProc("1.19", "read the arguments of processes", (pid) => `cat /proc/${pid}/cmdline`, {
    ...{ stoppedBy: NAMESPACES, got: shown(({ canary }) => canary("argument")) },
  }),
  inProc("1.20", "enter the directory of Lazarus by /proc", (pid) => `cat /proc/${pid}/cwd/lazarus.yaml`, {
    ...{ stoppedBy: CLOSED, got: shown(({ canary }) => canary("config")) },
  }),
  inProc("1.21", "read what Lazarus holds open", (pid) => `cat /proc/${pid}/fd/9`, {
    ...{ stoppedBy: CLOSED, got: shown(({ canary }) => canary("config")) },
  }),
  inProc("1.22", "go by the root of Lazarus in /proc", (pid) => `cat /proc/${pid}/root/proc/${pid}/environ`, {
    ...{ stoppedBy: CLOSED, got: shown(({ canary }) => canary("process")) },
  }),
  inProc(
    "1.23",
    "read the memory of Lazarus",
    (pid) =>
      perl(
        `open M,"<","/proc/${pid}/maps";for(<M>){next unless /^(\\w+)-(\\w+) .*stack/;open F,"<","/proc/${pid}/mem";binmode F;sysseek F,hex $1,0;sysread F,$x,hex($2)-hex($1);print $x}`,
      ),
    { stoppedBy: CLOSED, got: shown(({ canary }) => canary("process")) },
  ),
  {
    ...{ id: "1.24", tries: "read the environment of another cell's agent", stoppedBy: CLOSED },
    script: ({ neighbour }) => `cat /proc/${neighbour.pid}/environ`,
    got: shown(({ canary }) => canary("neighbour")),
  },
  {
    ...{ id: "1.25", tries: "find the token in what it inherits", stoppedBy: ALL },
    script: () => "env; cat /proc/self/environ /proc/$PPID/environ",
    got: shown(({ canary }) => canary("inherited")),
  },
  {
    ...{ id: "1.26", tries: "read descriptors that were left open", stoppedBy: ALL },
    script: () => "for fd in 3 4 5 6 7 8 9; do cat <&$fd; done 2>/dev/null; cat /proc/self/fd/[3-9]",
    got: shown(({ canary }) => canary("config")),
  },
  {
    ...{ id: "1.27", tries: "see more by a namespace of its own", stoppedBy: CLOSED },
    script: ({ at }) =>
      `unshare -Urm sh -c ${quote(`mount -o bind / /mnt; cat ${quote(at.registry)} ${quote(`/mnt${at.registry}`)}`)}`,
    got: shown(({ canary }) => canary("registry")),
  },
];

/** Ways to say "this machine". */
const LOOPBACK_NAMES = ["127.0.0.1", "localhost", "::1", "127.0.0.2", "0.0.0.0", "::ffff:127.0.0.1", "127.1"];
const say = (host: string, port: number, text: string) =>
  `timeout 2 bash -c "exec 5<>/dev/tcp/${host}/${port} && printf '${text}' >&5 && cat <&5"`;
const get = (host: string, port: number) => say(host, port, "GET /plain HTTP/1.0\\r\\n\\r\\n");
const tunnel = (host: string, port: number) =>
  say(
    "127.0.0.1",
    3128,
    `CONNECT ${host.includes(":") ? `[${host}]` : host}:${port} HTTP/1.1\\r\\n\\r\\nGET /plain HTTP/1.0\\r\\n\\r\\n`,
  );

const REACHING: readonly Case[] = [
  {
    ...{ id: "1.28", tries: "reach the host's loopback", stoppedBy: NAMESPACES },
    script: ({ port }) =>
      `bash -c "exec 5<>/dev/tcp/127.0.0.1/${port} && printf 'GET /plain HTTP/1.0\\r\\n\\r\\n' >&5 && cat <&5" || wget -T 1 -q -O- http://127.0.0.1:${port}/plain`,
    got: hit("http /plain"),
  },
  {
    ...{ id: "1.29", tries: "reach an abstract socket of the host", stoppedBy: NAMESPACES },
    script: ({ abstract }) =>
      perl(
        `use Socket;socket(S,AF_UNIX,SOCK_STREAM,0);connect(S,pack("Sa108",AF_UNIX,"\\0${abstract}"))and print <S>`,
      ),
    got: hit("abstract"),
  },
  {
    ...{ id: "1.30", tries: "reach a socket of the host's, such as an engine's", stoppedBy: CLOSED },
    script: ({ at }) =>
      perl(
        `use Socket;socket(S,AF_UNIX,SOCK_STREAM,0);connect(S,pack_sockaddr_un("${at.socket}"))and print <S>`,
      ),
    got: hit("socket"),
  },
  {
    ...{ id: "1.31", tries: "leave its network for that of Lazarus", stoppedBy: NAMESPACES },
    script: ({ port, lazarus }) =>
      `nsenter --net=/proc/${lazarus.pid}/ns/net true; bash -c "exec 5<>/dev/tcp/localhost/${port} && printf 'GET /entered HTTP/1.0\\r\\n\\r\\n' >&5 && cat <&5"`,
    got: hit("http /entered"),
  },
  {
    ...{ id: "1.36", tries: "reach another port of the loopback than the listed one", stoppedBy: NAMESPACES },
    spec: ({ listed }) => ({ network: [`127.0.0.1:${listed}`] }),
    script: ({ port }) =>
      [
        ...LOOPBACK_NAMES.map((host) => get(host, port)),
        ...LOOPBACK_NAMES.map((host) => tunnel(host, port)),
      ].join("; "),
    got: hit("http /plain"),
  },
  {
    ...{ id: "1.37", tries: "have the listed port lead elsewhere", stoppedBy: NAMESPACES },
    spec: ({ listed }) => ({ network: [`localhost:${listed}`] }),
    script: ({ port, listed }) =>
      [
        get("localhost", port),
        say(
          "127.0.0.1",
          listed,
          `CONNECT 127.0.0.1:${port} HTTP/1.1\\r\\n\\r\\nGET /plain HTTP/1.0\\r\\n\\r\\n`,
        ),
        say("127.0.0.1", 3128, `GET http://localhost:${listed}@127.0.0.1:${port}/plain HTTP/1.0\\r\\n\\r\\n`),
        say(
          "127.0.0.1",
          3128,
          `CONNECT localhost:${listed}:${port} HTTP/1.1\\r\\n\\r\\nGET /plain HTTP/1.0\\r\\n\\r\\n`,
        ),
      ].join("; "),
    got: hit("http /plain"),
  },
];

const WRITING: readonly Case[] = [
  writes("2.1", "another cell's worktree", "otherWork"),
  writes("2.2", "another cell's hooks", "otherHook"),
  writes("2.3", "another cell's log", "otherLog"),
  writes("2.4", "another repository's mirror", "mirror"),
  writes("2.5", "its own mirror's configuration", "ownMirror"),
  writes("2.6", "the program", "program"),
  writes("2.7", "the registry", "registry"),
  writes("2.8", "the configuration", "config"),
  writes("2.9", "its own cell's record", "ownMeta"),
  writes("2.10", "its own exit record", "ownState"),
  writes("2.11", "its own brief", "ownBrief"),
  writes("2.12", "somebody else's file in /tmp", "othersTmp"),
  {
    ...{ id: "2.13", tries: "leave something in the host's /tmp", stoppedBy: NAMESPACES },
    script: ({ abstract }) => `echo evil >/tmp/${abstract}`,
    got: ({ abstract }) => (existsSync(join("/tmp", abstract)) ? "a file" : null),
  },
  {
    ...{ id: "2.14", tries: "put a link where its worktree was", stoppedBy: CLOSED },
    script: (ground) =>
      `cd /; mv ${quote(own(ground, "worktree"))} ${quote(own(ground, "moved"))} && ln -s ${quote(join(ground.root, "etc"))} ${quote(own(ground, "worktree"))}`,
    got: (ground) => (lstatSync(own(ground, "worktree")).isSymbolicLink() ? "a link to elsewhere" : null),
  },
  {
    ...{ id: "2.15", tries: "make a program that runs as Lazarus", stoppedBy: OWN_USER },
    script: () => "cp /bin/sh rooted && chmod 4755 rooted",
    got: (ground) => {
      const made = statSync(own(ground, "worktree/rooted"), { throwIfNoEntry: false });
      return made !== undefined && (made.mode & 0o4000) !== 0 && made.uid === process.getuid?.()
        ? "a setuid file"
        : null;
    },
  },
  {
    ...{ id: "2.16", tries: "make a device for the host's disk", stoppedBy: CLOSED },
    script: () => "mknod disk b 8 0",
    got: (ground) =>
      lstatSync(own(ground, "worktree/disk"), { throwIfNoEntry: false })?.isBlockDevice() ? "a device" : null,
  },
  {
    ...{ id: "2.17", tries: "write the system's programs", stoppedBy: CLOSED, isDangerous: true },
    script: ({ abstract }) => `mount -o remount,rw /usr; echo evil >/usr/local/${abstract}`,
    got: ({ abstract }) => (existsSync(join("/usr/local", abstract)) ? "a file in /usr/local" : null),
  },
  {
    ...{ id: "2.18", tries: "write the kernel's settings", stoppedBy: CLOSED, isDangerous: true },
    script: () => "mount -o remount,rw /proc; echo lazarus-attack >/proc/sys/kernel/core_pattern",
    got: () =>
      readFileSync("/proc/sys/kernel/core_pattern", "utf8").includes("lazarus-attack")
        ? "the core pattern"
        : null,
  },
  {
    ...{ id: "2.19", tries: "rename the host", stoppedBy: CLOSED, isDangerous: true },
    script: () => "hostname lazarus-attack || echo lazarus-attack >/proc/sys/kernel/hostname",
    got: () => (hostname() === "lazarus-attack" ? "another name" : null),
  },
  {
    ...{ id: "2.20", tries: "write the worktree as an observer", stoppedBy: NAMESPACES },
    spec: { role: "observer" },
    script: () => "chmod u+w .; mount -o remount,rw .; echo evil >observed",
    got: (ground) => (existsSync(own(ground, "worktree/observed")) ? "a file in the worktree" : null),
  },
];

const HARMING: readonly Case[] = [
  {
    ...{ id: "1.32", tries: "kill Lazarus", stoppedBy: CLOSED },
    script: ({ lazarus }) => `kill -STOP ${lazarus.pid}`,
    got: ({ lazarus }) => (lazarus.isAlive() ? null : KILLED),
  },
  {
    ...{ id: "1.33", tries: "kill another cell's agent", stoppedBy: CLOSED },
    script: ({ neighbour }) => `kill -STOP ${neighbour.pid}`,
    got: ({ neighbour }) => (neighbour.isAlive() ? null : KILLED),
  },
  {
    ...{ id: "1.34", tries: "have the kernel kill Lazarus first", stoppedBy: CLOSED },
    script: ({ lazarus }) => `echo 777 >/proc/${lazarus.pid}/oom_score_adj`,
    got: ({ lazarus }) =>
      readFileSync(`/proc/${lazarus.pid}/oom_score_adj`, "utf8").trim() === "777" ? "its score" : null,
  },
  {
    ...{ id: "1.35", tries: "kill whatever it can", stoppedBy: OWN_USER, isDangerous: true },
    script: () => "kill -STOP -1",
    got: ({ lazarus, neighbour }) => (lazarus.isAlive() && neighbour.isAlive() ? null : KILLED),
  },
];

const heavy = (ground: Ground) =>
  statSync(own(ground, "worktree/heavy"), { throwIfNoEntry: false })?.size ?? 0;
const limits = { memoryBytes: null, processes: null, fileBytes: null, openFiles: null };

/** Number of a system call on x86_64 and aarch64. */
const call = (x64: number, arm64: number) => (process.arch === "arm64" ? arm64 : x64);

const CALLS: readonly Case[] = [
  {
    ...{ id: "1.60", tries: "keep a key in the kernel, where other cells find it", stoppedBy: FILTERED },
    script: () =>
      // To the keyring of its user: KEY_SPEC_USER_KEYRING.
      perl(
        `my ($t, $d, $p) = ("user", "lazarus-attack", "x"); my $k = syscall(${call(248, 217)}, $t, $d, $p, 1, -4); print "it is key $k"; syscall(${call(250, 219)}, 3, $k)`,
      ),
    got: (_, printed) => (/it is key \d/.test(printed) ? "a key" : null),
  },
  {
    ...{ id: "1.61", tries: "have the kernel work where no filter sees it (io_uring)", stoppedBy: FILTERED },
    script: () => perl('my $p = chr(0) x 120; print "it is ring " . syscall(425, 4, $p)'),
    got: (_, printed) => (/it is ring \d/.test(printed) ? "a ring" : null),
  },
];

const MUCH = 300;
const little = { memoryBytes: 128 * 1024 ** 2 };

const LIMITS: readonly Case[] = [
  {
    ...{ id: "L.7", tries: "take more memory than it may by memfd", stoppedBy: [], heldBy: GROUPED },
    spec: { limits: { ...limits, ...little } },
    script: () =>
      `${perl(
        `my $n = "x"; my $fd = syscall(${call(319, 279)}, $n, 0); open my $f, ">&=", $fd or die; my $mb = "x" x 1048576; for (1..${MUCH}) { syswrite($f, $mb) == 1048576 or die } print "much"`,
      )} && : >heavy && echo much >>heavy`,
    got: (ground) => (heavy(ground) > 0 ? `${MUCH} MB` : null),
  },
  {
    ...{ id: "L.8", tries: "take more memory than it may as shared memory", stoppedBy: [], heldBy: GROUPED },
    spec: { limits: { ...limits, ...little } },
    script: () =>
      `n=0; while [ $n -lt 3 ]; do head -c 75000000 /dev/zero >/dev/shm/lazarus-attack-$n || break; n=$((n + 1)); done
[ $n = 3 ] && echo much >heavy; rm -f /dev/shm/lazarus-attack-*`,
    got: (ground) => (heavy(ground) > 0 ? "225 MB" : null),
  },
  {
    ...{ id: "L.1", tries: "write a file over its limit", stoppedBy: ALL },
    spec: { limits: { ...limits, fileBytes: 1_000_000 } },
    script: () => "dd if=/dev/zero of=heavy bs=500000 count=10",
    got: (ground) => (heavy(ground) > 1_100_000 ? `${heavy(ground)} bytes` : null),
  },
  {
    ...{
      id: "L.2",
      tries: "lift the limit of its files first",
      stoppedBy: [...CLOSED, ...(IS_ROOT ? [] : (["process"] as const))],
    },
    spec: { limits: { ...limits, fileBytes: 1_000_000 } },
    script: () => "ulimit -f unlimited; dd if=/dev/zero of=heavy bs=500000 count=10",
    got: (ground) => (heavy(ground) > 1_100_000 ? `${heavy(ground)} bytes` : null),
  },
  {
    ...{ id: "L.3", tries: "take more memory than it may", stoppedBy: ALL },
    spec: { limits: { ...limits, memoryBytes: 128 * 1024 ** 2 } },
    script: () =>
      `${perl('$x = "a" x (200 * 1024 * 1024); print "much\\n" if length $x')} && : >heavy && echo much >>heavy`,
    got: (ground) => (heavy(ground) > 0 ? "200 MB" : null),
  },
  {
    ...{ id: "L.4", tries: "open more files than it may", stoppedBy: ALL },
    spec: { limits: { ...limits, openFiles: 64 } },
    script: () =>
      perl(
        'for (1..100) { open my $f, "<", "/dev/null" or exit 1; push @f, $f } open F, ">heavy"; print F "x"',
      ),
    got: (ground) => (heavy(ground) > 0 ? "100 files" : null),
  },
  {
    ...{ id: "L.5", tries: "start more processes than it may", stoppedBy: COUNTED },
    heldBy: GROUPED,
    spec: { limits: { ...limits, processes: 40 } },
    script: () =>
      "mkdir -p many; n=0; while [ $n -lt 90 ]; do n=$((n + 1)); (sleep 0.4; : >many/$n) & done; wait",
    got: (ground) => {
      const count = existsSync(own(ground, "worktree/many"))
        ? readdirSync(own(ground, "worktree/many")).length
        : 0;
      // A control group counts what is ours too.
      return count > 60 ? `${count} at once` : null;
    },
  },
  {
    ...{ id: "L.6", tries: "live on after it was stopped", stoppedBy: CLOSED, hasControl: true },
    script: ({ abstract }) =>
      `setsid env -i sh -c 'sh -c "while :; do sleep 0.2; done" ${abstract} &' >/dev/null 2>&1 & wait; sleep 0.1`,
    got: ({ abstract }) => (isLiving(abstract) ? "a process that lives" : null),
  },
];

function isLiving(marker: string): boolean {
  return readdirSync("/proc").some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(marker);
    } catch {
      return false;
    }
  });
}

/** Attacks on the backends: numbers 1 and 2 of safety.md, and the limits. */
export const CASES: readonly Case[] = [...READING, ...REACHING, ...WRITING, ...HARMING, ...CALLS, ...LIMITS];
