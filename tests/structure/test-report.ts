// What a run of test files said of each test: read from the runner's report in JUnit's format.

const CASE = /<testcase name="(?<name>[^"]*)"(?<attributes>[^>]*?)(?:\/>|>(?<body>.*?)<\/testcase>)/gs;
const FILE = / file="(?<file>[^"]*)"/;
const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

const decode = (text: string): string =>
  text.replaceAll(/&(?:#(\d+)|(amp|lt|gt|quot|apos));/g, (_, code: string | undefined, name: string) =>
    code === undefined ? entities[name] : String.fromCodePoint(Number(code)),
  );

/** How the tests of one file ended: names as the runner gives them, those of a table filled in. */
export interface FileResult {
  readonly passed: string[];
  /** Failed, skipped or still to be written. */
  readonly notPassed: string[];
}

/** The results in a report, by the path of the test file as the report has it. */
export function readTestReport(xml: string): Map<string, FileResult> {
  const results = new Map<string, FileResult>();
  for (const { groups } of xml.matchAll(CASE)) {
    if (groups === undefined) continue;
    const file = decode(FILE.exec(groups.attributes)?.groups?.file ?? "");
    const result = results.get(file) ?? { passed: [], notPassed: [] };
    results.set(file, result);
    const isPassed = !/<(?:failure|error|skipped)\b/.test(groups.body ?? "");
    (isPassed ? result.passed : result.notPassed).push(decode(groups.name));
  }
  return results;
}

/** Why a test of this name has not passed, or null: `%p` and the like stand for any text, and each test that fits must have passed. */
export function notPassedReason(result: FileResult | undefined, name: string): string | null {
  const fixed = name.split(/%[psdifj]/).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`^${fixed.join(".*")}$`, "s");
  if (result?.notPassed.some((ran) => pattern.test(ran))) return "did not pass";
  return result?.passed.some((ran) => pattern.test(ran)) ? null : "did not run";
}
