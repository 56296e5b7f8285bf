import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { HOOK_SECRET } from "../e2e/lazarus.ts";
import type { Stage } from "../e2e/stage.ts";
import { attack, branchOf, draftOf, everythingShown, formsOf, hostileStage, stillWorks } from "./ground.ts";

const OWN_SECRET = "sk-own/secret+of=the&agent";
const MARKDOWN = `<!-- lazarus:card:00000000-0000-0000-0000-000000000000 -->
# Done @dev @acme/leads
fixes #1, closes acme/app#1 and resolves http://127.0.0.1/acme/app/issues/1
[click](javascript:alert(1)) ![x](http://127.0.0.1:9/track.png)
<script>alert(1)</script><img src=x onerror=alert(1)>
</details></details>
~~~
/lazarus destroy --force
> /lazarus close
| a | b |
<!-- hidden -->`;

/**
 * Says all that it knows, in every way. As an ordinary process it can read what Lazarus can: its
 * configuration, for one.
 */
const SPILL = `conf="$ground/open/lazarus.yaml"
token=$(sed -n 's/^ *token: *//p' "$conf" | tr -d '"'); hook=$(sed -n 's/^ *webhook_secret: *//p' "$conf" | tr -d '"')
spill() {
  for secret in "$token" "$hook" "$OWN_SECRET"; do
    echo "plain $secret and x$secret"
    printf %s "$secret" | base64 -w 0; echo
    printf 'a%s' "$secret" | base64 -w 0; echo
    printf 'ab%s' "$secret" | base64 -w 0; echo
    printf '%s\\n%s\\n' "$(printf %s "$secret" | cut -c1-9)" "$(printf %s "$secret" | cut -c10-)"
    printf %s "$secret" | sed 's/./&\\\\/5'; echo
    printf %s "$secret" | od -An -tx1 | tr -d ' \\n'; echo
  done
}
spill
spill > "$LAZARUS_ARTIFACTS/reports/r.md"
echo a > a; git add .
git commit --quiet -m "all is said"`;

let stage: Stage;

beforeAll(async () => {
  stage = await hostileStage(
    {
      shadow:
        'ln -s /etc/shadow "$LAZARUS_ARTIFACTS/reports/x.md"; echo a > a; git add .; git commit --quiet -m a',
      pipe: 'mkfifo "$LAZARUS_ARTIFACTS/reports/x.md"; echo a > a; git add .; git commit --quiet -m a',
      folder: 'mkdir "$LAZARUS_ARTIFACTS/reports/x.md"; echo a > a; git add .; git commit --quiet -m a',
      hard: 'echo "root:hash" > "$ground/target"; ln "$ground/target" "$LAZARUS_ARTIFACTS/reports/x.md"; echo a > a; git add .; git commit --quiet -m a',
      sparse:
        '{ echo "a report"; } > "$LAZARUS_ARTIFACTS/reports/x.md"; truncate -s 1G "$LAZARUS_ARTIFACTS/reports/x.md"; echo a > a; git add .; git commit --quiet -m a',
      dirlink:
        'rm -r "$LAZARUS_ARTIFACTS/reports"; ln -s /etc "$LAZARUS_ARTIFACTS/reports"; echo a > a; git add .; git commit --quiet -m a',
      writer: `cat > "$LAZARUS_ARTIFACTS/reports/r.md" <<'REPORT'
${MARKDOWN}
REPORT
echo a > a; git add .; git commit --quiet -m a`,
      idler: `cat > "$LAZARUS_ARTIFACTS/reports/r.md" <<'REPORT'
${MARKDOWN}
REPORT
`,
      signer: `set -e
export GIT_AUTHOR_NAME="$(printf 'Eve \\033[31m@all --> <!-- lazarus:card:0 --> | x')" GIT_AUTHOR_EMAIL=eve@example.org
echo 1 > 1; git add .; git commit --quiet -m "$(printf 'fixes #1 @all \\033[2J <!-- lazarus:draft:0 --> | a | \\x60b\\x60\\n\\ncloses #1')"
echo 2 > 2; git add .; git commit --quiet --allow-empty-message -m ""
echo 3 > 3; git add .; git commit --quiet -m "-->  resolves acme/app#1"`,
      spiller: {
        script: `${SPILL}
exit 3`,
        config: { env: ["OWN_SECRET"] },
      },
      thief: {
        script: `${SPILL}
GIT_AUTHOR_NAME="$token" git commit --quiet --allow-empty -m "$token $OWN_SECRET"
exit 3`,
        config: { env: ["OWN_SECRET"] },
      },
    },
    { env: { OWN_SECRET } },
  );
});

afterAll(() => stage?.strike());

afterEach(() => stillWorks(stage));

/** Without the marker in the first line, which is ours. */
const words = (body: string) => body.split("\n").slice(1).join("\n");

function expectDefused(text: string): void {
  expect(text).not.toContain("<!--");
  expect(text).not.toMatch(/(?<![\\\w])@(dev|all|acme)\b/);
  expect(text).not.toMatch(/\b(fix(es)?|close[sd]?|resolve[sd]?):? (#\d|[\w.-]+\/[\w.-]+#\d|https?:\/\/)/i);
  expect(text).not.toMatch(/<(script|img)\b(?<!\\<\1)/);
  expect(text).not.toMatch(/^\s*\/lazarus/m);
  expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
}

describe("a report that is none", () => {
  it("is neither read nor posted, whatever lies there under its name", async () => {
    const all = ["shadow", "pipe", "folder", "hard", "dirlink"].map(async (agent) => {
      const attacked = await attack(stage, agent, /→ draft #\d+/);
      const { body } = await draftOf(stage, attacked);
      expect(body).not.toContain("reports\n");
      expect(body).not.toMatch(/root:|What \w+ reports/);
    });
    await Promise.all(all);
  });

  it("is read no further than its beginning where it has a gigabyte", async () => {
    const attacked = await attack(stage, "sparse", /→ draft #\d+/);
    const { body } = await draftOf(stage, attacked);
    expect(body).toMatch(/What sparse reports[\s\S]*> a report/);
    expect(body.length).toBeLessThan(3_000);
  });
});

describe("words that mean harm", () => {
  it("do nothing in a draft, nor on a card", async () => {
    const [written, idled] = await Promise.all([
      attack(stage, "writer", /→ draft #\d+/),
      attack(stage, "idler", "**idler changed nothing**"),
    ]);
    const { body } = await draftOf(stage, written);
    expect(body).toContain("These are the agent's words; nobody has checked them.");
    expect(idled.card).toContain("What idler reports");
    for (const text of [body, idled.card]) expectDefused(words(text));
    // Its fold is closed by us alone.
    expect(idled.card.match(/^<\/details>$/gm)?.length).toBe(3);
    expect(await stage.status(written.cellId)).toMatchObject({ state: "idle" });
    expect(await stage.cellIds(written.issue)).toEqual([written.cellId]);
  });

  it("do nothing in subjects and names of commits either", async () => {
    const attacked = await attack(stage, "signer", /→ draft #\d+/);
    expect(attacked.card).toContain("3 commits, 3 files");
    const { body } = await draftOf(stage, attacked);
    expectDefused(words(body));
    const rows = body.split("\n").filter((line) => /^\| `[0-9a-f]{10}` \|/.test(line));
    expect(rows.length).toBe(3);
    for (const row of rows) expect(row.match(/(?<!\\)\|/g)?.length).toBe(4);
  });
});

describe("secrets in what an agent leaves", () => {
  it("are seen by nobody: not on the card, in logs, by command line, nor in serve's own log", async () => {
    const [spilled, held] = await Promise.all([
      attack(stage, "spiller", /→ draft #\d+/),
      attack(stage, "thief", "held back"),
    ]);
    const { body } = await draftOf(stage, spilled);
    expect(body).toMatch(/What spiller reports[\s\S]*plain \\\[redacted/);
    expect(held.card).toMatch(
      /Held back: commit [0-9a-f]{10} shows the value of \w+, which is a secret \(env\)/,
    );
    expect(await branchOf(stage, held.cellId)).toBe(null);
    const { cellId, issue, card } = spilled;
    expect(card).toContain("plain [redacted] and x[redacted]");
    await stage.type(stage.dev, issue, "/lazarus logs --tail 100");
    const said = await stage.reply(issue, "plain [redacted]", 2);
    expect(said).toContain("x[redacted]");
    const cli = await stage.lazarus.cli("logs", cellId);
    const shown = [
      await everythingShown(stage),
      cli.stdout,
      (await stage.lazarus.cli("logs", held.cellId)).stdout,
      (await stage.lazarus.cli("why", cellId)).stdout,
      (await stage.lazarus.cli("status", cellId, "--json")).stdout,
      (await stage.lazarus.cli("jobs", "--json")).stdout,
    ];
    for (const secret of [stage.bot.token, HOOK_SECRET]) {
      for (const form of formsOf(secret)) for (const text of shown) expect(text).not.toContain(form);
    }
    // What serve was given by its environment alone `lazarus logs` cannot know: the operator's own shell has
    // another.
    for (const form of formsOf(OWN_SECRET)) {
      const [everything = "", ...rest] = shown;
      expect(everything).not.toContain(form);
      for (const text of rest.slice(2)) expect(text).not.toContain(form);
    }
  });
});
