import { containerArguments, type EngineFacts } from "./args.ts";
import { ask, type Engine, factsOf } from "./engine.ts";

/**
 * Words that some hosts need before the engine's own, tried in this order: hybrid control groups, no systemd,
 * an engine whose runtime is not there.
 */
const CANDIDATES: readonly (readonly string[])[] = [
  [],
  ["--cgroup-manager", "cgroupfs"],
  ["--runtime", "runc"],
  ["--runtime", "crun"],
  ["--runtime", "runc", "--cgroup-manager", "cgroupfs"],
  ["--runtime", "crun", "--cgroup-manager", "cgroupfs"],
];
const PROBE_MS = 30_000;
const MEMORY_BYTES = 64 * 1024 * 1024;
const PROCESSES = 40;

/** What the container says of the limits it was given; version 2 of control groups first, then version 1. */
const SAY_LIMITS = `
say() { for file in "$@"; do if read -r value <$file; then echo "$value"; return; fi; done 2>/dev/null; echo none; }
say /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes
say /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max
`;

export type ProbeResult =
  | { readonly ok: true; readonly args: readonly string[]; readonly note: string }
  | { readonly ok: false; readonly why: string };

/**
 * Finds out with which `container.args` the engine really runs something of an image here, under the limits
 * that an agent is given: the configured ones first, then what is known to help. Takes an instant for each
 * try, and leaves nothing behind.
 */
export async function probeContainer(engine: Engine, image: string): Promise<ProbeResult> {
  const configured = engine.args.length > 0 ? [engine.args] : [];
  let first: string | null = null;
  for (const args of [...configured, ...CANDIDATES]) {
    const tried = await attempt({ ...engine, args }, image);
    if (tried.ok) return tried;
    first ??= tried.why;
    // Docker has no such words, and an image that is not there will not be there with others.
    if (tried.isFinal) break;
  }
  return { ok: false, why: first ?? "nothing was tried" };
}

async function attempt(engine: Engine, image: string): Promise<ProbeResult & { readonly isFinal?: boolean }> {
  const facts = await factsOf(engine);
  if (!("dialect" in facts)) return { ok: false, why: facts.why, isFinal: facts.absent };
  if ((await ask(engine, ["image", "inspect", image])).code !== 0) {
    return { ok: false, why: `there is no image ${image} on this machine`, isFinal: true };
  }
  const isFinal = facts.dialect === "docker";
  const answer = await ask(engine, probeWords(facts, image), PROBE_MS);
  if (answer.code !== 0) return { ok: false, why: answer.why, isFinal };
  const [memory, processes] = answer.stdout.split("\n");
  const unheld = [
    ...(facts.holds.memory && memory === String(MEMORY_BYTES) ? [] : ["memory"]),
    ...(facts.holds.processes && processes === String(PROCESSES + 1) ? [] : ["processes"]),
  ];
  const note = unheld.length === 0 ? "limits hold" : `no limit of ${unheld.join(" and ")} holds here`;
  return { ok: true, args: engine.args, note: `${facts.dialect} ${facts.version}: ${note}` };
}

function probeWords(facts: EngineFacts, image: string): string[] {
  const cellId = `probe-${crypto.randomUUID()}`;
  // Ulimits of one's own are part of what is tried: the engine's defaults may be more than we may give.
  const limits = { memoryBytes: MEMORY_BYTES, processes: PROCESSES, fileBytes: null, openFiles: 256 };
  const nowhere = {
    cell: "/",
    worktree: "/",
    artifacts: "/",
    home: "/",
    brief: "/",
    prompt: null,
    mirror: "/",
  };
  const { args } = containerArguments({
    name: `lazarus-${cellId}`,
    run: "probe",
    image,
    around: {
      cellId,
      dirs: nowhere,
      env: {},
      role: "executor",
      limits,
      network: "none",
      paths: [],
      image,
      user: null,
    },
    command: ["/bin/sh", "-c", SAY_LIMITS],
    interactive: false,
    facts,
    user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: [] },
    hard: { files: null, processes: PROCESSES * 100 },
    objects: null,
  });
  return args.filter((word, at) => word !== "--mount" && args[at - 1] !== "--mount");
}
