import { LazarusError } from "../../errors.ts";

/**
 * What the forge's HTTP server said to git. Git tells it in words only, so here, and only here, text is
 * matched (LC_ALL=C).
 */
export function httpRefusal(stderr: string): "unauthorized" | "forbidden" | "missing" | "moved" | null {
  if (/Authentication failed|terminal prompts disabled|error: 401/.test(stderr)) return "unauthorized";
  if (/returned error: 403/.test(stderr)) return "forbidden";
  if (/repository '[^']*' not found|returned error: 404/.test(stderr)) return "missing";
  if (/returned error: 30\d|from redirection/.test(stderr)) return "moved";
  return null;
}

/**
 * Whether git could not get through to the forge at all: no connection, no TLS, cut off, or a gateway that
 * answered.
 */
export function isUnreachable(stderr: string): boolean {
  return /unable to access '|unable to connect|Could not resolve|RPC failed|remote end hung up|early EOF|Connection (?:refused|reset|timed out)/.test(
    stderr,
  );
}

const ADVICE = {
  unauthorized: "the forge does not accept the bot's token (forge.token)",
  forbidden:
    "the forge refuses the bot (403): its token needs the scope write:repository, and the bot write permission on the repository",
  missing:
    "the forge has no such repository for the bot (404): was it renamed or deleted, or does the bot lack read permission?",
  moved:
    "the forge answers from another address (redirect): was the repository renamed, or is forge.url not its final address?",
} as const;

/** The same for people: what the bot lacks. */
export function refusalSentence(refusal: keyof typeof ADVICE): string {
  return ADVICE[refusal];
}

/** Whoever knows the repository's id finds out what it is called now, and the job is done again. */
export function movedError(doing: string): LazarusError {
  return new LazarusError("repository-moved", `${doing}: ${ADVICE.moved}`, { retryable: true });
}

/** The last line of git's stderr that says something: errors before what the server said, progress never. */
export function usefulLine(stderr: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^(remote: )?\S.*\d+% \(|^hint:/.test(line));
  const telling = lines.filter((line) => /^(fatal|error):/.test(line));
  return (telling.at(-1) ?? lines.at(-1) ?? "").slice(0, 300);
}
