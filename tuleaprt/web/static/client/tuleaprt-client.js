/**
 * Follows Tuleap's boards and test campaigns through a tuleaprt server. The client survives lost connections, server
 * restarts and expired tokens. docs/client.rst has a page, docs/client-reference.rst the reaction to each interruption.
 */

import { Connection } from "./connection.js";

const CLOCK = {
  now: Date.now,
  setTimeout: (call, delay) => setTimeout(call, delay),
  clearTimeout: (timer) => clearTimeout(timer),
};

/** See tuleaprt-client.d.ts. */
export function connect({
  realm = "tuleap",
  autobahn = globalThis.autobahn,
  WebSocket = globalThis.WebSocket,
  pingInterval = 40,
  pingTimeout = 10,
  clock = CLOCK,
  random = Math.random,
  ...options
}) {
  if (!autobahn?.Session) throw new Error("tuleaprt-client needs autobahn-js: load it before, or give it as autobahn");
  for (const [name, seconds] of Object.entries({ pingInterval, pingTimeout }))
    if (!(typeof seconds === "number" && seconds > 0)) throw new RangeError(`${name} must be a number of seconds above 0`);
  return new Connection({ ...options, realm, autobahn, WebSocket, pingInterval, pingTimeout, clock, random });
}
