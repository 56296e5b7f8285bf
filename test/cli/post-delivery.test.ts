import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { postDelivery } from "../../src/cli/post-delivery.ts";
import { startListener } from "../e2e/listener.ts";
import { FIXTURES } from "../fakes/recorded.ts";

it("signs a recorded delivery anew and posts it as it was", async () => {
  const listener = await startListener();
  const file = join(FIXTURES, "gitea/12-comment-created-api.json");
  const { status } = await postDelivery(file, { url: listener.url, secret: "of my own", secrets: [] });
  expect(status).toBe(202);
  const [got] = listener.received;
  expect(got?.headers["x-gitea-event-type"]).toBe("issue_comment");
  const body = (await import(file, { with: { type: "json" } })).default.body as string;
  const digest = createHmac("sha256", "of my own").update(body).digest("hex");
  expect(got?.headers["x-hub-signature-256"]).toBe(`sha256=${digest}`);
  expect(got?.headers["x-gitea-signature"]).toBe(digest);
  await listener.stop();
  await expect(postDelivery(file, { url: listener.url, secret: "x", secrets: [] })).rejects.toMatchObject({
    code: "forge-unreachable",
  });
});

it("refuses a file that is no recorded delivery", async () => {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-hook-"));
  writeFileSync(join(dir, "x.json"), '{"headers": 1}');
  for (const name of ["x.json", "missing.json"])
    await expect(
      postDelivery(join(dir, name), { url: "http://127.0.0.1:9", secret: "x", secrets: [] }),
    ).rejects.toMatchObject({ code: "usage" });
  rmSync(dir, { recursive: true });
});
