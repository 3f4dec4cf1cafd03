// When a page comes back, and when it does not.
import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../../tuleaprt/web/static/client/tuleaprt-client.js";
import { back, delays, page } from "./fakes.mjs";

test("a page shows its ticket and its uuid, and is live", async () => {
  const { connection, server, states } = await page();
  assert.equal(connection.state, "live");
  assert.deepEqual(states, [["live", null, null]]);
  assert.deepEqual(connection.session, { id: 1001, user: 102 });
  const [, realm, { authmethods, authextra }] = server.socket.sent[0];
  assert.deepEqual([realm, authmethods, authextra], ["tuleap", ["ticket"], { uuid: "the window" }]);
  assert.deepEqual([server.socket.url, server.socket.protocols], ["wss://tuleap.example.com/ws", ["wamp.2.json"]]);
  assert.deepEqual(server.tickets, ["ticket 1"]);
});

test("a restart is waited for shortly, each page another while", async () => {
  for (const [random, delay] of [
    [0, 0.2],
    [0.5, 1.1],
    [1, 2],
  ]) {
    const { connection, server, states, clock } = await page({ random: () => random });
    server.socket.drop(1012);
    assert.deepEqual(states.at(-1), ["reconnecting", "closed 1012", delay]);
    assert.equal(connection.session, null);
    await back({ states, clock });
    assert.equal(connection.state, "live");
    assert.deepEqual(server.tickets, ["ticket 1", "ticket 2"]);
  }
});

test("a server that cannot be reached is tried later and later, up to half a minute", async () => {
  const { connection, server, states, clock } = await page();
  server.isReachable = false;
  server.socket.drop(1006);
  for (let attempts = 0; attempts < 7; attempts += 1) await back({ states, clock });
  assert.deepEqual(delays(states), [1, 2, 4, 8, 16, 30, 30, 30]);
  assert.equal(states.at(-1)[1], "lost");
  server.isReachable = true;
  await back({ states, clock });
  assert.equal(connection.state, "live");
});

test("one that has never been reached is tried in the same way", async () => {
  const { connection, states, clock } = await page({ before: (server) => (server.isReachable = false) });
  assert.equal(connection.state, "reconnecting");
  await back({ states, clock });
  assert.deepEqual(delays(states), [1, 2]);
});

test("a reader that is cut off again and again (1013) comes back later and later", async () => {
  const { server, states, clock } = await page({ random: () => 0 });
  for (let times = 0; times < 4; times += 1) {
    server.socket.drop(1013);
    await back({ states, clock });
  }
  assert.deepEqual(delays(states), [0.5, 1, 2, 4]);
});

test("after a session that lasted, the next pause is a short one again", async () => {
  const { server, states, clock } = await page();
  for (let times = 0; times < 3; times += 1) {
    server.socket.drop(1013);
    await back({ states, clock });
    await clock.pass(10_000);
  }
  assert.deepEqual(delays(states), [1, 1, 1]);
});

for (const reason of ["wamp.error.authentication_denied", "wamp.error.not_authorized", "wamp.error.no_such_realm"])
  test(`a page that is refused with ${reason} stays away and says so`, async () => {
    const { connection, server, states, errors, clock } = await page({ before: (it) => (it.refuse = () => reason) });
    await clock.pass(3_600_000);
    assert.equal(connection.state, "offline");
    assert.deepEqual(states, [["offline", reason, null]]);
    assert.deepEqual(errors, [reason]);
    assert.equal(server.sockets.length, 1);
    assert.equal(clock.timers.size, 0);
  });

for (const reason of ["wamp.close.killed", "org.tuleap.close.replaced"])
  test(`a session that ends with ${reason} is the last`, async () => {
    const { connection, server, errors, clock } = await page();
    server.socket.say([6, {}, reason]);
    await clock.pass(3_600_000);
    assert.deepEqual([connection.state, server.sockets.length], ["offline", 1]);
    assert.deepEqual(errors, [reason]);
  });

for (const reason of ["org.tuleap.error.token_expired", "org.tuleap.close.revoked"])
  test(`after ${reason} a page comes back at once, with a new ticket`, async () => {
    const { connection, server, states, clock } = await page();
    server.socket.say([6, {}, reason]);
    assert.deepEqual(states.at(-1), ["reconnecting", reason, 0]);
    await back({ states, clock });
    assert.equal(connection.state, "live");
    assert.deepEqual(server.tickets, ["ticket 1", "ticket 2"]);
  });

test("tickets that have all expired do not make a storm", async () => {
  const refuse = () => "org.tuleap.error.token_expired";
  const { server, states, clock } = await page({ before: (it) => (it.refuse = refuse) });
  for (let attempts = 0; attempts < 3; attempts += 1) await back({ states, clock });
  assert.deepEqual(delays(states), [0, 2, 4, 8]);
  assert.equal(server.sockets.length, 4);
});

test("who has asked too much, or has too many windows, waits for half a minute", async () => {
  for (const reason of ["org.tuleap.error.rate_exceeded", "org.tuleap.error.limit_exceeded"]) {
    const { server, states } = await page();
    server.socket.say([6, {}, reason]);
    assert.deepEqual(states.at(-1), ["reconnecting", reason, 30]);
  }
});

test("a server that does not answer is given up after twenty seconds", async () => {
  const { states, server, clock } = await page({ getTicket: () => new Promise(() => {}) });
  assert.deepEqual(states, []);
  await clock.pass(20_000);
  assert.deepEqual(states, [["reconnecting", "unanswered", 1]]);
  assert.equal(server.socket.readyState, 3);
});

test("a user who has no ticket any more is offline; a ticket that cannot be had now is asked for later", async () => {
  const none = await page({ getTicket: async () => null });
  assert.deepEqual([none.connection.state, none.errors], ["offline", ["no ticket"]]);

  let isDown = true;
  const getTicket = async () => {
    if (isDown) throw new Error("Tuleap is down");
    return "a ticket";
  };
  const late = await page({ getTicket });
  assert.deepEqual(late.states, [["reconnecting", "no ticket", 1]]);
  assert.deepEqual(late.errors, ["Tuleap is down"]);
  isDown = false;
  await back(late);
  assert.deepEqual([late.connection.state, late.server.tickets], ["live", ["a ticket"]]);
});

test("a page that closes says GOODBYE, and neither comes back nor leaves a timer", async () => {
  const { connection, server, states, clock } = await page();
  connection.close();
  assert.deepEqual(server.socket.sent.at(-1), [6, {}, "wamp.close.normal"]);
  server.socket.say([6, {}, "wamp.close.goodbye_and_out"]);
  server.socket.drop(1000);
  assert.deepEqual(states.at(-1), ["offline", "closed", null]);
  assert.equal(clock.timers.size, 0);
  connection.close();
  await clock.pass(3_600_000);
  assert.equal(server.sockets.length, 1);
});

test("a page may close while it waits, too", async () => {
  const { connection, server, clock } = await page();
  server.socket.drop(1012);
  connection.close();
  await clock.pass(60_000);
  assert.deepEqual([connection.state, server.sockets.length, clock.timers.size], ["offline", 1, 0]);
});

test("a page that closes before WELCOME drops a server that does not answer the close", async () => {
  const it = await page({ before: (server) => (server.authenticate = () => {}) });
  const { socket } = it.server;
  assert.equal(it.connection.state, "connecting");
  let dropped = 0;
  socket.terminate = () => (dropped += 1);
  it.connection.close();
  await it.clock.pass(10_000);
  assert.deepEqual([dropped, it.clock.timers.size], [1, 0]);
});

test("a line that is cut says no GOODBYE", async () => {
  const { connection, server, states, clock } = await page();
  connection.cut();
  assert.deepEqual(states.at(-1), ["reconnecting", "cut", 1]);
  assert.ok(!server.socket.sent.some(([type]) => type === 6));
  server.socket.drop(1006); // which is heard of later, and changes nothing
  await back({ states, clock });
  assert.deepEqual([connection.state, server.sockets.length], ["live", 2]);
});

test("a listener can be taken back, and is called once if it likes", async () => {
  const { connection, server, states, clock } = await page();
  const calls = [];
  const off = connection.on("state", (state) => calls.push(`on ${state}`));
  connection.once("state", (state) => calls.push(`once ${state}`));
  server.socket.drop(1012);
  off();
  await back({ states, clock });
  assert.deepEqual(calls, ["on reconnecting", "once reconnecting"]);
});

test("without autobahn-js it says what is missing", () => {
  assert.throws(() => connect({ url: "wss://tuleap.example.com/ws", getTicket: () => "" }), /autobahn-js/);
});
