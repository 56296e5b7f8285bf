import { expect, it } from "vitest";
import { type Ground, R } from "./ground.ts";

interface Seen {
  readonly id: number;
  readonly status: string;
  readonly context: string;
  readonly description: string;
  readonly target_url: string;
  readonly creator: { readonly login: string };
}

/** How commits are said to stand, as far as the statuses of checks rely on it. */
export function statusFacts(ground: () => Ground): void {
  const set = (as: "bot" | "dev" | "reader", commit: string, wanted: object) =>
    ground().server.api(ground()[as], "POST", `${R}/statuses/${commit}`, wanted);

  it("takes a status of whoever may write, under any context, and the newest has the highest id", async () => {
    const commit = (await ground().server.branch("acme/app", "main")) ?? "";
    const status = {
      context: "lazarus/fact",
      description: "exit 1",
      target_url: "https://git.example.org/x",
    };
    expect((await set("bot", commit, { ...status, state: "pending" })).status).toBe(201);
    expect((await set("bot", commit, { ...status, state: "failure" })).status).toBe(201);
    expect((await set("dev", commit, { ...status, state: "success" })).status).toBe(201);
    expect((await set("reader", commit, { ...status, state: "success" })).status).toBe(403);
    const { json } = await ground().server.api(ground().dev, "GET", `${R}/commits/${commit}/statuses`);
    // Of one second, in any order.
    const seen = (json as Seen[])
      .filter((one) => one.context === "lazarus/fact")
      .sort((one, other) => other.id - one.id);
    expect(seen.map((one) => [one.status, one.description, one.target_url, one.creator.login])).toEqual(
      [
        ["success", "dev"],
        ["failure", "lazarus"],
        ["pending", "lazarus"],
      ].map(([state, by]) => [state, "exit 1", "https://git.example.org/x", by]),
    );
  });

  it("fails over a commit that is not there", async () => {
    const { status } = await set("bot", "1".repeat(40), { context: "lazarus/fact", state: "pending" });
    expect(status).toBeGreaterThanOrEqual(404);
  });
}
