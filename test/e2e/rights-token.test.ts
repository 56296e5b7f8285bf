import { afterAll, beforeAll, expect, it } from "vitest";
import { createToken } from "./http-server.ts";
import { Stage } from "./stage.ts";

let stage: Stage;
let token = "";
const SCOPES = ["read:repository", "read:user", "read:organization"];

beforeAll(async () => {
  stage = await Stage.set({
    serve: false,
    async forge(server) {
      const warden = await server.createUser("warden");
      token = await createToken(server.url, warden.login, warden.password, {
        name: "rights",
        scopes: SCOPES,
      });
      return { keys: { rights_token: token }, bot: "write" };
    },
  });
  await stage.server.addCollaborator(stage.repo, "warden", "admin");
  await stage.lazarus.serve();
});
afterAll(() => stage?.strike());

it("a bot that may only write does all of its work, with another account that may only read", async () => {
  const warden = { id: 0, login: "warden", password: "", token };
  const [issue, stranger] = [await stage.openIssue("A task"), await stage.openIssue("Not mine")];
  const written = await stage.server.api(warden, "POST", `/repos/${stage.repo}/issues`, { title: "x" });
  expect(written.status).toBe(403);
  await stage.type(stage.dev, issue, "/lazarus summon allegro");
  expect(await stage.card(issue, /→ draft #\d+/)).toContain("allegro is done");
  await stage.type(stage.reader, stranger, "/lazarus summon allegro");
  const refusal = await stage.reply(stranger, "needs write");
  expect(refusal).toContain("dev");
  expect(refusal).not.toContain("warden");
  await stage.type(stage.lead, issue, "/lazarus close");
  await stage.card(issue, "closed by lead");
}, 120_000);

it("doctor finds nothing to mend, and says where each account lacks a right", async () => {
  const look = async (repo: string) => {
    const { stdout } = await stage.lazarus.cli("doctor", "--json");
    const { findings } = JSON.parse(stdout) as {
      findings: { level: string; what: string; detail: string }[];
    };
    return findings.filter((one) => one.what === repo || one.what === "forge.rights_token");
  };
  const { server, bot } = stage;
  const configure = (repositories: string[], rights = token) =>
    stage.lazarus.configure({
      ...{ forgeUrl: server.url, token: bot.token, agents: {}, repositories },
      forge: { rights_token: rights },
      more: { server: { listen: stage.lazarus.listen } },
    });
  await configure(["acme/app"]);
  const found = await look("acme/app");
  expect(found).toContainEqual(expect.objectContaining({ level: "ok", what: "forge.rights_token" }));
  expect(found.filter((one) => one.level === "FAIL")).toEqual([]);
  expect(found.filter((one) => one.level !== "ok")).toEqual([]);
  const { password } = await server.createUser("careless");
  await server.addCollaborator("acme/app", "careless", "admin");
  const strong = await createToken(server.url, "careless", password, { name: "strong", scopes: ["all"] });
  await configure(["acme/app"], strong);
  expect(await look("acme/app")).toContainEqual(
    expect.objectContaining({ level: "warn", detail: expect.stringContaining("its token may write") }),
  );
  await stage.createRepository("acme/weak", { bot: "admin", hook: null });
  await configure(["acme/weak"]);
  expect(await look("acme/weak")).toContainEqual(
    expect.objectContaining({
      level: "FAIL",
      detail: expect.stringContaining("the account of forge.rights_token may not administer it"),
    }),
  );
  await server.addCollaborator("acme/weak", "warden", "admin");
  expect(await look("acme/weak")).toContainEqual(
    expect.objectContaining({ level: "warn", detail: expect.stringContaining("need not") }),
  );
}, 120_000);
