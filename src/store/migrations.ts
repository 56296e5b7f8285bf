import { EARLY_MIGRATIONS } from "./early-migrations.ts";

/**
 * Ordered and append-only: entry n brings a registry of schema n to n+1. Never edit one that was released.
 */
export const MIGRATIONS: readonly string[] = [
  ...EARLY_MIGRATIONS,
  // 8: turns: a run belongs to one, and a retry to the same as what it tries again; what people tell agents.
  `
  ALTER TABLE runs ADD COLUMN turn INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE runs ADD COLUMN turn_kind TEXT NOT NULL DEFAULT 'first';
  UPDATE runs SET turn = max(1, (SELECT count(*) FROM runs AS earlier
    WHERE earlier.cell = runs.cell AND earlier.n <= runs.n AND earlier.automatic = 0));
  UPDATE runs SET turn_kind = 'revive' WHERE turn > 1;
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cell TEXT NOT NULL REFERENCES cells (id),
    source TEXT NOT NULL UNIQUE,
    asker TEXT NOT NULL,
    author_id INTEGER, author_login TEXT NOT NULL,
    agent TEXT, said TEXT NOT NULL, at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    run INTEGER, why TEXT
  ) STRICT;
  CREATE INDEX messages_by_cell ON messages (cell, id);
  CREATE INDEX messages_waiting ON messages (cell) WHERE state = 'waiting';
  `,
  // 9: a director may let the value of one variable go.
  `
  ALTER TABLE cells ADD COLUMN released_secrets TEXT;
  `,
  // 10: why nothing can be published to a cell's repository. How many attempts ended because Lazarus did, and
  // how many of them in a row.
  `
  ALTER TABLE cells ADD COLUMN repository_trouble TEXT;
  ALTER TABLE jobs ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE jobs ADD COLUMN kills INTEGER NOT NULL DEFAULT 0;
  DROP INDEX jobs_next;
  CREATE INDEX jobs_next ON jobs (queue, urgent DESC, seq, not_before, lane, kind, kills) WHERE state = 'waiting';
  `,
  // 11: what reviews ask for.
  `
  CREATE TABLE items (
    cell TEXT NOT NULL REFERENCES cells (id), n INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('body','inline','remark')),
    pull INTEGER NOT NULL,
    review INTEGER NOT NULL, comment INTEGER NOT NULL, part INTEGER NOT NULL,
    author_id INTEGER NOT NULL, author_login TEXT NOT NULL,
    path TEXT NOT NULL, line INTEGER NOT NULL, old_line INTEGER NOT NULL, commit_sha TEXT NOT NULL, hunk TEXT NOT NULL,
    said TEXT NOT NULL, edited INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'open', turn INTEGER,
    verdict TEXT, words TEXT NOT NULL DEFAULT '', found_commit TEXT, touches INTEGER, now_line INTEGER,
    answer_due INTEGER NOT NULL DEFAULT 0, why TEXT,
    PRIMARY KEY (cell, n), UNIQUE (cell, review, comment, part)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX items_due ON items (cell, turn) WHERE answer_due = 1;
  `,
  // 12: who works in a cell after its first agent, in order; what each run leaves the next one.
  `
  CREATE TABLE team (
    cell TEXT NOT NULL REFERENCES cells (id), place INTEGER NOT NULL, agent TEXT NOT NULL, run INTEGER,
    PRIMARY KEY (cell, place)
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE runs ADD COLUMN left TEXT;
  `,
  // 13: what is run on what cells push.
  `
  CREATE TABLE checks (
    cell TEXT NOT NULL REFERENCES cells (id), n INTEGER NOT NULL,
    tip TEXT NOT NULL, name TEXT NOT NULL, side TEXT NOT NULL CHECK (side IN ('tip','base')),
    commit_sha TEXT NOT NULL, basis TEXT NOT NULL, agent TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    handle TEXT, started_at INTEGER, limit_ms INTEGER, ended_at INTEGER, code INTEGER, why TEXT,
    tail TEXT NOT NULL DEFAULT '', refused_hosts TEXT NOT NULL DEFAULT '[]', leftovers TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (cell, n)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX checks_at_work ON checks (cell, n) WHERE state IN ('waiting','running');
  CREATE INDEX checks_known ON checks (commit_sha, basis);
  ALTER TABLE cells ADD COLUMN checked TEXT;
  `,
  // 14: people with a role in a cell by invitation. One that is over stays, with when it was noticed. Agents
  // that are to look at a cell's work once, and who invited those that work there after its team.
  `
  CREATE TABLE guests (
    cell TEXT NOT NULL REFERENCES cells (id), user_id INTEGER NOT NULL, login TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('observer','executor','director')),
    until INTEGER, by_login TEXT NOT NULL, at INTEGER NOT NULL, ended_at INTEGER,
    PRIMARY KEY (cell, user_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX guests_until ON guests (until) WHERE ended_at IS NULL AND until IS NOT NULL;
  CREATE TABLE visits (
    cell TEXT NOT NULL REFERENCES cells (id), n INTEGER NOT NULL, agent TEXT NOT NULL,
    by_id INTEGER, by_login TEXT NOT NULL, run INTEGER, dropped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (cell, n)
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE team ADD COLUMN by_id INTEGER;
  ALTER TABLE team ADD COLUMN by_login TEXT;
  `,
  // 15: what runs used, as their agents tell it, and what a director gave them more; from which turn on turns
  // are counted. What was written on threads that nobody asked for, and which threads are quiet for it.
  `
  ALTER TABLE runs ADD COLUMN cost_usd REAL;
  ALTER TABLE runs ADD COLUMN tokens INTEGER;
  ALTER TABLE runs ADD COLUMN more_usd REAL NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN more_tokens INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE cells ADD COLUMN more_usd REAL NOT NULL DEFAULT 0;
  ALTER TABLE cells ADD COLUMN more_tokens INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE cells ADD COLUMN turns_from INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE unasked (
    marker TEXT PRIMARY KEY, repository INTEGER NOT NULL, number INTEGER NOT NULL, person INTEGER, at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX unasked_on ON unasked (repository, number, at);
  CREATE INDEX unasked_of ON unasked (person, at) WHERE person IS NOT NULL;
  CREATE TABLE quiet (
    repository INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (repository, number)
  ) STRICT, WITHOUT ROWID;
  `,
  // 16: issues that were filed with the form of a mission proposal, and what became of each.
  `
  CREATE TABLE proposals (repository INTEGER NOT NULL, full_name TEXT NOT NULL, number INTEGER NOT NULL, author_id INTEGER NOT NULL, author_login TEXT NOT NULL,
    cell TEXT NOT NULL UNIQUE, state TEXT NOT NULL DEFAULT 'faulty' CHECK (state IN ('faulty','queued','planned','closed')),
    read_sha256 TEXT NOT NULL DEFAULT '', mistakes TEXT NOT NULL DEFAULT '[]', wish TEXT, comment INTEGER, comments INTEGER NOT NULL DEFAULT 0,
    shown_sha256 TEXT, shown_at INTEGER, edited_at INTEGER, approver_id INTEGER, approver_login TEXT, looked_at INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL, PRIMARY KEY (repository, number)) STRICT, WITHOUT ROWID;
  CREATE INDEX proposals_by_author ON proposals (author_id);
  `,
  // 17: who is signed in to the dashboard, sign-ins under way, one-time links, every action and refusal; what
  // finds cells that wait for a person and runs that ended last.
  `
  CREATE TABLE sessions (
    id_sha256 TEXT PRIMARY KEY, user_id INTEGER, login TEXT NOT NULL, made_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL, ended_at INTEGER, theme TEXT, has_keys INTEGER NOT NULL DEFAULT 1
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_of ON sessions (user_id, login);
  CREATE TABLE logins (
    state_sha256 TEXT PRIMARY KEY, browser_sha256 TEXT NOT NULL, verifier TEXT NOT NULL, to_path TEXT NOT NULL, at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE login_links (sha256 TEXT PRIMARY KEY, login TEXT NOT NULL, ends_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, who_id INTEGER,
    via TEXT NOT NULL CHECK (via IN ('comment','web','command line')), verb TEXT NOT NULL, subject TEXT NOT NULL, cell TEXT,
    why TEXT, result TEXT NOT NULL CHECK (result IN ('done','refused','failed')), reason TEXT
  ) STRICT;
  CREATE INDEX audit_at ON audit (at);
  CREATE INDEX audit_cell ON audit (cell, seq) WHERE cell IS NOT NULL;
  CREATE TABLE audit_horizon (one INTEGER PRIMARY KEY CHECK (one = 1), before INTEGER NOT NULL) STRICT;
  INSERT INTO audit_horizon VALUES (1, 0);
  CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END;
  CREATE TRIGGER audit_kept BEFORE DELETE ON audit WHEN OLD.at >= (SELECT before FROM audit_horizon)
    BEGIN SELECT RAISE(ABORT, 'the audit is kept for audit.keep'); END;
  CREATE TRIGGER audit_horizon_stays BEFORE DELETE ON audit_horizon BEGIN SELECT RAISE(ABORT, 'the audit is kept'); END;
  CREATE TABLE job_attempts (job TEXT NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, error TEXT NOT NULL, PRIMARY KEY (job, n)) STRICT, WITHOUT ROWID;
  CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;
  CREATE INDEX runs_needing ON runs (cell, n) WHERE exit_class IN ('question','not-logged-in','no-credit','cannot-run');
  CREATE INDEX cells_held ON cells (repository) WHERE state = 'idle'
    AND (breaker IS NOT NULL OR push_refused IS NOT NULL OR json_array_length(harvest, '$.heldBack') > 0 OR json_array_length(harvest, '$.protectedPaths') > 0
      OR json_array_length(harvest, '$.forbidden') > 0 OR json_array_length(harvest, '$.shownSecrets') > 0);
  `,
  // 18: runners on other hosts, how each was when it was heard last, and why its cells do not go on.
  `
  CREATE TABLE runners (
    name TEXT PRIMARY KEY, generation INTEGER NOT NULL, created_at INTEGER NOT NULL, rotated_at INTEGER,
    draining INTEGER NOT NULL DEFAULT 0, forgotten_at INTEGER,
    incarnation TEXT, facts TEXT, standing TEXT, heard_at INTEGER, trouble TEXT
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE cells ADD COLUMN runner_trouble TEXT;
  CREATE INDEX cells_elsewhere ON cells (runner) WHERE state <> 'destroyed' AND runner <> 'local';
  `,
  // 19: what a cell's card was last edited to. Keys that nobody says again go with their rows: fresh ones,
  // and those of destroyed cells; and so does what such a cell was asked.
  `
  ALTER TABLE cells ADD COLUMN card_shown TEXT;
  DELETE FROM job_keys WHERE job_id NOT IN (SELECT id FROM jobs) AND (instr(key, ':') = 0
    OR substr(key, 1, 4) IN ('cli:', 'reac') OR substr(key, 1, 36) IN (SELECT id FROM cells WHERE state = 'destroyed'));
  CREATE INDEX job_keys_fresh ON job_keys (job_id) WHERE instr(key, ':') = 0 OR substr(key, 1, 4) IN ('cli:', 'reac');
  UPDATE prompts SET text = NULL, said = NULL WHERE cell IN (SELECT id FROM cells WHERE state = 'destroyed');
  UPDATE cells SET brief = '' WHERE state = 'destroyed';
  `,
  // 20: a number may be that of the next cell of a repository, for which a tree of that user's waits.
  `
  CREATE TABLE uids_20 (
    number INTEGER PRIMARY KEY,
    cell TEXT UNIQUE REFERENCES cells (id),
    repository INTEGER UNIQUE,
    spare_of INTEGER UNIQUE,
    spare_asked_by TEXT,
    CHECK ((cell IS NOT NULL) + (repository IS NOT NULL) + (spare_of IS NOT NULL) = 1),
    CHECK (spare_asked_by IS NULL OR spare_of IS NOT NULL)
  ) STRICT;
  INSERT INTO uids_20 (number, cell, repository) SELECT number, cell, repository FROM uids;
  DROP TABLE uids;
  ALTER TABLE uids_20 RENAME TO uids;
  `,
  // 21: where the seal of an archived cell is kept besides on its runner.
  `
  ALTER TABLE cells ADD COLUMN stored TEXT;
  `,
  // 22: what people type is read in turn between repositories.
  `
  ALTER TABLE jobs ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE jobs ADD COLUMN owner TEXT;
  ALTER TABLE jobs ADD COLUMN repository TEXT;
  DROP INDEX jobs_next;
  CREATE INDEX jobs_next ON jobs (queue, urgent DESC, rank, seq, not_before, lane, kind, kills) WHERE state = 'waiting';
  CREATE INDEX jobs_read ON jobs (rank) WHERE queue = 'events' AND state = 'running';
  CREATE INDEX jobs_of_repository ON jobs (repository) WHERE state IN ('waiting','running') AND queue = 'events';
  CREATE INDEX jobs_of_owner ON jobs (owner) WHERE state IN ('waiting','running') AND queue = 'events';
  `,
];
