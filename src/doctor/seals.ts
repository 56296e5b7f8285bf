import type { Config } from "../config/config.ts";
import { explainToPeople } from "../errors.ts";
import { sealStoreOf } from "../open-seals.ts";
import { type Finding, finding } from "./finding.ts";

const WHAT = "seals";

/** The client for S3 says so itself, in many lines. */
const CLIENT_NODE = 22;

/** Whether seals can be kept where `seals` says. Empty where they stay on their runners. */
export async function examineSeals(config: Pick<Config, "seals" | "limits">): Promise<Finding[]> {
  const store = sealStoreOf(config);
  if (store === null) return [];
  try {
    const advice = [...(await store.probe()), ...aboutNode(config)];
    const said = `${store.place}: a small file was written, read and removed`;
    return [finding("ok", WHAT, said), ...advice.map((one) => finding("warn", WHAT, one))];
  } catch (error) {
    const why = `${explainToPeople(error)}; seals stay on their runners until it works`;
    return [finding("FAIL", WHAT, why)];
  }
}

function aboutNode({ seals }: Pick<Config, "seals">): string[] {
  const [major = ""] = process.versions.node.split(".");
  if (seals?.kind !== "s3" || Number(major) >= CLIENT_NODE) return [];
  return [
    `from 2027 on the client for S3 gets updates for Node ${CLIENT_NODE} and newer alone; this is ${process.versions.node}`,
  ];
}
