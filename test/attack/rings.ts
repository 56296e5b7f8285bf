import type { Arm } from "./field.ts";

/** A backend on which a whole `serve` is attacked. */
export interface Ring {
  readonly name: "process" | "sandbox" | "container";
  /** Whether an agent is held where Lazarus has no users to give. */
  readonly isClosed: boolean;
  /** What an agent is configured with whose program lies in `dir`. */
  agent(dir: string): Record<string, unknown>;
  /** What the configuration says besides. */
  readonly more: Record<string, unknown>;
}

const PROCESS: Ring = {
  ...{ name: "process", isClosed: false, more: {} },
  agent: () => ({ backend: "process" }),
};
const SANDBOX: Ring = {
  ...{ name: "sandbox", isClosed: true, more: {} },
  agent: (dir) => ({ backend: "sandbox", paths: [dir] }),
};

/** Those that work here; containers where an engine does. */
export async function ringsHere(arms: readonly Arm[]): Promise<Ring[]> {
  const rings = [PROCESS, SANDBOX].filter((ring) => arms.some((arm) => arm.degree === ring.name));
  const { engine, probed, image } = await import("../fakes/container-engine.ts");
  if (!probed.ok) return rings;
  const agent = (dir: string) => ({ backend: "container", paths: [dir], image });
  return [
    ...rings,
    {
      name: "container",
      isClosed: true,
      agent,
      more: { container: { engine: engine.engine, args: probed.args } },
    },
  ];
}

/** What the configuration says for all of them. */
export function moreFor(rings: readonly Ring[]): Record<string, unknown> {
  return Object.assign({}, ...rings.map((ring) => ring.more));
}
