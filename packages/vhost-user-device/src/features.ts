import { Capability } from "@passt-ts/net-backend/backend";
import { featureMask, hasFeature, ProtocolFeature, VirtioFeature } from "@passt-ts/vhost-user-proto/features";
import { packedFormat, type RingFormat, splitFormat } from "@passt-ts/virtio-ring/ring-format";

/** What a device offers beyond what its back-end's capabilities say; all 64-bit masks of feature bits. */
export interface FeatureOptions {
  /** Virtio features to offer on top, of {@link OPTIONAL_FEATURES}. */
  readonly offer?: bigint;
  /** Virtio features not to offer; what depends on them is not offered either. */
  readonly withhold?: bigint;
  /** Protocol features to offer on top, of {@link OPTIONAL_PROTOCOL_FEATURES}. */
  readonly offerProtocol?: bigint;
  /** Protocol features not to offer. */
  readonly withholdProtocol?: bigint;
}

/** Virtio features that are offered only when asked for. */
export const OPTIONAL_FEATURES: bigint = featureMask(
  VirtioFeature.INDIRECT_DESC,
  VirtioFeature.EVENT_IDX,
  VirtioFeature.RING_PACKED,
  VirtioFeature.IN_ORDER,
);

/**
 * Protocol features that are offered only when asked for: User-Mode Linux takes in-band notifications wherever it finds
 * them, and then each kick and call is a message.
 */
export const OPTIONAL_PROTOCOL_FEATURES: bigint = featureMask(ProtocolFeature.INBAND_NOTIFICATIONS);

/**
 * Virtio features that are always offered. ANY_LAYOUT is for legacy drivers, which must know that the header may lie
 * with the frame.
 */
const BASE_FEATURES: bigint = featureMask(
  VirtioFeature.VERSION_1,
  VirtioFeature.PROTOCOL_FEATURES,
  VirtioFeature.MRG_RXBUF,
  VirtioFeature.ANY_LAYOUT,
  VirtioFeature.VHOST_LOG_ALL,
);

/** Protocol features of this device. */
const PROTOCOL_FEATURES: bigint = featureMask(
  ProtocolFeature.MQ,
  ProtocolFeature.LOG_SHMFD,
  ProtocolFeature.RARP,
  ProtocolFeature.REPLY_ACK,
  ProtocolFeature.MTU,
  ProtocolFeature.BACKEND_REQ,
  ProtocolFeature.CONFIG,
  ProtocolFeature.INFLIGHT_SHMFD,
  ProtocolFeature.RESET_DEVICE,
  ProtocolFeature.CONFIGURE_MEM_SLOTS,
  ProtocolFeature.STATUS,
);

/** Each capability of a back-end with the feature that it stands for, and the one that this depends on (-1: none). */
const CAPABILITY_FEATURES: readonly (readonly [capability: number, feature: number, needs: number])[] = [
  [Capability.takesPartialChecksum, VirtioFeature.CSUM, -1],
  [Capability.takesTso4, VirtioFeature.HOST_TSO4, VirtioFeature.CSUM],
  [Capability.takesTso6, VirtioFeature.HOST_TSO6, VirtioFeature.CSUM],
  [Capability.takesUso, VirtioFeature.HOST_USO, VirtioFeature.CSUM],
  [Capability.givesPartialChecksum, VirtioFeature.GUEST_CSUM, -1],
  [Capability.givesTso4, VirtioFeature.GUEST_TSO4, VirtioFeature.GUEST_CSUM],
  [Capability.givesTso6, VirtioFeature.GUEST_TSO6, VirtioFeature.GUEST_CSUM],
];

/** One capability for two features, which are offered together and given up when one of them is not taken. */
const USO_FEATURES: bigint = featureMask(VirtioFeature.GUEST_USO4, VirtioFeature.GUEST_USO6);

/** What a device says in GET_PROTOCOL_FEATURES. @throws RangeError when `offerProtocol` names one that is not optional. */
export function offeredProtocolFeatures(options: FeatureOptions): bigint {
  const optional = options.offerProtocol ?? 0n;
  if ((optional & ~OPTIONAL_PROTOCOL_FEATURES) !== 0n) {
    throw new RangeError(`cannot offer protocol features 0x${optional.toString(16)}`);
  }
  return (PROTOCOL_FEATURES | optional) & ~(options.withholdProtocol ?? 0n);
}

/**
 * What a device says in GET_FEATURES.
 *
 * @param capabilities what its back-end could offer, bits of `Capability`.
 * @param configured features whose values the configuration space holds (MAC, MTU, STATUS).
 * @throws RangeError when `offer` names a feature that is not optional.
 */
export function offeredFeatures(capabilities: number, configured: bigint, options: FeatureOptions): bigint {
  const optional = options.offer ?? 0n;
  if ((optional & ~OPTIONAL_FEATURES) !== 0n) throw new RangeError(`cannot offer features 0x${optional.toString(16)}`);
  let features = BASE_FEATURES | optional;
  // Without CONFIG the front-end has its own configuration space, and these features are its own business.
  if (hasFeature(offeredProtocolFeatures(options), ProtocolFeature.CONFIG)) features |= configured;
  let withheld = options.withhold ?? 0n;
  // A log that is not a file has nowhere to be.
  if (!hasFeature(offeredProtocolFeatures(options), ProtocolFeature.LOG_SHMFD)) {
    withheld |= featureMask(VirtioFeature.VHOST_LOG_ALL);
  }
  for (const [capability, feature, needs] of CAPABILITY_FEATURES) {
    if ((capabilities & capability) === 0 || hasFeature(withheld, feature)) continue;
    if (needs < 0 || hasFeature(features, needs)) features |= featureMask(feature);
  }
  if ((capabilities & Capability.givesUso) !== 0 && hasFeature(features, VirtioFeature.GUEST_CSUM)) {
    features |= USO_FEATURES;
  }
  return features & ~withheld;
}

const { MAC, MTU, STATUS } = VirtioFeature;

/**
 * What is left of the offered features for a front-end that chose these protocol features. One without CONFIG has a
 * configuration space of its own, and what is in it is its own business; the MTU stays for one that tells it (NET_SET_MTU).
 */
export function offeredUnder(protocolFeatures: bigint, offered: bigint): bigint {
  if (hasFeature(protocolFeatures, ProtocolFeature.CONFIG)) return offered;
  const tellsMtu = hasFeature(protocolFeatures, ProtocolFeature.MTU);
  return offered & ~(tellsMtu ? featureMask(MAC, STATUS) : featureMask(MAC, STATUS, MTU));
}

/** What the features that a driver took mean for the data plane. */
export interface Negotiated {
  readonly headerLength: 10 | 12;
  readonly mergeable: boolean;
  readonly format: RingFormat;
  readonly eventIndex: boolean;
  readonly indirect: boolean;
  readonly inOrder: boolean;
  /** Writes to guest memory are to be logged. */
  readonly logged: boolean;
  /** Bits of `Capability` that both sides have. */
  readonly capabilities: number;
}

/** Reads the features that a front-end acknowledged. */
export function negotiate(features: bigint): Negotiated {
  const mergeable = hasFeature(features, VirtioFeature.MRG_RXBUF);
  let capabilities = 0;
  for (const [capability, feature, needs] of CAPABILITY_FEATURES) {
    if (hasFeature(features, feature) && (needs < 0 || hasFeature(features, needs))) capabilities |= capability;
  }
  const guestChecksum = hasFeature(features, VirtioFeature.GUEST_CSUM);
  if (guestChecksum && (features & USO_FEATURES) === USO_FEATURES) capabilities |= Capability.givesUso;
  return {
    // num_buffers exists in the legacy header only with MRG_RXBUF (virtio 1.3, 5.1.6.1).
    headerLength: mergeable || hasFeature(features, VirtioFeature.VERSION_1) ? 12 : 10,
    mergeable,
    format: hasFeature(features, VirtioFeature.RING_PACKED) ? packedFormat : splitFormat,
    eventIndex: hasFeature(features, VirtioFeature.EVENT_IDX),
    indirect: hasFeature(features, VirtioFeature.INDIRECT_DESC),
    inOrder: hasFeature(features, VirtioFeature.IN_ORDER),
    logged: hasFeature(features, VirtioFeature.VHOST_LOG_ALL),
    capabilities,
  };
}
