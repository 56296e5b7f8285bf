import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { type Readable, Writable } from "node:stream";
import type { Command } from "commander";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import type { Environment } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import { type Answers, FORM_WAYS, type FormWay, readAnswers } from "../setup/answers.ts";
import { setUp } from "../setup/setup.ts";
import type { Terminal } from "../setup/terminal.ts";
import { undo } from "../setup/undo.ts";

/** What the command line lends it. */
export interface SetupTerminal {
  env(): Environment;
  isJson(): boolean;
  /** `--config`. */
  file(): string | undefined;
  readonly input: Readable & { readonly isTTY?: boolean };
  output(): Writable;
  print(answer: StoredAnswer): void;
}

interface Flags {
  readonly answers?: string;
  readonly forge?: string;
  readonly publicUrl?: string;
  readonly tokenFile?: string;
  readonly rightsTokenFile?: string;
  readonly adminTokenFile?: string;
  readonly bot?: string;
  readonly repository?: string[];
  readonly agent?: string[];
  readonly url?: string;
  readonly listen?: string;
  readonly form?: string;
  readonly login: boolean;
  readonly issue: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly replaceHooks?: boolean;
  readonly undo?: boolean;
}

const more = (value: string, all: string[] = []) => [...all, value];

/** Adds `setup`. */
export function addSetup(program: Command, terminal: SetupTerminal): void {
  program
    .command("setup")
    .description("connects this machine with your forge: asks six things at most, and proves that it works")
    .option("--answers <file>", "answers to what would be asked, in YAML (docs/setup.md)")
    .option("--forge <url>", "the address of your Gitea or Forgejo")
    .option("--public-url <url>", "how browsers reach it, where that differs")
    .option("--token-file <file>", "holds the token of the bot's account")
    .option(
      "--rights-token-file <file>",
      "holds the token of a second account, which administers and may only read",
    )
    .option(
      "--admin-token-file <file>",
      "holds an administrator's token: makes the accounts and hooks, and forgets it",
    )
    .option("--bot <login>", "the account that is made so (lazarus where untold)")
    .option("--repository <name>", "owner/repo or owner/*; may be given several times", more)
    .option("--agent <name>", "a preset such as claude, or demo; may be given several times", more)
    .option("--url <url>", "how the forge reaches this machine; none: it does not, and Lazarus asks it")
    .option("--listen <address>", "host:port to listen on, where it differs from --url")
    .option("--form <way>", `how the mission form gets there: ${FORM_WAYS.join(", ")}`)
    .option("--no-login", "no OAuth2 application for the dashboard")
    .option("--no-issue", 'no issue "Lazarus is here"')
    .option("--replace-hooks", "puts a hook of ours in the place of one with another secret")
    .option("--dry-run", "says what would be made, and makes nothing")
    .option("--yes", "does not ask whether the plan is right")
    .option("--undo", "removes exactly what setup made, each after a question")
    .addHelpText(
      "after",
      "\nExamples:\n  lazarus setup\n  lazarus setup --dry-run --forge https://git.example.org --token-file token --repository acme/app\n  lazarus --json setup --answers answers.yaml --yes",
    )
    .action(async (flags: Flags) => {
      const cwd = process.cwd();
      const voice = createTerminal(terminal);
      const env = terminal.env();
      const common = {
        env,
        cwd,
        terminal: voice,
        isYes: flags.yes === true,
        isDryRun: flags.dryRun === true,
      };
      // Nothing else keeps the program while a call waits for its next try.
      const alive = setInterval(() => {}, 1_000);
      try {
        const file = place(terminal.file() ?? env.LAZARUS_CONFIG, cwd);
        const answers = {
          ...(flags.answers === undefined ? {} : readAnswers(flags.answers, cwd)),
          ...said(flags),
        };
        if (flags.undo === true) {
          const { isDone, ...result } = await undo({ ...common, file, answers });
          const text = `${result.removed.length} removed, ${result.kept.length} kept`;
          return terminal.print({ exitCode: isDone ? 0 : 1, text, data: result });
        }
        const result = await setUp({ ...common, file, answers, replacesHooks: flags.replaceHooks === true });
        if (terminal.isJson()) terminal.print({ exitCode: 0, text: "", data: result });
      } finally {
        clearInterval(alive);
        voice.close();
      }
    });
}

/** As `serve` looks, and here where there is none yet. */
function place(named: string | undefined, cwd: string): string {
  if (named !== undefined && named !== "") return resolve(cwd, named);
  const usual = resolve(cwd, "lazarus.yaml");
  const ofMachine = "/etc/lazarus/lazarus.yaml";
  return !existsSync(usual) && existsSync(ofMachine) ? ofMachine : usual;
}

/** Flags win over the file of answers. */
function said(flags: Flags): Answers {
  const { form } = flags;
  if (form !== undefined && !FORM_WAYS.some((way) => way === form))
    throw new LazarusError("usage", `--form: ${form} is not one of ${FORM_WAYS.join(", ")}`);
  const pairs = {
    ...{ forge: flags.forge, public_url: flags.publicUrl, token_file: flags.tokenFile, bot: flags.bot },
    rights_token_file: flags.rightsTokenFile,
    ...{ admin_token_file: flags.adminTokenFile, repositories: flags.repository, agents: flags.agent },
    ...{ url: flags.url, listen: flags.listen, form: form as FormWay | undefined },
    ...{ login: flags.login ? undefined : false, issue: flags.issue ? undefined : false },
  };
  return Object.fromEntries(Object.entries(pairs).filter(([, value]) => value !== undefined));
}

function createTerminal({ input, output, isJson }: SetupTerminal): Terminal & { close(): void } {
  const out = output();
  let isMuted = false;
  const shown = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!isMuted) out.write(chunk);
      done();
    },
  });
  let lines: ReturnType<typeof createInterface> | null = null;
  const isInteractive = input.isTTY === true && !isJson();
  return {
    isInteractive,
    say: (line) => void out.write(`${line}\n`),
    async ask(question, isSecret = false) {
      lines ??= createInterface({ input, output: shown, terminal: true });
      out.write(question);
      isMuted = isSecret;
      try {
        const interrupted = new AbortController();
        const stop = () => interrupted.abort();
        lines.once("close", stop);
        const answer = await lines.question("", { signal: interrupted.signal });
        lines.off("close", stop);
        return answer.trim();
      } catch {
        throw new LazarusError("usage", "interrupted; run setup again, and it goes on where it stopped");
      } finally {
        if (isMuted) out.write("\n");
        isMuted = false;
      }
    },
    close: () => lines?.close(),
  };
}
