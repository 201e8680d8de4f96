// Runs inside the namespace: plays the suites of clock.ts on our back-end, and prints what came of them as JSON.

import { ClockBackEnd } from "./clock-back-end.ts";
import type { PlayedSuite } from "./played.ts";
import { clockSuites } from "./scripts/clock.ts";

const played: PlayedSuite[] = [];
for (const suite of clockSuites) {
  const backEnd = new ClockBackEnd(suite);
  played.push(await backEnd.play(suite));
  backEnd.close();
}
console.log(JSON.stringify(played));
process.exit(0);
