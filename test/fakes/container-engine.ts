import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Backend } from "../../src/backends/backend.ts";
import { containerBackend } from "../../src/backends/container/container.ts";
import { ask, type Engine } from "../../src/backends/container/engine.ts";
import { type ProbeResult, probeContainer } from "../../src/backends/container/probe.ts";

/**
 * The engine of this machine (podman, or what `LAZARUS_TEST_ENGINE` names) and an image made without any
 * registry: busybox, and git, bash and perl with their libraries.
 */
export const engine: Engine = {
  ...{ engine: process.env.LAZARUS_TEST_ENGINE ?? "podman", args: [], env: clientEnvironment() },
};
/** Named by what is in it. */
export const image = `localhost/lazarus-test:${imageTag()}`;
/** The engine's words that work here, or why none do: found out once per process. */
export const probed: ProbeResult = await makeReady();

/** A backend that works here, whose runs are of the test image. */
export function testContainerBackend(): Backend {
  const args = probed.ok ? probed.args : [];
  const backend = containerBackend({ ...engine, args, hostPath: null });
  return {
    ...backend,
    start: (spec) => backend.start({ ...spec, image: spec.image ?? image }),
    runToEnd: (spec) => backend.runToEnd({ ...spec, image: spec.image ?? image }),
  };
}

async function makeReady(): Promise<ProbeResult> {
  if ((await ask(engine, ["version"])).code !== 0) return { ok: false, why: `no ${engine.engine} answers` };
  if ((await ask(engine, ["image", "inspect", image])).code !== 0) {
    try {
      makeImage();
    } catch (cause) {
      return { ok: false, why: `the image could not be made: ${String(cause).split("\n")[0]}` };
    }
  }
  return probeContainer(engine, image);
}

function clientEnvironment(): Record<string, string> {
  const names = ["HOME", "PATH", "XDG_RUNTIME_DIR", "DOCKER_HOST"];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function imageTag(): string {
  return createHash("sha256").update(makeImage.toString()).digest("hex").slice(0, 12);
}

/** Makes the test image, or one of another name that is not as it should be. */
export function makeImage(name = image, spoil: (root: string) => void = () => {}): void {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-image-"));
  try {
    const root = join(dir, "root");
    for (const each of ["bin", "usr/bin", "tmp", "proc", "sys", "dev", "etc", "run"])
      mkdirSync(join(root, each), { recursive: true });
    chmodSync(join(root, "tmp"), 0o1777);
    copyFileSync("/bin/busybox", join(root, "bin/busybox"));
    const applets = execFileSync("/bin/busybox", ["--list"], { encoding: "utf8" }).trim().split("\n");
    for (const each of applets) if (each !== "busybox") symlinkSync("/bin/busybox", join(root, "bin", each));
    const programs = ["/usr/bin/git", "/bin/bash", "/usr/bin/perl"];
    const libraries = execFileSync("ldd", programs, { encoding: "utf8" }).match(/\/\S+(?= \()/g) ?? [];
    for (const each of [...programs, ...libraries]) {
      mkdirSync(join(root, dirname(each)), { recursive: true });
      rmSync(join(root, each), { force: true });
      copyFileSync(each, join(root, each));
    }
    const socket = execFileSync("perl", ["-MSocket", "-e", "print $INC{'Socket.pm'}"], { encoding: "utf8" });
    cpSync(dirname(socket), join(root, dirname(socket)), { recursive: true });
    spoil(root);
    const tar = join(dir, "root.tar");
    execFileSync("tar", ["-C", root, "-cf", tar, "."]);
    execFileSync(engine.engine, ["import", tar, name], { stdio: "ignore", env: { ...engine.env } });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
