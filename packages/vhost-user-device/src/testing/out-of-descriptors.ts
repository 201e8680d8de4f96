// Run by a test in a process of its own with few descriptors: what a device does when none is left.
import { createEventFd } from "@passt-ts/linux/eventfd";
import type { OwnedFd } from "@passt-ts/linux/owned-fd";
import { connectUnix } from "@passt-ts/linux/unix-socket";
import { vringFdRequest } from "@passt-ts/vhost-user-proto/front-end";
import { DeviceRig } from "./device-rig.ts";
import { TestFrontEnd } from "./front-end.ts";

const [path] = process.argv.slice(2) as [string];
/** Opens descriptors until none is left. */
function takeAll(): OwnedFd[] {
  const taken: OwnedFd[] = [];
  try {
    for (;;) taken.push(createEventFd());
  } catch {
    return taken;
  }
}

function expectLine(rig: DeviceRig, text: string, count: number): void {
  const found = rig.lines(text).length;
  if (found !== count) throw new Error(`${found} lines with "${text}", ${count} expected:\n${rig.logged.join("\n")}`);
}

const rig = new DeviceRig({ echo: true });
rig.device.listen(path);
const guest = new TestFrontEnd({ pump: rig.pump }).connect(path).boot();
const second = connectUnix(path);

const spare = takeAll();
rig.pump();
expectLine(rig, "cannot accept a client: Too many open files", 1);
for (const name of ["SET_VRING_KICK", "SET_VRING_CALL"] as const) {
  const request = vringFdRequest(name, { index: 1, hasFd: true }, true);
  if (guest.control.acknowledged(request, [guest.tx.kickFd]) !== 1n) throw new Error(`${name} without fd was taken`);
}
expectLine(rig, "file descriptors were lost", 2);
expectLine(rig, "polled", 0);
const { polled } = rig.device.state.rings[1] ?? { polled: true };
if (polled) throw new Error("a ring is polled since its kick fd was lost");

for (const fd of spare) fd.close();
rig.nowMs = rig.device.deadlineMs;
rig.pump();
expectLine(rig, "second client closed", 1);
second.close();
guest.offerBuffers(1);
guest.send(new Uint8Array(60));
guest.receiveMany(1);
rig.device.close();
