import type { Reports } from "../../cells/reports/reports.ts";
import { LazarusError } from "../../errors.ts";
import type { RepositoryName } from "../../gitea/port.ts";
import type { RepositoryRef } from "../../protocol/shapes.ts";
import type { Deps } from "../command.ts";
import { nameOf } from "../rights.ts";

/** What everything that writes to the forge needs. */
export type PostDeps = Pick<
  Deps,
  "forge" | "registry" | "rights" | "clock" | "config" | "steps" | "queue"
> & {
  readonly reports: Pick<Reports, "drafted">;
};

/** Before every post, id and full name are compared with what we know, and with the allow-list. */
export async function confirm(
  repository: RepositoryRef,
  deps: Pick<PostDeps, "forge" | "rights">,
): Promise<RepositoryName> {
  const name = nameOf(repository);
  if (!deps.rights.isServed(repository.fullName)) {
    throw new LazarusError(
      "forge-refused",
      `writing to ${repository.fullName}: it is no longer served (forge.repositories)`,
    );
  }
  const found = await deps.forge.repository(name);
  if (
    found === null ||
    found.id !== repository.id ||
    found.fullName.toLowerCase() !== repository.fullName.toLowerCase()
  ) {
    throw new LazarusError(
      "forge-refused",
      `writing to ${repository.fullName}: the repository of that name is another one now`,
    );
  }
  return name;
}
