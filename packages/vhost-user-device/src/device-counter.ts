/** What a device counts beside its frames, as indices of its `counters`. */
export const DeviceCounter = {
  /** Front-ends that were served. */
  connections: 0,
  /** Clients that were closed because another one was connected. */
  clientsRefused: 1,
  messages: 2,
  messagesRefused: 3,
  /** Kicks taken from both rings. */
  kicks: 4,
  /** Writes to the call fd of a receive and of a transmit ring. */
  callsRx: 5,
  callsTx: 6,
  /** Queues found broken. */
  queuesBroken: 7,
  /** Frames of a disabled transmit ring, taken and dropped. */
  txDrained: 8,
  /** Batches popped from transmit rings. */
  txBatches: 9,
  /** Calls made once more, since a driver showed nothing of the one before. */
  callsRepeated: 10,
} as const;

/** How many counters there are. */
export const DEVICE_COUNTERS: number = Object.keys(DeviceCounter).length;
