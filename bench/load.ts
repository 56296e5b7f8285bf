import { Agent, request } from "node:http";
import type { Delivery } from "./forge.ts";

const ACCEPTED = JSON.stringify({ accepted: true });

/**
 * Posts every delivery once over so many kept connections, each sending its next one when the last was
 * answered. Answers how many were acknowledged per second; fails where one is not `accepted`.
 */
export async function acksPerSecond(
  url: string,
  deliveries: readonly Delivery[],
  connections: number,
): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const queue = deliveries.values();
  const began = performance.now();
  try {
    // One iterator for all: whoever is free takes the next.
    await Promise.all(
      Array.from({ length: connections }, async () => {
        for (const delivery of queue) await post(url, delivery, agent);
      }),
    );
    return deliveries.length / ((performance.now() - began) / 1_000);
  } finally {
    agent.destroy();
  }
}

function post(url: string, { headers, body }: Delivery, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = { ...headers, "Content-Length": Buffer.byteLength(body) };
    const asked = request(`${url}/webhooks/gitea`, { method: "POST", agent, headers: sent }, (answer) => {
      let said = "";
      answer.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
      answer.once("error", reject);
      answer.once("end", () => {
        if (answer.statusCode === 202 && said === ACCEPTED) resolve();
        else reject(new Error(`a delivery was answered ${answer.statusCode} ${said}`));
      });
    });
    asked.once("error", reject);
    asked.end(body);
  });
}
