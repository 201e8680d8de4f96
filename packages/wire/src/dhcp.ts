/**
 * DHCPv4 and BOOTP messages (RFC 2131, RFC 2132). The guest writes the requests; options are walked once, with bounds.
 */

/** Offsets in a message, and where the options begin (RFC 2131 section 2). */
export const Dhcp = {
  operation: 0,
  hardwareType: 1,
  hardwareLength: 2,
  hops: 3,
  transaction: 4,
  seconds: 8,
  flags: 10,
  clientAddress: 12,
  yourAddress: 16,
  serverAddress: 20,
  relayAddress: 24,
  clientHardware: 28,
  serverName: 44,
  file: 108,
  cookie: 236,
  options: 240,
} as const;

export const DhcpOperation = { request: 1, reply: 2 } as const;

/** The bit at {@link Dhcp.flags} that asks for a broadcast reply. */
export const DHCP_BROADCAST_FLAG = 0x8000;

/** What stands in front of the options (RFC 2131 section 3). */
export const DHCP_COOKIE = 0x6382_5363;

/** BOOTP clients want a message of at least this length (RFC 1542 section 2.1). */
export const DHCP_MESSAGE_BYTES_MIN = 300;

/** The IP packet that every client takes; a client that takes more says so (RFC 2132 section 9.10). */
export const DHCP_PACKET_BYTES_DEFAULT = 576;

export const DhcpPort = { server: 67, client: 68 } as const;

/** Values of {@link DhcpOption.messageType}. */
export const DhcpMessageType = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

/** Option codes (RFC 2132, RFC 3397, RFC 3442, RFC 4039, RFC 4702, RFC 6842). */
export const DhcpOption = {
  pad: 0,
  subnetMask: 1,
  router: 3,
  dnsServers: 6,
  hostName: 12,
  interfaceMtu: 26,
  requestedAddress: 50,
  leaseTime: 51,
  messageType: 53,
  serverIdentifier: 54,
  parameterRequest: 55,
  message: 56,
  maximumMessageSize: 57,
  clientIdentifier: 61,
  rapidCommit: 80,
  clientFqdn: 81,
  domainSearch: 119,
  classlessRoutes: 121,
  end: 255,
} as const;

/**
 * Whether a BOOTP request of an Ethernet client is all there at `at`, its fixed part at least.
 */
export function checkDhcpRequest(view: DataView, at: number, end: number): boolean {
  return (
    end - at >= Dhcp.cookie &&
    view.getUint8(at + Dhcp.operation) === DhcpOperation.request &&
    view.getUint16(at + Dhcp.hardwareType) === 0x0106
  );
}

/** Where the options of one message are: one object that its owner reuses. */
export class DhcpOptions {
  /** The offset of the data of each option code, or -1. */
  readonly dataAt: Int32Array = new Int32Array(256);
  /** The bytes of data of each option code, 0 when it is absent. */
  readonly length: Uint8Array = new Uint8Array(256);

  /**
   * Finds the options of the message at `at` that ends at `end`; of an option that occurs twice the first counts.
   *
   * Returns false when an option passes the end of the message; what was found before it stands. A message without the
   * cookie has no options.
   */
  parse(view: DataView, at: number, end: number): boolean {
    this.dataAt.fill(-1);
    this.length.fill(0);
    if (end - at < Dhcp.options || view.getUint32(at + Dhcp.cookie) !== DHCP_COOKIE) return true;
    let option = at + Dhcp.options;
    while (option < end) {
      const code = view.getUint8(option);
      if (code === DhcpOption.end) return true;
      if (code === DhcpOption.pad) {
        option++;
        continue;
      }
      if (end - option < 2) return false;
      const optionBytes = view.getUint8(option + 1);
      if (optionBytes > end - option - 2) return false;
      if (this.dataAt[code] < 0) {
        this.dataAt[code] = option + 2;
        this.length[code] = optionBytes;
      }
      option += 2 + optionBytes;
    }
    return true;
  }

  /** Whether the option is there. */
  has(code: number): boolean {
    return this.dataAt[code] >= 0;
  }

  /** The one-byte value of an option, or -1 when it is absent or of another length. */
  byte(view: DataView, code: number): number {
    return this.length[code] === 1 ? view.getUint8(this.dataAt[code]) : -1;
  }

  /** The two-byte value of an option, or -1. */
  word(view: DataView, code: number): number {
    return this.length[code] === 2 ? view.getUint16(this.dataAt[code]) : -1;
  }

  /** The IPv4 address that is an option's value, as a number, or -1. */
  address(view: DataView, code: number): number {
    return this.length[code] === 4 ? view.getUint32(this.dataAt[code]) : -1;
  }
}

/**
 * Writes the fixed part of a reply at `at`, cookie included, to the request at `requestAt` of `request`: transaction,
 * flags, relay and hardware address are the client's, all addresses else 0. Returns the offset where options begin.
 */
export function writeDhcpReply(view: DataView, at: number, request: DataView, requestAt: number): number {
  view.setUint32(at, (DhcpOperation.reply << 24) | 0x0001_0600);
  view.setUint32(at + Dhcp.transaction, request.getUint32(requestAt + Dhcp.transaction));
  view.setUint16(at + Dhcp.seconds, 0);
  view.setUint16(at + Dhcp.flags, request.getUint16(requestAt + Dhcp.flags));
  view.setUint32(at + Dhcp.clientAddress, 0);
  view.setUint32(at + Dhcp.yourAddress, 0);
  view.setUint32(at + Dhcp.serverAddress, 0);
  view.setUint32(at + Dhcp.relayAddress, request.getUint32(requestAt + Dhcp.relayAddress));
  for (let i = Dhcp.clientHardware; i < Dhcp.serverName; i += 4) {
    view.setUint32(at + i, request.getUint32(requestAt + i));
  }
  for (let i: number = Dhcp.serverName; i < Dhcp.cookie; i += 4) view.setUint32(at + i, 0);
  view.setUint32(at + Dhcp.cookie, DHCP_COOKIE);
  return at + Dhcp.options;
}

/** Writes an option with `data`, at most 255 bytes, at `at`; returns the offset behind it. */
export function writeDhcpOption(view: DataView, at: number, code: number, data: Uint8Array): number {
  view.setUint8(at, code);
  view.setUint8(at + 1, data.length);
  for (let i = 0; i < data.length; i++) view.setUint8(at + 2 + i, data[i]);
  return at + 2 + data.length;
}

/**
 * Ends the options at `at` and pads the message, which began at `messageAt`, to {@link DHCP_MESSAGE_BYTES_MIN} bytes.
 *
 * Returns the offset behind the message.
 */
export function endDhcpOptions(view: DataView, at: number, messageAt: number): number {
  view.setUint8(at++, DhcpOption.end);
  while (at - messageAt < DHCP_MESSAGE_BYTES_MIN) view.setUint8(at++, 0);
  return at;
}
