import { describe, expect, test } from "bun:test";
import { EngineRig, GATEWAY4 } from "./testing/engine-rig.ts";
import { F } from "./testing/frames.ts";
import { type GuestEnd, openOutbound, pattern, synOptions } from "./testing/guest-end.ts";

/** A connection with scaled windows to a remote peer that acknowledges nothing by itself. */
function openSlow(rig: EngineRig, sendBufferBytes = 1 << 20): GuestEnd {
  const end = openOutbound(rig, { options: synOptions(1460, 7) });
  end.socket.sendBufferBytes = sendBufferBytes;
  // The first acknowledgment announces what a SYN could not: the whole window.
  end.send([0]);
  rig.take();
  end.socket.drains = false;
  return end;
}

test("what a batch brought is acknowledged with one segment", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  const segments = [0, 1, 2, 3].map((i) => end.segment({ sequence: end.next + 10 * i, payload: pattern(10) }));
  rig.input(...segments);
  expect(rig.take()).toMatchObject([{ flags: F.ack, sequence: end.expected, acknowledgment: end.next + 40 }]);
});

describe("an acknowledgment", () => {
  const canWait = (rig: EngineRig) => rig.take().map(({ frame }) => frame.canWait);

  test("of what came in order can wait, of a FIN as well", () => {
    const rig = new EngineRig();
    const end = openSlow(rig);
    end.socket.drains = true;
    end.send(pattern(10));
    expect(canWait(rig)).toEqual([true]);
    rig.input(end.segment({ flags: F.ack | F.fin }));
    expect(canWait(rig)).toEqual([true]);
  });

  test("of a gap or of a repetition cannot", () => {
    const rig = new EngineRig();
    const end = openSlow(rig);
    rig.input(end.segment({ sequence: end.next + 10, payload: pattern(10) }));
    expect(canWait(rig)).toEqual([false, false]);
    rig.input(end.segment({ sequence: end.next - 1, payload: [0] }));
    expect(canWait(rig)).toEqual([false]);
  });

  test("that opens a window which the guest has filled cannot", () => {
    const rig = new EngineRig();
    const end = openSlow(rig, 65_536);
    end.send(pattern(63_000));
    expect(rig.take()).toEqual([]);
    end.socket.unacknowledgedBytes = 0;
    end.socket.queuedBytes = 0;
    const acknowledgments = rig.pass(10);
    expect(acknowledgments.map(({ frame }) => frame.canWait)).toEqual([false]);
    expect(acknowledgments[0]?.acknowledgment).toBe(end.next);
  });

  test("of a part, when the socket did not take the rest, cannot", () => {
    const rig = new EngineRig();
    const end = openOutbound(rig, { destination: GATEWAY4 });
    end.socket.drains = false;
    end.socket.sendBufferBytes = 100;
    end.send(pattern(1000));
    expect(canWait(rig)).not.toContain(true);
  });
});

test("payload that waits for the peer's kernel is acknowledged when it has it: looked up every 10 ms, while some is owed", () => {
  const rig = new EngineRig();
  const end = openSlow(rig);
  end.send(pattern(1000));
  expect(rig.take()).toEqual([]);
  expect(rig.engine.deadlineMs).toBeLessThanOrEqual(rig.nowMs + 10);
  expect(rig.pass(50)).toEqual([]);
  end.socket.unacknowledgedBytes = 400;
  expect(rig.pass(10)).toMatchObject([{ flags: F.ack, acknowledgment: end.next - 400 }]);
  end.socket.unacknowledgedBytes = 0;
  expect(rig.pass(10)).toMatchObject([{ flags: F.ack, acknowledgment: end.next }]);
  expect([rig.pass(1000), rig.engine.deadlineMs]).toEqual([[], Infinity]);
});

test("a peer on this host is acknowledged at once", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { destination: GATEWAY4 });
  end.socket.drains = false;
  end.send(pattern(1000));
  expect(rig.take()).toMatchObject([{ acknowledgment: end.next }]);
});

test("once the guest has closed, everything is acknowledged at once", () => {
  const rig = new EngineRig();
  const end = openSlow(rig);
  end.send(pattern(1000));
  expect(rig.take()).toEqual([]);
  rig.input(end.segment({ flags: F.ack | F.fin }));
  expect(rig.take()).toMatchObject([{ acknowledgment: end.next + 1 }]);
  expect(rig.engine.deadlineMs).toBe(Infinity);
});

test("an acknowledgment never goes back, whatever the kernel says", () => {
  const rig = new EngineRig();
  const end = openSlow(rig);
  end.send(pattern(1000));
  end.socket.unacknowledgedBytes = 100;
  rig.pass(10);
  end.socket.unacknowledgedBytes = 5000;
  rig.input(end.segment({ sequence: end.next - 1 }));
  expect(rig.take()).toMatchObject([{ acknowledgment: end.next - 100 }]);
});

test("payload to the guest carries the acknowledgment that was sent last, and its window", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { options: synOptions(1460, 7) });
  end.send(pattern(300));
  const [ack] = rig.take();
  rig.sockets.push(end.socket, [1, 2, 3]);
  expect(rig.settle()).toMatchObject([{ acknowledgment: end.next, window: ack.window, payload: [1, 2, 3] }]);
});

test("the window is the room in the send buffer, less the kernel's share, and scaled by 8", () => {
  for (const [queued, window] of [
    [0, 3584],
    [1 << 19, 1792],
  ]) {
    const rig = new EngineRig();
    const end = openOutbound(rig, { options: synOptions(1460, 7) });
    end.socket.sendBufferBytes = 1 << 20;
    end.socket.queuedBytes = queued;
    end.send([0]);
    expect(rig.take()).toMatchObject([{ acknowledgment: end.next, window }]);
  }
});

test("the end of the window does not go back while the send buffer is not full", () => {
  const rig = new EngineRig();
  const end = openSlow(rig, 200_000);
  let edge = 0;
  for (let i = 0; i < 20; i++) {
    end.send(pattern(5120));
    end.socket.unacknowledgedBytes = 0;
    for (const segment of [...rig.take(), ...rig.pass(10)]) {
      const seen = segment.acknowledgment + segment.window * 256;
      expect(seen).toBeGreaterThanOrEqual(edge);
      edge = seen;
    }
  }
  expect(edge).toBeGreaterThan(0);
});

test("a window that was small and opens is announced, without anything from the guest", () => {
  const rig = new EngineRig();
  const end = openSlow(rig, 300_000);
  for (let sent = 0; sent < 250_000; sent += 50_000) end.send(pattern(50_000));
  end.socket.unacknowledgedBytes = 0;
  const small = rig.pass(20).at(-1);
  expect(small?.acknowledgment).toBe(end.next);
  rig.sockets.drain(end.socket);
  const [announced] = [...rig.settle(), ...rig.pass(20)];
  expect(announced).toMatchObject({ flags: F.ack, acknowledgment: end.next });
  expect(announced.window).toBeGreaterThan(small?.window ?? 0);
  expect(rig.engine.deadlineMs).toBe(Infinity);
});

test("a small window that stays as it is is not announced again", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig, { options: synOptions(1460, 7) });
  end.socket.sendBufferBytes = 20_000;
  for (let i = 0; i < 5; i++) end.send(pattern(12_000));
  expect(rig.take().at(-1)?.window).toBeLessThan(100);
  for (let i = 0; i < 3; i++) rig.input(end.segment());
  expect([rig.settle(), rig.engine.deadlineMs]).toEqual([[], Infinity]);
});

test("an acknowledgment stands where the guest's window is, although more was sent once", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.push(end.socket, pattern(4000));
  rig.settle();
  end.window = 100;
  end.acknowledge(1000);
  rig.take();
  end.send([1]);
  expect(rig.take()).toMatchObject([{ sequence: end.expected + 100, acknowledgment: end.next }]);
  end.window = 3000;
  end.send([2]);
  expect(rig.take().at(-1)).toMatchObject({ sequence: end.expected + 3000, acknowledgment: end.next });
});

test("a guest without window scale gets no acknowledgment whose window could not grow", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  end.socket.sendBufferBytes = 8 << 20;
  end.send([1]);
  expect(rig.take()).toMatchObject([{ window: 65535 }]);
  rig.sockets.push(end.socket, pattern(3000));
  rig.settle();
  end.acknowledge(1460);
  end.acknowledge(1540);
  expect(rig.take()).toEqual([]);
});

test("acknowledgments for which the ring has no room leave when it has, as many as were due", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sink.elements = 1;
  rig.input(end.segment({ sequence: end.next + 100, payload: [1] }));
  expect(rig.take().length).toBe(1);
  expect([rig.settle(), rig.engine.waitsForRoom]).toEqual([[], true]);
  rig.sink.addElements(5);
  expect(rig.settle()).toMatchObject([{ acknowledgment: end.next }]);
  expect([rig.engine.waitsForRoom, rig.settle()]).toEqual([false, []]);
});

test("a SYN in an established connection gets one acknowledgment for a batch, and changes nothing", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.input(end.segment({ flags: F.syn }), end.segment({ flags: F.syn | F.ack, sequence: 99 }));
  expect(rig.take()).toMatchObject([{ flags: F.ack, sequence: end.expected, acknowledgment: end.next }]);
  end.send([1]);
  expect(end.socket.sent).toEqual([1]);
});

test("an acknowledgment of what was never sent is answered, and its segment dropped", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.input(end.segment({ acknowledgment: end.expected + 1, payload: [1, 2] }));
  expect(rig.take()).toMatchObject([{ flags: F.ack, sequence: end.expected, acknowledgment: end.next }]);
  expect(end.socket.sent).toEqual([]);
});
