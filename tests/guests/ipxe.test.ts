// iPXE, a driver that lays frames out in its own way: it fetches 20 MB by HTTP through our daemon. It cannot hash what it fetched,
// so it boots it: a kernel, and an initramfs that carries the 20 MB and says their hash.

import { expect, test } from "bun:test";
import { copyFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { streamBlocks, streamHash } from "./byte-stream.ts";
import { buildPayloadInitramfs, findKernel } from "./image.ts";
import { gateway4, host4 } from "./namespace.ts";
import { httpPort } from "./ports.ts";
import { Program } from "./process.ts";
import { qemuCommand, vhostUserNetwork } from "./qemu.ts";
import { TestBed } from "./test-bed.ts";

const payloadBytes = 20_000_000;
const seed = 20;

test("iPXE gets an address by DHCP and fetches 20 MB by HTTP, every byte right", async () => {
  const kernel = findKernel("qemu-debian");
  if ("missing" in kernel) throw new Error(kernel.missing);
  await using bed = await TestBed.create();
  const daemon = await bed.startDaemon();
  copyFileSync(kernel.executable, join(bed.files, "kernel"));
  const payload = Buffer.concat([...streamBlocks(seed, payloadBytes)]);
  writeFileSync(join(bed.files, "payload"), buildPayloadInitramfs(payload));
  const fetchedBytes = statSync(join(bed.files, "payload")).size;

  const script = join(bed.folder, "boot.ipxe");
  const url = `http://${gateway4}:${httpPort}`;
  const lines = [
    "#!ipxe",
    "dhcp net0",
    "echo address ${net0/ip} gateway ${net0/gateway}",
    `kernel ${url}/kernel console=ttyS0 quiet panic=-1`,
    `initrd ${url}/payload`,
    "imgstat",
    "boot",
  ];
  writeFileSync(script, `${lines.join("\n")}\n`);
  const boot = ["-kernel", "/usr/lib/ipxe/ipxe.lkrn", "-initrd", script];
  const command = qemuCommand({ memoryMiB: 512, network: vhostUserNetwork(daemon.socket) });
  const machine = new Program([...command, ...boot]);
  try {
    await machine.waitFor(/payload [0-9a-f]{64}|Could not|[Nn]ot found/, 200_000);
    // The firmware's console sends escape sequences between the letters.
    const said = Bun.stripANSI(machine.output);
    expect(said).toContain(`address ${host4} gateway ${gateway4}`);
    expect(said).toContain(`${fetchedBytes} bytes`);
    expect(said).toContain(`payload ${streamHash(seed, payloadBytes)}`);
  } finally {
    await machine.kill();
  }
}, 240_000);
