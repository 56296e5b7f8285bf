import { Argument, type Command } from "commander";
import type { StoredAnswer } from "../commands/posting/answer.ts";

const SHELLS = ["bash", "zsh"] as const;
type Shell = (typeof SHELLS)[number];

/** What can be typed where these words were typed: below `lazarus`, or below one of its commands. */
interface Place {
  /** The commands that lead there, such as `runner add`; empty at the top. */
  readonly path: string;
  /** Commands and words of a fixed choice, with what they do. */
  readonly words: readonly (readonly [word: string, what: string])[];
  /** Its own options and those of everything above. */
  readonly flags: readonly string[];
  /** Those of them that are followed by a value. */
  readonly valued: readonly string[];
}

/** Adds `completion`, which knows the commands that the program has when it is asked. */
export function addCompletion(program: Command, print: (answer: StoredAnswer) => void): void {
  program
    .command("completion")
    .description("prints a script by which a shell completes commands and options")
    .addArgument(new Argument("<shell>", "which one").choices(SHELLS))
    .addHelpText(
      "after",
      "\nExamples:\n  lazarus completion bash\n  lazarus completion zsh\n\nFor this shell alone:  source <(lazarus completion bash)\nFor good, in bash:     lazarus completion bash > ~/.local/share/bash-completion/completions/lazarus\nFor good, in zsh:      lazarus completion zsh > a file _lazarus in a directory of $fpath",
    )
    .action((shell: Shell) => {
      const places = placesOf(program, "", []);
      const text = shell === "bash" ? bashScript(places) : zshScript(places);
      print({ exitCode: 0, text, data: { shell, script: text } });
    });
}

function placesOf(command: Command, path: string, above: readonly Command[]): Place[] {
  const line = [...above, command];
  const options = line.flatMap((one) => [...one.createHelp().visibleOptions(one)]);
  const flagged = options.flatMap((one) => (one.long == null ? [] : [{ flag: one.long, option: one }]));
  const children = command.createHelp().visibleCommands(command);
  const choices = command.registeredArguments.flatMap((one) => one.argChoices ?? []);
  const here: Place = {
    path,
    words: [
      ...children.map((one) => [one.name(), one.description()] as const),
      ...choices.map((one) => [one, ""] as const),
    ],
    flags: [...new Set(flagged.map((one) => one.flag))].sort(),
    valued: [...new Set(flagged.filter((one) => one.option.required).map((one) => one.flag))].sort(),
  };
  return [
    here,
    ...children.flatMap((one) => placesOf(one, path === "" ? one.name() : `${path} ${one.name()}`, line)),
  ];
}

/** For `'…'` of a shell. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const valuedOf = (places: readonly Place[]) => [...new Set(places.flatMap((one) => one.valued))].join("|");

/** Finds in `$words`, from `first` to before `last`, which commands were typed: in `$at`. */
function walk(places: readonly Place[], { word, first, last }: Record<"word" | "first" | "last", string>) {
  const known = places.filter((one) => one.path !== "").map((one) => quoted(one.path));
  return `  local i at= skip=
  for ((i = ${first}; i < ${last}; i++)); do
    if [[ -n $skip ]]; then skip=; continue; fi
    case "\${${word}}" in
      ${valuedOf(places)}) skip=1; continue ;;
      -*) continue ;;
    esac
    case "\${at:+$at }\${${word}}" in
      ${known.join("|")}) at="\${at:+$at }\${${word}}" ;;
    esac
  done
  # A value of an option: a file, or what nobody knows.
  [[ -n $skip ]] && `;
}

function bashScript(places: readonly Place[]): string {
  const cases = places.map(({ path, words, flags }) => {
    const names = words.map(([word]) => word).join(" ");
    return `    ${quoted(path)}) words=${quoted(names)} flags=${quoted(flags.join(" "))} ;;`;
  });
  const at = { word: "COMP_WORDS[i]", first: "1", last: "COMP_CWORD" };
  return `# Completion of lazarus for bash, made by: lazarus completion bash
_lazarus() {
  COMPREPLY=()
${walk(places, at)}return
  local words= flags= cur="\${COMP_WORDS[COMP_CWORD]}"
  case "$at" in
${cases.join("\n")}
  esac
  [[ $cur == -* ]] && words=$flags
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _lazarus lazarus`;
}

function zshScript(places: readonly Place[]): string {
  const named = ([word, what]: readonly [string, string]) =>
    quoted(what === "" ? word : `${word}:${what.replaceAll(/[\\:]/g, "\\$&")}`);
  const cases = places.map(({ path, words, flags }) => {
    const entries = words.map(named).join(" ");
    return `    ${quoted(path)}) entries=(${entries}) flags=(${flags.map(quoted).join(" ")}) ;;`;
  });
  const at = { word: "words[i]", first: "2", last: "CURRENT" };
  return `#compdef lazarus
# Completion of lazarus for zsh, made by: lazarus completion zsh
_lazarus() {
${walk(places, at).replace("local i at= skip=", "local i at= skip=\n  local -a entries flags")}{ _files; return }
  case "$at" in
${cases.join("\n")}
  esac
  if [[ $PREFIX == -* ]]; then compadd -a flags; return; fi
  if (( \${#entries} )); then _describe command entries; else _files; fi
}
if [[ $funcstack[1] == _lazarus ]]; then _lazarus "$@"; else compdef _lazarus lazarus; fi`;
}
