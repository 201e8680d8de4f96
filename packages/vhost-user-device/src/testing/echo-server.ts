// Run by a test in a process of its own, to be killed: a device that sends every frame back, at the socket path given.
import { featureMask, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { DeviceRig } from "./device-rig.ts";

const [path] = process.argv.slice(2) as [string];
const { RING_PACKED, IN_ORDER, EVENT_IDX } = VirtioFeature;
const rig = new DeviceRig({ echo: true, features: { offer: featureMask(RING_PACKED, IN_ORDER, EVENT_IDX) } });
rig.device.listen(path);
for (;;) rig.loop.wait(rig.device.turn(performance.now()) ? 0 : 1000);
