import { BlockList, isIP } from "node:net";

/** A host and a port that somebody wants to reach. */
export interface Endpoint {
  /** Lower case, without a dot at its end; an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * What a list says about a target: `anywhere` may even lead into private networks, since its very name and
 * port are listed.
 */
export type GateVerdict = "refused" | "public" | "anywhere";

const NAME = /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/;
const WEB_PORTS = [80, 443];

/** `example.org:443`, `[2001:db8::1]:443`; null for what is neither name nor address with a port. */
export function parseEndpoint(text: string): Endpoint | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const host = (match[1] ?? match[2] ?? "").toLowerCase().replace(/\.$/, "");
  const port = Number(match[3]);
  const isGood = match[1] === undefined ? NAME.test(host) : isIP(host) === 6;
  if (!isGood || host.length > 253 || port < 1 || port > 65_535) return null;
  return { host: match[1] === undefined ? host : shortAddress(host), port };
}

/** As it is written after CONNECT, and in a list. */
export function nameOfEndpoint({ host, port }: Endpoint): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

/** The one form of an IPv6 address that all its ways of being written have. @see RFC 5952 */
function shortAddress(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}

/** A place inside a sandbox where one listed port of this machine's loopback is to be found. */
export interface Forward {
  readonly host: string;
  readonly port: number;
  /** What the gate is asked for. */
  readonly target: string;
}

/**
 * Names of the loopback that programs take for one another, each with the listed ones it may stand for, the
 * nearest first.
 */
const LOOPBACK: readonly (readonly [host: string, stands: readonly string[]])[] = [
  ["127.0.0.1", ["127.0.0.1", "localhost", "::1"]],
  ["::1", ["::1", "localhost", "127.0.0.1"]],
  ["localhost", ["localhost", "127.0.0.1", "::1"]],
];

/**
 * Where inside a sandbox what listens: every listed port of this machine's loopback, at the address that is
 * listed, and, since clients turn `localhost` into either address, at both of 127.0.0.1 and ::1.
 */
export function forwardsOf(hosts: readonly string[]): Forward[] {
  const listed = hosts.flatMap((entry) => parseEndpoint(entry) ?? []).filter(({ host }) => isLoopback(host));
  const ports = [...new Set(listed.map(({ port }) => port))];
  const known = ports.flatMap((port) =>
    ["127.0.0.1", "::1"].flatMap((host) => {
      const target = asListed({ host, port }, hosts);
      return target === null ? [] : [{ host, port, target: nameOfEndpoint(target) }];
    }),
  );
  const others = listed.filter(({ host }) => !LOOPBACK.some(([name]) => name === host));
  return [...known, ...others.map((target) => ({ ...target, target: nameOfEndpoint(target) }))];
}

/**
 * The listed loopback target that this one stands for: `localhost:1` for `127.0.0.1:1`; null where there is
 * none.
 */
export function asListed({ host, port }: Endpoint, hosts: readonly string[]): Endpoint | null {
  const stands = LOOPBACK.find(([name]) => name === host)?.[1] ?? [];
  const found = stands.find((name) => isListed({ host: name, port }, hosts));
  return found === undefined ? null : { host: found, port };
}

function isListed(target: Endpoint, hosts: readonly string[]): boolean {
  return hosts.some((entry) => entry.toLowerCase() === nameOfEndpoint(target));
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/**
 * Whether a list of hosts lets a target through. An entry without a port stands for 80 and 443,
 * `*.example.org` for everything below it; addresses and names that lead to private networks only pass where
 * exactly they are listed with exactly that port.
 */
export function judge(target: Endpoint, hosts: readonly string[]): GateVerdict {
  if (isListed(target, hosts)) return "anywhere";
  if (isIP(target.host) !== 0) return "refused";
  return hosts.map((entry) => entry.toLowerCase()).some((entry) => matches(entry, target))
    ? "public"
    : "refused";
}

function matches(entry: string, { host, port }: Endpoint): boolean {
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
