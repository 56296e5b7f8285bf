import { createHmac } from "node:crypto";
import { expect, it } from "vitest";
import { pushFiles, runGit, withClone } from "./git-client.ts";
import { type Ground, R, repo } from "./ground.ts";

/** Branches and git over HTTP. */
export function gitFacts(ground: () => Ground): void {
  it("shows branches with slashes and says when one is missing", async () => {
    const { server, dev, delivery } = ground();
    await server.commitFile(dev, repo, { branch: "topic/one", path: "topic.txt", text: "topic\n" });
    await delivery("create", undefined, "topic/one");
    const tip = await server.branch(repo, "topic/one");
    expect(tip).toMatch(/^[0-9a-f]{40}$/);
    expect((await server.api(dev, "GET", `${R}/branches/topic/one`)).json).toMatchObject({
      commit: { id: tip },
    });
    expect(await server.branch(repo, "topic/two")).toBe(null);
    const created = await delivery("create", undefined, "topic/one");
    expect(created.payload).toMatchObject({ ref: "topic/one", ref_type: "branch", sha: tip });
  });

  it("pushes by git and refuses in words where the right is missing", async () => {
    const { server, ways, dev, reader, delivery } = ground();
    const url = `${server.url}/${repo}.git`;
    const good = await pushFiles(url, dev, { branch: "by-git", files: { "git.txt": "git\n" } });
    expect(good.code).toBe(0);
    const push = await delivery("push", undefined, "refs/heads/by-git");
    expect(push.payload).toMatchObject({
      before: "0".repeat(40),
      after: await server.branch(repo, "by-git"),
      total_commits: 1,
      commits: [{ added: ["git.txt"], message: "change by git\n", author: { username: "dev" } }],
      pusher: { id: dev.id },
      sender: { id: dev.id },
    });
    const refused = await pushFiles(url, reader, { branch: "by-reader", files: { "no.txt": "no\n" } });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`remote: ${ways.refusal}User permission denied for writing.`);
    expect(refused.stderr).toContain("(pre-receive hook declined)");
    expect(await server.branch(repo, "by-reader")).toBe(null);
  });

  it("asks git for a login, and shows hidden repositories to nobody else", async () => {
    const { server, reader } = ground();
    const ask = (path: string) => fetch(`${server.url}/${path}`);
    const challenge = await ask(`${repo}.git/info/refs?service=git-receive-pack`);
    expect([challenge.status, challenge.headers.get("www-authenticate")]).toEqual([
      401,
      'Basic realm="Gitea"',
    ]);
    expect((await ask("acme/hidden.git/info/refs?service=git-upload-pack")).status).toBe(401);
    const hidden = await runGit("/", reader, ["ls-remote", `${server.url}/acme/hidden.git`]);
    expect([hidden.code, hidden.stderr]).toEqual([128, expect.stringContaining("not found")]);
    expect((await runGit("/", null, ["ls-remote", `${server.url}/${repo}.git`])).code).toBe(0);
  });

  it("refuses pushes to a protected branch, and deleting the default one", async () => {
    const { server, ways, dev } = ground();
    await server.commitFile(dev, repo, { branch: "guarded", path: "g.txt", text: "g\n" });
    await server.protectBranch(repo, "guarded");
    const url = `${server.url}/${repo}.git`;
    const push = await pushFiles(url, dev, { branch: "guarded", files: { "g.txt": "h\n" } });
    expect(push.code).toBe(1);
    expect(push.stderr).toContain(`remote: ${ways.refusal}Not allowed to push to protected branch guarded`);
    const deleted = await withClone(url, dev, (dir) => runGit(dir, dev, ["push", "origin", ":main"]));
    expect(deleted.code).toBe(1);
    expect(deleted.stderr).toContain(
      `remote: ${ways.refusal}branch main is the default branch and cannot be deleted`,
    );
  });

  it("uploads more than git posts in one piece", async () => {
    const { server, dev } = ground();
    const text = createHmac("sha256", "seed").update("x").digest("hex");
    let big = "";
    for (let index = 0; index < 60_000; index += 1)
      big += createHmac("sha1", text).update(String(index)).digest("hex");
    const push = await pushFiles(`${server.url}/${repo}.git`, dev, {
      branch: "big",
      files: { "big.txt": big },
    });
    expect(push.code).toBe(0);
    expect(await server.branch(repo, "big")).not.toBe(null);
  });
}
