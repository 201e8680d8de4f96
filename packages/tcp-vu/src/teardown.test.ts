import { expect, test } from "bun:test";
import { TcpCounter } from "./counters.ts";
import { EngineRig, GUEST6, REMOTE4, REMOTE6 } from "./testing/engine-rig.ts";
import { F, type SegmentFields } from "./testing/frames.ts";
import { type GuestEnd, openOutbound, pattern } from "./testing/guest-end.ts";

/** What the engine still holds: nothing, when a connection is really gone. */
function remains(rig: EngineRig): unknown {
  const { flowCount, deadlineMs, waitsForRoom } = rig.engine;
  return { flowCount, deadlineMs, waitsForRoom, open: rig.sockets.sockets.filter((s) => s.state === "open").length };
}

const NOTHING = { flowCount: 0, deadlineMs: Infinity, waitsForRoom: false, open: 0 };

const connecting = (rig: EngineRig, fields: Partial<SegmentFields> = {}): void =>
  rig.input({ flags: F.syn, sequence: 7, ...fields });

function synReceived(rig: EngineRig): number {
  connecting(rig);
  rig.sockets.complete(rig.sockets.last);
  return rig.settle()[0].sequence;
}

function synSent(rig: EngineRig): number {
  rig.engine.accepted(rig.sockets.incoming(), REMOTE4, 80, 40000, rig.nowMs);
  return rig.settle()[0].sequence;
}

/** Established connections, one for each way their directions can have ended. */
/** Established connections, one for each way their directions can have ended. */
const established: Record<string, (rig: EngineRig, fields?: Partial<SegmentFields>) => GuestEnd> = {
  "nothing ended": (rig, fields) => openOutbound(rig, fields),
  "payload in flight": (rig, fields) => {
    const end = openOutbound(rig, fields);
    rig.sockets.push(end.socket, pattern(3000));
    rig.settle();
    return end;
  },
  "the guest has closed": (rig, fields) => {
    const end = openOutbound(rig, fields);
    rig.input(end.segment({ flags: F.ack | F.fin }));
    rig.take();
    end.next++;
    return end;
  },
  "the host has closed": (rig, fields) => {
    const end = openOutbound(rig, fields);
    rig.sockets.end(end.socket);
    rig.settle();
    return end;
  },
  "the host has closed and the guest knows": (rig, fields) => {
    const end = openOutbound(rig, fields);
    rig.sockets.end(end.socket);
    rig.settle();
    end.acknowledge(1);
    return end;
  },
};

for (const [name, open] of Object.entries(established)) {
  test(`RST of the guest, ${name}: the host's peer sees a reset, the guest nothing`, () => {
    const rig = new EngineRig();
    const end = open(rig);
    rig.input(end.segment({ flags: F.rst }), end.segment({ payload: [1] }));
    expect(end.socket.state).toBe("reset");
    expect(rig.settle().filter((segment) => (segment.flags & F.rst) === 0)).toEqual([]);
    expect(remains(rig)).toEqual(NOTHING);
    expect(rig.engine.counters[TcpCounter.resetByGuest]).toBe(1);
  });

  test(`an error of the socket, ${name}: the guest gets a RST that it must believe`, () => {
    const rig = new EngineRig();
    const end = open(rig);
    const inFlight = name === "payload in flight" ? 3000 : name === "the host has closed" ? 1 : 0;
    rig.sockets.fail(end.socket);
    const sequence = (end.expected + inFlight) >>> 0;
    expect(rig.settle()).toMatchObject([{ flags: F.rst | F.ack, sequence, acknowledgment: end.next }]);
    expect(end.socket.state).toBe("reset");
    expect(remains(rig)).toEqual(NOTHING);
    expect(rig.engine.counters[TcpCounter.resetByHost]).toBe(1);
  });
}

test("an error of the socket before the guest has answered: the RST carries the number behind our SYN", () => {
  for (const open of [synReceived, synSent]) {
    const rig = new EngineRig();
    const isn = open(rig);
    rig.sockets.fail(rig.sockets.last);
    expect(rig.settle()).toMatchObject([{ flags: F.rst | F.ack, sequence: (isn + 1) >>> 0 }]);
    expect(remains(rig)).toEqual(NOTHING);
  }
});

test("RST of the guest in the window but not exact is challenged; outside of it, it is ignored", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.input(end.segment({ flags: F.rst, sequence: end.next + 1 }));
  expect(rig.take()).toMatchObject([{ flags: F.ack, acknowledgment: end.next }]);
  rig.input(end.segment({ flags: F.rst, sequence: end.next - 1 }));
  rig.input(end.segment({ flags: F.rst, sequence: end.next + 0x7000_0000 }));
  expect(rig.take()).toEqual([]);
  expect([rig.engine.flowCount, end.socket.state]).toEqual([1, "open"]);
});

test("RST within a batch: what stands behind it is answered as a segment without connection", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  const { next } = end;
  rig.input(
    end.segment({ payload: [1] }),
    end.segment({ flags: F.rst, sequence: next + 1 }),
    end.segment({ sequence: next + 1, payload: [2] }),
  );
  expect(rig.take()).toMatchObject([{ flags: F.rst, sequence: end.expected }]);
  expect(remains(rig)).toEqual(NOTHING);
});

test("a new connection in the slot of one that ended within the same batch gets nothing of it", () => {
  const rig = new EngineRig({ engine: { capacity: 1 } });
  const end = openOutbound(rig);
  rig.input(
    end.segment({ payload: [1, 2, 3] }),
    end.segment({ flags: F.rst, sequence: end.next + 3 }),
    end.segment({ flags: F.syn, sequence: 5000, acknowledgment: 0 }),
  );
  const { last } = rig.sockets;
  expect([rig.engine.flowCount, last === end.socket]).toEqual([1, false]);
  rig.sockets.complete(last);
  const [answer] = rig.settle();
  expect(answer).toMatchObject({ flags: F.syn | F.ack, acknowledgment: 5001 });
  rig.input({ flags: F.ack, sequence: 5001, acknowledgment: answer.sequence + 1, payload: [9] });
  expect(last.sent).toEqual([9]);
});

test("both close at the same time", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.end(end.socket);
  rig.input(end.segment({ flags: F.ack | F.fin }));
  end.next++;
  expect(rig.settle().map(({ flags }) => flags)).toEqual([F.ack, F.ack | F.fin]);
  end.acknowledge(1);
  expect(end.socket.state).toBe("closed");
  expect(remains(rig)).toEqual(NOTHING);
  expect(rig.engine.counters[TcpCounter.closed]).toBe(1);
});

test("the FIN of the guest that acknowledges ours ends the connection, after its acknowledgment has left", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.end(end.socket);
  rig.settle();
  end.expected++;
  rig.sink.elements = 0;
  rig.input(end.segment({ flags: F.ack | F.fin }));
  expect([rig.settle(), rig.engine.flowCount]).toEqual([[], 1]);
  rig.sink.addElements(1);
  expect(rig.settle()).toMatchObject([{ flags: F.ack, acknowledgment: end.next + 1 }]);
  expect(end.socket.state).toBe("closed");
  expect(remains(rig)).toEqual(NOTHING);
});

test("a RST for which the ring has no room leaves when it has; until then the connection answers nothing", () => {
  for (const addresses of [{}, { source: GUEST6, destination: REMOTE6 }]) {
    const rig = new EngineRig();
    const end = openOutbound(rig, addresses);
    rig.sink.elements = 0;
    rig.sockets.fail(end.socket);
    expect([rig.settle(), rig.engine.flowCount, rig.engine.waitsForRoom]).toEqual([[], 1, true]);
    expect(end.socket.state).toBe("reset");
    end.send([1, 2, 3]);
    rig.engine.socketReady(end.socket.flow, 15, rig.nowMs);
    expect(rig.settle()).toEqual([]);
    rig.sink.addElements(1);
    expect(rig.settle()).toMatchObject([{ flags: F.rst | F.ack, sequence: end.expected }]);
    expect(remains(rig)).toEqual(NOTHING);
  }
});

test("a RST that finds no room for a minute is forgotten, and the flow with it", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sink.ready = false;
  rig.sockets.fail(end.socket);
  rig.settle();
  expect([rig.pass(59_000), rig.engine.flowCount]).toEqual([[], 1]);
  rig.pass(2000);
  expect(remains(rig)).toEqual(NOTHING);
});

test("many connections that wait to be reset get their turn, a few at a time", () => {
  const rig = new EngineRig();
  const ends = [1, 2, 3, 4, 5].map((sourcePort) => openOutbound(rig, { sourcePort }));
  rig.sink.elements = 0;
  for (const end of ends) rig.sockets.fail(end.socket);
  rig.settle();
  const seen = [];
  for (let i = 0; i < 3; i++) {
    rig.sink.addElements(2);
    seen.push(...rig.settle());
  }
  expect(seen.map(({ destinationPort }) => destinationPort).sort()).toEqual([1, 2, 3, 4, 5]);
  expect(remains(rig)).toEqual(NOTHING);
});

test("after a connection has ended, its late segments get a RST and its late events nothing", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  rig.sockets.fail(end.socket);
  rig.settle();
  rig.engine.socketReady(end.socket.flow, 15, rig.nowMs);
  end.send([1]);
  expect(rig.settle()).toMatchObject([{ flags: F.rst, sequence: end.expected, window: 0 }]);
});

/** One connection in each state that there is: the number of them. */
function openEveryState(rig: EngineRig): number {
  let sourcePort = 1000;
  for (const open of Object.values(established)) open(rig, { sourcePort: sourcePort++ });
  connecting(rig, { sourcePort: sourcePort++ });
  rig.engine.accepted(rig.sockets.incoming(), REMOTE4, 5555, 22, rig.nowMs);
  rig.settle();
  connecting(rig, { sourcePort: sourcePort++ });
  rig.sockets.complete(rig.sockets.last);
  rig.settle();
  const blocked = openOutbound(rig, { sourcePort: sourcePort++, window: 0 });
  rig.sockets.push(blocked.socket, pattern(100));
  const owed = openOutbound(rig, { sourcePort: sourcePort++ });
  owed.socket.drains = false;
  owed.send([1]);
  rig.settle();
  const waiting = openOutbound(rig, { sourcePort: sourcePort++ });
  const failed = openOutbound(rig, { sourcePort: sourcePort++ });
  rig.settle();
  rig.sink.elements = 0;
  rig.sockets.push(waiting.socket, pattern(100));
  rig.sockets.fail(failed.socket);
  rig.settle();
  return sourcePort - 1000 + 1;
}

test("reset of the engine closes every socket, in every state, and the engine works on", () => {
  const rig = new EngineRig();
  const count = openEveryState(rig);
  expect(rig.engine.flowCount).toBe(count);
  rig.engine.reset(rig.nowMs);
  expect(remains(rig)).toEqual(NOTHING);
  const { counters } = rig.engine;
  expect(counters[TcpCounter.opened] + counters[TcpCounter.accepted]).toBe(rig.sockets.sockets.length);
  expect(rig.sockets.sockets.map(({ state }) => state)).toEqual(Array(count).fill("reset"));

  rig.sink.elements = Infinity;
  expect(rig.pass(100_000)).toEqual([]);
  const again = openOutbound(rig);
  again.send([1, 2]);
  expect(again.socket.sent).toEqual([1, 2]);
});

test("reset of the engine in the middle of a batch: what was collected is not sent", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  const { input } = rig.engine;
  rig.engine.input = (packet, view, frame, offset, nowMs) => {
    input.call(rig.engine, packet, view, frame, offset, nowMs);
    rig.engine.reset(nowMs);
  };
  rig.input(end.segment({ payload: [1, 2, 3] }));
  expect([end.socket.sent, end.socket.state, rig.settle()]).toEqual([[], "reset", []]);
});
