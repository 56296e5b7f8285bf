import { type Call, type Conversation, FAULTS, type Fault, type Reply, type Tool } from "./conversation.ts";

/** What a person can ask of the pretended model: the issue, or the words of a revival, say `play: NAME`. */
export const PLAYS = ["work", "question", "answer", "again", "hang", ...FAULTS] as const;
export type Play = (typeof PLAYS)[number];

/** Where a conversation stands in its play. */
export interface Scene {
  readonly play: Play;
  /** How many tools have answered since the play was asked for. */
  readonly step: number;
  /** What they answered. */
  readonly results: readonly string[];
  /** The agent brought what was said before the play was asked for: its session goes on. */
  readonly isResumed: boolean;
}

type Act = { readonly run: string } | { readonly file: string; readonly text: string };

/** The function that the repository's test asks for. */
export const GREETING = 'export const greet = (name) => "Hello, " + name;\n';
export const QUESTION = "Which colour should it have?";

const inArtifacts = (name: string, text: string) => `printf '%s\\n' '${text}' > "$LAZARUS_ARTIFACTS/${name}"`;

const ACTS: Readonly<Record<Play, readonly Act[]>> = {
  work: [
    { run: "pwd && npm test" },
    { file: "greet.js", text: GREETING },
    { run: "npm test" },
    { run: 'git add -A && git commit -m "greet: say hello"' },
    { run: inArtifacts("reports/report.md", "The greeting works; npm test passes.") },
  ],
  question: [{ run: inArtifacts("question.md", QUESTION) }],
  answer: [{ run: 'echo blue > colour.txt && git add colour.txt && git commit -m "colour: blue"' }],
  again: [{ run: 'echo again >> again.txt && git add again.txt && git commit -m "again"' }],
  ...{ hang: [], unauthorized: [], limited: [], "no-credit": [], overloaded: [] },
};

const SHELLS = ["Bash", "bash", "shell", "shell_command", "exec_command", "run_shell_command"];
const WRITERS = ["Write", "write", "write_file", "apply_patch"];
/** What gemini asks a smaller model: how hard it is, and who speaks next. */
const JUDGEMENT = JSON.stringify({
  ...{ reasoning: "pretended", model_choice: "pro", next_speaker: "user" },
  ...{ complexity_reasoning: "pretended", complexity_score: 50 },
});
/**
 * How each turn ends: some agents put words of their own into the model's mouth, and those prove no session.
 */
const OURS = /I (?:began anew|went on from before)\.$/;
const ASKED = new RegExp(`play: (${PLAYS.join("|")})\\b`, "g");

/** Which play was asked for last, and how far it has come; null where none was. */
export function sceneOf({ items }: Conversation): Scene | null {
  for (let at = items.length - 1; at >= 0; at--) {
    const item = items[at];
    const play = item?.kind === "user" ? [...item.text.matchAll(ASKED)].at(-1)?.[1] : undefined;
    if (play === undefined) continue;
    const results = items.slice(at).flatMap((one) => (one.kind === "result" ? [one.text] : []));
    return {
      play: play as Play,
      step: results.length,
      results,
      isResumed: items.slice(0, at).some((one) => one.kind === "assistant" && OURS.test(one.text)),
    };
  }
  return null;
}

/** The next thing the model does. */
export function replyTo(conversation: Conversation): Reply {
  const scene = sceneOf(conversation);
  if (scene?.play === "hang") return { kind: "hang" };
  if (scene !== null && isFault(scene.play)) return { kind: "fault", fault: scene.play };
  // Agents ask for titles and the like beside the work, without any tools.
  if (scene === null || conversation.tools.length === 0) {
    return {
      kind: "say",
      text: conversation.wantsJson ? JUDGEMENT : "Noted.",
    };
  }
  const act = ACTS[scene.play][scene.step];
  if (act === undefined) return { kind: "say", text: lastWords(scene) };
  const call = callOf(act, { tools: conversation.tools, dir: workdirIn(scene.results) });
  if (call === null) return { kind: "say", text: "I was offered no tool that could do it." };
  return { kind: "call", text: scene.step === 0 ? "I begin." : "", call };
}

function isFault(play: Play): play is Fault {
  return FAULTS.some((fault) => fault === play);
}

function lastWords({ play, isResumed }: Scene): string {
  const from = isResumed ? "I went on from before." : "I began anew.";
  switch (play) {
    case "question":
      return `I asked a question. ${from}`;
    case "answer":
      return `It is blue now. ${from}`;
    case "again":
      return `I did it again. ${from}`;
    default:
      return `npm test passes, and it is committed. ${from}`;
  }
}

/** Of the first act, which says where it works: qwen insists on absolute paths. */
function workdirIn(results: readonly string[]): string {
  return /(?:^|\s)(\/[^\n]+?\/worktree)\s/.exec(results[0] ?? "")?.[1] ?? ".";
}

function callOf(act: Act, { tools, dir }: { tools: readonly Tool[]; dir: string }): Call | null {
  const named = (names: readonly string[]) => tools.find((tool) => names.includes(tool.name));
  if ("file" in act) {
    const writer = named(WRITERS);
    if (writer !== undefined) return { tool: writer.name, input: fileInput(writer, { ...act, dir }) };
  }
  const shell = named(SHELLS);
  if (shell === undefined) return null;
  const command = "file" in act ? `cat > ${act.file} <<'END'\n${act.text}END` : act.run;
  return { tool: shell.name, input: shellInput(shell, command) };
}

function fileInput(
  tool: Tool,
  { dir, file, text }: { dir: string; file: string; text: string },
): Call["input"] {
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => `+${line}\n`);
  const patch = `*** Begin Patch\n*** Add File: ${file}\n${lines.join("")}*** End Patch`;
  if (tool.isFreeform) return patch;
  if (tool.name === "apply_patch") return { input: patch };
  const path = ["file_path", "filePath", "path"].find((name) => name in tool.args) ?? "file_path";
  return { [path]: `${dir}/${file}`, content: text };
}

function shellInput(tool: Tool, command: string): Record<string, unknown> {
  const key = ["command", "cmd", "script"].find((name) => name in tool.args) ?? "command";
  return {
    [key]: tool.args[key] === "array" ? ["bash", "-c", command] : command,
    ...("description" in tool.args ? { description: "does the next step" } : {}),
    ...("is_background" in tool.args ? { is_background: false } : {}),
  };
}
