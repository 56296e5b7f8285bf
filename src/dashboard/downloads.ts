import type { ServerResponse } from "node:http";
import { isBeingSetUp } from "../cells/cell.ts";
import { SETUP_LOG } from "../cells/names.ts";
import type { Ask, Shown } from "./deps.ts";
import { html } from "./html.ts";
import { logText } from "./log-lines.ts";
import { findOne, mustExecute } from "./pages/find-cell.ts";
import { message, words } from "./pages/pieces.ts";

const MOST_LOG_BYTES = 16 * 1024 * 1024;
const MOST_ARTIFACT_BYTES = 64 * 1024 * 1024;

/** Sends a run's log as text, secrets hidden; else answers the page that says why not. */
export async function sendLog(ask: Ask, response: ServerResponse): Promise<Shown | null> {
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const refusal = await mustExecute(ask, found);
  if (refusal !== null) return refusal;
  const { d, params } = ask;
  const n = Number(params.n);
  const run = Number.isSafeInteger(n) ? d.registry.run(found.cell.id, n) : null;
  const hidden = d.files.unhidden(found.cell);
  if (run === null || found.cell.state === "destroyed")
    return message(404, "No log", html`There is no such log.`);
  if (hidden !== null) return message(409, "Not shown", html`The log is not shown: ${hidden}.`);
  const owner = run.startedAt === null || isBeingSetUp(run) ? SETUP_LOG : run.agent;
  const end = await d.files.log(found.cell, { owner, n: run.n, isRaw: true, maxBytes: MOST_LOG_BYTES });
  download(response, `${found.cell.id.slice(0, 8)}-run-${run.n}.log.txt`);
  response.end(
    `${end.cut ? `[the last ${MOST_LOG_BYTES} bytes of a longer log]\n` : ""}${logText(end.text)}`,
  );
  return null;
}

/** Sends a file of an agent, as bytes that no browser shows; else answers the page that says why not. */
export async function sendArtifact(ask: Ask, response: ServerResponse): Promise<Shown | null> {
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const refusal = await mustExecute(ask, found);
  if (refusal !== null) return refusal;
  const { d, params } = ask;
  const path = params.rest ?? "";
  const hidden = d.files.unhidden(found.cell);
  if (hidden !== null) return message(409, "Not given", html`The file is not given: ${hidden}.`);
  const file = await d.files.artifact(found.cell, path, MOST_ARTIFACT_BYTES);
  if (file === null)
    return message(
      404,
      "No such file",
      html`The agent left no file <code dir="auto">${words(path, 100)}</code>.`,
    );
  if (file.cut)
    return message(409, "Too large", html`The file is larger than 64 MB: fetch it on the server.`);
  download(response, (path.split("/").at(-1) ?? "file").replace(/[^\w.-]/g, "_").slice(-100) || "file");
  response.end(file.bytes);
  return null;
}

function download(response: ServerResponse, name: string): void {
  response.setHeader("Content-Type", "application/octet-stream");
  response.setHeader("Content-Disposition", `attachment; filename="${name}"`);
}
