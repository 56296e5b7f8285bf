import { audit } from "../../cells/registry/audit.ts";
import type { Clock } from "../../clock.ts";
import type { Asker } from "../../protocol/asker.ts";
import type { JobPayload } from "../../protocol/jobs.ts";
import type { Db } from "../../store/db.ts";
import type { Answer } from "../command.ts";

interface AuditDeps {
  readonly db: Db;
  readonly clock: Pick<Clock, "now">;
}

const VIA = { cli: "command line", forge: "comment", web: "web" } as const;

/** The name of whoever asked, as histories have it. */
export function askerName(asker: Asker): string {
  return asker.via === "cli" ? asker.operator : asker.person.login;
}

/** Where it was asked: `acme/app#262`, `command line`, `dashboard`. */
export function whereOf(asker: Asker): string {
  if (asker.via === "cli") return "command line";
  const thread = asker.via === "web" ? asker.thread : asker;
  return thread === null ? "dashboard" : `${thread.repository.fullName}#${thread.number}`;
}

/** Writes down who asked for what and what became of it; joins the caller's transaction. */
export function auditCommand(payload: JobPayload<"command">, answer: Answer, deps: AuditDeps): void {
  const data = answer.kind === "done" ? answer.data : undefined;
  const id = typeof data === "object" && data !== null && "id" in data ? data.id : null;
  const [result, reason] =
    answer.kind !== "refused"
      ? (["done", null] as const)
      : ([answer.code === "failed" ? "failed" : "refused", answer.reply.text] as const);
  write(payload, { result, reason, cell: typeof id === "string" ? id : null }, deps);
}

/** The same for a command that was given up. */
export function auditFailure(payload: JobPayload<"command">, reason: string, deps: AuditDeps): void {
  write(payload, { result: "failed", reason, cell: null }, deps);
}

function write(
  { asker, verb, words, flags }: JobPayload<"command">,
  what: {
    readonly result: "done" | "refused" | "failed";
    readonly reason: string | null;
    cell: string | null;
  },
  { db, clock }: AuditDeps,
): void {
  const set = Object.entries(flags).map(([name, value]) => (value === true ? name : `${name} ${value}`));
  const [named = ""] = words;
  audit(db).add({
    ...what,
    cell: what.cell ?? (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(named) ? named : null),
    at: clock.now(),
    who: askerName(asker),
    whoId: asker.via === "cli" ? null : asker.person.id,
    via: VIA[asker.via],
    verb: [verb, ...words, ...set].join(" ").slice(0, MOST_CHARS),
    subject: whereOf(asker),
    why: asker.via === "web" ? asker.why : null,
  });
}

const MOST_CHARS = 300;
