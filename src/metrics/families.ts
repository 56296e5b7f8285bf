/** A family of metrics, without the prefix `lazarus_`. */
export interface Family {
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds in seconds. */
  readonly buckets?: readonly number[];
}

const SHORT = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const CALL = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const WAIT = [0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800];
const ANSWER = [0.5, 1, 2, 5, 10, 30, 60, 300];
const START = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300];
const RUN = [10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400];

const gauge = (name: string, help: string, ...labels: string[]): Family => ({
  ...{ name, help, labels, type: "gauge" },
});
const counter = (name: string, help: string, ...labels: string[]): Family => ({
  ...{ name, help, labels, type: "counter" },
});
const histogram = (name: string, help: string, buckets: readonly number[], ...labels: string[]): Family => ({
  ...{ name, help, labels, buckets, type: "histogram" },
});

/** Every family of our own; docs/metrics.md, the rules and the dashboard are checked against it. */
export const FAMILIES: readonly Family[] = [
  gauge("build_info", "Always 1; which program this is.", "version", "node", "schema"),
  gauge("ready", "1 while /readyz says yes."),
  gauge("held", "1 while no new run starts because an operator said so."),
  gauge("forge_up", "1 while the forge answers."),
  counter("deliveries_total", "Deliveries of the forge, by what became of them.", "event", "result"),
  histogram("delivery_duration_seconds", "From a delivery's first byte to its answer.", SHORT),
  gauge("catchup_lag_seconds", "Since catch-up last read what moved, of the source that waits longest."),
  counter("catchup_found_total", "Commands that catch-up found and no delivery had told of."),
  counter("commands_total", "Commands, by verb and what became of them.", "verb", "via", "result"),
  counter("refusals_total", "Commands that were refused, by why.", "reason"),
  histogram("command_answer_seconds", "From reading a command to the reaction that takes it.", ANSWER),
  gauge("jobs", "Jobs of the job log, by how they stand.", "queue", "state"),
  gauge("job_oldest_ready_seconds", "Age of the oldest job that could start and has not.", "queue"),
  histogram("job_wait_seconds", "From when a job could start to its first attempt.", WAIT),
  histogram("job_duration_seconds", "One attempt at a job.", WAIT, "kind"),
  counter("job_attempts_total", "Attempts at jobs, by how they ended.", "kind", "result"),
  gauge("cells", "Cells, by state.", "state"),
  gauge("cells_unwell", "Cells at work that are not well.", "health"),
  gauge("cells_waiting", "Cells that wait for a person, or for a place.", "for"),
  gauge("cells_waiting_oldest_seconds", "How long the one that waits longest has waited.", "for"),
  gauge("places", "Cells that may be active at one time.", "limit"),
  gauge("places_used", "Cells that are active now.", "limit"),
  histogram("summon_start_seconds", "From a cell's first command to its agent's start.", START),
  counter("runs_total", "Runs that ended, by how.", "agent", "class", "automatic"),
  histogram("run_duration_seconds", "Wall clock of a run.", RUN, "agent"),
  counter("pushes_total", "Branches pushed, and pushes that were refused.", "result"),
  counter("drafts_total", "Draft pull requests opened."),
  counter("seals_total", "Cells that were archived."),
  counter("forge_requests_total", "Calls to the forge, by method of ours and answer.", "call", "code"),
  histogram("forge_request_seconds", "A call to the forge, its retries included.", CALL, "call"),
  counter("forge_retries_total", "Reads that the client tried once more."),
  gauge("forge_clock_skew_seconds", "The forge's clock minus ours, as catch-up read it last."),
  histogram("registry_transaction_seconds", "A transaction of the registry, its commit included.", SHORT),
  gauge("disk_free_bytes", "Room that is left where it lies.", "of"),
  gauge("disk_used_bytes", "Size of the registry and of its write-ahead log.", "of"),
  gauge("pit_last_scan_timestamp_seconds", "When the pit last looked at all cells; 0: never."),
  histogram("pit_scan_seconds", "A look at all directories of cells.", WAIT),
  gauge("leftover_processes", "Processes of ended runs that could not be proven gone."),
  counter("redactions_total", "Secrets that were hidden in a text, each time it was made."),
  counter("egress_refused_total", "Hosts that a run asked for and may not reach, each once a run.", "agent"),
  counter("logins_total", "Sign-ins to the dashboard, and why they came to nothing.", "result"),
  gauge("streams", "Pages that are open and brought up to date."),
  gauge("runner_up", "1 while a runner on another host is heard.", "runner"),
  gauge("runner_heartbeat_age_seconds", "Since it was heard last.", "runner"),
  gauge("runner_places", "Its places.", "runner", "state"),
  gauge("backup_last_timestamp_seconds", "When the last backup was finished; 0: never."),
];
