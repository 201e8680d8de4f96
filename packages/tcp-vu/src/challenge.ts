import type { Connection } from "./connection.ts";
import { TcpCounter } from "./counters.ts";

/**
 * Challenge acknowledgments of one connection in any 5 s (RFC 5961 section 7). A limit for all connections together
 * would let one of them find out about the others.
 */
const CHALLENGES_MAX = 10;
const CHALLENGE_INTERVAL_MS = 5000;

/** Makes an acknowledgment due for a segment that is not acceptable, while the rate of these allows one more. */
export function challenge(connection: Connection, counters: Float64Array, nowMs: number): void {
  // One that is due already answers this segment too.
  if (connection.ackDue === 0) {
    if (nowMs - connection.challengeStartMs >= CHALLENGE_INTERVAL_MS) {
      connection.challengeStartMs = nowMs;
      connection.challenges = 0;
    }
    if (connection.challenges === CHALLENGES_MAX) {
      counters[TcpCounter.challengesWithheld]++;
      return;
    }
    connection.challenges++;
    connection.ackDue = 1;
  }
  counters[TcpCounter.challenges]++;
}
