/**
 * The classic pcap file format: a 24-byte file header, then a 16-byte header in front of each record's bytes
 * (draft-ietf-opsawg-pcap). All fields are in the byte order of the machine that wrote the file.
 */

/** Offsets in the file header. */
export const FileHeader = {
  magic: 0,
  versionMajor: 4,
  versionMinor: 6,
  snapLength: 16,
  linkType: 20,
  size: 24,
} as const;

/** Offsets in a record header; `fraction` counts microseconds or nanoseconds, as the magic says. */
export const RecordHeader = {
  seconds: 0,
  fraction: 4,
  includedLength: 8,
  originalLength: 12,
  size: 16,
} as const;

/** Magic of a file whose timestamps count microseconds. */
export const MAGIC_MICROSECONDS = 0xa1b2c3d4;
/** Magic of a file whose timestamps count nanoseconds. */
export const MAGIC_NANOSECONDS = 0xa1b23c4d;

export const VERSION_MAJOR = 2;
export const VERSION_MINOR = 4;

/** LINKTYPE_ETHERNET: records begin with the destination MAC address. */
export const LINK_TYPE_ETHERNET = 1;

/** Bytes of a record that are kept at most: more than any Ethernet frame of a segmentation offload. */
export const SNAP_LENGTH_BYTES = 262144;

/** Whether this machine stores the low byte first. */
export const NATIVE_LITTLE_ENDIAN: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
