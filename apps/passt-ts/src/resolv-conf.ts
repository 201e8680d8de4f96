import { type AddressWords, parseAddress } from "./address-text.ts";
import { UsageError } from "./usage-error.ts";

/** What the host's resolver configuration says (resolv.conf(5)). */
export interface ResolverConfiguration {
  readonly nameServers: readonly AddressWords[];
  readonly searchDomains: readonly string[];
}

const DOMAINS_MAX = 6;

/** Reads the text of a resolv.conf; lines and addresses that make no sense are passed over, as the resolver does. */
export function parseResolvConf(text: string): ResolverConfiguration {
  const nameServers: AddressWords[] = [];
  let searchDomains: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "nameserver") {
      const address = addressOf(values[0] ?? "");
      if (address !== null) nameServers.push(address);
    }
    if (keyword === "search" || keyword === "domain") searchDomains = values.filter((domain) => domain !== ".");
  }
  return { nameServers, searchDomains: searchDomains.slice(0, DOMAINS_MAX) };
}

function addressOf(text: string): AddressWords | null {
  try {
    return parseAddress(text, "nameserver");
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
}
