import { describe, expect, test } from "bun:test";
import { WindowTable } from "@passt-ts/iov/windows";
import { EventLoop } from "@passt-ts/linux/event-loop";
import { interfaceHardwareAddress, interfaceIndex } from "@passt-ts/linux/interface-status";
import { OwnedFd } from "@passt-ts/linux/owned-fd";
import { Errno } from "@passt-ts/linux/system-error";
import { adoptTap, openTap, type TapDevice } from "@passt-ts/linux/tap-device";
import { openFileCount, openFiles, runtimeFilesClosed } from "@passt-ts/linux/testing/open-files";
import { PacketSocket } from "@passt-ts/linux/testing/packet-socket";
import { BackendRegistry } from "@passt-ts/net-backend/registry";
import { reservedKinds } from "@passt-ts/net-backend/reserved-kinds";
import type { TapBackend } from "../tap-backend.ts";
import { TapCounter } from "../tap-counter.ts";
import { openNamedTap, type TapContext, tapKinds } from "../tap-kinds.ts";
import { assertOwnNamespace, openNewTap, run } from "./host-commands.ts";
import { TapRig, TEST_ETHER_TYPE, testFrame } from "./tap-rig.ts";
import { openTunDescriptor, TunFlag } from "./tun-descriptor.ts";

// Runs in a network namespace of its own, see real-tap.test.ts.

assertOwnNamespace();

const registry = new BackendRegistry<TapContext>([...tapKinds, ...reservedKinds]);

/** What a registry makes of a name, with the loop that it is in. */
class Named implements Disposable {
  readonly loop: EventLoop = new EventLoop();
  readonly backend: TapBackend;

  constructor(name: string, tap: TapDevice | null = null) {
    try {
      const context = { loop: this.loop, windows: new WindowTable(), report: () => {}, tap };
      this.backend = registry.create(name, context) as TapBackend;
    } catch (error) {
      this.loop.close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.backend.close();
    this.loop.close();
  }
}

/** Taps that this process has open: where programs run in between, the runtime has files that come and go. */
function openTapCount(): number {
  return [...openFiles().values()].filter((path) => path === "/dev/net/tun").length;
}

/** Runs `act` on an interface that it makes and removes. */
function withInterface(make: readonly string[], name: string, act: () => void): void {
  run(...make);
  try {
    act();
  } finally {
    run("ip", "link", "del", name);
  }
}

describe("names", () => {
  test("a new interface is there as long as the back-end", () => {
    {
      using named = new Named("tap:new0");
      expect(interfaceIndex("new0")).toBeGreaterThan(0);
      expect([named.backend.name, named.backend.isOpen]).toEqual(["new0", true]);
      expect(named.backend.capabilities & 0x77).toBe(0x77);
    }
    expect(interfaceIndex("new0")).toBe(-Errno.ENODEV);
  });

  test("an existing one stays, and an earlier user's settings do not", () => {
    withInterface(["ip", "tuntap", "add", "dev", "old0", "mode", "tap"], "old0", () => {
      const index = interfaceIndex("old0");
      {
        using named = new Named("tap:old0");
        expect(interfaceIndex("old0")).toBe(index);
        named.backend.setCapabilities(named.backend.capabilities, 12);
      }
      using tap = openTap("old0");
      using rig = new TapRig(tap);
      run("ip", "link", "set", "old0", "up");
      using host = new PacketSocket("old0", TEST_ETHER_TYPE);
      rig.send(testFrame(60, 1));
      expect(host.receive()).toEqual(testFrame(60, 1));
    });
  });

  test("an interface with several queues is opened like any other", () => {
    withInterface(["ip", "tuntap", "add", "dev", "many0", "mode", "tap", "multi_queue"], "many0", () => {
      using named = new Named("tap:many0");
      expect(named.backend.isOpen).toBe(true);
    });
  });

  test("what cannot be opened is refused with its reason, and nothing stays open", () => {
    const before = openTapCount();
    withInterface(["ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1"], "veth0", () => {
      expect(() => new Named("tap:veth0")).toThrow('back-end "tap:veth0": veth0 is there and is no tap interface');
    });
    using _ = openTap("busy0");
    expect(() => new Named("tap:busy0")).toThrow("busy0 is in use by another process");
    // The tap that keeps it busy.
    expect(openTapCount()).toBe(before + 1);
  });

  test("a descriptor that was inherited is adopted with its header, or without", () => {
    using withHeader = new Named(`tap:fd=${openTap("given0").fd}`);
    expect([withHeader.backend.name, withHeader.backend.capabilities & 0x77]).toEqual(["given0", 0x77]);
    const bare = openTunDescriptor("given1", TunFlag.tap | TunFlag.noPacketInformation);
    using without = new Named(`tap:fd=${bare}`);
    expect([without.backend.name, without.backend.capabilities]).toEqual(["given1", 0]);
  });

  test("one that was opened before is what the back-end uses and closes", () => {
    {
      const opened = openNamedTap("tap:early0");
      expect(opened.hardwareAddress()).toEqual(interfaceHardwareAddress("early0"));
      const { fd } = opened;
      const tap = adoptTap(new OwnedFd(opened.take()));
      expect([tap.fd, tap.name, opened.fd]).toEqual([fd, "early0", -1]);
      using named = new Named("tap:early0", tap);
      expect([named.backend.name, named.backend.isOpen]).toEqual(["early0", true]);
    }
    expect(interfaceIndex("early0")).toBe(-Errno.ENODEV);
  });

  test("a descriptor that has no Ethernet frames is refused and closed", async () => {
    await runtimeFilesClosed();
    const before = openFileCount();
    const tun = openTunDescriptor("tun0", TunFlag.tun | TunFlag.noPacketInformation);
    expect(() => new Named(`tap:fd=${tun}`)).toThrow("is a tun interface");
    expect(interfaceIndex("tun0")).toBe(-Errno.ENODEV);
    expect(openFileCount()).toBe(before);
  });
});

test("a tap without a header carries frames all the same", () => {
  const fd = openTunDescriptor("bare0", TunFlag.tap | TunFlag.noPacketInformation);
  run("ip", "link", "set", "bare0", "up");
  using named = new Named(`tap:fd=${fd}`);
  using host = new PacketSocket("bare0", TEST_ETHER_TYPE);
  expect(host.send(testFrame(60, 1))).toBe(0);
  expect(named.backend.discard()).toBe(60);
});

describe("an interface that goes down", () => {
  test("is reported once, frames are counted; it is used again as soon as it is up", () => {
    using rig = new TapRig(openNewTap("down0"));
    using host = new PacketSocket("down0", TEST_ETHER_TYPE);
    run("ip", "link", "set", "down0", "down");
    for (let i = 0; i < 3; i++) rig.send(testFrame(60, i), testFrame(70, i));
    rig.pump();
    expect(rig.reports).toEqual(["warning: down0 is down, frames are dropped: ip link set down0 up"]);
    expect([rig.counter(TapCounter.txLinkDown), rig.counter(TapCounter.txFrames)]).toEqual([6, 0]);
    run("ip", "link", "set", "down0", "up");
    rig.send(testFrame(60, 7));
    rig.waitFor(() => host.receive(), "the frame");
    expect(rig.reports.slice(1)).toEqual(["info: down0 is up again"]);
    host.send(testFrame(80, 8));
    expect(rig.waitFor(() => rig.sink.take()[0] ?? null, "a frame for the guest").bytes).toEqual(testFrame(80, 8));
  });

  test("and is down at the start, is told when the first frame is lost", () => {
    using rig = new TapRig(openTap("down1"));
    rig.pump();
    expect(rig.reports).toEqual([]);
    rig.send(testFrame(60, 1));
    expect(rig.reports.length).toBe(1);
  });
});

describe("an interface that is deleted", () => {
  const reopen = (name: string) => (): TapDevice | null => (interfaceIndex(name) > 0 ? openTap(name) : null);

  test("is reported at once, not made anew, and used again when somebody has made it", () => {
    using rig = new TapRig(openNewTap("lost0"), { reopen: reopen("lost0") });
    rig.pump();
    run("ip", "link", "del", "lost0");
    rig.pump(1000);
    expect(rig.reports).toEqual(["warning: lost0 was deleted: frames are dropped until it is there again"]);
    for (rig.nowMs = 0; rig.nowMs < 5000; rig.nowMs += 500) {
      rig.send(testFrame(60, 1));
      rig.pump();
    }
    expect(interfaceIndex("lost0")).toBe(-Errno.ENODEV);
    expect([rig.reports.length, rig.counter(TapCounter.txLinkDown)]).toEqual([1, 10]);
    run("ip", "tuntap", "add", "dev", "lost0", "mode", "tap");
    run("ip", "link", "set", "lost0", "up");
    rig.nowMs += 1000;
    rig.pump();
    expect(rig.reports.slice(1)).toEqual(["info: lost0 is there again"]);
    using host = new PacketSocket("lost0", TEST_ETHER_TYPE);
    rig.send(testFrame(60, 5));
    expect(rig.waitFor(() => host.receive(), "the frame")).toEqual(testFrame(60, 5));
    const arrived = rig.waitFor(() => {
      // The host takes its time until an interface that was up before its user carries frames.
      host.send(testFrame(61, 6));
      return rig.sink.take()[0] ?? null;
    }, "a frame for the guest");
    expect(arrived.bytes).toEqual(testFrame(61, 6));
    rig.backend.close();
    run("ip", "link", "del", "lost0");
  });

  test("while frames for the guest and for the host wait", () => {
    using rig = new TapRig(openNewTap("lost1"), { reopen: reopen("lost1"), sink: { entryBytes: [100], elements: 2 } });
    using host = new PacketSocket("lost1", TEST_ETHER_TYPE);
    host.send(testFrame(1000, 1));
    rig.pump();
    run("ip", "link", "del", "lost1");
    rig.send(testFrame(60, 1));
    rig.pump();
    expect(rig.reports.length).toBe(1);
    expect([rig.backend.discard(), rig.backend.full, rig.backend.isOpen]).toEqual([0, false, false]);
  });
});

test("a host that takes no more makes frames wait, and goes on when it can", () => {
  const tap = openNewTap("slow0", 1500);
  tap.setSendBuffer(20_000);
  using rig = new TapRig(tap);
  for (const command of [
    "ip link add bridge0 type bridge",
    "ip link add out0 type veth peer name out1",
    "ip link set slow0 master bridge0",
    "ip link set out0 master bridge0",
    "ip link set out0 up",
    "ip link set out1 up",
    "ip link set bridge0 up",
    // Only a frame for one known port stays the sender's; what is flooded are copies, which nobody waits for.
    "bridge fdb add 02:00:00:00:00:01 dev out0 master static",
    "tc qdisc add dev out0 root tbf rate 8kbit burst 1600 limit 1000000",
  ]) {
    run(...command.split(" "));
  }
  using far = new PacketSocket("out1", TEST_ETHER_TYPE);
  const frames = Array.from({ length: 60 }, (_, seed) => testFrame(1000, seed));
  for (const frame of frames) frame.set([2, 0, 0, 0, 0, 1]);
  // A new port of a bridge forwards after a moment.
  rig.waitFor(() => {
    rig.send(testFrame(60, 99));
    return far.receive();
  }, "the bridge");
  rig.send(...frames);
  expect(rig.backend.full).toBe(true);
  run("tc", "qdisc", "change", "dev", "out0", "root", "tbf", "rate", "1gbit", "burst", "1000000", "limit", "1000000");
  const got: Uint8Array[] = [];
  rig.waitFor(() => {
    for (let one = far.receive(); one !== null; one = far.receive()) if (one.length === 1000) got.push(one);
    return got.length === frames.length ? got : null;
  }, "all frames");
  expect(got).toEqual(frames);
  expect([rig.backend.full, rig.counter(TapCounter.txFull)]).toEqual([false, 0]);
});
