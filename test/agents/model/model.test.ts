import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FAULTS } from "./conversation.ts";
import { type PretendedModel, startModel } from "./server.ts";

let model: PretendedModel;
beforeEach(async () => {
  model = await startModel();
});
afterEach(() => model.stop());

interface Vendor {
  readonly path: string;
  /** A request with a prompt, what the agent answered to each call so far, and a shell and a file tool. */
  body(turns: readonly string[]): unknown;
  /** The call or the words in an answer. */
  read(answer: never): unknown;
}

const schema = { type: "object", properties: { command: { type: "string" } } };
const fileSchema = {
  type: "object",
  properties: { file_path: { type: "string" }, content: { type: "string" } },
};

const VENDORS: Readonly<Record<string, Vendor>> = {
  anthropic: {
    path: "/t/v1/messages",
    body: ([prompt, ...results]) => ({
      model: "m",
      tools: [
        { name: "Bash", input_schema: schema },
        { name: "Write", input_schema: fileSchema },
      ],
      messages: [
        { role: "user", content: prompt },
        ...results.flatMap((text) => [
          { role: "assistant", content: [{ type: "tool_use", id: "1", name: "Bash", input: {} }] },
          { role: "user", content: [{ type: "tool_result", tool_use_id: "1", content: text }] },
        ]),
      ],
    }),
    read: (answer: { content: { text?: string; input?: unknown }[] }) =>
      answer.content.at(-1)?.input ?? answer.content.at(-1)?.text,
  },
  responses: {
    path: "/t/v1/responses",
    body: ([prompt, ...results]) => ({
      model: "m",
      tools: [{ type: "function", name: "exec_command", parameters: schema }],
      input: [
        { type: "message", role: "user", content: [{ type: "input_text", text: prompt }] },
        ...results.flatMap((output) => [
          { type: "function_call", name: "exec_command", arguments: "{}", call_id: "1" },
          { type: "function_call_output", call_id: "1", output },
        ]),
      ],
    }),
    read: (answer: { output: { arguments?: string; content?: { text: string }[] }[] }) => {
      const last = answer.output.at(-1);
      return last?.arguments === undefined ? last?.content?.[0]?.text : JSON.parse(last.arguments);
    },
  },
  chat: {
    path: "/t/v1/chat/completions",
    body: ([prompt, ...results]) => ({
      model: "m",
      tools: [
        { type: "function", function: { name: "bash", parameters: schema } },
        { type: "function", function: { name: "write_file", parameters: fileSchema } },
      ],
      messages: [
        { role: "user", content: prompt },
        ...results.flatMap((content) => [
          { role: "assistant", content: null, tool_calls: [{ id: "1", function: { name: "bash" } }] },
          { role: "tool", tool_call_id: "1", content },
        ]),
      ],
    }),
    read: (answer: {
      choices: { message: { content: string; tool_calls?: { function: { arguments: string } }[] } }[];
    }) => {
      const message = answer.choices[0]?.message;
      const call = message?.tool_calls?.[0];
      return call === undefined ? message?.content : JSON.parse(call.function.arguments);
    },
  },
  gemini: {
    path: "/t/v1beta/models/m:generateContent",
    body: ([prompt, ...results]) => ({
      tools: [
        {
          functionDeclarations: [
            { name: "run_shell_command", parametersJsonSchema: schema },
            { name: "write_file", parametersJsonSchema: fileSchema },
          ],
        },
      ],
      contents: [
        { role: "user", parts: [{ text: prompt }] },
        ...results.flatMap((output) => [
          { role: "model", parts: [{ functionCall: { name: "run_shell_command", args: {} } }] },
          { role: "user", parts: [{ functionResponse: { name: "x", response: { output } } }] },
        ]),
      ],
    }),
    read: (answer: {
      candidates: { content: { parts: { text?: string; functionCall?: { args: unknown } }[] } }[];
    }) => {
      const part = answer.candidates[0]?.content.parts.at(-1);
      return part?.functionCall?.args ?? part?.text;
    },
  },
};

async function ask(vendor: Vendor, turns: readonly string[], more = {}): Promise<Response> {
  const body = JSON.stringify({ ...(vendor.body(turns) as object), ...more });
  return fetch(`${model.url}${vendor.path}`, { method: "POST", body });
}

describe.each(Object.entries(VENDORS))("the pretended model as %s", (_, vendor) => {
  it("plays work to its end, by what the tools answer", async () => {
    const turns = ["Do it.\nplay: work"];
    const said: unknown[] = [];
    for (let step = 0; step < 6; step++) {
      said.push(vendor.read((await (await ask(vendor, turns)).json()) as never));
      turns.push(step === 0 ? "/a cell/one/worktree\n\nnot ok" : "done");
    }
    expect(said[0]).toEqual({ command: "pwd && npm test" });
    expect(JSON.stringify(said[1])).toContain("Hello, ");
    expect(said[3]).toMatchObject({ command: expect.stringContaining("git commit") });
    expect(said[5]).toBe("npm test passes, and it is committed. I began anew.");
    expect(model.asked.at(-1)?.scene).toMatchObject({ play: "work", step: 5, isResumed: false });
  });

  it.each(FAULTS)("refuses as that vendor does: %s", async (fault) => {
    const answer = await ask(vendor, [`play: ${fault}`]);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(await answer.json()).toHaveProperty("error");
  });

  it("answers what is asked beside the work", async () => {
    const answer = await ask(vendor, ["Give it a title."], { tools: [] });
    expect(vendor.read((await answer.json()) as never)).toBe("Noted.");
  });
});

it("knows a session that goes on by its own earlier words", async () => {
  const turns = (earlier: string) => ({
    messages: [
      { role: "user", content: "play: question" },
      { role: "assistant", content: earlier },
      { role: "user", content: "Blue. play: answer" },
    ],
  });
  const vendor = VENDORS.chat as Vendor;
  await ask(vendor, [], turns("I asked a question. I began anew."));
  expect(model.asked.at(-1)?.scene).toMatchObject({ play: "answer", step: 0, isResumed: true });
  await ask(vendor, [], turns("Got it. Thanks for the context!"));
  expect(model.asked.at(-1)?.scene).toMatchObject({ play: "answer", isResumed: false });
});
