import { defineConfig } from "vitest/config";
import { ClosingLine } from "./test/closing-line.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/global-setup.ts", "test/machine-probe.ts"],
    reporters: ["default", new ClosingLine()],
    // Guards against hanging, and says nothing about speed: whole programs are started on machines that have other work.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: "forks",
    maxWorkers: 2,
    unstubEnvs: true,
  },
});
