import { expect, it } from "vitest";
import { pushFiles } from "./git-client.ts";
import { type Ground, R } from "./ground.ts";
import { createToken } from "./http-server.ts";
import type { E2eUser } from "./server.ts";

/** Who may see and do what: accounts, rights, teams, renamed and archived repositories. */
export function accountFacts(ground: () => Ground): void {
  it("tells its version to everybody, with a date", async () => {
    const { server } = ground();
    const answer = await server.api(null, "GET", "/version");
    expect(answer.json).toEqual({ version: server.version });
    expect(Math.abs(Date.parse(answer.headers.get("date") ?? "") - Date.now())).toBeLessThan(10_000);
  });

  it("refuses unknown tokens and missing ones with 401, message and url", async () => {
    const { server, dev, status } = ground();
    const answer = await server.api({ ...dev, token: "0".repeat(40) }, "GET", "/user");
    expect(answer.status).toBe(401);
    expect(answer.json).toMatchObject({
      message: expect.any(String),
      url: expect.stringContaining("/api/swagger"),
    });
    expect(await status(null, "GET", "/user")).toBe(401);
    expect(await status(null, "POST", `${R}/issues`, { title: "x" })).toBe(401);
  });

  it("lets site admins act as others and nobody else", async () => {
    const { server, dev } = ground();
    const sudo = async (as: E2eUser) =>
      fetch(`${server.url}/api/v1/user`, { headers: { Authorization: `Bearer ${as.token}`, Sudo: "dev" } });
    expect(await (await sudo(server.admin)).json()).toMatchObject({ login: "dev", id: dev.id });
    expect((await sudo(dev)).status).toBe(403);
  });

  it("answers organizations where it is asked for a user, and tells them apart elsewhere", async () => {
    const { server, dev } = ground();
    const [asUser, asOrganization] = [
      await server.api(dev, "GET", "/users/acme"),
      await server.api(dev, "GET", "/orgs/acme"),
    ];
    expect([asUser.status, asOrganization.status]).toEqual([200, 200]);
    expect((asUser.json as { id: number }).id).toBe((asOrganization.json as { id: number }).id);
    expect((await server.api(dev, "GET", "/orgs/dev")).status).toBe(404);
  });

  it("finds an account by its id, under the login that it has now, and none where there is none", async () => {
    const { server, dev } = ground();
    const { id } = await server.createUser("renamed");
    const found = async (uid: number) =>
      (
        (await server.api(dev, "GET", `/users/search?uid=${uid}`)).json as {
          data: { id: number; login: string }[];
        }
      ).data.map((one) => [one.id, one.login]);
    expect(await found(id)).toEqual([[id, "renamed"]]);
    const renamed = await server.api(server.admin, "POST", "/admin/users/renamed/rename", {
      new_username: "called-otherwise",
    });
    expect(renamed.status).toBe(204);
    expect(await found(id)).toEqual([[id, "called-otherwise"]]);
    expect(await found(4_000_000)).toEqual([]);
    expect((await server.api(server.admin, "GET", `${R}/collaborators/renamed/permission`)).status).toBe(404);
  });

  it("makes tokens for a password only, and only with scopes", async () => {
    const { server, dev, status } = ground();
    expect(await status(dev, "POST", "/users/dev/tokens", { name: "x", scopes: ["all"] })).toBe(401);
    const basic = `Basic ${Buffer.from(`dev:${dev.password}`).toString("base64")}`;
    const headers = { Authorization: basic, "Content-Type": "application/json" };
    const ask = (body: unknown) =>
      fetch(`${server.url}/api/v1/users/dev/tokens`, { method: "POST", headers, body: JSON.stringify(body) });
    expect((await ask({ name: "none", scopes: [] })).status).toBe(400);
    expect((await ask({ name: "e2e", scopes: ["all"] })).status).toBe(400);
  });

  it("lets a site admin give somebody another password, which makes a token again in the place of one", async () => {
    const { server, status } = ground();
    const { login, token: old } = await server.createUser("taken-over");
    const sent = {
      login_name: login,
      source_id: 0,
      password: "another-password",
      must_change_password: false,
    };
    expect(await status(server.admin, "PATCH", `/admin/users/${login}`, sent)).toBe(200);
    const Authorization = `Basic ${Buffer.from(`${login}:${sent.password}`).toString("base64")}`;
    const ask = (method: string, path: string, body?: unknown) =>
      fetch(`${server.url}/api/v1/users/${login}/tokens${path}`, {
        ...{ method, headers: { Authorization, "Content-Type": "application/json" } },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    const made = { name: "again", scopes: ["read:user"] };
    expect((await ask("POST", "", made)).status).toBe(201);
    expect((await ask("DELETE", "/again")).status).toBe(204);
    expect((await ask("DELETE", "/again")).status).toBe(404);
    expect((await ask("POST", "", made)).status).toBe(201);
    expect((await server.api({ ...server.admin, token: old }, "GET", "/user")).status).toBe(200);
  });

  it("shows a site admin the e-mail of an account that hides it, by a token that makes accounts", async () => {
    const { server, dev, status } = ground();
    const { login, password } = server.admin;
    const scopes = ["write:admin", "write:repository", "read:user"];
    const lent = await createToken(server.url, login, password, { name: "lent", scopes });
    const admin = { ...server.admin, token: lent };
    const email = "Hidden.0a1b2c3d4e@localhost.invalid".toLowerCase();
    const made = { username: "hidden-mail", email, password: "pass-of-hidden", must_change_password: false };
    const answer = await server.api(admin, "POST", "/admin/users", made);
    expect(answer).toMatchObject({
      status: 201,
      json: { id: expect.any(Number), login: "hidden-mail", email },
    });
    const seen = async (as: E2eUser | null) =>
      ((await server.api(as, "GET", "/users/hidden-mail")).json as { email: string }).email;
    const noreply = expect.stringContaining("hidden-mail@noreply.");
    expect([await seen(admin), await seen(dev), await seen(null)]).toEqual([email, email, noreply]);
    const token = await createToken(server.url, "hidden-mail", made.password);
    expect(await status({ ...dev, token }, "PATCH", "/user/settings", { hide_email: true })).toBe(200);
    expect([await seen(admin), await seen(dev), await seen(null)]).toEqual([email, noreply, noreply]);
    // Neither its name nor its e-mail is given twice, and not by a token that may make no accounts.
    const other = { ...made, username: "hidden-other" };
    expect(await status(admin, "POST", "/admin/users", { ...made, email: "x@example.org" })).toBe(422);
    expect(await status(admin, "POST", "/admin/users", other)).toBe(422);
    const little = await createToken(server.url, login, password, {
      name: "no-admin",
      scopes: scopes.slice(1),
    });
    const refused = await server.api({ ...admin, token: little }, "POST", "/admin/users", other);
    expect([refused.status, refused.text]).toEqual([403, expect.stringContaining("required scope")]);
    expect(await seen({ ...admin, token: little })).toBe(email);
  });

  it("tells a token what scopes it lacks before it tells that a repository is hidden", async () => {
    const { server, reader } = ground();
    await server.createRepository({ owner: "acme", name: "hidden-too", private: true });
    const H = "/repos/acme/hidden-too";
    const { token } = reader;
    const little = await createToken(server.url, "reader", reader.password, {
      ...{ name: "hidden-little", scopes: ["read:user", "read:repository"] },
    });
    // Labels go with issues.
    const labels = await server.api({ ...reader, token: little }, "GET", `${R}/labels`);
    expect([labels.status, labels.text]).toEqual([403, expect.stringContaining("required scope")]);
    for (const [method, path, body] of [
      ["POST", `${H}/issues/comments/0/reactions`, { content: "eyes" }],
      ["PATCH", `${H}/hooks/0`, {}],
    ] as const) {
      const refused = await server.api({ ...reader, token: little }, method, path, body);
      expect([refused.status, refused.text]).toEqual([403, expect.stringContaining("required scope")]);
      expect((await server.api({ ...reader, token }, method, path, body)).status).toBe(404);
    }
  });

  it("lets a site admin remove an account, whose name another one may have then", async () => {
    const { server, status } = ground();
    const { token } = await server.createUser("removed");
    await server.addCollaborator("acme/app", "removed", "write");
    expect(await status(server.admin, "DELETE", "/admin/users/removed")).toBe(204);
    expect(await status(server.admin, "GET", "/users/removed")).toBe(404);
    expect((await server.api({ ...server.admin, token }, "GET", "/user")).status).toBe(401);
    await server.createUser("removed");
    expect(await status(server.admin, "GET", `${R}/collaborators/removed`)).toBe(404);
  });

  it("shows hooks to a token that may only read, where its account administers, and lets it change none", async () => {
    const { server, reader, dev, bot, status } = ground();
    const name = await server.createRepository({ owner: "acme", name: "watched" });
    const H = `/repos/${name}/hooks`;
    await server.createHook(name, "http://127.0.0.1:9/hook", "secret");
    await server.addCollaborator(name, "reader", "admin");
    await server.addCollaborator(name, "dev", "write");
    const token = await createToken(server.url, "reader", reader.password, {
      ...{ name: "rights", scopes: ["read:repository", "read:user", "read:organization"] },
    });
    const rights = { ...reader, token };
    const listed = await server.api(rights, "GET", H);
    expect(listed.status).toBe(200);
    const [hook] = listed.json as { id: number; active: boolean; events: string[]; config: object }[];
    expect(hook).toMatchObject({ active: true, config: { url: "http://127.0.0.1:9/hook" } });
    expect(hook?.events).toContain("push");
    const config = { url: "http://127.0.0.1:9/other", content_type: "json", secret: "x" };
    for (const [method, path, body] of [
      ["POST", H, { type: "gitea", active: true, events: ["push"], config }],
      ["PATCH", `${H}/${hook?.id}`, { active: false }],
      ["POST", `${H}/${hook?.id}/tests`, undefined],
      ["DELETE", `${H}/${hook?.id}`, undefined],
    ] as const) {
      const answer = await server.api(rights, method, path, body);
      expect([method, answer.status]).toEqual([method, 403]);
      expect(answer.text).toContain("required scope");
      // Whoever may only write is told something else.
      const writer = await server.api(dev, method, path, body);
      expect([method, writer.status]).toEqual([method, 403]);
      expect(writer.text).not.toContain("required scope");
    }
    expect(await status(dev, "GET", H)).toBe(403);
    expect(await status(bot, "GET", H)).toBe(403);
  });

  it("refuses to a token what it lacks the scopes to read, and says so", async () => {
    const { server, reader } = ground();
    const { token } = reader;
    const named = { name: "little", scopes: ["read:user"] };
    const little = await createToken(server.url, "reader", reader.password, named);
    for (const [path, has] of [
      ["/user", true],
      ["/user/orgs", false],
      [R, false],
    ] as const) {
      const answer = await server.api({ ...reader, token: little }, "GET", path);
      expect([path, answer.status]).toEqual([path, has ? 200 : 403]);
      expect(answer.text.includes("required scope")).toBe(!has);
      expect((await server.api({ ...reader, token }, "GET", path)).status).toBe(200);
    }
  });

  it("makes less of a collaborator's rights too, and tells who is one", async () => {
    const { server, dev, status } = ground();
    const name = await server.createRepository({ owner: "acme", name: "lowered" });
    const at = `/repos/${name}/collaborators/dev`;
    expect(await status(server.admin, "GET", at)).toBe(404);
    for (const permission of ["admin", "write"] as const) {
      await server.addCollaborator(name, "dev", permission);
      expect(await status(server.admin, "GET", at)).toBe(204);
      const mine = { admin: permission === "admin", push: true };
      expect((await server.api(dev, "GET", `/repos/${name}`)).json).toMatchObject({ permissions: mine });
    }
  });

  it("hides private repositories as 404 from strangers and answers none about them", async () => {
    const { server, reader, status } = ground();
    await server.createRepository({ owner: "acme", name: "hidden", private: true });
    expect(await status(reader, "GET", "/repos/acme/hidden")).toBe(404);
    expect(await status(reader, "GET", "/repos/acme/hidden/issues/1")).toBe(404);
    const answer = await server.api(
      server.admin,
      "GET",
      "/repos/acme/hidden/collaborators/reader/permission",
    );
    expect(answer.json).toMatchObject({ permission: "none" });
  });

  it("tells rights to repository admins, and on some servers to each their own", async () => {
    const { server, ways, dev, bot } = ground();
    const ask = async (as: E2eUser, login: string) =>
      server.api(as, "GET", `${R}/collaborators/${login}/permission`);
    expect((await ask(bot, "dev")).json).toMatchObject({
      permission: "write",
      role_name: "write",
      user: { id: dev.id },
    });
    expect((await ask(bot, "DEV")).json).toMatchObject({ user: { login: "dev" } });
    expect((await ask(bot, "reader")).json).toMatchObject({ permission: "read" });
    expect((await ask(bot, "lazarus")).json).toMatchObject({ permission: "admin" });
    expect((await ask(bot, "root1")).json).toMatchObject({ permission: "owner" });
    expect((await ask(bot, "nobody-of-that-name")).status).toBe(404);
    expect((await ask(dev, "dev")).status).toBe(ways.ownPermission);
    expect((await ask(dev, "reader")).status).toBe(403);
  });

  it("lists who may review to writers, and teams to their members", async () => {
    const { server, ways, dev, reader, status } = ground();
    expect(await status(reader, "GET", `${R}/reviewers`)).toBe(ways.readersPropose ? 200 : 403);
    const logins = ((await server.api(dev, "GET", `${R}/reviewers`)).json as { login: string }[]).map(
      (one) => one.login,
    );
    expect(logins).toEqual(expect.arrayContaining(["dev", "lazarus"]));
    expect(logins).not.toContain("reader");
    const assignable = (await server.api(reader, "GET", `${R}/assignees`)).json as { login: string }[];
    expect(assignable.map((one) => one.login)).toEqual(["dev", "lazarus", "root1"]);
    const team = { name: "crew", permission: "write", units: ["repo.code", "repo.issues", "repo.pulls"] };
    const made = await server.api(server.admin, "POST", "/orgs/acme/teams", team);
    expect(made.status).toBe(201);
    const { id } = made.json as { id: number };
    expect(await status(server.admin, "PUT", `/teams/${id}/members/dev`)).toBe(204);
    const found = await server.api(dev, "GET", "/orgs/acme/teams/search?q=crew");
    expect(found.json).toMatchObject({ ok: true, data: [{ id, name: "crew" }] });
    expect(await status(dev, "GET", `/teams/${id}/members/dev`)).toBe(200);
    expect(await status(dev, "GET", `/teams/${id}/members/reader`)).toBe(404);
    expect(await status(reader, "GET", `/teams/${id}/members/dev`)).toBe(404);
    expect(await status(dev, "GET", "/orgs/acme/members/dev")).toBe(204);
    expect(await status(dev, "GET", "/orgs/acme/members/reader")).toBe(404);
    expect(await status(reader, "GET", "/orgs/acme/members/dev")).toBe(303);
  });

  it("answers a renamed repository with a redirect by API, and by git", async () => {
    const { server, ways, status } = ground();
    await server.createRepository({ owner: "acme", name: "old" });
    expect(await status(server.admin, "PATCH", "/repos/acme/old", { name: "new" })).toBe(200);
    const answer = await server.api(server.admin, "GET", "/repos/acme/old/issues?state=all");
    expect(answer.status).toBe(ways.renamed);
    const target = new URL(answer.headers.get("location") ?? "", server.url);
    const followed = await fetch(target, { headers: { Authorization: `token ${server.admin.token}` } });
    expect(followed.status).toBe(200);
    const service = await fetch(`${server.url}/acme/old.git/info/refs?service=git-upload-pack`, {
      redirect: "manual",
    });
    expect(service.status).toBe(ways.renamed);
  });

  it("refuses writes to an archived repository with 423, and pushes with 403", async () => {
    const { server, dev, status } = ground();
    await server.createRepository({ owner: "acme", name: "done" });
    const number = await server.openIssue(dev, "acme/done", { title: "x", body: "" });
    await server.archiveRepository("acme/done");
    expect(await status(dev, "POST", "/repos/acme/done/issues", { title: "y" })).toBe(423);
    expect(await status(dev, "POST", `/repos/acme/done/issues/${number}/comments`, { body: "y" })).toBe(423);
    expect((await server.api(dev, "GET", "/repos/acme/done")).json).toMatchObject({ archived: true });
    const push = await pushFiles(`${server.url}/acme/done.git`, server.admin, {
      branch: "x",
      files: { "a.txt": "a" },
    });
    expect(push.code).toBe(128);
    expect(push.stderr).toContain("403");
  });

  it("knows an empty repository, which has no branch", async () => {
    const { server, dev, status } = ground();
    await server.createRepository({ owner: "acme", name: "empty", autoInit: false });
    expect((await server.api(dev, "GET", "/repos/acme/empty")).json).toMatchObject({
      empty: true,
      default_branch: "main",
    });
    expect(await status(dev, "GET", "/repos/acme/empty/branches/main")).toBe(404);
  });
}
