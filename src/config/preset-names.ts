/** The agents Lazarus knows how to start (backends/agents.ts). */
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

export const AGENT_NAME = /^[a-z][a-z0-9-]{0,31}$/;
