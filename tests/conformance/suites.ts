// All suites; those that take long come first, so that the others are played meanwhile.

import type { Suite } from "./script.ts";
import { arpSuite } from "./scripts/arp.ts";
import { dhcpOptionsSuite, dhcpSuite } from "./scripts/dhcp.ts";
import { dhcpv6OptionsSuite, dhcpv6Suite } from "./scripts/dhcpv6.ts";
import { extensionHeadersSuite } from "./scripts/extension-headers.ts";
import { forwardTargetSuite } from "./scripts/forward-target.ts";
import { fragmentsSuite } from "./scripts/fragments.ts";
import { hostPeersSuites } from "./scripts/host-peers.ts";
import { icmpSuite } from "./scripts/icmp.ts";
import { ndpSuite } from "./scripts/ndp.ts";
import { localModeSuite, noGatewaySuite, noNextHopSuite, turnedOffSuites } from "./scripts/services.ts";
import { tcpDataSuite, tcpHandshakeSuite } from "./scripts/tcp.ts";
import { tcpForwardSuite } from "./scripts/tcp-forward.ts";
import { tcpDataAgainSuite, tcpSynAckAgainSuite, tcpSynAgainSuite } from "./scripts/tcp-retransmission.ts";
import { tcpZeroWindowScaledSuite, tcpZeroWindowSuite } from "./scripts/tcp-zero-window.ts";
import { udpForwardSuite, udpMappedSuite, udpSmallBuffersSuite, udpSuite } from "./scripts/udp.ts";

export const suites: readonly Suite[] = [
  tcpDataAgainSuite,
  tcpSynAckAgainSuite,
  tcpSynAgainSuite,
  tcpZeroWindowSuite,
  tcpZeroWindowScaledSuite,
  tcpDataSuite,
  tcpHandshakeSuite,
  tcpForwardSuite,
  dhcpv6Suite,
  ndpSuite,
  udpSuite,
  udpForwardSuite,
  udpSmallBuffersSuite,
  dhcpSuite,
  arpSuite,
  dhcpOptionsSuite,
  dhcpv6OptionsSuite,
  udpMappedSuite,
  icmpSuite,
  fragmentsSuite,
  extensionHeadersSuite,
  forwardTargetSuite,
  ...turnedOffSuites,
  ...hostPeersSuites,
  localModeSuite,
  noGatewaySuite,
  noNextHopSuite,
];
