// Every difference between the reference's record and our answers, and why it is there. The test fails for a difference that is
// not listed, and for a line of the list that is not needed any more.

import type { Difference } from "./difference.ts";
import { clock } from "./differences/clock.ts";
import { arp, dhcp } from "./differences/dhcp.ts";
import { dhcpv6, searchLists } from "./differences/dhcpv6.ts";
import { everywhere } from "./differences/everywhere.ts";
import { extensionHeaders, fragments } from "./differences/fragments.ts";
import { ndp } from "./differences/ndp.ts";
import { services } from "./differences/services.ts";
import { moreTcp, tcp, zeroWindow } from "./differences/tcp.ts";
import { longQuotes, quotes, udp } from "./differences/udp.ts";
import { windows } from "./differences/window.ts";

export const differences: readonly Difference[] = [
  ...everywhere,
  ...tcp,
  ...moreTcp,
  ...zeroWindow,
  ...windows,
  ...dhcp,
  ...arp,
  ...dhcpv6,
  ...searchLists,
  ...ndp,
  ...quotes,
  ...longQuotes,
  ...udp,
  ...clock,
  ...fragments,
  ...extensionHeaders,
  ...services,
];
