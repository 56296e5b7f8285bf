import { expect, it } from "vitest";
import { raw, threadLink } from "../../src/gitea/markdown.ts";
import { type Ground, R, repo } from "./ground.ts";

/** What leaves an entry on a thread that is named elsewhere. */
export function referenceFacts(ground: () => Ground): void {
  it("takes no link of a card for a reference, however often the card changes", async () => {
    const { server, bot, openFeature } = ground();
    const draft = await openFeature("referred");
    const number = await server.openIssue(bot, repo, { title: "a mission", body: "" });
    const page = `${server.url}/${repo}/pulls/${draft}`;
    const entries = async (): Promise<number> => {
      const timeline = await server.api(bot, "GET", `${R}/issues/${draft}/timeline`);
      const types = (timeline.json as { type: string }[] | null) ?? [];
      return types.filter((one) => /_ref$/.test(one.type)).length;
    };
    const before = await entries();
    const card = await server.comment(bot, repo, { number, body: "**allegro is working**" });
    const show = async (link: string, round: number) => {
      await server.editComment(bot, repo, {
        id: card.id,
        body: `**done**: 1 commit → draft ${link} (${round})`,
      });
      await server.editComment(bot, repo, { id: card.id, body: `**allegro is working** (${round})` });
    };
    for (let round = 1; round <= 4; round += 1) await show(threadLink(`#${draft}`, page).text, round);
    for (let round = 1; round <= 4; round += 1) await show(threadLink(`${repo}#${draft}`, page).text, round);
    expect(await entries()).toBe(before);
    if (server.name === "stand-in") return;
    // The page is the same, and what a card showed until now left an entry each time.
    expect((await fetch(`${page}/`)).status).toBe(200);
    for (let round = 1; round <= 4; round += 1) await show(raw(`#${draft}`).text, round);
    expect(await entries()).toBe(before + 4);
    await show(`[#${draft}](${page})`, 5);
    expect(await entries()).toBe(before + 5);
  });
}
