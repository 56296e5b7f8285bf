import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Line, lineOf, waysOf } from "../fakes/forge/ways.ts";
import { accountFacts } from "./account-facts.ts";
import { formFacts } from "./form-facts.ts";
import { gitFacts } from "./git-facts.ts";
import { type Ground, prepare } from "./ground.ts";
import { issueFacts } from "./issue-facts.ts";
import type { Received } from "./listener.ts";
import { movedFacts } from "./moved-facts.ts";
import { pullFacts } from "./pull-facts.ts";
import { referenceFacts } from "./reference-facts.ts";
import { reviewFacts } from "./review-facts.ts";
import { type E2eServer, realServerSettings, startRealServer, startStandInServer } from "./servers.ts";
import { statusFacts } from "./status-facts.ts";

const real = realServerSettings();
const servers: [name: string, start: () => Promise<E2eServer>][] = [
  ["the stand-in as gitea-1.23", () => startStandInServer({ line: "gitea-1.23" })],
  ["the stand-in as gitea-1.26", () => startStandInServer({ line: "gitea-1.26" })],
  ["the stand-in as forgejo-10", () => startStandInServer({ line: "forgejo-10" })],
  ...(real
    ? [
        ["the real server", () => startRealServer(real.executable, real.staticRoot)] as [
          string,
          () => Promise<E2eServer>,
        ],
      ]
    : []),
];

/** Server -> kind of delivery -> the paths of its fields in their order, to compare both servers by. */
const shapes = new Map<string, Map<string, string>>();
let realLine: Line | null = null;

describe.each(servers)("facts about %s", (name, start) => {
  let ground: Ground;

  beforeAll(async () => {
    ground = await prepare(start);
    if (name === "the real server") realLine = lineOf(ground.server.version);
  });

  afterAll(async () => {
    if (!ground) return;
    shapes.set(name, shapesOf(ground.listener.received));
    await ground.stop();
  });

  accountFacts(() => ground);
  issueFacts(() => ground);
  gitFacts(() => ground);
  pullFacts(() => ground);
  reviewFacts(() => ground);
  statusFacts(() => ground);
  movedFacts(() => ground);
  referenceFacts(() => ground);
  formFacts(() => ground);
});

/** Only the real server shows what the stand-in must look like; without one there is nothing to compare. */
if (real) {
  it("sends deliveries with the same fields in the same order from both servers", (context) => {
    if (realLine !== null && !waysOf(realLine).fieldsOfGitea)
      return context.skip("Gitea's fields, which alone the stand-in writes");
    const standIn = shapes.get(`the stand-in as ${realLine}`) ?? shapes.get("the stand-in as gitea-1.23");
    const honest = shapes.get("the real server");
    // Gitea 1.23 tells every hook of statuses, which Lazarus asks for nowhere; the stand-in does not.
    honest?.delete("status  ");
    expect(standIn?.size).toBeGreaterThan(12);
    expect([...(standIn ?? []).keys()]).toEqual([...(honest ?? []).keys()]);
    for (const [kind, fields] of honest ?? []) expect.soft(standIn?.get(kind), kind).toBe(fields);
  });
}

function shapesOf(received: readonly Received[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { headers, payload } of received) {
    const changed = Object.keys((payload.changes ?? {}) as object).join();
    const kind = `${String(headers["x-gitea-event-type"])} ${String(payload.action ?? "")} ${changed}`;
    const paths: string[] = [];
    fieldPaths(payload, "", paths);
    // What is null in one delivery is an object in the next: the fullest of a kind stands for it.
    if (paths.length > (found.get(kind)?.split("\n").length ?? 0)) found.set(kind, paths.join("\n"));
  }
  return new Map([...found].sort());
}

function fieldPaths(value: unknown, path: string, into: string[]): void {
  // A real server may tell of a push only after the pull request from it was opened and its review asked for.
  if (path.endsWith(".requested_reviewers")) {
    into.push(`${path} null or people`);
  } else if (Array.isArray(value)) {
    into.push(`${path}[]`);
    if (value.length > 0) fieldPaths(value[0], `${path}[0]`, into);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) fieldPaths(inner, `${path}.${key}`, into);
  } else {
    into.push(`${path} ${value === null ? "null" : typeof value}`);
  }
}
