import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { anthropic } from "./anthropic.ts";
import { chat } from "./chat.ts";
import type { Conversation, Protocol, Reply } from "./conversation.ts";
import { gemini } from "./gemini.ts";
import { responses } from "./responses.ts";
import { replyTo, type Scene, sceneOf } from "./script.ts";

/** One request that an agent made. */
export interface Asked {
  /** The first part of the path: whoever configures the agent tells its requests apart by it. */
  readonly tag: string;
  readonly path: string;
  readonly model: string;
  readonly tools: readonly string[];
  readonly scene: Scene | null;
  readonly reply: Reply | null;
}

export interface PretendedModel {
  /** `http://127.0.0.1:PORT`; below `/TAG` each vendor's own paths. */
  readonly url: string;
  readonly asked: readonly Asked[];
  stop(): Promise<void>;
}

const PATHS: readonly [RegExp, Protocol][] = [
  [/\/messages$/, anthropic],
  [/\/responses$/, responses],
  [/\/chat\/completions$/, chat],
  [/:(stream)?[gG]enerateContent$/, gemini],
];

/**
 * Starts a model that plays the script of `script.ts`, in the words of four vendors, on a free port of
 * loopback.
 */
export async function startModel(): Promise<PretendedModel> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    answer(request, response, asked).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  // An agent that waits before it tries again must not meet a connection that is just being closed.
  server.keepAliveTimeout = 600_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, asked: Asked[]): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const url = new URL(request.url ?? "/", "http://model");
  const [, tag = "", ...rest] = url.pathname.split("/");
  const path = `/${rest.join("/")}`;
  const protocol = PATHS.find(([pattern]) => pattern.test(path))?.[1];
  const note = (more: Partial<Asked>) =>
    asked.push({ tag, path, model: "", tools: [], scene: null, reply: null, ...more });
  if (protocol === undefined || request.method !== "POST") {
    note({});
    besides(path, response);
    return;
  }
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8") || "{}");
  const conversation = protocol.read(body, path);
  const reply = replyTo(conversation);
  const { model, tools } = conversation;
  note({ model, tools: tools.map((tool) => tool.name), scene: sceneOf(conversation), reply });
  speak({ response, protocol, conversation }, reply);
}

interface Line {
  readonly response: ServerResponse;
  readonly protocol: Protocol;
  readonly conversation: Conversation;
}

function speak({ response, protocol, conversation }: Line, reply: Reply): void {
  // The agent waits; whoever ends it closes the connection.
  if (reply.kind === "hang") return;
  if (reply.kind === "fault") {
    const { status, headers, body } = protocol.fault(reply.fault);
    document(response, body, { status, headers });
    return;
  }
  const written = protocol.write(
    { text: reply.text, call: reply.kind === "call" ? reply.call : null },
    conversation,
  );
  if (!conversation.isStream) {
    document(response, written.document);
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  for (const { event, data } of written.events) {
    response.write(`${event === null ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`);
  }
  response.end(written.end === null ? undefined : `data: ${written.end}\n\n`);
}

/** What agents ask beside the work: how many tokens something has, which models there are. */
const BESIDES: readonly [string, unknown][] = [
  ["/count_tokens", { input_tokens: 100 }],
  [":countTokens", { totalTokens: 100 }],
  ["/models", { object: "list", data: [], models: [] }],
];

function besides(path: string, response: ServerResponse): void {
  const known = BESIDES.find(([end]) => path.endsWith(end));
  const unknown = { error: { message: `${path} is not pretended` } };
  document(response, known?.[1] ?? unknown, { status: known === undefined ? 404 : 200, headers: {} });
}

function document(
  response: ServerResponse,
  body: unknown,
  { status, headers }: { status: number; headers: Readonly<Record<string, string>> } = {
    status: 200,
    headers: {},
  },
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}
