/**
 * What --print-capabilities says: the device that this back-end is, in the JSON of the back-end program conventions of
 * vhost-user. A network device has no further features there.
 */
export const capabilitiesText = (): string => `${JSON.stringify({ type: "net" }, null, 2)}\n`;
