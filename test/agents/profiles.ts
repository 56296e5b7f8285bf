import type { ProgramName } from "./programs.ts";

/**
 * How an operator would configure one agent for a model at a base address; everything else is the preset's.
 */
export interface Profile {
  /** Secrets, passed through from the environment of Lazarus. */
  readonly env: Readonly<Record<string, string>>;
  readonly set: Readonly<Record<string, string>>;
  /** Files of the home template. */
  readonly home: Readonly<Record<string, string>>;
  readonly model?: string;
}

const KEY = "pretended-key";
/** Else it tries for three minutes. */
const FEW_RETRIES = { CLAUDE_CODE_MAX_RETRIES: "2" };

export const PROFILES: { readonly [Name in ProgramName]: (url: string) => Profile } = {
  claude: (url) => ({
    env: { ANTHROPIC_API_KEY: KEY },
    set: { ANTHROPIC_BASE_URL: url, ...FEW_RETRIES },
    home: {},
  }),
  codex: (url) => ({
    env: { OPENAI_API_KEY: KEY },
    set: {},
    home: {
      "codex/config.toml": [
        'model_provider = "here"',
        "[model_providers.here]",
        'name = "here"',
        `base_url = "${url}/v1"`,
        'wire_api = "responses"',
        'env_key = "OPENAI_API_KEY"',
        "request_max_retries = 1",
        "stream_max_retries = 1",
        "",
      ].join("\n"),
    },
    model: "pretended-gpt",
  }),
  opencode: (url) => ({
    env: { OPENAI_API_KEY: KEY },
    set: {},
    home: {
      "opencode/opencode.json": JSON.stringify({
        provider: {
          here: {
            npm: "@ai-sdk/openai-compatible",
            options: { baseURL: `${url}/v1`, apiKey: "{env:OPENAI_API_KEY}" },
            models: { pretended: {} },
          },
        },
      }),
    },
    model: "here/pretended",
  }),
  gemini: (url) => ({
    env: { GEMINI_API_KEY: KEY },
    set: { GOOGLE_GEMINI_BASE_URL: url },
    home: {},
    model: "gemini-pretended",
  }),
  qwen: (url) => ({
    env: { OPENAI_API_KEY: KEY },
    set: { OPENAI_BASE_URL: `${url}/v1` },
    home: {},
    model: "pretended",
  }),
};
