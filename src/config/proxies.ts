/**
 * Which proxy a URL goes through, by HTTPS_PROXY, HTTP_PROXY and NO_PROXY (lower case wins, as in curl);
 * null: none.
 */
export function proxies(env: Record<string, string | undefined>): (url: URL) => string | null {
  const read = (name: string) => env[name.toLowerCase()] || env[name] || "";
  const without = read("NO_PROXY")
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  const proxyOf: Record<string, string> = { "https:": read("HTTPS_PROXY"), "http:": read("HTTP_PROXY") };
  return (url) => {
    const proxy = proxyOf[url.protocol];
    if (!proxy || without.some((entry) => covers(entry, url))) return null;
    return proxy.includes("://") ? proxy : `http://${proxy}`;
  };
}

/**
 * `*`, `host`, `.domain`, `*.domain`, each also with `:port`; a name covers what is below it. No address
 * ranges.
 */
function covers(entry: string, url: URL): boolean {
  if (entry === "*") return true;
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(entry) ?? [];
  const standard = url.protocol === "https:" ? "443" : "80";
  if (port !== undefined && port !== (url.port || standard)) return false;
  const domain = (bracketed ?? plain ?? entry).replace(/^\*?\./, "");
  const host = url.hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return host === domain || host.endsWith(`.${domain}`);
}
