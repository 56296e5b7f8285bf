/** The agents that Lazarus knows how to start: `backends/presets.ts` has a command for each. */
export const PRESET_NAMES = [
  "hermes",
  "claude",
  "codex",
  "opencode",
  "gemini",
  "qwen",
  "aider",
  "demo",
] as const;
export type PresetName = (typeof PRESET_NAMES)[number];
