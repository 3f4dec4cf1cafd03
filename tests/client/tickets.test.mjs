// A ticket is replaced before it ends, and after a sleep.
import assert from "node:assert/strict";
import { test } from "node:test";

import { back, page, settled } from "./fakes.mjs";

const REFRESH = "org.tuleap.session.refresh";
const MINUTE = 60_000;

const shown = ({ server }) => server.calls.filter(([procedure]) => procedure === REFRESH).map(([, [ticket]]) => ticket);

/** One whose ticket is good for so many minutes, as is every newer one. */
const ticketed = (minutes, options = {}) =>
  page({
    ...options,
    before: (server, clock) => {
      server.expiresAt = clock.time / 1000 + minutes * 60;
      server.procedures[REFRESH] = () => [[{ expires_at: clock.time / 1000 + minutes * 60 }]];
      options.before?.(server, clock);
    },
  });

test("a new ticket is shown five minutes before the old one ends, each time", async () => {
  const it = await ticketed(30);
  await it.clock.pass(25 * MINUTE - 1);
  assert.deepEqual(shown(it), []);
  await it.clock.pass(1);
  assert.deepEqual(shown(it), ["ticket 2"]);
  await it.clock.pass(25 * MINUTE);
  assert.deepEqual(shown(it), ["ticket 2", "ticket 3"]);
  assert.equal(it.server.sockets.length, 1);
});

test("a short ticket is replaced when half of its time is over, but not every moment", async () => {
  const it = await ticketed(4);
  await it.clock.pass(2 * MINUTE);
  assert.equal(shown(it).length, 1);

  const ended = await ticketed(-10); // by a clock that is wrong
  await ended.clock.pass(MINUTE - 1);
  assert.equal(shown(ended).length, 0);
  await ended.clock.pass(1);
  assert.equal(shown(ended).length, 1);
});

test("a page can show one at any time", async () => {
  const it = await ticketed(30);
  await it.connection.refresh();
  assert.deepEqual(shown(it), ["ticket 2"]);
});

test("without a session there is nothing to refresh", async () => {
  const it = await ticketed(30);
  it.server.socket.drop(1012);
  await it.connection.refresh();
  assert.deepEqual(it.server.tickets, ["ticket 1"]);
  assert.equal(it.asked.length, 1);
});

test("after a sleep the ticket is replaced at once", async () => {
  const it = await ticketed(30);
  it.clock.sleep(15 * MINUTE);
  await it.clock.pass(10_000);
  assert.deepEqual(shown(it), ["ticket 2"]);
});

test("a background page, whose timers come late, has not slept", async () => {
  const it = await ticketed(30);
  it.clock.sleep(MINUTE);
  await it.clock.pass(10_000);
  assert.deepEqual(shown(it), []);
});

test("a line that died during a sleep is noticed, and replaced", async () => {
  const it = await ticketed(30);
  it.server.procedures[REFRESH] = () => null;
  it.clock.sleep(15 * MINUTE);
  await it.clock.pass(20_000);
  assert.deepEqual(it.states.at(-1), ["reconnecting", "unanswered", 1]);
  await back(it);
  assert.equal(it.connection.state, "live");
});

test("a page that wakes while it waits tries at once", async () => {
  const it = await ticketed(30);
  it.server.isReachable = false;
  it.server.socket.drop(1006);
  for (let attempts = 0; attempts < 6; attempts += 1) await back(it);
  const attempts = it.server.sockets.length;
  it.clock.sleep(15 * MINUTE);
  it.server.isReachable = true;
  await it.clock.pass(10_000);
  await settled();
  assert.equal(it.server.sockets.length, attempts + 1);
  assert.equal(it.connection.state, "live");
});

test("a ticket that is refused is an error; the session goes on, and another is shown a minute later", async () => {
  const refused = "org.tuleap.error.token_invalid";
  const it = await ticketed(30, { before: (server) => (server.procedures[REFRESH] = () => refused) });
  await it.clock.pass(25 * MINUTE);
  assert.deepEqual([it.errors, it.connection.state], [[refused], "live"]);
  await it.clock.pass(MINUTE);
  assert.deepEqual(shown(it), ["ticket 2", "ticket 3"]);
  await assert.rejects(it.connection.refresh(), { reason: refused });
});

test("a line that is lost while a ticket is on its way leaves nothing waiting", async () => {
  const it = await ticketed(30);
  it.server.procedures[REFRESH] = () => null;
  const refreshing = it.connection.refresh();
  await settled();
  it.server.socket.drop(1006);
  await refreshing;
  assert.equal(it.connection.state, "reconnecting");
});

test("a user who has logged out keeps his session until it ends, and hears that there is no ticket", async () => {
  const tickets = ["ticket"];
  const it = await ticketed(30, { getTicket: async () => tickets.shift() ?? null });
  await it.clock.pass(25 * MINUTE);
  assert.deepEqual([it.errors, it.connection.state], [["no ticket"], "live"]);
  assert.deepEqual(shown(it), []);
});

test("a ticket that is good for a year is not replaced before", async () => {
  const it = await ticketed(365 * 24 * 60);
  const longest = Math.max(...[...it.clock.timers.values()].map(({ at }) => at - it.clock.time));
  assert.ok(longest < 2 ** 31); // beyond that a browser's timer goes off at once
  assert.deepEqual(shown(it), []);
});

test("when the browser is online again, an attempt that was waiting is made at once", async (context) => {
  const window = new EventTarget();
  for (const name of ["addEventListener", "removeEventListener"]) {
    globalThis[name] = window[name].bind(window);
    context.after(() => delete globalThis[name]);
  }
  const it = await ticketed(30);
  it.server.socket.drop(1006);
  window.dispatchEvent(new Event("online"));
  await settled();
  assert.deepEqual([it.connection.state, it.server.sockets.length], ["live", 2]);
  it.connection.close();
  window.dispatchEvent(new Event("online"));
  await settled();
  assert.equal(it.server.sockets.length, 2);
});
