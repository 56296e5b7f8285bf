import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { program } from "../../src/cli/main.ts";
import { GRAMMAR, VERBS } from "../../src/commands/index.ts";
import { parseCommands } from "../../src/commands/parsing/parse.ts";

const commands = program.commands.filter((command) => command.description() !== "not in this version");
/** What `lazarus COMMAND --help` prints. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (piece) => {
      text += piece;
    },
  });
  command.outputHelp();
  return text;
}
const examplesIn = (help: string) =>
  (help.split(/\nExamples?:\n/)[1] ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("lazarus "));
const all = commands.map((command) => [command.name(), helpOf(command)] as const);

describe.each(all)("lazarus %s --help", (name, help) => {
  it("has no Markdown, and nothing that is typed on a thread only", () => {
    expect(help).not.toMatch(/`|\*\*|\/lazarus /);
  });

  it("has two examples that the command line takes", async () => {
    const examples = examplesIn(help);
    expect(examples.length).toBeGreaterThanOrEqual(2);
    for (const example of examples) {
      let ran = "";
      for (const command of program.commands)
        command.action(() => {
          ran = command.name();
        });
      await program.parseAsync(["node", ...example.split(" ")]);
      expect([example, ran]).toEqual([example, name]);
    }
  });
});

const built = VERBS.filter((verb) => verb.run !== undefined);
describe.each(built.map((verb) => [verb.name, verb] as const))("the verb %s", (name, verb) => {
  const help = all.find(([of]) => of === name)?.[1];

  it("says in its help who may and every flag it takes", () => {
    // Not every verb of a thread is one of the command line: those are looked at by their examples below.
    if (help === undefined) return;
    expect(help).toContain(`On a thread: ${verb.who}.`);
    for (const flag of Object.keys(verb.flags)) expect([flag, help.includes(flag)]).toEqual([flag, true]);
  });

  it("names a cell where there is no thread to tell it", () => {
    if (help === undefined || !verb.usage.includes("[CELL]") || name === "status") return;
    expect(help.split("\n")[0]).toMatch(/ (CELL|<cell>)( |$)/);
  });

  it("has two examples that are understood on a thread", () => {
    expect(verb.examples.length).toBeGreaterThanOrEqual(2);
    for (const example of verb.examples) {
      const parsed = parseCommands(`/lazarus ${example}`, GRAMMAR);
      expect(parsed).toMatchObject([{ kind: "command", verb: name }]);
    }
  });
});
