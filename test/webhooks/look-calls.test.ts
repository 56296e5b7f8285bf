import { afterEach, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { createForge } from "../../src/gitea/client.ts";
import { parseText } from "../../src/webhooks/read-text.ts";
import { createSeenEntries } from "../../src/webhooks/seen-entries.ts";
import { createThreadHandler } from "../../src/webhooks/thread.ts";
import { type CountingProxy, startCountingProxy } from "../e2e/counting-proxy.ts";
import { jobOf } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

const COMMENTS = 60;
const MOST = 4;

let rig: ForgeRig;
let proxy: CountingProxy;
afterEach(async () => {
  await proxy.stop();
  await rig.stop();
});

it(`looks at a pull request with ${COMMENTS} comments at lines with at most ${MOST} calls`, async () => {
  rig = await createForgeRig();
  proxy = await startCountingProxy(rig.standIn.url);
  const { people } = rig.standIn;
  const text = Array.from({ length: COMMENTS }, (_, n) => `${n}\n`).join("");
  await people.commit("owner", "acme/app", { branch: "main", files: { "a.txt": "0\n" } });
  await people.commit("dev", "acme/app", { branch: "topic", files: { "a.txt": text } });
  const wanted = { title: "it", body: "x", head: "topic", base: "main" };
  const number = await people.openPullRequest("dev", "acme/app", wanted);
  const lines = Array.from({ length: COMMENTS }, (_, n) => ({
    path: "a.txt",
    at: n + 1,
    body: `point ${n}`,
  }));
  await people.review("owner", { repo: "acme/app", number }, { state: "REQUEST_CHANGES", body: "", lines });
  const { url, token } = { url: proxy.url, token: rig.config.forge.token };
  const forge = createForge({ url, token, redact: String, clock: systemClock });
  const handled = createSeenEntries(rig.db, { clock: rig.clock, patterns: ["acme/*"] });
  handled.serve(["acme/*"], 0);
  const log = { info() {}, warn() {}, error() {}, debug() {} };
  const forgeNow = () => rig.standIn.world.now() + 60_000;
  const deps = { ...rig.deps, db: rig.db, forge, handled, log, parse: parseText, forgeNow };
  const look = async () => {
    proxy.calls.length = 0;
    const payload = { repository: rig.repository, number, delivered: {} };
    const { job, context } = jobOf("thread", payload);
    const finish = await createThreadHandler(deps).thread?.(job, context);
    rig.db.transaction(() => finish?.());
    return [...proxy.calls];
  };
  // As at any later look: who the bot is, and what the repository is called, was asked a moment ago.
  await forge.me();
  await forge.repository({ owner: "acme", name: "app" });
  const first = await look();
  expect(
    first.some((one) => one.includes("/reviews/")),
    first.join("\n"),
  ).toBe(true);
  expect(first.length, first.join("\n")).toBeLessThanOrEqual(MOST);
  const again = await look();
  expect(again.length, again.join("\n")).toBeLessThan(first.length);
});
