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
