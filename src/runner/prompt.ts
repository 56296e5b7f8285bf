import type { CellSpec, RunPrompt } from "../protocol/shapes.ts";

/** A run, as far as the text that it starts with depends on it. */
export interface PromptedRun {
  readonly cell: Pick<CellSpec, "id" | "brief">;
  readonly run: number;
  readonly agent: string;
  readonly prompt: RunPrompt;
  /** Its agent goes on with the session it had in this cell. */
  readonly isResumed: boolean;
}

/**
 * The exact text that a run starts with. The first run's is the brief, byte for byte. Later an agent that
 * goes on with its session gets only what is new; any other one gets that and the brief, or, where both
 * together are too long for it, is told where the brief lies. Pure.
 */
export function promptText(of: PromptedRun, fits: (text: string) => boolean): string {
  const { cell, prompt, isResumed } = of;
  if (prompt.kind === "brief") return cell.brief;
  if (isResumed) return told(of, "The mission is in the file `$LAZARUS_MISSION`.");
  const whole = `${told(of, "The mission stands below.")}\n---\n\n${cell.brief}`;
  if (fits(whole)) return whole;
  return told(of, "The mission is in the file `$LAZARUS_MISSION`: read all of it before you begin.");
}

function told({ cell, run, agent, prompt, isResumed }: PromptedRun, mission: string): string {
  const head = `# Run ${run} in cell ${cell.id.slice(0, 8)}: you are ${agent}`;
  return `${head}\n\n${memory(agent, prompt, isResumed)} ${mission}\n\n${prompt.text.trim()}\n`;
}

function memory(agent: string, { earlier }: RunPrompt, isResumed: boolean): string {
  if (isResumed) return "You worked here before, and this session goes on.";
  if (earlier.includes(agent))
    return "You worked here before, but that session is not at hand: see `git log` and the tree for what you did.";
  if (earlier.length === 0) return "This is your first run here.";
  const others = earlier.join(", ");
  return `This is your first run here. ${others} worked here before you: see \`git log\` and the tree for what was done.`;
}
