import manifest from "../package.json" with { type: "json" };

/** The text of --version. */
export const VERSION_TEXT: string = `passt-ts ${manifest.version}`;
