import { BlockList, isIP } from "node:net";

/** A host and a port that somebody wants to reach. */
export interface Target {
  /** Lower case, without a dot at its end; an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** What a list says about a target: `anywhere` may even lead into private networks, since its very name and port are listed. */
export type Verdict = "refused" | "public" | "anywhere";

const NAME = /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/;
const WEB_PORTS = [80, 443];

/** `example.org:443`, `[2001:db8::1]:443`; null for what is neither name nor address with a port. */
export function parseTarget(text: string): Target | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const host = (match[1] ?? match[2] ?? "").toLowerCase().replace(/\.$/, "");
  const port = Number(match[3]);
  const isGood = match[1] === undefined ? NAME.test(host) : isIP(host) === 6;
  return isGood && host.length <= 253 && port >= 1 && port <= 65_535 ? { host, port } : null;
}

/**
 * Whether a list of hosts lets a target through. An entry without a port stands for 80 and 443, `*.example.org` for everything below it; addresses and names that lead to private networks
 * only pass where exactly they are listed with exactly that port.
 */
export function judge(target: Target, hosts: readonly string[]): Verdict {
  const { host, port } = target;
  const listed = hosts.map((entry) => entry.toLowerCase());
  if (listed.includes(`${host}:${port}`)) return "anywhere";
  if (isIP(host) !== 0) return "refused";
  return listed.some((entry) => matches(entry, target)) ? "public" : "refused";
}

function matches(entry: string, { host, port }: Target): boolean {
  const [name = "", own] = entry.split(":");
  if (own === undefined ? !WEB_PORTS.includes(port) : Number(own) !== port) return false;
  return name.startsWith("*.")
    ? host.endsWith(name.slice(1)) && host.length > name.length - 1
    : host === name;
}

/** Of IPv4, what is nobody's public address. @see RFC 6890, the registry of special-purpose addresses */
const PRIVATE_4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];
/** Within the public part of IPv6: tunnels that carry an IPv4 address, and examples. */
const PRIVATE_6: readonly (readonly [string, number])[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

/** Whether an address is one of the public internet's; of IPv6 only what is handed out (2000::/3). */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  return family === 4
    ? !special.check(address, "ipv4")
    : handedOut.check(address, "ipv6") && !special.check(address, "ipv6");
}

const special = listOf(PRIVATE_4, PRIVATE_6);
const handedOut = listOf([], [["2000::", 3]]);

function listOf(four: typeof PRIVATE_4, six: typeof PRIVATE_6): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of four) list.addSubnet(net, prefix, "ipv4");
  for (const [net, prefix] of six) list.addSubnet(net, prefix, "ipv6");
  return list;
}
