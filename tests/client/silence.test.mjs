// A connection that dies without a word: nothing comes, and nothing says that it is closed.
import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../../tuleaprt/web/static/client/tuleaprt-client.js";
import { back, noted, page, settled } from "./fakes.mjs";

const PING = "org.tuleap.session.ping";
const REFRESH = "org.tuleap.session.refresh";

const asked = ({ server }) => server.calls.filter(([procedure]) => procedure === PING).length;
const dead = (server) => (server.procedures[PING] = () => null);

/** A browser's window, and its document, for the time of one test. */
function browser(context) {
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  for (const name of ["addEventListener", "removeEventListener"]) globalThis[name] = window[name].bind(window);
  globalThis.document = document;
  context.after(() => ["addEventListener", "removeEventListener", "document"].forEach((it) => delete globalThis[it]));
  return {
    online: () => window.dispatchEvent(new Event("online")),
    becomes(state) {
      document.visibilityState = state;
      document.dispatchEvent(new Event("visibilitychange"));
    },
  };
}

test("within a minute of silence the page is reconnecting", async () => {
  const it = await page({ before: dead });
  await it.clock.pass(50_000 - 1);
  assert.deepEqual([it.connection.state, asked(it)], ["live", 1]);
  await it.clock.pass(1);
  assert.deepEqual(it.states.at(-1), ["reconnecting", "unanswered", 1]);
  assert.equal(it.server.sockets[0].readyState, 3);
  await back(it);
  assert.deepEqual([it.connection.state, it.server.sockets.length], ["live", 2]);
});

test("a server that answers is asked again and again, and the session stays", async () => {
  const it = await page();
  await it.clock.pass(400_000);
  assert.deepEqual([it.connection.state, asked(it), it.server.sockets.length], ["live", 10, 1]);
});

test("pages do not ask together", async () => {
  for (const [random, seconds] of [
    [0, 20],
    [0.5, 30],
    [1, 40],
  ]) {
    const it = await page({ random: () => random });
    await it.clock.pass(seconds * 1000 - 1);
    assert.equal(asked(it), 0);
    await it.clock.pass(1);
    assert.equal(asked(it), 1);
  }
});

test("nothing is asked while events come", async () => {
  const it = await page();
  it.connection.board(3);
  await settled();
  for (let publication = 1; publication <= 20; publication += 1) {
    await it.clock.pass(39_000);
    it.server.socket.event(publication, "kanban_item:create", {});
  }
  assert.deepEqual([asked(it), it.told.length], [0, 20]);
  await it.clock.pass(40_000);
  assert.equal(asked(it), 1);
});

test("an event that comes instead of the answer keeps the connection", async () => {
  const it = await page({ before: dead });
  it.connection.board(3);
  await settled();
  await it.clock.pass(45_000);
  it.server.socket.event(1, "kanban_item:create", {});
  await it.clock.pass(39_000);
  assert.deepEqual([it.connection.state, asked(it)], ["live", 1]);
});

test("an ERROR is an answer", async () => {
  const it = await page({ before: (server) => (server.procedures[PING] = () => "org.tuleap.error.rate_exceeded") });
  await it.clock.pass(200_000);
  assert.deepEqual([it.connection.state, it.errors, asked(it)], ["live", [], 5]);
});

test("a page sets the interval and the timeout", async () => {
  const it = await page({ before: dead, pingInterval: 3, pingTimeout: 2 });
  await it.clock.pass(5_000);
  assert.deepEqual(it.states.at(-1), ["reconnecting", "unanswered", 1]);
});

test("an interval without end never asks", async () => {
  const it = await page({ pingInterval: Infinity });
  await it.clock.pass(24 * 3_600_000);
  assert.equal(asked(it), 0);
});

for (const name of ["pingInterval", "pingTimeout"])
  test(`${name} must be a number above 0`, () => {
    for (const bad of [0, -1, NaN, "40", null]) assert.throws(() => connect({ autobahn: { Session: 1 }, [name]: bad }), RangeError);
  });

test("what a dead connection brings late means nothing", async () => {
  const it = await page({ before: dead });
  const board = it.connection.board(3);
  const notes = noted(board, "*", "gap");
  await settled();
  const [first] = it.server.sockets;
  await it.clock.pass(50_000);
  it.server.procedures[PING] = () => [];
  await back(it);
  first.event(7, "kanban_item:create", {});
  first.say([50, first.sent.at(-1)[1], {}], [6, {}, "org.tuleap.close.replaced"]);
  first.drop(1006);
  await settled();
  assert.deepEqual([it.connection.state, notes, it.errors], ["live", [], []]);
  it.server.socket.event(7, "kanban_item:create", {});
  assert.equal(notes.length, 1);
});

test("a page that becomes visible asks at once, and only once", async (context) => {
  const window = browser(context);
  const it = await page({ before: dead });
  window.becomes("hidden");
  assert.equal(asked(it), 0);
  window.becomes("visible");
  window.becomes("hidden");
  window.becomes("visible");
  assert.equal(asked(it), 1);
  await it.clock.pass(10_000);
  assert.deepEqual(it.states.at(-1), ["reconnecting", "unanswered", 1]);
  window.becomes("visible"); // no session is there to ask
  it.connection.close();
  window.becomes("visible");
  assert.deepEqual([asked(it), it.clock.timers.size], [1, 0]);
});

test("when the browser is online again, the server is asked at once, even if no ticket can be had", async (context) => {
  const window = browser(context);
  let tickets = 0;
  const getTicket = () => ((tickets += 1) === 1 ? "ticket" : new Promise(() => {}));
  const it = await page({ before: dead, getTicket });
  window.online();
  assert.equal(asked(it), 1);
  await it.clock.pass(10_000);
  assert.deepEqual(it.states.at(-1), ["reconnecting", "unanswered", 1]);
});

test("after a sleep the server is asked at once", async () => {
  const it = await page({ before: dead });
  it.server.procedures[REFRESH] = () => null;
  it.clock.sleep(15 * 60_000);
  await it.clock.pass(20_000);
  assert.deepEqual([asked(it), it.connection.state], [1, "reconnecting"]);
});

test("a page that closes leaves no timer, asked or not, and none of a board that could not be loaded", async () => {
  for (const pass of [0, 45_000]) {
    const it = await page({ before: dead });
    it.connection.board(3).on("live", () => Promise.reject(new Error("no board")));
    await settled();
    await it.clock.pass(pass);
    it.connection.close();
    it.server.socket.drop(1000);
    assert.equal(it.clock.timers.size, 0);
    await it.clock.pass(3_600_000);
    assert.equal(it.server.sockets.length, 1);
  }
});
