import { createHash } from "node:crypto";
import { branches, resolveCommit, tryGit } from "./git.ts";
import {
  bare,
  type Call,
  fields,
  json,
  may,
  mustUser,
  needText,
  notFound,
  paged,
  type Reply,
  type Route,
  refuse,
  repoOf,
  repoToWrite,
  textField,
  userOf,
} from "./http.ts";
import { type Json, userJson } from "./payloads.ts";
import { branchJson } from "./pull-payloads.ts";
import { commitFiles, isProtected, moveBranch } from "./pushes.ts";
import { type CommitStatus, type Repository, stamp } from "./state.ts";

async function getBranch(call: Call): Promise<Reply> {
  const repo = repoOf(call);
  const name = call.params.branch ?? "";
  const commit = (await branches(repo.dir)).get(name);
  if (!commit) throw notFound(call, undefined, [`branch does not exist [name: ${name}]`]);
  return json(200, await branchJson(call.world, { repo, name, commit }, may(call, repo, "write")));
}

async function listBranches(call: Call): Promise<Reply> {
  const repo = repoOf(call);
  const { items, headers } = paged(call, [...(await branches(repo.dir))]);
  const canPush = may(call, repo, "write");
  const list = items.map(([name, commit]) => branchJson(call.world, { repo, name, commit }, canPush));
  return json(200, repo.isEmpty ? null : await Promise.all(list), headers);
}

async function createBranch(call: Call): Promise<Reply> {
  const repo = repoToWrite(call, "write");
  const by = mustUser(call);
  if (repo.isEmpty) throw refuse(call, 404, "Git Repository is empty.");
  const name = needText(call, "new_branch_name");
  const known = await branches(repo.dir);
  if (known.has(name)) throw refuse(call, 409, "The branch already exists.");
  const from = textField(call, "old_ref_name") ?? textField(call, "old_branch_name") ?? repo.defaultBranch;
  const commit = known.get(from) ?? (await resolveCommit(repo.dir, from));
  if (!commit) throw refuse(call, 500, "object does not exist");
  await moveBranch(call.world, repo, { by, branch: name, to: commit });
  return json(201, await branchJson(call.world, { repo, name, commit }, true));
}

async function deleteBranch(call: Call): Promise<Reply> {
  const repo = repoToWrite(call, "write");
  const by = mustUser(call);
  const branch = call.params.branch ?? "";
  if (!(await branches(repo.dir)).has(branch)) throw notFound(call);
  if (branch === repo.defaultBranch) throw refuse(call, 403, "can not delete default branch");
  if (isProtected(repo, branch)) throw refuse(call, 403, "branch protected");
  await moveBranch(call.world, repo, { by, branch, to: null });
  return bare(204);
}

function protect(call: Call): Reply {
  const repo = repoToWrite(call, "admin");
  const name = textField(call, "rule_name") ?? needText(call, "branch_name");
  if (repo.protectedBranches.includes(name)) throw refuse(call, 403, "Branch protection already exist");
  repo.protectedBranches.push(name);
  return json(201, { branch_name: name, rule_name: name, enable_push: false });
}

function unprotect(call: Call): Reply {
  const repo = repoToWrite(call, "admin");
  const at = repo.protectedBranches.indexOf(call.params.name ?? "");
  if (at < 0) throw notFound(call);
  repo.protectedBranches.splice(at, 1);
  return bare(204);
}

function fileJson(call: Call, repo: Repository, file: { path: string; blob: string; content: Buffer }): Json {
  const url = `${call.world.url}/api/v1/repos/${call.world.fullName(repo)}/contents/${file.path}`;
  return {
    name: file.path.split("/").at(-1) ?? "",
    path: file.path,
    sha: file.blob,
    type: "file",
    size: file.content.length,
    encoding: "base64",
    content: file.content.toString("base64"),
    target: null,
    url,
    submodule_git_url: null,
  };
}

async function read(call: Call): Promise<Reply> {
  const repo = repoOf(call);
  if (repo.isEmpty) return json(200, []);
  const commit = await resolveCommit(repo.dir, call.url.searchParams.get("ref") || repo.defaultBranch);
  const path = call.params.path ?? "";
  const list = commit === null ? null : await tryGit(repo.dir, ["ls-tree", "-z", commit, "--", path]);
  const line = /^\d+ (blob|tree) ([0-9a-f]{40})\t/.exec(list?.stdout ?? "");
  if (!line) throw notFound(call);
  const [, kind, id = ""] = line;
  if (kind === "blob")
    return json(200, fileJson(call, repo, { path, blob: id, content: await blob(repo, id) }));
  const inside = await tryGit(repo.dir, ["ls-tree", "-z", "--name-only", id]);
  const names = inside.stdout.split("\0").filter((name) => name !== "");
  return json(
    200,
    names.map((name) => ({ name, path: `${path}/${name}` })),
  );
}

/** Text only: the contents of binary files would not survive the decoding. */
async function blob(repo: Repository, id: string): Promise<Buffer> {
  return Buffer.from((await tryGit(repo.dir, ["cat-file", "blob", id])).stdout);
}

function blobId(content: Buffer): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

/** Creates (POST) or changes (PUT, with the old blob's id) one file in one commit. */
async function write(call: Call): Promise<Reply> {
  const repo = repoToWrite(call, "write");
  const by = mustUser(call);
  const path = call.params.path ?? "";
  const branch = textField(call, "branch") || repo.defaultBranch;
  const newBranch = textField(call, "new_branch") || branch;
  const known = await branches(repo.dir);
  if (!known.has(branch) && !repo.isEmpty) throw refuse(call, 404, `branch does not exist [name: ${branch}]`);
  if (isProtected(repo, newBranch))
    throw refuse(call, 403, `user not allowed to commit to protected branch [branch: ${newBranch}]`);
  const listed = known.has(branch)
    ? await tryGit(repo.dir, ["ls-tree", "-z", `refs/heads/${branch}`, "--", path])
    : null;
  const old = /blob ([0-9a-f]{40})\t/.exec(listed?.stdout ?? "")?.[1] ?? null;
  if (call.method === "POST" && old)
    throw refuse(call, 422, `repository file already exists [path: ${path}]`);
  if (call.method !== "POST") {
    if (!old) throw notFound(call);
    if (textField(call, "sha") !== old)
      throw refuse(call, 422, `sha does not match [given: ${textField(call, "sha")}, expected: ${old}]`);
  }
  const encoded = fields(call).content;
  const content =
    call.method === "DELETE" ? null : Buffer.from(typeof encoded === "string" ? encoded : "", "base64");
  const message = textField(call, "message") || `${call.method === "POST" ? "Add" : "Update"} ${path}`;
  const sha = await commitFiles(call.world, repo, {
    by,
    branch,
    newBranch,
    files: { [path]: content },
    message,
  });
  const shown = content && fileJson(call, repo, { path, blob: blobId(content), content });
  return json(call.method === "POST" ? 201 : 200, {
    content: shown,
    commit: { sha, message },
    verification: null,
  });
}

/** Any state and any context are taken; a commit that is not there is an error of the server. */
async function setStatus(call: Call): Promise<Reply> {
  const repo = repoToWrite(call, "write");
  const by = mustUser(call);
  const commit = await resolveCommit(repo.dir, `${call.params.sha ?? ""}^{commit}`);
  if (!commit) throw refuse(call, 500, "object does not exist");
  const { world } = call;
  const status: CommitStatus = {
    id: world.nextId("status"),
    repositoryId: repo.id,
    commit,
    creatorId: by.id,
    context: textField(call, "context") || "default",
    state: textField(call, "state") ?? "",
    description: textField(call, "description") ?? "",
    targetUrl: textField(call, "target_url") ?? "",
    createdAt: world.now(),
  };
  world.statuses.push(status);
  return json(201, statusJson(call, status));
}

function statusJson(call: Call, one: CommitStatus): Json {
  return {
    ...{ id: one.id, status: one.state, target_url: one.targetUrl, description: one.description },
    ...{ context: one.context, creator: userJson(call.world, call.world.user(one.creatorId), userOf(call)) },
    ...{ created_at: stamp(one.createdAt), updated_at: stamp(one.createdAt) },
  };
}

/** The newest first. */
async function listStatuses(call: Call): Promise<Reply> {
  const repo = repoOf(call);
  const commit = await resolveCommit(repo.dir, `${call.params.sha ?? ""}^{commit}`);
  const all = call.world.statuses.filter((one) => one.repositoryId === repo.id && one.commit === commit);
  const { items, headers } = paged(call, all.reverse());
  return json(
    200,
    items.map((one) => statusJson(call, one)),
    headers,
  );
}

const R = "/repos/:owner/:repo";

/** Branches, files, and how commits stand. */
export const CONTENT_ROUTES: readonly Route[] = [
  { method: "GET", path: `${R}/branches`, handler: listBranches },
  { method: "POST", path: `${R}/branches`, handler: createBranch },
  { method: "GET", path: `${R}/branches/*branch`, handler: getBranch },
  { method: "DELETE", path: `${R}/branches/*branch`, handler: deleteBranch },
  { method: "POST", path: `${R}/branch_protections`, handler: protect },
  { method: "DELETE", path: `${R}/branch_protections/*name`, handler: unprotect },
  { method: "POST", path: `${R}/statuses/:sha`, handler: setStatus },
  { method: "GET", path: `${R}/commits/:sha/statuses`, handler: listStatuses },
  { method: "GET", path: `${R}/contents/*path`, handler: read },
  ...["POST", "PUT", "DELETE"].map(
    (method): Route => ({ method, path: `${R}/contents/*path`, handler: write }),
  ),
];
