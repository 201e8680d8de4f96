// Traffic that keeps a data plane busy, each kind as what is to be done again and again.

import { Datagrams } from "../../soak/datagrams.ts";
import { GuestTcp } from "../memory/guest-tcp.ts";
import { HostStream } from "../memory/host-stream.ts";
import type { RingDriver } from "../memory/ring-driver.ts";

const guest = 0x0a000002;
const gateway = 0x0a000001;
/** The options that give the guest of the loads its link, at this MTU. */
export const linkOptions = (mtu: number): string[] => [
  "-4",
  "-a",
  "10.0.0.2/24",
  "-g",
  "10.0.0.1",
  "-q",
  "-m",
  String(mtu),
];

function connect(driver: RingDriver, host: HostStream, mtu: number): GuestTcp {
  const segmentBytes = mtu - 40;
  const ports = { port: host.port, guestPort: 40_000 };
  const tcp = new GuestTcp(driver, { guest, gateway, ...ports, segmentBytes, sendBytes: segmentBytes });
  tcp.connect();
  const endMs = performance.now() + 5000;
  while (!(tcp.isOpen && host.accept())) {
    if (performance.now() > endMs) throw new Error("no connection within 5 s");
    tcp.receive();
    driver.flush();
  }
  return tcp;
}

export const loads: Readonly<Record<string, (driver: RingDriver, mtu: number) => () => void>> = {
  "tcp-out": (driver, mtu) => {
    const host = new HostStream();
    const tcp = connect(driver, host, mtu);
    return () => {
      host.sink();
      tcp.receive();
      tcp.send(performance.now());
      driver.flush();
    };
  },
  "tcp-in": (driver, mtu) => {
    const host = new HostStream();
    const tcp = connect(driver, host, mtu);
    return () => {
      host.feed();
      tcp.receive();
      driver.flush();
    };
  },
  "udp-out": (driver) => {
    const datagrams = new Datagrams(driver, guest, gateway);
    return () => datagrams.toHost();
  },
  "udp-in": (driver) => {
    const datagrams = new Datagrams(driver, guest, gateway);
    datagrams.answer();
    return () => datagrams.toGuest();
  },
};
