import { renameSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { Backend, RunSpec } from "../../src/backends/backend.ts";

/**
 * A program that starts a run and then waits to be killed: `starter.ts MODULE FACTORY SPEC OUT`. It writes
 * the handle to OUT.
 */
const [module = "", factory = "", spec = "", out = ""] = process.argv.slice(2);
const loaded: Record<string, () => Backend> = await import(pathToFileURL(module).href);
const make = loaded[factory];
if (make === undefined) throw new Error(`${module} has no ${factory}`);
const handle = await make().start(JSON.parse(spec) as RunSpec);
// Whole or not at all: whoever sees it kills us.
writeFileSync(`${out}.new`, JSON.stringify(handle));
renameSync(`${out}.new`, out);
setInterval(() => {}, 1_000);
