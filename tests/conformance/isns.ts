/** Initial sequence numbers of the daemon's connections, by which sequence numbers are shown. */
export interface Isns {
  /** The number of the first SYN that the daemon sent from its port to the guest's, or undefined. */
  findIsn(daemonPort: number, guestPort: number): number | undefined;
}
