import { expect, test } from "bun:test";
import { sharesOf } from "./samples.ts";

const frame = (name: string, sourceURL?: string) => ({ name, ...(sourceURL === undefined ? {} : { sourceURL }) });
const trace = (...frames: ReturnType<typeof frame>[]) => ({ frames });

test("shares are of what ran itself, the largest first, without the time in which events were waited for", () => {
  const outer = frame("#turn", "/a/data-plane.ts");
  const traces = [
    trace(frame("epoll_wait"), frame("wait", "/a/event-loop.ts"), outer),
    trace(frame("wait", "/a/event-loop.ts"), outer),
    trace(frame("recvmsg"), outer),
    ...Array.from({ length: 3 }, () => trace(frame("receive", "/a/stream-io.ts"), outer)),
  ];
  const { waiting, shares } = sharesOf(JSON.stringify({ traces }));
  expect(waiting).toBeCloseTo(2 / 6, 10);
  expect(shares).toEqual([
    { name: "receive stream-io.ts", share: 3 / 4 },
    { name: "recvmsg (called)", share: 1 / 4 },
  ]);
});
