/** The shortest frame that is looked at: an Ethernet header. */
export const FRAME_BYTES_MIN = 14;

/** Frames towards the guest are padded to this length, as a wire without its checksum would (IEEE 802.3, 4.2.3.3). */
export const FRAME_BYTES_PADDED = 60;

/** The longest frame in bytes, segmentation offload included (virtio 1.3, 5.1.6.3.1: 65550 with an Ethernet header). */
export const FRAME_BYTES_MAX = 65550;
