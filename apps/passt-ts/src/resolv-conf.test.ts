import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatAddress } from "./address-text.ts";
import { parseResolvConf } from "./resolv-conf.ts";

const servers = (text: string) => parseResolvConf(text).nameServers.map(formatAddress);

test("name servers of both families, in their order; comments and other keywords are passed over", () => {
  const text = `# made by hand
; nameserver 203.0.113.1
nameserver 192.0.2.53
options edns0 trust-ad
\tnameserver   2001:db8::53  # the second one
nameserver 127.0.0.53
sortlist 192.0.2.0/24`;
  expect(servers(text)).toEqual(["192.0.2.53", "2001:db8::53", "127.0.0.53"]);
});

test("the last search or domain line holds, six domains at most, and the root is none", () => {
  expect(parseResolvConf("domain one.example\nsearch two.example three.example .").searchDomains).toEqual([
    "two.example",
    "three.example",
  ]);
  expect(parseResolvConf("search two.example\ndomain one.example").searchDomains).toEqual(["one.example"]);
  expect(parseResolvConf("search a b c d e f g h").searchDomains).toEqual(["a", "b", "c", "d", "e", "f"]);
  expect(parseResolvConf("search a\nsearch").searchDomains).toEqual([]);
});

test.each(["", "example.org", "1.2.3", "127.1", "1", "0x7f.1", "1.2.3.256", "fe80::1%eth0", "::192.0.2.1", "[::1"])(
  "a name server '%s' that the guest cannot be told is passed over",
  (text) => {
    expect(servers(`nameserver ${text}\nnameserver 192.0.2.1`)).toEqual(["192.0.2.1"]);
  },
);

test("an IPv4 name server may be written as an IPv6 address, as the resolver has it", () => {
  expect(servers("nameserver ::ffff:192.0.2.9")).toEqual(["192.0.2.9"]);
});

test("an empty file, or none, says nothing", () => {
  expect(parseResolvConf("")).toEqual({ nameServers: [], searchDomains: [] });
});

test("no text at all makes it fail", () => {
  const word = fc.constantFrom(
    "nameserver",
    "search",
    "domain",
    "1.2.3.4",
    "::1",
    "::ffff:1.2.3.4",
    "127.1",
    "%",
    "#",
    "\n",
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(word, fc.string({ maxLength: 6 })), { maxLength: 20 }), (words) => {
      const { searchDomains } = parseResolvConf(words.join(" "));
      expect(searchDomains.length).toBeLessThanOrEqual(6);
    }),
  );
});
