import { createHmac } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HOOK_SECRET } from "../e2e/lazarus.ts";
import { type Received, startListener } from "../e2e/listener.ts";
import type { Stage, Thread } from "../e2e/stage.ts";
import { type Outcome, verdictOf } from "./field.ts";

/** Sends every request that lies in the directory, byte for byte, to where Lazarus listens. */
export const FORGER = `for f in "$ground"/deliveries/*; do
  bash -c 'exec 5<>/dev/tcp/127.0.0.1/'"$(cat "$ground/port")"' && cat "$1" >&5 && head -n 1 <&5' sh "$f"
done; echo p > p; git add p; git commit -qm p`;

const signed = (body: string, secret: string, algorithm = "sha256") =>
  createHmac(algorithm, secret).update(body).digest("hex");

type Forgery = readonly [id: string, tries: string, change: (body: string) => Record<string, string>];

/** Number 9 of safety.md; each is what is sent instead of the signature. */
const FORGERIES: readonly Forgery[] = [
  ["9.1", "give a command by a delivery without a signature", () => ({})],
  ["9.2", "the same with an empty digest", () => ({ "X-Hub-Signature-256": "sha256=" })],
  [
    "9.3",
    "the same, signed with another secret",
    (body) => ({ "X-Hub-Signature-256": `sha256=${signed(body, "another secret")}` }),
  ],
  [
    "9.4",
    "the same, signed with an empty secret",
    (body) => ({ "X-Hub-Signature-256": `sha256=${signed(body, "")}` }),
  ],
  [
    "9.5",
    "the same by another algorithm",
    (body) => ({ "X-Hub-Signature": `sha1=${signed(body, HOOK_SECRET, "sha1")}` }),
  ],
  [
    "9.6",
    "the same as a form",
    (body) => ({
      "Content-Type": "application/x-www-form-urlencoded",
      "X-Hub-Signature-256": `sha256=${signed(body, HOOK_SECRET)}`,
    }),
  ],
  [
    "9.7",
    "the same, signed before a byte was added",
    (body) => ({ "X-Hub-Signature-256": `sha256=${signed(body.slice(0, -1), HOOK_SECRET)}` }),
  ],
];

/**
 * An agent that reaches Lazarus' own port tries to give commands by deliveries of its own making. Each names
 * a comment that nobody has told Lazarus about; the true delivery, sent afterwards, shows that it would have
 * been obeyed.
 */
export async function forgeDeliveries(
  stage: Stage,
  agents: { forger: string; plain: string; on: string },
): Promise<Outcome[]> {
  const held = await startListener();
  try {
    const repo = await stage.createRepository("acme/dark", { hook: held.url });
    const typed = async (): Promise<{ at: Thread; delivery: Received }> => {
      const at = await stage.openIssue("Dark", { repo });
      const id = await stage.type(stage.dev, at, `/lazarus summon ${agents.plain}`);
      const isIt = ({ payload }: Received) => (payload.comment as { id?: number } | undefined)?.id === id;
      return { at, delivery: await held.find(isIt, `the delivery of comment ${id}`) };
    };
    const forged = await Promise.all(
      FORGERIES.map(async ([id, tries, change]) => ({ ...(await typed()), id, tries, change })),
    );
    const dir = join(stage.lazarus.dir, "deliveries");
    await mkdir(dir);
    await writeFile(join(stage.lazarus.dir, "port"), new URL(stage.hookUrl).port);
    for (const { id, delivery, change } of forged)
      await writeFile(join(dir, id), requestOf(delivery, change(delivery.body)));
    const issue = await stage.openIssue("A task for the forger");
    await stage.type(stage.dev, issue, `/lazarus summon ${agents.forger}`);
    await stage.card(issue, /→ draft #\d+/);
    const log = await stage.lazarus.readCell(await stage.cellId(issue), `logs/${agents.forger}-1.log`);
    const isProven = (log.match(/^HTTP\/1\.1 \d/gm)?.length ?? 0) === forged.length;
    // Once this one is through, they would be.
    const last = await typed();
    await deliver(stage, last.delivery);
    await stage.card(last.at, "lazarus:card:");
    const got = await Promise.all(forged.map(async ({ at }) => (await stage.cards(at)).length > 0));
    await Promise.all(forged.map(({ delivery }) => deliver(stage, delivery)));
    await Promise.all(forged.map(({ at }) => stage.card(at, "lazarus:card:")));
    return forged.map(({ id, tries }, at) => {
      const what = got[at] === true ? "it was obeyed" : null;
      return {
        id,
        tries,
        on: agents.on,
        got: what,
        verdict: verdictOf({ isClaimed: true, isProven, got: what }),
      };
    });
  } finally {
    await held.stop();
  }
}

const kept = ({ headers }: Received, pattern: RegExp) =>
  Object.entries(headers).filter(
    (pair): pair is [string, string] => pattern.test(pair[0]) && typeof pair[1] === "string",
  );

/** HTTP as it goes over the wire. */
function requestOf(delivery: Received, change: Record<string, string>): string {
  const length = String(Buffer.byteLength(delivery.body));
  const headers = {
    ...Object.fromEntries(kept(delivery, /^x-(?!.*signature)/)),
    ...{
      Host: "lazarus",
      "Content-Type": "application/json",
      "Content-Length": length,
      Connection: "close",
      ...change,
    },
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /webhooks/gitea HTTP/1.1\r\n${lines.join("")}\r\n${delivery.body}`;
}

async function deliver(stage: Stage, delivery: Received): Promise<void> {
  const headers = kept(delivery, /^(x-|content-type)/);
  const { status } = await fetch(stage.hookUrl, { method: "POST", headers, body: delivery.body });
  if (status !== 202) throw new Error(`a true delivery was answered ${status}`);
}
