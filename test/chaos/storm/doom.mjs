// Loaded into `lazarus serve`, or `lazarus runner`, before anything else (NODE_OPTIONS=--import=…): kills it at one exact place, moves its wall clock, and
// makes it less patient with a forge that hangs. The program itself knows nothing of it.
//
// STORM_DIR: where `clock` (ms by which the wall clock is off) and `trace` lie. STORM_FULL: is there while the disk is to look full.
// STORM_DOOM: where to die, as in aims.ts.
import childProcess from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import fs from "node:fs/promises";
import { ServerResponse } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { isMainThread, Worker } from "node:worker_threads";
import Database from "better-sqlite3";

const dir = process.env.STORM_DIR ?? "";
// A thread of the program's (the killer, say) loads this too.
const doom = isMainThread ? JSON.parse(process.env.STORM_DOOM || "null") : null;
const IMPATIENT_MS = 5_000;

function say(line) {
  appendFileSync(join(dir, "trace"), `${line}\n`);
}

function die(why) {
  say(`died ${why}`);
  process.kill(process.pid, "SIGKILL");
  // The signal is on its way: nothing may run any more.
  for (;;);
}

// The wall clock.
const realNow = Date.now.bind(Date);
let offset = 0;
function readClock() {
  try {
    offset = Number(readFileSync(join(dir, "clock"), "utf8")) || 0;
  } catch {
    offset = 0;
  }
}
readClock();
setInterval(readClock, 100).unref();
Date.now = () => realNow() + offset;

// A forge that hangs is given up on sooner.
const realTimeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (ms) => realTimeout(ms === 15_000 ? IMPATIENT_MS : ms);

function fits(args) {
  const shown = args.map((arg) => (Buffer.isBuffer(arg) ? arg.toString() : arg));
  return new RegExp(doom.match ?? "").test(JSON.stringify(shown));
}

// Calls of node:fs/promises: to die at one, or to find the disk full where no real one can be filled.
const WRITES = ["mkdir", "rename", "writeFile", "appendFile", "open"];
const fatal = doom?.at.startsWith("fs.") ? doom.at.slice(3) : null;
for (const name of new Set([...WRITES, ...(fatal === null ? [] : [fatal])])) {
  const real = fs[name];
  fs[name] = async (...args) => {
    const isWrite = WRITES.includes(name) && !(name === "open" && (args[1] === "r" || args[1] === undefined));
    if (isWrite && existsSync(process.env.STORM_FULL)) {
      throw Object.assign(new Error(`ENOSPC: no space left on device, ${name}`), { code: "ENOSPC" });
    }
    const here = fatal === name && fits(args);
    if (here && doom.when === "before") die(`before ${doom.at}`);
    const answer = await real.apply(fs, args);
    if (here) die(`after ${doom.at}`);
    return answer;
  };
}

// Children: the shim's words are the state directory and the run.
const realSpawn = childProcess.spawn;
childProcess.spawn = (...args) => {
  const here = doom?.at === "spawn" && fits([args[0], args[1]]);
  if (here && doom.when === "before") die("before a spawn");
  const child = realSpawn.apply(childProcess, args);
  if (here && doom.when === "after") die("after a spawn");
  if (here && doom.when === "lock") {
    const [, , , stateDir, run] = args[1];
    while (!existsSync(join(stateDir, `run-${run}.lock`)));
    die("after a lock");
  }
  if (here && doom.when === "soon") setTimeout(() => die("soon after a spawn"), doom.waitMs);
  if (here && doom.when === "exit") child.once("exit", () => die("at a child's end"));
  return child;
};
syncBuiltinESMExports();

// What control and its runners say to each other, as it is before it is sealed and after it was opened.
if (doom?.at === "say") {
  const pattern = new RegExp(doom.match);
  const meet = (text) => {
    if (typeof text !== "string" || !text.startsWith('{"say":"') || !pattern.test(text)) return;
    const why = `${doom.when} ${/^{"say":"(\w+)"/.exec(text)?.[1]}`;
    if (doom.waitMs === 0) die(why);
    else setTimeout(() => die(why), doom.waitMs);
  };
  const [parse, stringify] = [JSON.parse, JSON.stringify];
  if (doom.when === "hearing")
    JSON.parse = (text, ...more) => {
      meet(text);
      return parse(text, ...more);
    };
  else
    JSON.stringify = (...args) => {
      const text = stringify(...args);
      meet(text);
      return text;
    };
}

// Deliveries.
if (doom?.at === "http.202") {
  const end = ServerResponse.prototype.end;
  ServerResponse.prototype.end = function (...args) {
    const here =
      this.statusCode === 202 && this.req.url?.startsWith("/webhooks") && /accepted/.test(String(args[0]));
    if (here && doom.when === "before") die("before a 202");
    if (here) this.once("finish", () => die("after a 202"));
    return end.apply(this, args);
  };
}

// The registry: its commits, and which kind of job is taken up.
let depth = 0;
let taken = false;
let commits = 0;
let killer = null;
// [0]: 0 nothing, 1 the next commit is the one, 2 it is under way; [1]: the killer looks.
const shared = new Int32Array(new SharedArrayBuffer(8));

if (doom?.at === "commit") {
  const code = `
    const { workerData } = require("node:worker_threads");
    const { shared, spins } = workerData;
    Atomics.wait(shared, 0, 0);
    Atomics.store(shared, 1, 1);
    Atomics.notify(shared, 1);
    while (Atomics.load(shared, 0) !== 2);
    for (let i = 0; i < spins; i++) Atomics.load(shared, 0);
    if (Atomics.load(shared, 0) === 2) process.kill(process.pid, "SIGKILL");`;
  killer = new Worker(code, { eval: true, workerData: { shared, spins: doom.spins }, execArgv: [], env: {} });
  killer.unref();
}

function outermost(begin) {
  return function (...args) {
    const isTheOne = depth === 0 && doom?.at === "commit" && ++commits === doom.nth;
    if (isTheOne) {
      Atomics.store(shared, 0, 1);
      Atomics.notify(shared, 0);
      Atomics.wait(shared, 1, 0, 1_000);
    }
    depth++;
    try {
      return begin.apply(this, args);
    } finally {
      depth--;
      if (isTheOne) {
        Atomics.store(shared, 0, 3);
        say("committed");
      }
      if (depth === 0 && taken) {
        taken = false;
        if (doom.waitMs === 0) die(`in ${doom.kind}`);
        else setTimeout(() => die(`in ${doom.kind}`), doom.waitMs);
      }
    }
  };
}

const { prototype } = Database;
const realTransaction = prototype.transaction;
prototype.transaction = function (fn) {
  const made = realTransaction.call(this, function (...args) {
    const answer = fn.apply(this, args);
    if (depth === 1 && Atomics.load(shared, 0) === 1) {
      say("committing");
      Atomics.store(shared, 0, 2);
    }
    return answer;
  });
  const wrapped = outermost(made);
  wrapped.immediate = outermost(made.immediate);
  return wrapped;
};

if (doom?.at === "step") {
  const realPrepare = prototype.prepare;
  prototype.prepare = function (sql) {
    const statement = realPrepare.call(this, sql);
    if (!/SET state = 'running', attempt = attempt \+ 1/.test(sql)) return statement;
    const kindOf = realPrepare.call(this, "SELECT kind FROM jobs WHERE id = ?").pluck();
    return {
      run: (values) => {
        if (kindOf.get(values.id) === doom.kind) taken = true;
        return statement.run(values);
      },
    };
  };
}
