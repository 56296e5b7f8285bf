import { type FormValues, formBody } from "../../e2e/proposal-forms.ts";
import type { E2eUser } from "../../e2e/servers.ts";
import type { Dice } from "./dice.ts";
import type { Ledger } from "./ledger.ts";
import type { World } from "./world.ts";

interface Doing {
  readonly world: World;
  readonly ledger: Ledger;
  readonly dice: Dice;
}

/** What the form holds: a plan, or, now and then, what is none. */
function filled(dice: Dice): FormValues {
  const isFaulty = dice.chance(0.25);
  return {
    Objective: isFaulty ? "" : `Part ${dice.between(1, 1_000_000)} is made.`,
    "Acceptance criteria": "It is there.",
    Agents: dice.pick(isFaulty ? ["quik", "quick+quick"] : ["quick", "breaks", "quick+slow"]),
  };
}

/** Somebody who need not be able to write files an issue with the form. */
export async function propose({ world, ledger, dice }: Doing): Promise<void> {
  const { server, people, threads } = world;
  const by = dice.pick([people.reader, people.dev]);
  const repo = dice.pick(threads).repo;
  const issue = { title: "Mission: One more part", body: formBody(filled(dice)) };
  ledger.proposals.push({ repo, number: await server.openIssue(by, repo, issue), by: by.login });
}

/** Its author fills it in otherwise, also after it was approved. */
export async function amend({ world, ledger, dice }: Doing): Promise<boolean> {
  if (ledger.proposals.length === 0) return false;
  const { repo, number, by } = dice.pick(ledger.proposals.slice(-4));
  const author = Object.values(world.people).find((one) => one.login === by);
  const path = `/repos/${repo}/issues/${number}`;
  const { status } = await world.server.api(author as E2eUser, "PATCH", path, {
    body: formBody(filled(dice)),
  });
  return status < 300;
}

/** The hash that a plan's card shows, as whoever approves it reads it there; null: there is no plan. */
export async function shownHash(world: World, at: { readonly repo: string; readonly number: number }) {
  const comments = await world.server.comments(at.repo, at.number);
  const hashes = comments
    .filter((one) => one.author === world.bot.login)
    .map((one) => /\bapprove ([0-9a-f]{8})\b/.exec(one.body)?.[1]);
  return hashes.findLast((hash) => hash !== undefined) ?? null;
}
