import * as z from "zod";
import { PRESET_NAMES } from "../preset-names.ts";
import { audit, login } from "./dashboard-keys.ts";
import { secretsByPattern } from "./hook-secrets.ts";
import { type KeyNote, key, notes, optional, section } from "./keys.ts";
import {
  address,
  count,
  directory,
  duration,
  flag,
  globs,
  listen,
  lists,
  modelName,
  money,
  names,
  oneOf,
  pathsByPattern,
  pattern,
  personName,
  secrets,
  show,
  size,
  span,
  text,
  texts,
  token,
  uidRange,
  url,
  variables,
} from "./kinds.ts";
import { limits } from "./limit-keys.ts";
import { metrics } from "./metrics-keys.ts";
import { network } from "./network.ts";
import { RUNNER_KEYS, RUNNER_NAME } from "./runners.ts";

export { show } from "./kinds.ts";

export const AGENT_NAME = /^[a-z][a-z0-9-]{0,31}$/;

const agent = section({
  preset: optional(oneOf(PRESET_NAMES), "how a known agent is started; needed unless there is a `command`"),
  command: optional(
    texts('a list of words such as ["./bin/agent", "--flag"]'),
    "the command line itself; wins over the preset, which fills the rest",
  ),
  args: key(
    lists(text, "a list of words"),
    [],
    "options added to the preset's command; where two contradict each other most agents take the last",
  ),
  model: optional(
    modelName,
    "given to the preset's command; opencode wants provider/model",
    "the agent's own",
  ),
  brief: optional(
    oneOf(["stdin", "argument", "file"]),
    "how the agent gets what a run starts with; its path is always in `LAZARUS_BRIEF`",
    "the preset's, else stdin",
  ),
  home: optional(directory, "template that is copied into the cell at the agent's first run"),
  env: key(names, [], "variables passed through from Lazarus' own environment, if set: secrets, never shown"),
  pass: key(names, [], "the same for what is no secret, such as `NODE_ENV`: work and posts may show it"),
  runs_on: key(
    lists(pattern(RUNNER_NAME), 'a list of labels such as ["gpu"]'),
    [],
    "labels that its runner must have",
  ),
  health_url: optional(url, "a gateway that answers for it: polled at each scan, 2xx is a heartbeat"),
  set: key(variables, {}, "variables set to these values"),
  git: section({
    name: optional(personName, "author of its commits", "the agent's name"),
    email: optional(address, "address of its commits", "one that belongs to nobody"),
    sign: optional(
      directory,
      "private SSH key, without a passphrase, that signs its commits; the agent can read it",
    ),
    co_author: key(flag, false, "the brief asks for a `Co-authored-by` line of whoever asked in each commit"),
  }).prefault({}),
  backend: optional(
    oneOf(["sandbox", "process", "container"]),
    "where it runs; where its backend does not work it cannot be summoned",
    "sandbox",
  ),
  network: key(
    network,
    "none",
    "none, full, or a list of `host` (ports 80 and 443), `host:port`, `*.host` ([more](network.md)); does not hold in `process`, a list not in `container`",
  ),
  image: optional(text, "image of the container (container only)"),
  paths: key(
    lists(directory, "a list of paths"),
    [],
    "readable inside the sandbox besides the system's (sandbox only)",
  ),
  limits: section({
    run: optional(span, "wall clock of one run", "limits.run"),
    memory: key(
      size,
      "4GB",
      "memory of all that runs in the cell, its `/tmp` and `/dev/shm` too; without control groups of each process by itself",
    ),
    processes: key(count(1), 512, "processes at one time; in `process` only where Lazarus runs as root"),
    log: key(size, "50MB", "what is kept of a run's output"),
    file: key(size, "2GB", "largest file it may write"),
    quiet: optional(span, "without output, change or heartbeat: quiet", "pit.quiet"),
    stalled: optional(span, "without output, change or heartbeat: stalled", "pit.stalled"),
    cost: key(money, 0, "USD of one run, where the agent tells it: a brake, no protection; 0: no limit"),
    tokens: key(count(0), 0, "tokens of one run, cached ones too, where the agent tells them; 0: no limit"),
  }).prefault({}),
});

/** How the command of a check is run; also what `.lazarus.yml` of a repository says of one. */
export const check = section({
  run: optional(text, "the command, for `sh -e`; needed unless `from` is branch"),
  network: optional(
    network,
    "as an agent's: none, full, or a list; with `from: branch` the most that the file may ask for",
    "none",
  ),
  limit: optional(
    span,
    "after so long it is ended; with `from: branch` the longest that the file may ask for",
    "limits.check",
  ),
  set: key(variables, {}, "variables set to these values"),
});
export type FileCheck = z.infer<typeof check>;
/** Of one pattern of repositories: beside these two keys stands a check under each name. */
const checks = z
  .object(
    {
      from: key(
        oneOf(["here", "branch"]),
        "here",
        "here: only what stands here; branch: also `.lazarus.yml` of the target's base branch, which comes first",
      ),
      setup: check.optional(),
    },
    {
      error: (issue) =>
        issue.code === "invalid_type" ? `${show(issue.input)} is not a section of keys` : undefined,
    },
  )
  .catchall(check);

/**
 * The file as configuration.md has it: snake_case, every default filled in, durations in ms, sizes in bytes;
 * paths as written.
 */
export const fileSchema = section({
  server: section({
    listen: key(listen, "127.0.0.1:8420", "address and port; port 0 picks a free one (`LAZARUS_LISTEN`)"),
    url: optional(url, "how people reach it: links on cards", "http://<listen>"),
  }).prefault({}),
  forge: section({
    url: optional(url, "address of the Gitea or Forgejo, also under a sub-path (`LAZARUS_FORGE_URL`)"),
    public_url: optional(url, "how browsers reach it, where that is another address", "forge.url"),
    token: optional(token, "the bot's own account (`LAZARUS_FORGE_TOKEN`)"),
    token_file: optional(directory, "file that holds the token, instead"),
    rights_token: optional(
      token,
      "of an account that administers the repositories, and may only read: it is asked who may do what, and the bot itself needs no more than write",
      "forge.token",
    ),
    rights_token_file: optional(directory, "file that holds that token, instead"),
    webhook_secret: optional(
      secrets,
      "a list while rotating: the first signs, all verify (`LAZARUS_WEBHOOK_SECRET`)",
    ),
    webhook_secret_file: optional(directory, "file that holds the secret, instead"),
    webhook_secrets: optional(
      secretsByPattern,
      "instead: one for each `owner/repo` or `owner/*`, which signs for nothing else",
    ),
    webhook_secrets_file: optional(pathsByPattern, 'files that hold them (`{"acme/*": "./acme.secret"}`)'),
    repositories: key(
      lists(pattern(/^[\w.-]+\/([\w.-]+|\*)$/), 'a list of owner/repo or owner/*, such as ["acme/*"]'),
      [],
      "what is served; nothing else is",
    ),
    ca_file: optional(directory, "certificates the forge is trusted by, besides the system's"),
    poll: key(duration, "60s", "catch-up interval; 0 leaves only the one at boot"),
  }).prefault({}),
  data: key(directory, "/var/lib/lazarus", "`lazarus.db` and the mirrors (`LAZARUS_DATA`)"),
  missions: key(directory, "/var/missions", "the cells' directories (`LAZARUS_MISSIONS`)"),
  metrics,
  ...RUNNER_KEYS,
  login,
  audit,
  directors: key(
    lists(pattern(/^[\w.-]+(\/[\w.-]+)?$/), "a list of users and org/team"),
    [],
    "users and org/team, besides each repository's owners and admins",
  ),
  pit: section({
    scan: key(span, "30s", "between two looks at all cells"),
    stale: key(span, "2m", "age of a heartbeat that is too old"),
    skew: key(duration, "30s", "how far from the future a heartbeat may be"),
    quiet: key(span, "5m", "without output, change or heartbeat: quiet"),
    stalled: key(span, "15m", "without output, change or heartbeat: stalled"),
  }).prefault({}),
  publish: section({
    skip_ci: key(flag, false, "asks the repository's CI to leave the cell's pushes alone"),
    max_file: key(size, "20MB", "a larger file is held back"),
    protected: key(
      globs,
      [],
      "more paths that wait for a director, as patterns like those of `.gitignore`: `deploy/**`, `*.tf`",
    ),
    prune: key(
      flag,
      false,
      "removes the branch of an archived cell once its pull request is merged or closed",
    ),
  }).prefault({}),
  checks: z
    .record(z.string(), checks, {
      error: (issue) => `${show(issue.input)} is not a section of checks by pattern of repositories`,
    })
    .prefault({}),
  container: section({
    engine: key(text, "podman", "podman or docker"),
    args: key(
      lists(text, "a list of words"),
      [],
      "go before the engine's own: some hosts need a runtime or a cgroup manager named",
    ),
  }).prefault({}),
  uids: key(uidRange, "700000-765535", "as root: each cell runs as a user of its own from this range"),
  limits,
  agents: z
    .record(z.string(), agent, {
      error: (issue) => `${show(issue.input)} is not a section of agents by name`,
    })
    .prefault({}),
});
export type FileConfig = z.infer<typeof fileSchema>;
export type FileAgent = FileConfig["agents"][string];

/** One row of the table of keys in docs/reference.md. */
export interface ConfigKey extends KeyNote {
  /** `limits.run`; an agent's keys stand below `agents.NAME`. */
  readonly path: string;
}

/** Every key of the file, in the order of the schema: it is read off the schema itself. */
export const CONFIG_KEYS: readonly ConfigKey[] = keysOf(fileSchema, "");

function keysOf(schema: z.core.$ZodType, path: string): ConfigKey[] {
  const note = notes.get(schema);
  if (note) return [{ path, ...note }];
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return keysOf(schema.def.innerType, path);
  if (schema instanceof z.ZodRecord)
    return keysOf(schema.valueType, `${path}.${path === "checks" ? "REPOSITORIES" : "NAME"}`);
  if (!(schema instanceof z.ZodObject)) return [];
  const named = Object.entries(schema.shape).flatMap(([name, inner]) =>
    keysOf(inner, path ? `${path}.${name}` : name),
  );
  const { catchall } = schema.def;
  return catchall instanceof z.ZodObject ? [...named, ...keysOf(catchall, `${path}.NAME`)] : named;
}
