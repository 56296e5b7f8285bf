import { fileURLToPath } from "node:url";

/**
 * The program that looks for secrets, as `npm run build` makes it. This file lies as deep below the package
 * as the built program does, so that the path is the same from both.
 */
export const SCAN_PROGRAM = fileURLToPath(new URL("../../dist/runner/scan-secrets.js", import.meta.url));

/** The one that does the rest of the work on what agents made. */
export const WORKER_PROGRAM = fileURLToPath(new URL("../../dist/runner/worker.js", import.meta.url));
