import * as z from "zod";
import { LazarusError } from "../../errors.ts";
import { PROMPT_KINDS } from "../../protocol/shapes.ts";
import type { Db } from "../../store/db.ts";
import type { Requester } from "../cell.ts";
import type { NewPrompt } from "../prompt.ts";
import { flag, maybe } from "./columns.ts";

/** What a run is asked, as it was written down together with the run. */
export interface Prompt {
  readonly kind: NewPrompt["kind"];
  readonly from: Requester;
  /** That person's own words, cleaned; null where there are none. */
  readonly said: string | null;
  /** What is new to the agent; of the first turn the brief. */
  readonly text: string;
  readonly sha256: string;
  /** Epoch ms. */
  readonly at: number;
  /** SHA-256 of the file that the run was given in the end; null until it started. */
  readonly givenSha256: string | null;
  /** Whether its agent went on with its session; null until it started. */
  readonly isResumed: boolean | null;
}

const promptRow = z.object({
  kind: z.enum(PROMPT_KINDS),
  from_id: z.number().nullable(),
  from_login: z.string(),
  said: z.string().nullable(),
  text: z.string(),
  sha256: z.string(),
  at: z.number(),
  given_sha256: z.string().nullable(),
  resumed: maybe(flag).shape,
});

interface RunOfCell {
  readonly cellId: string;
  readonly n: number;
}

/** The prompts of all runs. All methods are synchronous and join the caller's transaction. */
export interface Prompts {
  /** To be called in the transaction that writes the run. */
  add(run: RunOfCell, prompt: NewPrompt, at: number): void;
  /** Changes what a run that has not started is asked. */
  change(run: RunOfCell, prompt: Pick<Prompt, "text" | "sha256">): void;
  /** Written down what a run was given when it started. */
  given(run: RunOfCell, what: { readonly sha256: string; readonly isResumed: boolean }): void;
  /** @throws LazarusError `internal` where the run has none, so that none starts without. */
  of(run: RunOfCell): Prompt;
  /** What a destroyed cell was asked is kept no longer than its directory; its hashes stay. */
  forget(cellId: string): void;
}

/** Prompts in the table of that name. */
export function createPrompts(db: Db): Prompts {
  return {
    add({ cellId, n }, { kind, from, said, text, sha256 }, at) {
      const bound = { cellId, n, kind, fromId: from.id, fromLogin: from.login, said, text, sha256, at };
      const { changes } = db.sql.prepare(kind === "brief" ? INSERT_BRIEF : INSERT).run(bound);
      if (changes !== 1) throw new LazarusError("internal", `run ${n} of ${cellId} belongs to no cell`);
    },
    change({ cellId, n }, { text, sha256 }) {
      db.sql.prepare(CHANGE).run({ cellId, n, text, sha256 });
    },
    given({ cellId, n }, { sha256, isResumed }) {
      const bound = { cellId, n, sha256, resumed: Number(isResumed) };
      db.sql.prepare(GIVEN).run(bound);
    },
    of({ cellId, n }) {
      const row = db.sql.prepare(SELECT).get({ cellId, n });
      if (row !== undefined) return promptFromRow(row);
      throw new LazarusError("internal", `run ${n} of cell ${cellId} has no prompt`);
    },
    forget(cellId) {
      db.sql.prepare("UPDATE prompts SET text = NULL, said = NULL WHERE cell = @cellId").run({ cellId });
      db.sql.prepare("UPDATE cells SET brief = '' WHERE id = @cellId").run({ cellId });
    },
  };
}

function promptFromRow(row: unknown): Prompt {
  const r = promptRow.parse(row);
  return {
    kind: r.kind,
    from: { id: r.from_id, login: r.from_login },
    said: r.said,
    text: r.text,
    sha256: r.sha256,
    at: r.at,
    givenSha256: r.given_sha256,
    isResumed: r.resumed,
  };
}

const SELECT = `
  SELECT kind, from_id, from_login, said, COALESCE(text, cells.brief) AS text, sha256, at, given_sha256, resumed
  FROM prompts JOIN cells ON cells.id = prompts.cell WHERE prompts.cell = @cellId AND prompts.run = @n`;
const GIVEN =
  "UPDATE prompts SET given_sha256 = @sha256, resumed = @resumed WHERE cell = @cellId AND run = @n";
const CHANGE = `
  UPDATE prompts SET text = @text, sha256 = @sha256
  WHERE cell = @cellId AND run = @n AND kind <> 'brief' AND given_sha256 IS NULL`;
const COLUMNS = "cell, run, kind, from_id, from_login, said, text, sha256, at";
const INSERT = `
  INSERT INTO prompts (${COLUMNS})
  VALUES (@cellId, @n, @kind, @fromId, @fromLogin, @said, @text, @sha256, @at)`;
/** The cell's own row holds the brief and its hash. */
const INSERT_BRIEF = `
  INSERT INTO prompts (${COLUMNS})
  SELECT id, @n, @kind, @fromId, @fromLogin, NULL, NULL, brief_sha256, @at FROM cells WHERE id = @cellId`;
