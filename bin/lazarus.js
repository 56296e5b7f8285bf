#!/usr/bin/env node
import { existsSync } from "node:fs";

const built = new URL("../dist/cli/main.js", import.meta.url);
if (!existsSync(built)) {
  process.stderr.write("lazarus: it is not built yet: run `bash scripts/setup` in the checkout\n");
  process.exit(2);
}
// Whoever reads has read enough: `lazarus status | head`.
process.stdout.on("error", (error) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
// `lazarus doctor` says it, where there is a bucket; else each command that opens one would.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
const { main } = await import(built.href);
await main(process.argv);
