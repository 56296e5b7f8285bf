import type { Fault, Refusal } from "./conversation.ts";

/** How OpenAI refuses, on both of its APIs. @see https://platform.openai.com/docs/guides/error-codes */
export function openaiFault(fault: Fault): Refusal {
  const refuse = (status: number, error: Record<string, unknown>) => ({
    status,
    headers: {},
    body: { error: { param: null, ...error } },
  });
  switch (fault) {
    case "unauthorized": {
      const message = "Incorrect API key provided: pretended. You can find your API key in your account.";
      return refuse(401, { message, type: "invalid_request_error", code: "invalid_api_key" });
    }
    case "limited": {
      const message = "Rate limit reached for requests per day. Please try again in 1h0m0s.";
      return refuse(429, { message, type: "requests", code: "rate_limit_exceeded" });
    }
    case "no-credit": {
      const message = "You exceeded your current quota, please check your plan and billing details.";
      return refuse(429, { message, type: "insufficient_quota", code: "insufficient_quota" });
    }
    case "overloaded": {
      const message = "The engine is currently overloaded, please try again later";
      return refuse(503, { message, type: "server_error", code: null });
    }
  }
}
