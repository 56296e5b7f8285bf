/**
 * Codes of the contract: 0 done, 1 failed, 2 usage or configuration, 3 refused, 4 no such cell or agent, 5
 * not reached.
 */
export const EXIT = { failed: 1, usage: 2, refused: 3, notFound: 4, unreachable: 5 } as const;

/** The exit code that belongs to an error's code. */
export function exitCodeOf(code: string): number {
  if (code === "configuration" || code === "usage" || code === "wrong-user" || code === "lock-held")
    return EXIT.usage;
  if (code === "not-found" || code === "agent-missing") return EXIT.notFound;
  return code.startsWith("forge-") ? EXIT.unreachable : EXIT.failed;
}

/** What programs are told of a failure. */
export function failure(code: string, message: string): { readonly error: object } {
  return { error: { code, message } };
}
