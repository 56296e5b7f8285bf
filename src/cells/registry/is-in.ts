import type { RepositoryRef } from "../../protocol/shapes.ts";
import type { Cell } from "../cell.ts";

/**
 * Whether a cell's draft stands in a repository. Most stand in the cell's own, which is known by its id; one
 * against a fork is known by its name.
 */
export function isIn(cell: Cell, repository: RepositoryRef): boolean {
  const name = (cell.pullRequestRepository ?? cell.repository.fullName).toLowerCase();
  const isOwn = name === cell.repository.fullName.toLowerCase();
  return isOwn ? cell.repository.id === repository.id : name === repository.fullName.toLowerCase();
}
