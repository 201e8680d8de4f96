import ipaddr from "ipaddr.js";
import { type AddressWords, parseAddress } from "./address-text.ts";

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
    if (keyword === "nameserver" && values[0] !== undefined && ipaddr.isValid(values[0]) && !values[0].includes("%")) {
      nameServers.push(parseAddress(values[0], "resolv.conf"));
    }
    if (keyword === "search" || keyword === "domain") searchDomains = values.filter((domain) => domain !== ".");
  }
  return { nameServers, searchDomains: searchDomains.slice(0, DOMAINS_MAX) };
}
