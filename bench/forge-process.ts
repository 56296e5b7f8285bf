import { execFile } from "node:child_process";
import { gitEnvironment } from "../test/fakes/forge/git.ts";
import { type StandIn, startStandIn } from "../test/fakes/forge/stand-in.ts";
import { type FromForge, REPOSITORY, SECRET, type ToForge } from "./forge.ts";

/*
 * The stand-in in a process of its own: what it computes must not be counted as Lazarus' time. It is told
 * what to type by messages, and answers the delivery that a forge would have sent, for the bench to post when
 * its clock runs.
 */

const FILES_PER_DIRECTORY = 50;
const LINES_PER_FILE = 60;

async function main(): Promise<void> {
  const forge = await startStandIn();
  const { people } = forge;
  people.createUser("dev");
  const bot = people.createUser("lazarus");
  people.createOrganization("acme", "root1");
  const made = await people.createRepository(REPOSITORY);
  await importTree(made.dir, Number(process.argv[2]));
  people.addCollaborator(REPOSITORY, "dev", "write");
  people.addCollaborator(REPOSITORY, "lazarus", "admin");
  // Nobody listens there: a delivery is made and signed all the same.
  people.createHook(REPOSITORY, { url: `${forge.url}/nobody`, secret: SECRET });
  process.on("message", (message: ToForge) => {
    void typeComment(forge, message).then(say);
  });
  process.once("disconnect", () => void forge.stop().then(() => process.exit(0)));
  say({ kind: "ready", url: forge.url, token: bot.token, repositoryId: made.id });
}

function say(message: FromForge): void {
  process.send?.(message);
}

/** A comment, and the delivery of it. */
async function typeComment(forge: StandIn, { text, on }: ToForge): Promise<FromForge> {
  const fresh = () => forge.people.openIssue("dev", REPOSITORY, { title: "A task", body: "Please." });
  const number = on ?? (await fresh());
  await forge.people.comment("dev", { repo: REPOSITORY, number }, text);
  await forge.deliveriesDone();
  const delivery = forge.deliveries.findLast((one) => one.eventType === "issue_comment");
  if (delivery === undefined) throw new Error("the stand-in delivered no comment");
  return { kind: "typed", headers: { ...delivery.headers }, body: delivery.body, number };
}

/** Commits the tree that is worked on, as one pack: so many files of 2 to 3 KB. */
function importTree(dir: string, files: number): Promise<void> {
  const parts = ["commit refs/heads/main\ncommitter dev <dev@example.org> 1700000000 +0000\ndata 4\ntree\n"];
  parts.push("from refs/heads/main^0\n");
  for (let index = 0; index < files; index++) {
    const place = `packages/p${Math.floor(index / FILES_PER_DIRECTORY)}/src/file-${index}.ts`;
    const lines = Array.from(
      { length: LINES_PER_FILE },
      (_, line) => `export const v${line} = ${index * line + 17};`,
    );
    const text = `${lines.join("\n")}\n`;
    parts.push(`M 100644 inline ${place}\ndata ${Buffer.byteLength(text)}\n${text}\n`);
  }
  return new Promise((resolve, reject) => {
    const done = (error: Error | null) => (error === null ? resolve() : reject(error));
    const child = execFile("git", ["-C", dir, "fast-import", "--quiet"], { env: gitEnvironment() }, done);
    child.stdin?.end(parts.join(""));
  });
}

await main();
