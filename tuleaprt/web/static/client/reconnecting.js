/** When the client reconnects. Times are in milliseconds. */

// When the client reconnects, by the server's reason or close code (docs/wamp.rst, "How sessions end"). After any other
// GOODBYE or ABORT: never. After any other close, and when the server cannot be reached: later.
export const AFTER_REASON = {
  "org.tuleap.error.token_expired": "at once",
  "org.tuleap.close.revoked": "at once",
  "org.tuleap.error.rate_exceeded": "late",
  "org.tuleap.error.limit_exceeded": "late",
};
export const AFTER_CODE = { 1001: "soon", 1012: "soon" };

// Reasons to drop a connection without a closing handshake.
export const DEAD = new Set(["unanswered", "cut"]);

const LONGEST_PAUSE = 30_000;

/** The pause before an attempt. `when` is "at once", "soon", "later" or "late"; `failures`: attempts that failed. */
export function pause(when, failures, random) {
  if (when === "late") return backoff(Infinity, random);
  if (failures > 0 || when === "later") return backoff(failures, random);
  return when === "soon" ? 200 + 1800 * random() : 0;
}

/** It doubles with each failure, and is random, so that pages do not come together. */
export function backoff(failures, random) {
  return Math.min(1000 * 2 ** failures, LONGEST_PAUSE) * (0.5 + random() / 2);
}
