import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { ClosingLine } from "./test/closing-line.ts";
import { SlowestFirst } from "./test/slowest-first.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/global-setup.ts", "test/temporary.ts", "test/machine-probe.ts"],
    setupFiles: ["test/fresh-process.ts"],
    reporters: ["default", new ClosingLine()],
    // Guards against hanging, and says nothing about speed: whole programs are started on machines that have other work.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: "forks",
    // What a file imports stays for the next one in the same process: no module of the source holds state.
    isolate: false,
    // More than there are cores: most of what takes long waits for something.
    maxWorkers: Math.max(2, Math.min(8, 2 * availableParallelism())),
    sequence: { sequencer: SlowestFirst },
    unstubEnvs: true,
    // As bin/lazarus.js has it.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
  },
});
