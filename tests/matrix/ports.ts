// Ports of the matrix: on the host's loopback, and those of the host that lead to the guest.

/** TCP and UDP: sends back what comes. */
export const echoPort = 7001;
/** TCP and UDP of the host, forwarded to the same port of the guest. */
export const forwardedPort = 7002;
