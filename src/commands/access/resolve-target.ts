import { includesRole } from "../../cells/cell.ts";
import {
  type Issue,
  type PullRequest,
  parseRepositoryName,
  type Repository,
  type RepositoryName,
} from "../../gitea/port.ts";
import { type Answer, type Deps, type Origin, type Refused, refuse, refuseForRights } from "../command.ts";
import { parseTarget } from "../parsing/target.ts";
import { replies } from "../words/replies.ts";

type TargetDeps = Pick<Deps, "forge" | "rights" | "config">;

/** What a cell is to work on, read from the forge, by somebody who may. */
export interface Target {
  readonly name: RepositoryName;
  readonly repository: Repository;
  /** Null where a repository was named without a number: an issue is opened for the card. */
  readonly issue: Issue | null;
  readonly pullRequest: PullRequest | null;
}

/**
 * Finds the target that a command names (the thread itself where it names none) and checks the person's
 * rights on it: write permission, asked of the forge now, by user id. Missing, unserved and unreadable
 * repositories get the same sentence.
 */
export async function resolveTarget(
  typed: string | null,
  what: { verb: string; agent: string },
  at: { origin: Origin; deps: TargetDeps },
): Promise<Target | { refusal: Answer }> {
  const named = nameTarget(typed, at.origin, at.deps);
  if ("refusal" in named) return named;
  const { name, number, fullName } = named;
  const hidden = { refusal: refuse("not-found", replies.noSuchRepository(fullName)) };
  if (!at.deps.rights.isServed(fullName)) return hidden;
  // The thread's own was looked at just now; rights, and what another one is, are asked for at this moment.
  const repository = await (named.id === null
    ? at.deps.forge.repository(name)
    : at.deps.forge.recentRepository(name));
  // A repository that was renamed, or deleted and made again under the old name, is not the one that was
  // meant.
  if (repository === null || repository.fullName.toLowerCase() !== fullName.toLowerCase()) return hidden;
  if (named.id !== null && named.id !== repository.id) return hidden;
  const reading = number === null ? null : at.deps.forge.issue(name, number);
  const asking = checkRights(repository, what, at);
  const [issue, forRights] = await Promise.all([reading, asking]);
  const refusal = forRights ?? (await checkPrivacy(repository, name, at));
  if (refusal !== null) return { refusal };
  const pullRequest =
    number === null || issue?.isPullRequest !== true ? null : await at.deps.forge.pullRequest(name, number);
  if (number !== null && issue === null)
    return { refusal: refuse("not-found", replies.noSuchThread(`${fullName}#${number}`)) };
  const unfit = checkFitness(repository, pullRequest);
  if (unfit !== null) return { refusal: unfit };
  return { name, repository, issue, pullRequest };
}

interface Named {
  readonly name: RepositoryName;
  readonly fullName: string;
  readonly number: number | null;
  readonly id: number | null;
}

function nameTarget(typed: string | null, origin: Origin, deps: TargetDeps): Named | { refusal: Answer } {
  const parsed = typed === null ? null : parseTarget(typed, deps.config.forge.url);
  const thread = origin.thread;
  if (typed !== null && parsed === null) return { refusal: refuse("usage", replies.notATarget(typed)) };
  if (parsed !== null && parsed.owner !== null) {
    return { name: parsed, fullName: `${parsed.owner}/${parsed.name}`, number: parsed.number, id: null };
  }
  const name = thread === null ? null : parseRepositoryName(thread.repository.fullName);
  if (thread === null || name === null) return { refusal: refuse("usage", replies.notATarget(typed ?? "")) };
  return {
    name,
    fullName: thread.repository.fullName,
    number: parsed?.number ?? thread.number,
    id: thread.repository.id,
  };
}

async function checkRights(
  repository: Repository,
  what: { verb: string; agent: string },
  at: { origin: Origin; deps: TargetDeps },
): Promise<Answer | null> {
  const ref = { id: repository.id, fullName: repository.fullName };
  const standing = await at.deps.rights.standing(at.origin.person, ref);
  if (standing.kind === "unknowable") return refuseForRights(replies.unknowable(standing.why));
  if (standing.role === null) return refuse("not-found", replies.noSuchRepository(repository.fullName));
  if (includesRole(standing.role, "executor")) return null;
  const people = await at.deps.rights.peopleWho("write", ref);
  const login = at.origin.person.login;
  return refuseForRights(
    replies.summonRefused(what.agent, {
      login,
      permission: standing.permission,
      fullName: repository.fullName,
      people,
    }),
  );
}

/** A private target's text must not be told where people read who may not read the target. */
async function checkPrivacy(
  repository: Repository,
  name: RepositoryName,
  at: { origin: Origin; deps: TargetDeps },
): Promise<Answer | null> {
  const thread = at.origin.thread;
  if (thread === null || thread.repository.id === repository.id || !repository.isPrivate) return null;
  const leak = refuse("refused", replies.wouldLeak(repository.fullName));
  const threadName = parseRepositoryName(thread.repository.fullName);
  const threadRepository = threadName === null ? null : await at.deps.forge.repository(threadName);
  if (threadName === null || threadRepository === null || !threadRepository.isPrivate) return leak;
  const [threadReaders, targetReaders] = await Promise.all([
    at.deps.forge.readers(threadName),
    at.deps.forge.readers(name),
  ]);
  if (threadReaders === null || targetReaders === null) return leak;
  const allowed = new Set(targetReaders.map((one) => one.id));
  return threadReaders.every((one) => allowed.has(one.id)) ? null : leak;
}

/** Why nothing can be made there; null where it can. */
export function checkFitness(repository: Repository, pullRequest: PullRequest | null): Refused | null {
  if (repository.isArchived) return refuse("refused", replies.archived(repository.fullName));
  if (repository.isMirror) return refuse("refused", replies.mirror(repository.fullName));
  if (repository.isEmpty) return refuse("refused", replies.empty(repository.fullName));
  if (!repository.mine.push) return refuse("refused", replies.botCannotPush(repository.fullName));
  const target = pullRequest === null ? "" : `${repository.fullName}#${pullRequest.number}`;
  if (pullRequest !== null && !pullRequest.isOpen)
    return refuse("refused", replies.closedPullRequest(target));
  return null;
}
