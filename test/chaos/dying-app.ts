import childProcess, { type SpawnOptions } from "node:child_process";
import { existsSync } from "node:fs";
import { ServerResponse } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import Database from "better-sqlite3";
import { type Adapters, openApp } from "../../src/app.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { loadConfig, readEnvironment } from "../../src/config/config.ts";
import { listen } from "../../src/http/server.ts";
import { createLog } from "../../src/log.ts";
import { PROGRAMS } from "../fakes/programs.ts";
import { type Call, type Death, isHere, makeFilesDeadly } from "./deadly-fs.ts";

/**
 * `lazarus serve` as it stands in src/, that kills itself at one exact place: `dying-app.ts CONFIG DEATH`.
 */
const [file = "", text = "null"] = process.argv.slice(2);
const death = JSON.parse(text) as Death;

function die(): never {
  process.kill(process.pid, "SIGKILL");
  // The signal is on its way: nothing of ours may run any more.
  for (;;);
}

/** The same object, but for the one call at which we die. */
function deadly<T extends object>(name: string, made: T): T {
  return new Proxy(made, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      const call = value as Call;
      return async (...args: unknown[]) => {
        const here = isHere(death, `${name}.${String(key)}`, args);
        if (here && death.when === "before") die();
        try {
          return await call.apply(target, args);
        } finally {
          // A busy machine may have done it, and answered too late.
          if (here) die();
        }
      };
    },
  });
}

function deadlyBackend(made: Backend): Backend {
  if (death.at !== "backend.lock") return deadly("backend", made);
  return {
    ...made,
    start(spec) {
      // The shim is spawned before the first await; from then on it is alone.
      const started = made.start(spec);
      while (!existsSync(join(spec.stateDir, `run-${spec.run}.lock`)));
      die();
      return started;
    },
  };
}

makeFilesDeadly(death, die);
if (death.at.startsWith("fs.")) dieInWorkers();

/** Work on what agents made is done by children. */
function dieInWorkers(): void {
  const { spawn } = childProcess;
  const deadlySpawn = (command: string, args: readonly string[], options: SpawnOptions) => {
    const isWorker = args.some((arg) => arg.endsWith("/worker.js"));
    const preload = { NODE_OPTIONS: `--import=${PROGRAMS.deadlyWorker.built}`, LAZARUS_DEATH: text };
    return spawn(command, args, isWorker ? { ...options, env: { ...options.env, ...preload } } : options);
  };
  childProcess.spawn = deadlySpawn as unknown as typeof spawn;
  syncBuiltinESMExports();
}

if (death.at === "http.202") {
  const end = ServerResponse.prototype.end as unknown as Call;
  const deadlyEnd = function (this: ServerResponse, ...args: unknown[]) {
    const here = this.statusCode === 202 && this.req.url?.startsWith("/webhooks") === true;
    if (here && death.when === "before") die();
    if (here) this.once("finish", die);
    return end.apply(this, args);
  };
  ServerResponse.prototype.end = deadlyEnd as unknown as ServerResponse["end"];
}

if (death.at === "sql") dieInRegistry();

/** Every statement that writes goes by `run`, and every commit ends the outermost transaction. */
function dieInRegistry(): void {
  let depth = 0;
  let isHit = false;
  const prototype = Database.prototype as unknown as Record<"prepare" | "transaction", Call>;
  const { prepare, transaction } = prototype;
  prototype.prepare = function (this: unknown, ...args) {
    const statement = prepare.apply(this, args) as { run: Call };
    const run = statement.run;
    statement.run = (...bound) => {
      const answer = run.apply(statement, bound);
      if (!isHere(death, "sql", [args[0], ...bound])) return answer;
      if (death.when === "before" || depth === 0) die();
      isHit = true;
      return answer;
    };
    return statement;
  };
  const outermost = (begin: Call): Call =>
    function (this: unknown, ...args) {
      depth++;
      try {
        return begin.apply(this, args);
      } finally {
        depth--;
        if (depth === 0 && isHit) die();
      }
    };
  prototype.transaction = function (this: unknown, ...args) {
    const made = transaction.apply(this, args) as Call & { immediate: Call };
    return Object.assign(outermost(made), { immediate: outermost(made.immediate) });
  };
}

const adapters: Adapters = {
  backends: (made) => new Map([...made].map(([name, backend]) => [name, deadlyBackend(backend)])),
  forge: (made) => deadly("forge", made),
};
const config = loadConfig({
  file,
  env: readEnvironment(),
  cwd: process.cwd(),
  needs: ["server", "forge", "agents"],
});
const app = await openApp(config, { log: createLog({ verbose: false, redact: (line) => line }), adapters });
const server = await listen(app);
process.stdout.write(`listening on ${server.url}, dying\n`);
