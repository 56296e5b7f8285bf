import type { Renames } from "../../cells/renames.ts";
import type { Reports } from "../../cells/reports/reports.ts";
import { explain, LazarusError } from "../../errors.ts";
import { parseRepositoryName, type Repository, type RepositoryName } from "../../gitea/port.ts";
import type { Log } from "../../log.ts";
import type { RepositoryRef } from "../../protocol/shapes.ts";
import type { Deps } from "../command.ts";
import { nameOf } from "../rights.ts";

/** What everything that writes to the forge needs. */
export type PostDeps = Pick<
  Deps,
  "forge" | "registry" | "rights" | "clock" | "config" | "steps" | "queue" | "renames"
> & {
  readonly reports: Pick<Reports, "drafted" | "merged" | "notMerged">;
};

export type LocateDeps = Pick<Deps, "forge"> & {
  readonly rights: Pick<Deps["rights"], "isServed">;
  readonly renames: Pick<Renames, "found" | "lost">;
};

type LookDeps = Pick<Deps, "forge" | "rights" | "renames"> & { readonly log: Pick<Log, "debug"> };

/** Where a repository is that we know by its id; what is lost says why. */
export type Located =
  | { readonly kind: "here"; readonly name: RepositoryName; readonly repository: Repository }
  | { readonly kind: "gone" | "replaced"; readonly why: string }
  | { readonly kind: "unserved"; readonly why: string };

/**
 * Asks the forge where a repository is, or was half a minute ago. Its id decides: under its old name there
 * may be another one, or a way to the new one. A new name that is served is taken over everywhere; where it
 * is lost, its cells say so.
 */
export async function locate(known: RepositoryRef, deps: LocateDeps): Promise<Located> {
  const recent = await deps.forge.recentRepository(nameOf(known));
  const byName = recent?.id === known.id ? recent : await deps.forge.repository(nameOf(known));
  const found = byName?.id === known.id ? byName : await deps.forge.repositoryById(known.id);
  if (found === null) {
    const [kind, what] =
      byName === null
        ? (["gone", "there is no repository of that name that I may read"] as const)
        : (["replaced", "the repository of that name is another one now"] as const);
    return lose(known, { kind, why: `${known.fullName}: ${what}` }, deps);
  }
  return settle(known, found, deps);
}

/** What follows from where a repository was found. */
export function settle(known: RepositoryRef, found: Repository, deps: Omit<LocateDeps, "forge">): Located {
  const name = parseRepositoryName(found.fullName);
  if (name === null || !deps.rights.isServed(found.fullName)) {
    const called = found.fullName === known.fullName ? "" : ` is called ${found.fullName} now, which`;
    return lose(
      known,
      { kind: "unserved", why: `${known.fullName}${called} is not served (forge.repositories)` },
      deps,
    );
  }
  deps.renames.found(found);
  return { kind: "here", name, repository: found };
}

function lose(
  known: RepositoryRef,
  lost: Exclude<Located, { kind: "here" }>,
  deps: Pick<LocateDeps, "renames">,
): Located {
  deps.renames.lost(known, lost.why);
  return lost;
}

/**
 * Before every post and push: the repository is looked for by its id, and must be served. Answers its name
 * of now.
 * @throws LazarusError `forge-refused` where it is not there or not served.
 */
export async function confirm(repository: RepositoryRef, deps: LocateDeps): Promise<RepositoryName> {
  return (await confirmed(repository, deps)).name;
}

/** The same, with all that the forge says of it. */
export async function confirmed(
  repository: RepositoryRef,
  deps: LocateDeps,
): Promise<Extract<Located, { kind: "here" }>> {
  const located = await locate(repository, deps);
  if (located.kind === "here") return located;
  throw new LazarusError("forge-refused", `writing to ${located.why}`);
}

/** Looks where the repositories of all cells are that are not archived yet: nobody may tell of a new name. */
export async function lookAtRepositories(deps: LookDeps): Promise<void> {
  for (const repository of deps.renames.inUse()) {
    try {
      await locate(repository, deps);
    } catch (error) {
      deps.log.debug(
        { repository: repository.fullName, why: explain(error) },
        "a repository was not looked for",
      );
    }
  }
}
