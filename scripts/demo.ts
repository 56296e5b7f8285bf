import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { type StandIn, startStandIn } from "../test/fakes/forge/stand-in.ts";
import { until } from "../test/fakes/until.ts";
import { AGENT, FILES, ISSUE } from "./demo-mission.ts";
import { killRuns, lazarus, type ServeProcess, startServe } from "./serve-process.ts";

const REPO = "acme/app";
const SECRET = "a secret of the demo";
/** How long real servers let a delivery wait, about. */
const DELIVERY_DELAY_MS = 120;
const RUN_MS = 120_000;

const began = performance.now();

function progress(line: string): void {
  const seconds = ((performance.now() - began) / 1_000).toFixed(1).padStart(5);
  process.stdout.write(`${seconds} s  ${line}\n`);
}

function heading(text: string): void {
  process.stdout.write(`\n${"─".repeat(4)} ${text} ${"─".repeat(Math.max(4, 90 - text.length))}\n\n`);
}

interface Demo {
  readonly dir: string;
  readonly configPath: string;
  forge: StandIn | null;
  serve: ServeProcess | null;
}

/** Ends what the demo started; the directory stays. */
async function end(demo: Demo): Promise<void> {
  await demo.serve?.end();
  killRuns(join(demo.dir, "missions"));
  await demo.forge?.stop();
}

async function configure(demo: Demo, forge: { url: string; token: string }): Promise<void> {
  const agentPath = join(demo.dir, "allegro.sh");
  await writeFile(agentPath, AGENT);
  await chmod(agentPath, 0o755);
  const config = {
    server: { listen: "127.0.0.1:0" },
    forge: { ...forge, webhook_secret: SECRET, repositories: ["acme/*"] },
    data: "./data",
    missions: "./missions",
    agents: { allegro: { command: [agentPath], backend: "process", network: "full" } },
  };
  await writeFile(demo.configPath, stringify(config), { mode: 0o600 });
}

/** Makes the forge, its people and a repository, and starts Lazarus beside it. */
async function prepare(demo: Demo): Promise<{ forge: StandIn; serve: ServeProcess }> {
  const forge = await startStandIn({ deliveryDelayMs: DELIVERY_DELAY_MS });
  demo.forge = forge;
  progress(`a stand-in for a Gitea listens on ${forge.url}`);
  const { people } = forge;
  people.createUser("dev");
  const bot = people.createUser("lazarus");
  people.createOrganization("acme", "root1");
  await people.createRepository(REPO, { files: FILES });
  people.addCollaborator(REPO, "dev", "write");
  people.addCollaborator(REPO, "lazarus", "admin");
  await configure(demo, { url: forge.url, token: bot.token });
  const serve = await startServe(demo.configPath, join(demo.dir, "serve.log"));
  demo.serve = serve;
  people.createHook(REPO, { url: `${serve.url}/webhooks/gitea`, secret: SECRET });
  progress(serve.readyLine);
  return { forge, serve };
}

/** Types the comment and follows what comes of it; answers the issue's and the pull request's number. */
async function play(forge: StandIn): Promise<{ issue: number; pull: number }> {
  const { people } = forge;
  const issue = await people.openIssue("dev", REPO, ISSUE);
  progress(`dev opens ${REPO}#${issue}: ${ISSUE.title}`);
  await people.comment("dev", { repo: REPO, number: issue }, "/lazarus summon allegro");
  progress("dev comments: /lazarus summon allegro");
  let said = "";
  let pull = 0;
  await until(
    "the draft pull request is open and the card says so",
    () => {
      const card = people.comments(REPO, issue).find((comment) => comment.body.includes("lazarus:card:"));
      const line = /\*\*.*\*\*.*/.exec(card?.body ?? "")?.[0].split(" · ")[0] ?? "";
      if (line !== said && line !== "") {
        said = line;
        progress(`card: ${line.replaceAll("**", "").replace(/\[(#\d+)\]\(\S+?\)/, "$1")}`);
      }
      pull = people.pullRequests(REPO)[0]?.number ?? 0;
      const hasAsked = pull > 0 && people.exportThread(REPO, pull).includes("was asked for a review");
      return hasAsked && said.includes(`#${pull}`);
    },
    RUN_MS,
  );
  await forge.deliveriesDone();
  return { issue, pull };
}

async function show(demo: Demo, forge: StandIn, at: { issue: number; pull: number }): Promise<void> {
  heading("the issue, as a reader sees it");
  process.stdout.write(forge.people.exportThread(REPO, at.issue));
  heading("the draft pull request");
  process.stdout.write(forge.people.exportThread(REPO, at.pull));
  heading("its diff");
  process.stdout.write(await forge.people.diff({ repo: REPO, number: at.pull }));
  heading("lazarus status");
  process.stdout.write(await lazarus("--config", demo.configPath, "status"));
  const { cells } = JSON.parse(await lazarus("--config", demo.configPath, "status", "--json")) as {
    cells: { id: string }[];
  };
  heading("where it lies");
  process.stdout.write(`the cell       ${join(demo.dir, "missions", cells[0]?.id ?? "")}
the registry   ${join(demo.dir, "data", "lazarus.db")}
serve's log    ${join(demo.dir, "serve.log")}

The server and the stand-in have ended; this still works:
  ./bin/lazarus --config ${demo.configPath} status
  ./bin/lazarus --config ${demo.configPath} logs ${cells[0]?.id.slice(0, 8) ?? ""}

Remove all of it:
  rm -rf ${demo.dir}
`);
  heading("the same on your own Gitea");
  process.stdout.write(OWN_GITEA);
}

const OWN_GITEA = `1. Make an account for the bot, give it the repository's admin right, and make a token for it
   with the scopes write:issue, write:repository, read:user, read:organization.
2. Write lazarus.yaml (docs/connect.md has the smallest one) and start the server, where Gitea can reach it:
     export LAZARUS_FORGE_TOKEN=… LAZARUS_WEBHOOK_SECRET="$(openssl rand -hex 32)"
     LAZARUS_LISTEN=0.0.0.0:8420 ./bin/lazarus --config lazarus.yaml serve
3. Add a webhook of type Gitea to the repository: http://<this host>:8420/webhooks/gitea, JSON,
   that secret, the events of issues, pull requests and pushes. Gitea sends nothing to private
   addresses unless [webhook] ALLOWED_HOST_LIST in its app.ini names them.
4. Comment on an issue: /lazarus summon allegro

docs/connect.md says more.
`;

async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "lazarus-demo-"));
  // As root the cell has a user of its own, who passes through.
  await chmod(dir, 0o711);
  const demo: Demo = { dir, configPath: join(dir, "lazarus.yaml"), forge: null, serve: null };
  await mkdir(join(dir, "missions"), { mode: 0o711 });
  let isInterrupted = false;
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.on(signal, () => {
      if (isInterrupted) return;
      isInterrupted = true;
      void end(demo)
        .then(() => rm(dir, { recursive: true, force: true, maxRetries: 3 }))
        .finally(() => process.exit(code));
    });
  }
  try {
    const { forge } = await prepare(demo);
    const at = await play(forge);
    await demo.serve?.end();
    await show(demo, forge, at);
    await end(demo);
  } catch (error) {
    if (isInterrupted) return;
    await end(demo);
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    process.stderr.write(`demo: what happened is in ${dir}, serve.log first\n`);
    process.exitCode = 1;
  }
}

await main();
