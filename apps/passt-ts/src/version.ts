import manifest from "../package.json" with { type: "json" };

/** The program's name. */
export const PROGRAM = "passt-ts";

/** The text of --version. */
export const VERSION_TEXT: string = `${PROGRAM} ${manifest.version}`;
