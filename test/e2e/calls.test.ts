import { afterAll, beforeAll, expect, it } from "vitest";
import { type CountingProxy, startCountingProxy } from "./counting-proxy.ts";
import { Stage } from "./stage.ts";

/** The most calls of the forge's API from a comment to its draft with its reviewer (issue 13). */
const MOST = 16;

let stage: Stage;
let proxy: CountingProxy;

beforeAll(async () => {
  stage = await Stage.set({
    async forge(server) {
      proxy = await startCountingProxy(server.url);
      return { keys: { url: proxy.url }, bot: "admin" };
    },
    // The look that comes by itself is counted elsewhere.
    poll: "1h",
  });
});
afterAll(async () => {
  await stage?.strike();
  await proxy?.stop();
});

it(`makes a draft of a comment with at most ${MOST} calls`, async () => {
  const issue = await stage.openIssue("Make the parser accept empty input");
  // The look at the issue itself is no part of it.
  await stage.settled(proxy.calls);
  proxy.calls.length = 0;
  const beganAt = performance.now();
  const comment = await stage.type(stage.dev, issue, "/lazarus summon allegro");
  const card = await stage.card(issue, /→ draft #\d+/);
  await stage.reviewAsked(Number(/→ draft #(\d+)/.exec(card)?.[1]), "dev");
  await stage.reacted(issue, comment, "rocket");
  await stage.settled(proxy.calls);
  // What takes long on a machine with other work is told meanwhile, and what is known of the repository grows
  // old: each of that is a call more.
  const late = Math.floor((performance.now() - beganAt) / 10_000);
  expect(proxy.calls.length, proxy.calls.join("\n")).toBeLessThanOrEqual(MOST + late);
  // Rights are asked for now, whatever is remembered.
  expect(proxy.calls.filter((one) => one.includes("/permission"))).toHaveLength(1);
});

it("asks for a second command's rights again, at once", async () => {
  const issue = await stage.openIssue("Another one");
  await stage.settled(proxy.calls);
  proxy.calls.length = 0;
  await stage.server.addCollaborator(stage.repo, "dev", "read");
  await stage.type(stage.dev, issue, "/lazarus summon allegro");
  await stage.reply(issue, "`summon` needs write");
  await stage.server.addCollaborator(stage.repo, "dev", "write");
});

it("asks nothing for a comment without a command where no cell lives", async () => {
  const issue = await stage.openIssue("Only words");
  await stage.settled(proxy.calls);
  proxy.calls.length = 0;
  await stage.type(stage.dev, issue, "What do you think?");
  const other = await stage.openIssue("Somewhere else");
  await stage.type(stage.dev, other, "/lazarus help");
  await stage.reply(other, "summon");
  expect(proxy.calls.filter((one) => one.includes(`/issues/${issue.number}`))).toEqual([]);
});
