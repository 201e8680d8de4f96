// The kernel inside a bzImage (Documentation/arch/x86/boot.rst): QEMU without KVM takes three seconds to unpack it, the host one.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** Offsets of the setup header. */
const header = { setupSectors: 0x1f1, magic: 0x202, payloadOffset: 0x248, payloadLength: 0x24c } as const;
const sectorBytes = 512;
const magic = 0x53726448;
/** The length of what is unpacked, behind what is packed. */
const trailerBytes = 4;

/** How a payload may be packed, by its first bytes. */
const unpackers: readonly (readonly [start: readonly number[], unpack: (packed: Uint8Array) => Uint8Array])[] = [
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], unpackXz],
  [[0x28, 0xb5, 0x2f, 0xfd], (packed) => Bun.zstdDecompressSync(packed)],
];

function unpackXz(packed: Uint8Array): Uint8Array {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["xz", "-dc"], { stdin: packed, stdout: "pipe", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`a kernel does not unpack: ${stderr}`);
  return stdout;
}

/** The ELF file in a bzImage, or null where it is packed in a way that is not known here. @throws Error for another file */
function unpack(image: Uint8Array, path: string): Uint8Array | null {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (view.getUint32(header.magic, true) !== magic) throw new Error(`${path} is no bzImage`);
  const from = (1 + (image[header.setupSectors] || 4)) * sectorBytes + view.getUint32(header.payloadOffset, true);
  const payload = image.subarray(from, from + view.getUint32(header.payloadLength, true) - trailerBytes);
  const unpacker = unpackers.find(([start]) => start.every((byte, i) => payload[i] === byte));
  return unpacker === undefined ? null : unpacker[1](payload);
}

/** A file that QEMU boots faster than this bzImage, made once and kept in `cache`; the bzImage itself where there is none. */
export function unpackedKernel(path: string, cache: string): string {
  const image = readFileSync(path);
  const kept = join(cache, `${basename(path)}-${createHash("sha256").update(image).digest("hex").slice(0, 16)}`);
  if (existsSync(kept)) return kept;
  const kernel = unpack(image, path);
  if (kernel === null) return path;
  mkdirSync(cache, { recursive: true });
  const work = `${kept}.${process.pid}`;
  writeFileSync(work, kernel);
  renameSync(work, kept);
  return kept;
}
