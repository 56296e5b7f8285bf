import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { type Kind, show } from "./kinds.ts";

/**
 * What of the network an agent may reach. Entries of a list: `host`, `host:port`, `[v6]:port`, `*.host`,
 * `*.host:port`, in lower case, each once.
 */
export type Network = "none" | "full" | string[];

/** Inside a sandbox the way to listed hosts listens here, so no port of this machine can be seen there. */
export const PROXY_PORT = 3128;
/** Below it only a privileged process may listen, and inside a sandbox there is none. */
const LEAST_LOOPBACK_PORT = 1024;

const WHAT = "one of none, full, or a list of hosts";
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * A value of `network`, in one form whatever its letters; a fault names each entry that is none, and what to
 * write instead.
 */
export const network: Kind<Network> = {
  what: WHAT,
  read(input) {
    if (input === "none" || input === "full") return input;
    if (!Array.isArray(input)) return undefined;
    const entries = input.map(readEntry);
    const good = entries.flatMap((one) => ("entry" in one ? [one.entry] : []));
    if (good.length < entries.length) return undefined;
    return good.length === 0 ? "none" : [...new Set(good)];
  },
  faultOf(input) {
    if (!Array.isArray(input)) {
      const meant = typeof input === "string" && /[.:]/.test(input) ? readEntry(input) : null;
      const hint = meant !== null && "entry" in meant ? `: write ["${meant.entry}"]` : "";
      return `${quoted(input)} is not ${WHAT}${hint}`;
    }
    const faults = input.flatMap((one: unknown) => {
      const read = readEntry(one);
      return "fault" in read ? [`${quoted(one)} ${read.fault}`] : [];
    });
    return faults.join("; ");
  },
};

/** The port on this machine's own loopback that an entry leads to; null where it leads elsewhere. */
export function loopbackPort(entry: string): number | null {
  const match = /^(.*):(\d+)$/.exec(entry);
  return match !== null && isLoopback(match[1] ?? "") ? Number(match[2]) : null;
}

/** `localhost`, `127.0.0.1` and its like, `[::1]` with or without brackets. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || /^\[?::1\]?$/.test(host) || (isIP(host) === 4 && host.startsWith("127."));
}

type Entry = { readonly entry: string } | { readonly fault: string };
const fault = (what: string): Entry => ({ fault: what });

function readEntry(input: unknown): Entry {
  if (input === undefined || input === null) return fault("is no host: name one, or take it out");
  if (typeof input === "object") {
    const [pair] = Object.entries(input);
    return fault(
      pair === undefined || Array.isArray(input) ? "is no host" : `is no host: write "${pair.join(":")}"`,
    );
  }
  if (typeof input !== "string") return fault("is no host: write it as a text");
  const text = input.toLowerCase();
  if (text.trim() === "") return fault("is no host: name one, or take it out");
  if (text === "none" || text === "full")
    return fault(`is no host: write network: ${text}, without brackets`);
  if (text === "*") return fault("is no host: write network: full to let every host through");
  if (/\s/.test(text)) return fault(`has a space: ${instead(text.replace(/\s+/g, ""))}`);
  const url = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/@]*@)?([^/?#]*)/.exec(text);
  if (url !== null) return fault(`is an address with a scheme: ${instead(url[1] ?? "")}`);
  if (/^\[?[0-9a-f:.]+\]?\/\d+$/.test(text)) return fault("is a range of addresses: write each as host:port");
  if (/[/?#@]/.test(text)) return fault(`has more than a host: ${instead(text.split(/[/?#]/)[0] ?? "")}`);
  if (isIP(text) === 6) return fault(`is an address without its port: write "[${text}]:PORT"`);
  if (/^([0-9a-f]*:){2,}/.test(text)) return fault('is no host: write an IPv6 address as "[::1]:PORT"');
  return splitEntry(text);
}

/** What to write where something is too much; the host alone, if that is one. */
function instead(text: string): string {
  const read = readEntry(text);
  return "entry" in read ? `write "${read.entry}"` : "write the host alone, or host:port";
}

function splitEntry(text: string): Entry {
  const match = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(text);
  if (match === null) return fault("is not host, host:port or *.host");
  const [, name = "", portText] = match;
  const port = portText === undefined ? null : Number(portText);
  if (portText !== undefined && !/^\d+$/.test(portText))
    return fault(`has no port after its colon: write a number from 1 to 65535, or "${name}"`);
  if (port !== null && (port < 1 || port > 65_535)) return fault("has a port that is not from 1 to 65535");
  const host = name.startsWith("[") ? readAddress(name) : readName(name);
  if ("fault" in host) return host;
  const isAddress = host.entry.startsWith("[") || isIP(host.entry) !== 0;
  if (port === null)
    return isAddress || host.entry === "localhost"
      ? fault(`needs its port: write "${host.entry}:PORT"`)
      : host;
  return (isLoopback(host.entry) ? faultOfLoopback(port) : null) ?? { entry: `${host.entry}:${port}` };
}

function faultOfLoopback(port: number): Entry | null {
  if (port === PROXY_PORT)
    return fault(`is where the sandbox's own way to listed hosts listens: let it listen on another port`);
  if (port < LEAST_LOOPBACK_PORT)
    return fault(`cannot be opened inside a sandbox: let it listen on a port from ${LEAST_LOOPBACK_PORT} on`);
  return null;
}

function readAddress(name: string): Entry {
  const inner = name.slice(1, -1);
  if (isIP(inner) !== 6) return fault('is no IPv6 address with a port, such as "[::1]:8080"');
  const short = new URL(`http://${name}/`).hostname;
  if (short === "[::]") return fault('is where a server listens, and no place to reach: write "[::1]:PORT"');
  if (short.startsWith("[::ffff:")) return fault("is an IPv4 address in disguise: write it as IPv4");
  return { entry: short };
}

function readName(written: string): Entry {
  const name = written.replace(/\.$/, "");
  if (name === "0.0.0.0")
    return fault('is where a server listens, and no place to reach: write "127.0.0.1:PORT"');
  if (isIP(name) === 4) return { entry: name };
  const rest = name.startsWith("*.") ? name.slice(2) : name;
  if (rest.includes("*")) return fault("has a * that is not at its start: write *.host");
  const ascii = domainToASCII(rest);
  if (ascii !== rest && ascii !== "" && !/^[\x20-\x7e]*$/.test(rest))
    return fault(`is no name in ASCII: write "${name.startsWith("*.") ? "*." : ""}${ascii}"`);
  const labels = rest.split(".");
  if (!labels.every((each) => LABEL.test(each)) || rest.length > 253)
    return fault("is not host, host:port or *.host");
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? ""))
    return fault("is no name, and no whole IPv4 address: write all four numbers");
  return { entry: name };
}

/** Cut, and without what may be a password. */
function quoted(value: unknown): string {
  if (value === undefined || value === null) return "an empty entry";
  return show(typeof value === "string" ? value.replace(/^[^@]*@/, "…@") : value);
}
