// The client with autobahn-js and package ws, against a running server: started by test_client.py.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { BOSSES, HeldClock, MEMBERS, ask, leave } from "./real.mjs";
import { becomes, heard, open, post, presence, ticket, update, userOf } from "./real.mjs";

afterEach(leave);

const [ALICE, BOB] = [101, 102];
const BOARD = "org.tuleap.kanban.3";

/** A page that shows board 3 and notes the data of its events. */
async function boarded(options) {
  const connection = open(BOB, options);
  const board = connection.board(3);
  const notes = [];
  board.on("*", (data) => notes.push(data));
  for (const name of ["gap", "lost"]) board.on(name, () => notes.push(name));
  await heard(board, "live");
  const hears = (data) => (notes.includes(data) ? Promise.resolve() : heard(board, "*", (it) => it === data));
  return { connection, board, notes, hears };
}

test("a page receives what happens on its board", async () => {
  const { connection, board, hears, notes } = await boarded();
  assert.equal(connection.session.user, BOB);
  const event = heard(board, "kanban_item:create");
  await post({ data: 1 });
  const [data, { topic, missed }] = await event;
  assert.deepEqual([data, topic, missed], [1, BOARD, false]);
  await post({ data: 2, sender_user_id: BOB, sender_uuid: `window of ${BOB}` }); // its own
  await post({ data: 3 });
  await hears(3);
  assert.deepEqual(notes, [1, 3]);
});

test("a line that is cut, again and again, costs no event, and none comes twice", async () => {
  const clock = new HeldClock();
  const { connection, hears, notes } = await boarded({ clock });
  const expected = [];
  for (let round = 0; round < 5; round += 1) {
    await post({ data: `${round} live` });
    await hears(`${round} live`);
    connection.cut();
    assert.equal(connection.state, "reconnecting");
    await post({ data: `${round} missed` });
    await post({ data: `${round} missed, too` });
    const live = becomes(connection, "live");
    clock.retry(connection);
    await live;
    await post({ data: `${round} while it catches up` });
    await hears(`${round} while it catches up`);
    expected.push(`${round} live`, `${round} missed`, `${round} missed, too`, `${round} while it catches up`);
  }
  assert.deepEqual(notes, expected);
});

test("a restart of the server is a gap", async () => {
  const { connection, board, notes, hears } = await boarded();
  const reasons = [];
  connection.on("state", (state, { reason }) => reasons.push(reason));
  const gap = heard(board, "gap");
  await ask("restart");
  await gap;
  assert.equal(reasons[0], "closed 1012");
  await post({ data: "after it" });
  await hears("after it");
  assert.deepEqual(notes, ["gap", "after it"]);
});

test("presence appears, changes and leaves; the podium follows", async () => {
  const connection = open(BOB);
  const campaign = connection.campaign(9);
  await heard(campaign, "live");
  const alice = { ...userOf(ALICE), uuid: `window of ${ALICE}` };
  const page = open(ALICE);
  const others = page.campaign(9);
  await heard(others, "live");

  for (const [change, expected] of [
    [() => presence(ALICE, 39), ["39", [alice]]],
    [() => presence(ALICE, 40, "39"), ["40", [alice]]],
  ]) {
    const told = heard(campaign, "presence", (id, users) => id === expected[0] && users.length === 1);
    await change();
    assert.deepEqual(await told, expected);
  }
  assert.deepEqual([...campaign.presence], [["40", [alice]]]);

  const podium = heard(campaign, "podium");
  await update(ALICE, 40, "passed");
  const [standings] = await podium;
  assert.deepEqual(standings, [{ user: userOf(ALICE), score: 1, rank: 1 }]);
  assert.deepEqual(campaign.podium, standings);

  const late = open(103);
  const snapshot = late.campaign(9);
  await heard(snapshot, "live");
  assert.deepEqual([...snapshot.presence], [["40", [alice]]]);
  assert.deepEqual(snapshot.podium, standings);

  const gone = heard(campaign, "presence", (id, users) => users.length === 0);
  others.leave();
  assert.deepEqual(await gone, ["40", []]);
  assert.equal(campaign.presence.size, 0);
});

test("a window that comes back is read from the snapshot", async () => {
  const clock = new HeldClock();
  const connection = open(BOB, { clock });
  const campaign = connection.campaign(9);
  await heard(campaign, "live");
  connection.cut();
  const page = open(ALICE);
  await heard(page.campaign(9), "live");
  await presence(ALICE, 41);
  const told = heard(campaign, "presence", (id) => id === "41");
  clock.retry(connection);
  const [, [{ id }]] = await told;
  assert.equal(id, ALICE);
});

test("a ticket that a page shows in time carries it on", async () => {
  const { connection, hears } = await boarded();
  await connection.refresh();
  await post({ data: "after the refresh" });
  await hears("after the refresh");
});

test("a ticket that is not good is refused; the session stays", async () => {
  const tickets = [ticket(BOB), "nonsense"];
  const { connection } = await boarded({ getTicket: async () => tickets.shift() });
  await assert.rejects(connection.refresh(), { reason: "org.tuleap.error.token_invalid" });
  assert.equal(connection.state, "live");
});

test("a page without a good ticket is offline", async () => {
  const errors = [];
  const connection = open(BOB, { getTicket: async () => "nonsense", onError: ({ reason }) => errors.push(reason) });
  await becomes(connection, "offline");
  assert.deepEqual(errors, ["wamp.error.authentication_denied"]);
});

test("a room that a newer ticket does not list is lost, and comes back with one that does", async () => {
  let rooms = [BOARD];
  const getTicket = async () => ticket(BOB, { rooms, seconds: 1800 + next() });
  const { connection, board } = await boarded({ getTicket });
  rooms = ["org.tuleap.kanban.4"];
  const lost = heard(board, "lost");
  await connection.refresh();
  assert.deepEqual(await lost, ["wamp.error.not_authorized"]);
  rooms = [BOARD];
  const gap = heard(board, "gap");
  await connection.refresh();
  await gap;
});

test("a room that the ticket does not list is an error", async () => {
  const found = new Promise((resolve) => {
    open(BOB, { ticket: { rooms: ["org.tuleap.kanban.4"] }, onError: resolve }).board(3);
  });
  const { reason, topic } = await found;
  assert.deepEqual([reason, topic], ["wamp.error.not_authorized", BOARD]);
});

test("groups that a newer ticket brings show more of the campaign", async () => {
  await heard(open(ALICE).campaign(9), "live");
  await presence(ALICE, 42, "", [BOSSES]);
  let groups = ["@site_active", MEMBERS];
  const connection = open(104, { getTicket: async () => ticket(104, { groups, seconds: 1800 + next() }) });
  const campaign = connection.campaign(9);
  await heard(campaign, "live");
  assert.equal(campaign.presence.has("42"), false);
  groups = ["@site_active", MEMBERS, BOSSES];
  const told = heard(campaign, "presence", (id) => id === "42");
  await connection.refresh();
  await told;
});

let last = 0;
/** Of a user's tickets the one that ends last counts. */
function next() {
  last += 60;
  return last;
}
