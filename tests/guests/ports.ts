// Where the servers of host-services.ts listen, on the loopback addresses of the host's namespace.

export const httpPort = 8080;
/** Sends back what it gets; TCP and UDP. */
export const echoPort = 7007;
/** Takes a line "SEED BYTES", sends that stream, closes. */
export const sourcePort = 7001;
/** Takes a line "SEED BYTES" and a stream until the half-close, answers "SHA256 BYTES", closes. */
export const sinkPort = 7002;
/** Like the source, but resets the connection after that many bytes. */
export const resetPort = 7003;
