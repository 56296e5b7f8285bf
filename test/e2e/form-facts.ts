import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { readForm } from "../../src/gitea/form.ts";
import { type Ground, R, repo } from "./ground.ts";
import { FORM, formBody } from "./proposal-forms.ts";

/** What a forge makes of the project's own form, of edits and of deletions. */
export function formFacts(ground: () => Ground): void {
  it("renders the form as it is read here, checks nothing of it, and keeps its fields in order", async () => {
    const { server, bot, reader } = ground();
    await server.commitFile(bot, repo, { branch: "main", path: FORM, text: readFileSync(FORM, "utf8") });
    const bodyOf = async (fields: Record<string, string>): Promise<string> => {
      const title = "Mission: a form";
      const number = await server.openIssueByForm(reader, repo, { path: FORM, title, fields });
      return ((await server.api(bot, "GET", `${R}/issues/${number}`)).json as { body: string }).body;
    };
    expect(await bodyOf({})).toBe(formBody({}));
    const filled = {
      objective: "Two\nlines",
      criteria: "It holds.",
      agents: "allegro+ezra",
      ttl: "10 years",
      untouched: "docs/**\n*.lock",
    };
    const body = await bodyOf(filled);
    expect(body).toContain("### Objective\n\nTwo\r\nlines\n\n### Acceptance criteria");
    const form = readForm(body);
    expect(form?.Objective.text).toBe("Two\nlines");
    expect(form?.Agents.text).toBe("allegro+ezra");
    expect(form?.["Time to live"].text).toBe("10 years");
    expect(form?.["Not to be touched"].text).toBe("docs/**\n*.lock");
    expect(Object.values(form ?? {}).map((one) => one.fault)).toEqual(Array(8).fill(null));
  });

  it("moves an issue when its text is edited, as a comment does", async () => {
    const { server, bot, reader, delivery } = ground();
    const number = await server.openIssue(reader, repo, { title: "edited later", body: "one" });
    const at = async () =>
      Date.parse(
        ((await server.api(bot, "GET", `${R}/issues/${number}`)).json as { updated_at: string }).updated_at,
      );
    const before = await at();
    await expect
      .poll(
        async () => {
          await server.api(reader, "PATCH", `${R}/issues/${number}`, { body: `two at ${performance.now()}` });
          return at();
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(before);
    const edited = await delivery("issues", "edited", "two at");
    expect(edited.payload).toMatchObject({ number, changes: { body: { from: "one" } } });
  });

  it("answers 404 for an issue that was deleted; not every server tells of it", async () => {
    const { server, ways, bot, reader, delivery, listener } = ground();
    const number = await server.openIssue(reader, repo, { title: "deleted soon", body: "gone" });
    await server.deleteIssue(repo, number);
    expect((await server.api(bot, "GET", `${R}/issues/${number}`)).status).toBe(404);
    await server.openIssue(reader, repo, { title: "opened after it", body: "" });
    await delivery("issues", "opened", "opened after it");
    if (ways.issueDeletionTold)
      expect((await delivery("issues", "deleted", "deleted soon")).payload).toMatchObject({ number });
    else
      expect(
        listener.received.filter(
          ({ payload, body }) => payload.action === "deleted" && body.includes("deleted soon"),
        ),
      ).toEqual([]);
  });
}
