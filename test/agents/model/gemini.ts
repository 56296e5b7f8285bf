import { argsOf, type Item, list, type Protocol, record, textOf } from "./conversation.ts";

/** generateContent, as gemini speaks it. @see https://ai.google.dev/api/generate-content */
export const gemini: Protocol = {
  read(body, path) {
    const { contents, tools, generationConfig } = record(body);
    return {
      model: /models\/([^:/]+)/.exec(path)?.[1] ?? "",
      items: list(contents).flatMap(itemsOf),
      tools: list(tools).flatMap((group) =>
        list(record(group).functionDeclarations).map((one) => {
          const { name, parameters, parametersJsonSchema } = record(one);
          return { name: String(name), args: argsOf(parametersJsonSchema ?? parameters), isFreeform: false };
        }),
      ),
      isStream: path.includes(":streamGenerateContent"),
      wantsJson: record(generationConfig).responseMimeType === "application/json",
    };
  },

  write({ text, call }, { model }) {
    const parts = [
      ...(text === "" ? [] : [{ text }]),
      ...(call === null ? [] : [{ functionCall: { name: call.tool, args: call.input } }]),
    ];
    const document = {
      candidates: [{ content: { role: "model", parts }, finishReason: "STOP", index: 0 }],
      usageMetadata: { promptTokenCount: 100, candidatesTokenCount: 20, totalTokenCount: 120 },
      modelVersion: model,
    };
    return { document, events: [{ event: null, data: document }], end: null };
  },

  fault(fault) {
    const refuse = (code: number, status: string, message: string, details: unknown[] = []) => ({
      status: code,
      headers: {},
      body: { error: { code, message, status, details } },
    });
    switch (fault) {
      case "unauthorized":
        return refuse(401, "UNAUTHENTICATED", "API key not valid. Please pass a valid API key.", [
          { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" },
        ]);
      case "limited":
        return refuse(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota. Please retry in 1h0m0s.", [
          { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "3600s" },
        ]);
      case "no-credit":
        return refuse(
          429,
          "RESOURCE_EXHAUSTED",
          "Your prepayment credits are depleted. Please go to billing.",
        );
      case "overloaded":
        return refuse(503, "UNAVAILABLE", "The model is overloaded. Please try again later.");
    }
  },
};

function itemsOf(content: unknown): Item[] {
  const { role, parts } = record(content);
  const kind = role === "model" ? "assistant" : "user";
  return list(parts).flatMap((part): Item[] => {
    const { text, functionCall, functionResponse } = record(part);
    if (functionCall !== undefined) return [{ kind: "call", tool: String(record(functionCall).name) }];
    if (functionResponse !== undefined) {
      const { output, error, ...rest } = record(record(functionResponse).response);
      return [{ kind: "result", text: textOf(output ?? error ?? JSON.stringify(rest)) }];
    }
    return typeof text === "string" ? [{ kind, text }] : [];
  });
}
