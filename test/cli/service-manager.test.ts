import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createNotifier } from "../../src/cli/service-manager.ts";
import { systemClock } from "../../src/clock.ts";
import { createFakeClock } from "../fakes/clock.ts";
import { listenForWords, type Words } from "../fakes/service-manager.ts";
import { needs } from "../machine.ts";

const dirs: string[] = [];
const heard: Words[] = [];
afterEach(async () => {
  for (const one of heard.splice(0)) await one.close();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});

const hear = async (socket = join(tempDir(), "notify")) => {
  const words = await listenForWords(socket);
  heard.push(words);
  return words;
};
const tempDir = () => {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-notify-"));
  dirs.push(dir);
  return dir;
};
const recordingLog = () => {
  const warnings: string[] = [];
  const warn = (facts: object, message: string) => warnings.push(`${message}: ${JSON.stringify(facts)}`);
  return { warnings, log: { info() {}, debug() {}, error() {}, warn } };
};
const PATH = process.env.PATH ?? "";

it("says nothing where nobody asked", async () => {
  const { log, warnings } = recordingLog();
  const clock = createFakeClock();
  const notifier = createNotifier({ env: { WATCHDOG_USEC: "1000" }, pid: 1, clock, log });
  await notifier.ready("up");
  await notifier.status("x");
  await notifier.stopping();
  expect([clock.pending(), warnings]).toEqual([0, []]);
});

it("tells a real socket that it is ready, how it is, and that it stops", needs("python3"), async () => {
  const words = await hear();
  const { log, warnings } = recordingLog();
  const notifier = createNotifier({
    env: { NOTIFY_SOCKET: words.socket, PATH },
    pid: 1,
    clock: systemClock,
    log,
  });
  await notifier.ready("listening\non everything");
  await notifier.status("3 cells");
  await notifier.stopping();
  await words.until((all) => all.length === 3);
  expect(words.all.map((one) => one.text)).toEqual([
    "READY=1\nSTATUS=listening on everything",
    "STATUS=3 cells",
    "STOPPING=1",
  ]);
  // A unit with NotifyAccess=main believes nobody else.
  expect(words.all.map((one) => one.pid)).toEqual([process.pid, process.pid, process.pid]);
  expect(warnings).toEqual([]);
});

describe("the watchdog", needs("python3"), () => {
  it("is fed at half its time once it is ready", async () => {
    const words = await hear();
    const clock = createFakeClock();
    const { log } = recordingLog();
    const env = { NOTIFY_SOCKET: words.socket, WATCHDOG_USEC: "30000000", WATCHDOG_PID: "42" };
    const notifier = createNotifier({ env, pid: 42, clock, log });
    await clock.advance(60_000);
    await notifier.ready("up");
    await clock.advance(14_999);
    await words.until((all) => all.length === 1);
    for (const count of [2, 3, 4]) {
      await clock.advance(15_000);
      await words.until((all) => all.length === count);
    }
    expect(words.all.slice(1).map((one) => one.text)).toEqual(Array(3).fill("WATCHDOG=1"));
  });

  it.each([
    ["another process", { WATCHDOG_USEC: "30000000", WATCHDOG_PID: "41" }],
    ["nobody", {}],
    ["no number", { WATCHDOG_USEC: "often" }],
    ["no time", { WATCHDOG_USEC: "0" }],
  ])("is left alone where it waits for %s", async (_, env) => {
    const words = await hear();
    const clock = createFakeClock();
    await createNotifier({
      env: { NOTIFY_SOCKET: words.socket, ...env },
      pid: 42,
      clock,
      ...recordingLog(),
    }).ready("up");
    expect(clock.pending()).toBe(0);
  });
});

it("warns once where nobody listens, and again after it was heard in between", needs("python3"), async () => {
  const dir = tempDir();
  const { log, warnings } = recordingLog();
  const env = { NOTIFY_SOCKET: join(dir, "notify"), PATH };
  const notifier = createNotifier({ env, pid: 1, clock: systemClock, log });
  await notifier.ready("up");
  await notifier.status("x");
  expect(warnings).toEqual([expect.stringMatching(/^the service manager could not be told:.*error 2/)]);
  const words = await hear(env.NOTIFY_SOCKET);
  await notifier.status("y");
  await words.until((all) => all.length === 1);
  await words.close();
  heard.pop();
  await notifier.stopping();
  expect(warnings).toHaveLength(2);
});

it("says what is wrong with a path that no socket can have", async () => {
  const { log, warnings } = recordingLog();
  const env = { NOTIFY_SOCKET: `/${"x".repeat(110)}`, PATH };
  await createNotifier({ env, pid: 1, clock: systemClock, log }).ready("up");
  expect(warnings).toEqual([expect.stringContaining("longer than 107 bytes")]);
});

it("asks systemd-notify for an abstract socket", needs("python3", "systemd-notify"), async () => {
  const words = await hear(`@lazarus-test-${process.pid}`);
  const { log, warnings } = recordingLog();
  const env = { NOTIFY_SOCKET: words.socket, PATH };
  await createNotifier({ env, pid: 1, clock: systemClock, log }).ready("up and well");
  await words.until((all) => all.some((one) => one.text.includes("READY=1")));
  expect(words.all[0]?.text).toContain("STATUS=up and well");
  expect(warnings).toEqual([]);
});

it("says so where an abstract socket is asked for and systemd-notify is not there", async () => {
  const { log, warnings } = recordingLog();
  const env = { NOTIFY_SOCKET: "@nowhere", PATH: tempDir() };
  await createNotifier({ env, pid: 1, clock: systemClock, log }).ready("up");
  expect(warnings).toEqual([expect.stringContaining("ENOENT")]);
});
