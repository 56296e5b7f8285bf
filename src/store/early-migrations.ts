/** The first seven of `MIGRATIONS`. */
export const EARLY_MIGRATIONS: readonly string[] = [
  // 1: the job log. A key is said once for ever, so keys outlive the rows.
  `
  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting','running','done','dead','ended')),
    urgent INTEGER NOT NULL DEFAULT 0,
    payload TEXT NOT NULL,
    notes TEXT NOT NULL DEFAULT '{}',
    merge_tag TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    put_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    lease TEXT,
    lease_until INTEGER,
    ended_at INTEGER,
    error TEXT
  ) STRICT;
  -- What may start next, in order, without a look at the rows themselves.
  CREATE INDEX jobs_next ON jobs (queue, urgent DESC, seq, not_before, lane, kind) WHERE state = 'waiting';
  -- What keeps its lane: running, or tried and waiting for its retry. A handful of rows, whatever waits.
  CREATE INDEX jobs_holding ON jobs (queue, lane) WHERE state = 'running' OR (state = 'waiting' AND attempt > 0);
  CREATE INDEX jobs_open ON jobs (lane) WHERE state IN ('waiting','running');
  CREATE INDEX jobs_due ON jobs (not_before) WHERE state = 'waiting';
  CREATE INDEX jobs_merge ON jobs (merge_tag) WHERE state = 'waiting' AND merge_tag IS NOT NULL;
  CREATE INDEX jobs_state ON jobs (state, seq);
  CREATE INDEX jobs_ended ON jobs (ended_at) WHERE state IN ('done','ended');
  CREATE TABLE job_keys (key TEXT PRIMARY KEY, job_id TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
  // 2: the registry. JSON columns: harvest, closing, handle, leftovers, merge_into.
  `
  CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE served (pattern TEXT PRIMARY KEY, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE handled (
    repository INTEGER NOT NULL, kind TEXT NOT NULL, id INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (repository, kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE threads (
    repository INTEGER NOT NULL, number INTEGER NOT NULL, read_until INTEGER NOT NULL,
    PRIMARY KEY (repository, number)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE cells (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('proposed','active','idle','closing','archived','destroyed')),
    outcome TEXT, health TEXT, reason TEXT,
    repository INTEGER NOT NULL, full_name TEXT NOT NULL, number INTEGER NOT NULL, is_pull_request INTEGER NOT NULL,
    title TEXT NOT NULL, issue_url TEXT NOT NULL,
    requester_id INTEGER, requester_login TEXT NOT NULL, asked_in_comment INTEGER,
    agent TEXT NOT NULL, waits_for_approval INTEGER NOT NULL,
    base_name TEXT NOT NULL, base_ref TEXT NOT NULL, base_commit TEXT NOT NULL,
    branch TEXT NOT NULL, delivery TEXT NOT NULL CHECK (delivery IN ('draft','branch')), merge_into TEXT NOT NULL,
    brief TEXT NOT NULL, brief_sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    card_id INTEGER, pull_request INTEGER, pull_request_repository TEXT,
    published_branch TEXT, published_tip TEXT, harvest TEXT, push_refused TEXT, released_tip TEXT, released_by TEXT, closing TEXT, sealed_at INTEGER
  ) STRICT;
  CREATE INDEX cells_thread ON cells (repository, number);
  CREATE INDEX cells_state ON cells (state) WHERE state <> 'destroyed';
  CREATE UNIQUE INDEX cells_branch ON cells (repository, branch) WHERE delivery = 'draft';
  CREATE TABLE members (
    cell TEXT NOT NULL REFERENCES cells (id), name TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('bot','user')),
    role TEXT NOT NULL CHECK (role IN ('observer','executor','director')),
    PRIMARY KEY (cell, kind, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE history (
    seq INTEGER PRIMARY KEY, cell TEXT NOT NULL REFERENCES cells (id), at INTEGER NOT NULL,
    "from" TEXT, "to" TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL
  ) STRICT;
  CREATE INDEX history_cell ON history (cell, seq);
  CREATE TABLE runs (
    seq INTEGER PRIMARY KEY, cell TEXT NOT NULL REFERENCES cells (id), n INTEGER NOT NULL,
    agent TEXT NOT NULL, role TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting','admitted','running','ended','withdrawn')),
    requester_id INTEGER, requester_login TEXT NOT NULL,
    created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, code INTEGER, signal TEXT, stopped TEXT,
    handle TEXT, log_path TEXT, collected_at INTEGER, leftovers TEXT NOT NULL DEFAULT '[]', refused_hosts TEXT NOT NULL DEFAULT '[]',
    UNIQUE (cell, n)
  ) STRICT;
  CREATE INDEX runs_open ON runs (state, seq) WHERE state IN ('waiting','admitted','running');
  CREATE TABLE answers (
    request TEXT PRIMARY KEY, at INTEGER NOT NULL, exit_code INTEGER NOT NULL, text TEXT NOT NULL, data TEXT
  ) STRICT, WITHOUT ROWID;
  `,
  // 3: where Lazarus is root, a uid (and the same gid) for each cell and a gid for each repository.
  `
  CREATE TABLE uids (
    number INTEGER PRIMARY KEY,
    cell TEXT UNIQUE REFERENCES cells (id),
    repository INTEGER UNIQUE,
    CHECK ((cell IS NULL) <> (repository IS NULL))
  ) STRICT;
  `,
  // 4: health with its reasons, retries and their breaker, ends of TTL and retention, the clock as it was
  // last seen.
  `
  ALTER TABLE cells ADD COLUMN health_reason TEXT;
  ALTER TABLE cells ADD COLUMN health_since INTEGER;
  ALTER TABLE cells ADD COLUMN seen_at INTEGER;
  ALTER TABLE cells ADD COLUMN beat TEXT;
  ALTER TABLE cells ADD COLUMN breaker TEXT;
  ALTER TABLE cells ADD COLUMN ttl_warned_for INTEGER;
  ALTER TABLE cells ADD COLUMN keep_until INTEGER;
  ALTER TABLE runs ADD COLUMN not_before INTEGER;
  ALTER TABLE runs ADD COLUMN automatic INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN exit_class TEXT;
  ALTER TABLE runs ADD COLUMN exit_why TEXT;
  ALTER TABLE runs ADD COLUMN resets_at INTEGER;
  CREATE TABLE ticks (one INTEGER PRIMARY KEY CHECK (one = 1), boot_id TEXT NOT NULL, up_ms INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
  `,
  // 5: catch-up: where it is, which threads it looked at when they had moved, until when a pattern was served
  // (null: it still is).
  `
  CREATE TABLE catchup_marks (source TEXT PRIMARY KEY, at INTEGER NOT NULL, saved_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE catchup_looks (
    source TEXT NOT NULL, repository INTEGER NOT NULL, number INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (source, repository, number)
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE served ADD COLUMN until INTEGER;
  CREATE INDEX cells_pull_request ON cells (pull_request) WHERE pull_request IS NOT NULL;
  CREATE INDEX cells_kept ON cells (keep_until) WHERE state = 'archived';
  `,
  // 6: attempts that failed only because the forge was away do not count, and go on as soon as it answers;
  // each run has a prompt; where a repository's own rules are read, what a cell was set up with; who asked
  // for a cell and where.
  `
  ALTER TABLE jobs ADD COLUMN outages INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE jobs ADD COLUMN in_outage INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX jobs_in_outage ON jobs (in_outage) WHERE in_outage = 1;
  -- Each run has a prompt. Null text: the cell's brief, as it stands in its row.
  CREATE TABLE prompts (
    cell TEXT NOT NULL REFERENCES cells (id), run INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('brief','words','again')),
    from_id INTEGER, from_login TEXT NOT NULL, said TEXT, text TEXT, sha256 TEXT NOT NULL, at INTEGER NOT NULL,
    given_sha256 TEXT, resumed INTEGER,
    PRIMARY KEY (cell, run)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO prompts (cell, run, kind, from_id, from_login, text, sha256, at)
    SELECT runs.cell, runs.n, 'brief', runs.requester_id, runs.requester_login, NULL, cells.brief_sha256, runs.created_at
    FROM runs JOIN cells ON cells.id = runs.cell;
  -- What people pushed to a cell's branch: JSON with the run that found it, their last tip that is in the tree with the cell.
  ALTER TABLE runs ADD COLUMN people TEXT;
  ALTER TABLE cells ADD COLUMN people_tip TEXT;
  ALTER TABLE cells ADD COLUMN rules TEXT;
  ALTER TABLE cells ADD COLUMN set_up_with TEXT;
  ALTER TABLE runs ADD COLUMN setup TEXT;
  ALTER TABLE cells ADD COLUMN asked TEXT;
  `,
  // 7: on which runner a cell lies; one column for each cause that may stand in its way, instead of one text;
  // why a run was ended, and what its agent said, apart from the words for people. What the old text meant is
  // read from how older versions wrote it, once, here.
  `
  ALTER TABLE cells ADD COLUMN runner TEXT NOT NULL DEFAULT 'local';
  ALTER TABLE cells ADD COLUMN approval TEXT;
  ALTER TABLE cells ADD COLUMN not_started TEXT;
  ALTER TABLE cells ADD COLUMN stuck TEXT;
  ALTER TABLE cells ADD COLUMN not_closed TEXT;
  ALTER TABLE cells ADD COLUMN directory_trouble TEXT;
  ALTER TABLE cells ADD COLUMN diverted_from TEXT;
  ALTER TABLE cells ADD COLUMN log_cut TEXT;
  UPDATE cells SET approval = reason WHERE waits_for_approval = 1;
  UPDATE cells SET stuck = json_object('job', '', 'why', replace(reason, ' (it is tried again by itself)', ''), 'isOver', json('false'))
    WHERE waits_for_approval = 0 AND reason LIKE '% (it is tried again by itself)';
  UPDATE cells SET stuck = json_object('job', '', 'why', replace(reason, ' (tried often enough: a person must look)', ''), 'isOver', json('true'))
    WHERE waits_for_approval = 0 AND reason LIKE '% (tried often enough: a person must look)';
  UPDATE cells SET directory_trouble = substr(reason, length('its directory is ') + 1)
    WHERE waits_for_approval = 0 AND reason LIKE 'its directory is %';
  UPDATE cells SET diverted_from = branch
    WHERE waits_for_approval = 0 AND reason LIKE 'somebody pushed to % meanwhile: this went to %';
  UPDATE cells SET not_closed = reason WHERE waits_for_approval = 0 AND reason LIKE 'it was not closed, %';
  UPDATE cells SET not_started = reason
    WHERE coalesce(approval, stuck, directory_trouble, diverted_from, not_closed, push_refused) IS NULL
    AND reason NOT LIKE 'the log of run % grew over its limit: %';
  ALTER TABLE cells DROP COLUMN reason;
  -- What an older version made a draft of its own for a pull request lay in a fork.
  ALTER TABLE cells ADD COLUMN fork TEXT;
  UPDATE cells SET fork = json_object('fullName', base_name, 'ref', coalesce(json_extract(rules, '$.ref'), 'refs/heads/' || json_extract(merge_into, '$.branch')),
    'commit', json_extract(rules, '$.commit')) WHERE is_pull_request = 1 AND delivery = 'draft';
  ALTER TABLE runs ADD COLUMN secrets TEXT;
  ALTER TABLE runs ADD COLUMN stop_cause TEXT;
  ALTER TABLE runs ADD COLUMN exit_says TEXT;
  UPDATE runs SET stop_cause = CASE
    WHEN stopped LIKE 'over its %' THEN 'over-limit' WHEN stopped LIKE 'closed by %' THEN 'closed'
    WHEN stopped LIKE 'destroyed by %' THEN 'destroyed' WHEN started_at IS NULL THEN 'refused' ELSE 'asked' END
    WHERE stopped IS NOT NULL;
  UPDATE runs SET exit_says = exit_why WHERE exit_class IN ('quota', 'no-credit', 'not-logged-in');
  UPDATE runs SET exit_says = substr(exit_why, instr(exit_why, ': ') + 2), exit_why = substr(exit_why, 1, instr(exit_why, ': ') - 1)
    WHERE exit_class = 'crashed' AND instr(exit_why, ': ') > 0;
  `,
];
