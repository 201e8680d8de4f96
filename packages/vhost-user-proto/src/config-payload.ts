/** The payload of GET_CONFIG and SET_CONFIG, by the rules of payload.ts. */
import { VhostUserError } from "./error.ts";
import { viewOf } from "./payload.ts";

/** Bytes before the contents in a config payload. */
export const CONFIG_HEADER_BYTES: 12 = 12;
/** The longest device configuration space, in bytes. */
export const CONFIG_BYTES_MAX: 256 = 256;

/** A piece of the device configuration space; `flags` 0 = written by the driver, 1 = by live migration. */
export interface ConfigSpace {
  readonly offset: number;
  readonly flags: number;
  readonly contents: Uint8Array;
}

/** The payload of GET_CONFIG and SET_CONFIG: u32 offset, u32 size, u32 flags, the contents. */
export function encodeConfig(config: ConfigSpace): Uint8Array {
  const payload = new Uint8Array(CONFIG_HEADER_BYTES + config.contents.length);
  const view = new DataView(payload.buffer);
  view.setUint32(0, config.offset, true);
  view.setUint32(4, config.contents.length, true);
  view.setUint32(8, config.flags, true);
  payload.set(config.contents, CONFIG_HEADER_BYTES);
  return payload;
}

/**
 * The config area of a payload; `contents` is a copy. What the area covers lies in the first 256 bytes. Bytes of the
 * payload behind the area are ignored.
 *
 * @throws VhostUserError BAD_SIZE, BAD_VALUE
 */
export function decodeConfig(payload: Uint8Array): ConfigSpace {
  const view = viewOf(payload, CONFIG_HEADER_BYTES, "config");
  const offset = view.getUint32(0, true);
  const sizeBytes = view.getUint32(4, true);
  if (offset + sizeBytes > CONFIG_BYTES_MAX) {
    throw new VhostUserError("BAD_VALUE", `config bytes ${offset} to ${offset + sizeBytes} lie behind the end`);
  }
  if (payload.length < CONFIG_HEADER_BYTES + sizeBytes) {
    throw new VhostUserError("BAD_SIZE", `config of ${sizeBytes} bytes in a payload of ${payload.length}`);
  }
  const contents = payload.slice(CONFIG_HEADER_BYTES, CONFIG_HEADER_BYTES + sizeBytes);
  return { offset, flags: view.getUint32(8, true), contents };
}
