// Machines of QEMU without KVM: the program, and its arguments.

/** A QEMU that is there. */
export interface Qemu {
  /** The program, and arguments that come before all others. */
  readonly command: readonly string[];
  /** Further options of each card. */
  readonly card: string;
}

/** Debian's. QEMU 7.2 crashes with vhost-user, TCG and MSI-X together, so its card gets no vectors. */
export const debianQemu: Qemu = { command: ["qemu-system-x86_64"], card: ",vectors=0" };

export interface QemuMachine {
  readonly qemu?: Qemu;
  readonly memoryMiB: number;
  /** Arguments that make the network device "net". */
  readonly network: readonly string[];
  /** Further options of the card, each with a comma before it. */
  readonly card?: string;
}

/** The network device that a daemon serves at a socket; `options` are the connection's, each with a comma before it. */
export function vhostUserNetwork(socket: string, options = ""): string[] {
  return ["-chardev", `socket,id=vhost,path=${socket}${options}`, "-netdev", "vhost-user,id=net,chardev=vhost"];
}

/** The command of a machine with one network card, its console on standard input and output; what it boots is to follow. */
export function qemuCommand({ qemu = debianQemu, memoryMiB, network, card = "" }: QemuMachine): string[] {
  return [
    ...qemu.command,
    ..."-nodefaults -no-user-config -no-reboot -display none -serial stdio -monitor none -accel tcg -cpu max".split(
      " ",
    ),
    "-m",
    `${memoryMiB}M`,
    "-object",
    `memory-backend-memfd,id=memory,size=${memoryMiB}M,share=on`,
    "-machine",
    // Without graphics the firmware, and so iPXE, writes to the serial port.
    "q35,memory-backend=memory,graphics=off",
    ...network,
    "-device",
    `virtio-net-pci,netdev=net,romfile=${qemu.card}${card}`,
  ];
}
