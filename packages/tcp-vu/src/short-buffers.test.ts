import { expect, test } from "bun:test";
import { Refused } from "@passt-ts/net-backend/rx-sink";
import { EngineRig } from "./testing/engine-rig.ts";
import { F } from "./testing/frames.ts";
import { openOutbound, pattern } from "./testing/guest-end.ts";

const REFUSED = -111;

/** A guest whose buffers are now too short for any segment, and not mergeable. */
function shorten(rig: EngineRig): void {
  rig.sink.reserve = () => Refused.tooLong;
}

test("buffers that hold no segment: a connection whose RST they cannot hold is gone, and nothing waits for room", () => {
  const rig = new EngineRig();
  shorten(rig);
  rig.input({ flags: F.syn, sequence: 600 });
  rig.sockets.complete(rig.sockets.last, REFUSED);
  expect(rig.settle()).toEqual([]);
  expect([rig.engine.flowCount, rig.engine.waitsForRoom]).toEqual([0, false]);
});

test("buffers that hold no segment: an acknowledgment is lost, and nothing waits for room", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  shorten(rig);
  end.send(pattern(100));
  rig.sockets.drain(end.socket);
  expect(rig.settle()).toEqual([]);
  expect([rig.engine.flowCount, rig.engine.waitsForRoom]).toEqual([1, false]);
});

test("buffers that hold no segment: a connection whose FIN they cannot hold is gone", () => {
  const rig = new EngineRig();
  const end = openOutbound(rig);
  shorten(rig);
  rig.sockets.end(end.socket);
  expect(rig.settle()).toEqual([]);
  expect([rig.engine.flowCount, rig.engine.waitsForRoom]).toEqual([0, false]);
});
