import type { GitPass } from "../transport/messages.ts";

/** The passes of the jobs in hand: with what git goes to control's gate. */
export interface PassBook {
  /** Null: the job is over. */
  hold(row: string, passes: readonly GitPass[] | null, sealPass?: string | null): void;
  /** For control's seals; null: the job has none. */
  sealPassOf(row: string): string | null;
  /**
   * For a call of git with these arguments, which name a repository below `root`. Empty where there is
   * none.
   */
  tokenFor(args: readonly string[]): string;
}

/** `root`: address below which the gate's repositories are. */
export function createPassBook(root: string): PassBook {
  const held = new Map<string, readonly GitPass[]>();
  const sealPasses = new Map<string, string>();
  return {
    sealPassOf: (row) => sealPasses.get(row) ?? null,
    hold(row, passes, sealPass = null) {
      if (sealPass === null) sealPasses.delete(row);
      else sealPasses.set(row, sealPass);
      // The newest goes last: it holds longest.
      held.delete(row);
      if (passes !== null) held.set(row, passes);
    },
    tokenFor(args) {
      const address = args.find((word) => word.startsWith(`${root}/`)) ?? "";
      const name = decodeURIComponent(address.slice(root.length + 1).replace(/\.git$/, "")).toLowerCase();
      const use = args[0] === "push" ? "push" : "read";
      const fitting = [...held.values()]
        .flat()
        .filter((one) => one.use === use && one.repository.toLowerCase() === name);
      // Of pushes each is for one branch: where several go on at once, the branch tells which.
      const ref = args.at(-1)?.replace(/^.*:refs\/heads\//, "") ?? "";
      const own = fitting.filter(
        (one) => one.branch === undefined || ref === one.branch || ref.startsWith(`${one.branch}-`),
      );
      return (own.at(-1) ?? fitting.at(-1))?.pass ?? "";
    },
  };
}
