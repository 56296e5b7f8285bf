import { describe, expect, it } from "vitest";
import { EXIT_CLASSES, EXITS, type ExitClass, exitOf, type StopCause } from "../../src/cells/exit.ts";
import { signsIn } from "../../src/runner/collect/log-signs.ts";
import { harvest, nothingLeft } from "../fakes/control-rig.ts";
import { growth } from "../fakes/growth.ts";

const NOW = Date.UTC(2026, 10, 21, 14, 2, 11);

interface Left {
  readonly preset?: string | null;
  readonly code?: number | null;
  readonly signal?: string | null;
  readonly stopped?: string | null;
  readonly stopCause?: StopCause;
  readonly isAutomatic?: boolean;
  readonly log?: string;
  /** What lies in git, and whether this run put it there. */
  readonly work?: "none" | "new" | "old";
  readonly question?: string;
  readonly oom?: boolean;
  readonly overMemory?: boolean;
  readonly reboot?: boolean;
}

function found(left: Left) {
  const { preset = null, work = "none", code = 0, signal = null, stopped = null } = left;
  const signs = {
    ...signsIn(left.log ?? "", { isKnown: preset !== null, at: NOW }),
    isOutOfMemory: left.oom ?? false,
    isOverMemory: left.overMemory ?? false,
    isRebooted: left.reboot ?? false,
  };
  const made = work === "none" ? nothingLeft() : harvest();
  return exitOf({
    run: {
      ...{ code, signal, stopped, isAutomatic: left.isAutomatic ?? false },
      stopCause: left.stopCause ?? (stopped === null ? null : "asked"),
    },
    preset,
    harvest: { ...made, question: left.question ?? null, signs },
    isNew: work === "new",
  });
}

const event = (fields: object) => `${JSON.stringify(fields)}\n`;
const claude = (more: object) =>
  event({ type: "system", subtype: "init", session_id: "x" }) +
  event({
    type: "assistant",
    message: { content: [{ type: "text", text: "I fixed the 401 and the rate limit" }] },
  }) +
  event({
    type: "result",
    subtype: "success",
    is_error: false,
    result: "Done",
    total_cost_usd: 0.1,
    ...more,
  });

const GONE = { code: null } as const;
const TABLE: [string, Left, ExitClass][] = [
  ["a script that made something", { work: "new" }, "done"],
  ["a script that made nothing", {}, "nothing-changed"],
  ["claude, well", { preset: "claude", log: claude({}), work: "new" }, "done"],
  ["claude, well, with nothing to do", { preset: "claude", log: claude({}) }, "nothing-changed"],
  [
    "claude, an error in the middle",
    {
      preset: "claude",
      log: claude({ subtype: "error_during_execution", is_error: true }),
      code: 1,
      work: "new",
    },
    "crashed",
  ],
  [
    "claude over its budget",
    {
      preset: "claude",
      log: claude({ subtype: "error_max_budget_usd", is_error: true }),
      code: 1,
      work: "new",
    },
    "over-limit",
  ],
  [
    "claude over its turns",
    { preset: "claude", log: claude({ subtype: "error_max_turns", is_error: true }), code: 1 },
    "over-limit",
  ],
  [
    "claude over its quota",
    {
      preset: "claude",
      log: claude({ is_error: true, result: "Claude AI usage limit reached|1795275000" }),
      code: 1,
    },
    "quota",
  ],
  [
    "claude over its session limit, with work",
    {
      preset: "claude",
      log: claude({ is_error: true, result: "You've hit your limit · resets 3pm (UTC)" }),
      code: 1,
      work: "new",
    },
    "quota",
  ],
  [
    "claude without a key",
    {
      preset: "claude",
      log: claude({ is_error: true, result: "Invalid API key · Please run /login" }),
      code: 1,
    },
    "not-logged-in",
  ],
  [
    "claude over its rate, as 2.1.197 says it",
    {
      preset: "claude",
      log: claude({
        ...{ is_error: true, api_error_status: 429 },
        result:
          "API Error: Request rejected (429) · This request would exceed your organization's rate limit",
      }),
      code: 1,
    },
    "quota",
  ],
  [
    "claude with a key that is refused, as 2.1.197 says it",
    {
      preset: "claude",
      log: claude({
        is_error: true,
        api_error_status: 401,
        result: "Failed to authenticate. Fix external API key",
      }),
      code: 1,
    },
    "not-logged-in",
  ],
  [
    "claude whose model is overloaded",
    {
      preset: "claude",
      log: claude({
        ...{ is_error: true, api_error_status: 529 },
        result:
          "API Error: Repeated 529 Overloaded errors. The API is at capacity: this is usually temporary.",
      }),
      code: 1,
    },
    "crashed",
  ],
  [
    "claude whose request was refused for want of money",
    {
      preset: "claude",
      log: claude({ is_error: true, api_error_status: 400, result: "Credit balance is too low" }),
      code: 1,
    },
    "no-credit",
  ],
  [
    "opencode whose account has no money, as 1.18.33 says it",
    {
      preset: "opencode",
      log: event({
        type: "error",
        error: {
          name: "APIError",
          data: {
            ...{ message: "You exceeded your current quota, please check your plan and billing details." },
            ...{ statusCode: 429, isRetryable: true },
            responseBody: '{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}',
          },
        },
      }),
      code: 1,
    },
    "no-credit",
  ],
  [
    "qwen whose account has no money, as 0.15.10 says it",
    {
      preset: "qwen",
      log: event({
        ...{ type: "result", subtype: "success", is_error: false },
        result:
          "[API Error: 429 You exceeded your current quota, please check your plan and billing details.]",
      }),
      code: 0,
    },
    "no-credit",
  ],
  [
    "gemini over a quota that resets",
    {
      preset: "gemini",
      log: event({
        ...{ type: "result", status: "error" },
        error: {
          type: "unknown",
          message:
            "You exceeded your current quota, please check your plan and billing details. Please retry in 37s.",
        },
      }),
      code: 1,
    },
    "quota",
  ],
  [
    "opencode over its rate, as 1.18.33 says it",
    {
      preset: "opencode",
      log: event({
        type: "error",
        error: {
          name: "APIError",
          data: {
            ...{ message: "Rate limit reached for requests", statusCode: 429, isRetryable: true },
            responseBody: '{"error":{"type":"requests","code":"rate_limit_exceeded"}}',
          },
        },
      }),
      code: 1,
    },
    "quota",
  ],
  [
    "gemini whose prepaid credits are gone",
    {
      preset: "gemini",
      log: event({
        ...{ type: "result", status: "error" },
        error: { type: "unknown", message: "Your prepayment credits are depleted. Please go to billing." },
      }),
      code: 1,
    },
    "no-credit",
  ],
  [
    "claude not logged in, in words",
    { preset: "claude", log: "Not logged in · Please run /login\n", code: 1 },
    "not-logged-in",
  ],
  [
    "claude with a token that is over",
    {
      preset: "claude",
      log: claude({
        is_error: true,
        result:
          'API Error: 401 {"type":"error","error":{"type":"authentication_error","message":"OAuth token has expired."}}',
      }),
      code: 1,
    },
    "not-logged-in",
  ],
  [
    "claude without money",
    { preset: "claude", log: claude({ is_error: true, result: "Credit balance is too low" }), code: 1 },
    "no-credit",
  ],
  [
    "codex without money",
    {
      preset: "codex",
      log:
        event({ type: "error", message: "Quota exceeded. Check your plan and billing details." }) +
        event({
          type: "turn.failed",
          error: { message: "Quota exceeded. Check your plan and billing details." },
        }),
      code: 1,
    },
    "no-credit",
  ],
  [
    "opencode without money",
    {
      preset: "opencode",
      log: event({
        type: "error",
        error: { name: "APIError", data: { message: "Insufficient Balance", statusCode: 402 } },
      }),
      code: 1,
    },
    "no-credit",
  ],
  [
    "opencode without money, in a number only",
    {
      preset: "opencode",
      log: event({ type: "error", error: { name: "APIError", data: { message: "no", statusCode: 402 } } }),
      code: 1,
    },
    "no-credit",
  ],
  [
    "gemini without money",
    {
      preset: "gemini",
      log: event({
        type: "result",
        status: "error",
        error: { type: "Error", message: "Your prepayment credits are depleted. Please go to billing." },
      }),
      code: 173,
    },
    "no-credit",
  ],
  [
    "qwen without money, with exit 0",
    {
      preset: "qwen",
      log: event({
        type: "result",
        subtype: "success",
        is_error: false,
        result: "[API Error: 429 You exceeded your current quota (insufficient_quota)]",
      }),
    },
    "no-credit",
  ],
  [
    "claude over a limit with a day and a zone",
    {
      preset: "claude",
      log: claude({
        is_error: true,
        result:
          "You have reached your specified API usage limits. You will regain access on 2026-11-28 at 04:00 UTC.",
      }),
      code: 1,
    },
    "quota",
  ],
  [
    "claude, server overloaded",
    { preset: "claude", log: claude({ is_error: true, result: "API Error: 529 overloaded" }), code: 1 },
    "crashed",
  ],
  ["claude ended by somebody's TERM", { preset: "claude", log: "", code: 143, signal: "TERM" }, "crashed"],
  [
    "codex, well",
    {
      preset: "codex",
      log: event({ type: "thread.started", thread_id: "1" }) + event({ type: "turn.completed", usage: {} }),
      work: "new",
    },
    "done",
  ],
  [
    "codex, 401",
    {
      preset: "codex",
      log: event({
        type: "turn.failed",
        error: {
          message: "unexpected status 401 Unauthorized: Missing bearer or basic authentication in header",
        },
      }),
      code: 1,
    },
    "not-logged-in",
  ],
  [
    "codex over its limit",
    {
      preset: "codex",
      log: event({
        type: "turn.failed",
        error: {
          message: "You've hit your usage limit. Upgrade to Pro, or try again in 3 days 3 hours 12 minutes.",
        },
      }),
      code: 1,
    },
    "quota",
  ],
  [
    "codex, a stream that broke and was taken up again",
    {
      preset: "codex",
      log: event({ type: "error", message: "Reconnecting... 1/5" }) + event({ type: "turn.completed" }),
      work: "new",
    },
    "done",
  ],
  [
    "codex, a stream that broke",
    {
      preset: "codex",
      log:
        event({ type: "error", message: "Reconnecting... 5/5" }) +
        event({ type: "turn.failed", error: { message: "stream disconnected before completion" } }),
      code: 1,
      work: "new",
    },
    "crashed",
  ],
  [
    "opencode, well",
    {
      preset: "opencode",
      log: event({ type: "step_finish", sessionID: "s", part: { reason: "stop" } }),
      work: "new",
    },
    "done",
  ],
  [
    "opencode, 401",
    {
      preset: "opencode",
      log: event({
        type: "error",
        sessionID: "s",
        error: { name: "APIError", data: { message: "invalid x-api-key", statusCode: 401 } },
      }),
      code: 1,
    },
    "not-logged-in",
  ],
  [
    "opencode, 401 in a number only",
    {
      preset: "opencode",
      log: event({ type: "error", error: { name: "APIError", data: { message: "no", statusCode: 401 } } }),
      code: 1,
    },
    "not-logged-in",
  ],
  [
    "opencode, 429",
    {
      preset: "opencode",
      log: event({
        type: "error",
        error: { name: "APIError", data: { message: "Too Many Requests", statusCode: 429 } },
      }),
      code: 1,
    },
    "quota",
  ],
  ["gemini, 401 by its code alone", { preset: "gemini", log: "", code: 145 }, "not-logged-in"],
  [
    "gemini without credentials",
    { preset: "gemini", log: "Please set an Auth method in your settings.json\n", code: 41 },
    "not-logged-in",
  ],
  ["gemini, 429 by its code alone", { preset: "gemini", log: "", code: 173 }, "quota"],
  ["gemini in a directory it does not trust", { preset: "gemini", code: 55 }, "cannot-run"],
  ["gemini over its turns", { preset: "gemini", code: 53, work: "new" }, "over-limit"],
  [
    "gemini over its quota",
    {
      preset: "gemini",
      code: 1,
      log: event({
        type: "result",
        status: "error",
        error: {
          type: "Error",
          message:
            "RESOURCE_EXHAUSTED: You exceeded your current quota, please check your plan and billing details. Please retry in 34.07s.",
        },
      }),
    },
    "quota",
  ],
  [
    "qwen, 401 with exit 0",
    {
      preset: "qwen",
      log: event({
        type: "result",
        subtype: "success",
        is_error: false,
        result: "[API Error: 401 Incorrect API key provided]",
      }),
    },
    "not-logged-in",
  ],
  [
    "qwen, 401 with exit 0 after some work",
    {
      preset: "qwen",
      log: event({
        type: "result",
        subtype: "success",
        is_error: false,
        result: "[API Error: 401 Incorrect API key provided]",
      }),
      work: "new",
    },
    "not-logged-in",
  ],
  [
    "qwen in text, 401",
    { preset: "qwen", log: "[API Error: 401 Incorrect API key provided]\n", code: 1 },
    "not-logged-in",
  ],
  [
    "aider, 401 with exit 0",
    { preset: "aider", log: "litellm.AuthenticationError: AnthropicException - invalid x-api-key\n" },
    "not-logged-in",
  ],
  [
    "aider, a limit with exit 0",
    { preset: "aider", log: "litellm.RateLimitError: Rate limit reached. Please try again in 20s.\n" },
    "quota",
  ],
  [
    "aider, a limit, but work",
    {
      preset: "aider",
      log: "litellm.RateLimitError: Rate limit reached. Retrying in 0.2 seconds\nCommit a1b2c3d\n",
      work: "new",
    },
    "done",
  ],
  ["hermes, empty", { preset: "hermes", log: "session_id: 1\n", code: 1 }, "crashed"],
  [
    "hermes without a key",
    { preset: "hermes", log: "Error: No API key found for provider openrouter\n", code: 2 },
    "not-logged-in",
  ],
  ["a program that is not there", { code: 127, log: "sh: 1: hermes: not found\n" }, "cannot-run"],
  ["a program that cannot be executed", { code: 126 }, "cannot-run"],
  ["a script that failed", { code: 3 }, "crashed"],
  ["a script that failed after work", { code: 3, work: "new" }, "crashed"],
  ["a script that crashed", { code: 139, signal: "SEGV", work: "new" }, "crashed"],
  ["killed by nobody knows whom", { code: 137, signal: "KILL" }, "crashed"],
  ["killed for lack of memory", { code: 137, signal: "KILL", oom: true, work: "new" }, "machine"],
  ["killed at its own limit of memory", { code: 137, signal: "KILL", overMemory: true }, "over-limit"],
  ["done, though something of it came to that limit", { overMemory: true, work: "new" }, "done"],
  ["killed with its shim for lack of memory", { ...GONE, oom: true }, "machine"],
  ["an exit while somebody else was killed for lack of memory", { code: 3, oom: true }, "crashed"],
  ["the machine was started anew", { ...GONE, reboot: true, work: "new" }, "machine"],
  ["ended while the machine went down", { code: 143, signal: "TERM", reboot: true }, "machine"],
  ["done before the machine went down", { reboot: true, work: "new" }, "done"],
  ["gone", GONE, "lost"],
  ["gone, its log says it was over its quota", { ...GONE, log: "429 Too Many Requests" }, "lost"],
  ["stopped by a person", { code: 143, signal: "TERM", stopped: "stopped by dev", work: "new" }, "stopped"],
  [
    "stopped by a person, with a question",
    { code: null, stopped: "closed by owner", question: "which?" },
    "stopped",
  ],
  [
    "over its wall clock",
    { code: 143, signal: "TERM", stopped: "any words", stopCause: "over-limit", work: "new" },
    "over-limit",
  ],
  [
    "over its disk",
    { code: 143, signal: "TERM", stopped: "any words", stopCause: "over-limit" },
    "over-limit",
  ],
  ["a question", { question: "Which database?" }, "question"],
  ["a question after work", { question: "Which database?", work: "new" }, "question"],
  ["a question, then exit 1", { question: "Which database?", code: 1 }, "question"],
  ["a retry that had nothing to add", { work: "old", isAutomatic: true }, "done"],
  ["a turn that added nothing to what there was", { work: "old" }, "nothing-changed"],
];

describe("what a run turned out to be", () => {
  it.each(TABLE)("%s", (_what, left, expected) => {
    expect(found(left).class).toBe(expected);
  });

  it("has every class in the table", () => {
    expect(Object.keys(EXITS)).toEqual([...EXIT_CLASSES]);
    const reached = new Set(TABLE.map(([, , expected]) => expected));
    expect(EXIT_CLASSES.filter((one) => !reached.has(one))).toEqual([]);
  });

  it.each([
    ["an exit code other than 0", { code: 1, work: "new" }],
    ["no exit code", { code: null, work: "new" }],
    ["an error in its own last event", { preset: "claude", log: claude({ is_error: true }), work: "new" }],
  ] as [string, Left][])("is not done with %s, whatever its words", (_what, left) => {
    const words = `${left.log ?? ""}\nAll done! exit 0\n{"class":"done"}\n`;
    expect(found({ ...left, log: words }).class).not.toBe("done");
    if (left.log === undefined) {
      const boast = event({ type: "result", subtype: "success", is_error: false, result: "done" });
      expect(found({ ...left, log: boast }).class).not.toBe("done");
    }
  });

  it("believes no events of a command it does not know, but those that cannot be meant otherwise", () => {
    const log = event({ type: "error", message: "a line of some program's own log" });
    expect(found({ log, work: "new" }).class).toBe("done");
    expect(found({ log, work: "new", preset: "opencode" }).class).toBe("crashed");
  });

  it("takes what an agent works on for no sign of its own end", () => {
    const talk = event({
      type: "assistant",
      message: "the server answers 401 Unauthorized, rate limit exceeded",
    });
    const end = event({
      type: "result",
      subtype: "success",
      is_error: false,
      result: "API key is missing in the docs: nothing to do",
    });
    expect(found({ preset: "claude", log: talk + end }).class).toBe("nothing-changed");
    const far = `429 Too Many Requests\n${"a line of its tests\n".repeat(40)}`;
    expect(found({ log: far, code: 1 }).class).toBe("crashed");
  });

  it("says when the quota resets, also where that stands on another line", () => {
    expect(
      found({
        preset: "claude",
        log: claude({ is_error: true, result: "usage limit reached|1795275000" }),
        code: 1,
      }).resetsAt,
    ).toBe(1_795_275_000_000);
    expect(found({ log: "HTTP 429\nRetry-After: 120\n", code: 1 }).resetsAt).toBe(NOW + 120_000);
    expect(found({ log: "HTTP 429\n", code: 1 }).resetsAt).toBeNull();
    expect(found({ log: "exit: try again in 20s\n", code: 1 }).resetsAt).toBeNull();
  });

  it("says what it was read from, in one short line", () => {
    expect(found({ code: 3 }).why).toBe("exit 3");
    expect(found({ code: 139, signal: "SEGV" }).why).toBe("signal SEGV");
    const log = event({
      type: "turn.failed",
      error: { message: `stream disconnected\nat ${"x".repeat(9_000)}` },
    });
    expect(found({ preset: "codex", log, code: 1 })).toMatchObject({
      ...{ why: "exit 1", says: "stream disconnected" },
    });
    const long = found({ log: `429 too many requests ${"y".repeat(9_000)}`, code: 1 }).says ?? "";
    expect(long.length).toBeGreaterThan(100);
    expect(long.length).toBeLessThan(210);
  });

  it.each<[string, (n: number) => string]>([
    ["what is not whole", () => "{"],
    ["what has a type that is none", () => '{"type":1}'],
    ["a result without words", () => '{"type":"result"}'],
    ["lists in lists", () => '{"type":"error","error":[[[[[]]]]]}'],
    ["errors in errors", (n) => `{"type":"error","message":${'{"error":'.repeat(n)}1${"}".repeat(n + 1)}`],
    ["zeros", (n) => "\u0000".repeat(n)],
    ["resets", (n) => "resets ".repeat(n)],
    ["limits", (n) => "limit ".repeat(n)],
  ])("takes twice as long for twice as much, and never throws: %s", (_, line) => {
    const work = (n: number) => found({ log: `${line(n)}\n`.repeat(20), code: 1, preset: "claude" });
    expect(growth(work, { from: 125, most: 4_000 })).toBeLessThan(3);
  });
});
