// Presence and podium of a campaign are kept as the server says.
import assert from "node:assert/strict";
import { test } from "node:test";

import { back, noted, page, settled } from "./fakes.mjs";

const PRESENCES = "org.tuleap.testmanagement.presences";
const PODIUM = "org.tuleap.testmanagement.podium";
const [alice, bob] = ["alice", "bob"].map((name, id) => ({ id, username: name, uuid: `window of ${name}` }));
const leads = (user, score) => [{ user, score, rank: 1 }];

const came = (execution, ...users) => ({ execution_to_add: execution, execution_presences_to_add: users });
const went = (execution, ...users) => ({ execution_to_remove: execution, execution_presences_to_remove: users });

/** A page that shows a campaign in which Alice is on test 39, and leads. */
async function campaigned() {
  const it = await page({
    before: ({ procedures }) => {
      procedures[PRESENCES] = () => [[{ 39: [alice] }]];
      procedures[PODIUM] = () => [[leads(alice, 1)]];
    },
  });
  it.campaign = it.connection.campaign(9);
  it.notes = noted(it.campaign, "presence", "podium", "live", "gap", "lost");
  await settled();
  it.publication = 100;
  it.says = (cmd, data) => it.server.socket.event((it.publication += 1), cmd, data);
  it.taken = () => it.notes.splice(0);
  return it;
}

const present = ({ campaign }) => Object.fromEntries(campaign.presence);

test("a campaign begins with the snapshots", async () => {
  const it = await campaigned();
  assert.deepEqual(it.server.subscribed, ["org.tuleap.testmanagement.9"]);
  assert.deepEqual(present(it), { 39: [alice] });
  assert.deepEqual(it.campaign.podium, leads(alice, 1));
  assert.deepEqual(it.taken(), [["presence", "39", [alice]], ["podium", leads(alice, 1)], ["live"]]);
});

test("presence follows those who come, change and leave", async () => {
  const it = await campaigned();
  it.taken();
  it.says("testmanagement_user:presence", { user: bob, ...came(40, bob) });
  assert.deepEqual(it.taken(), [["presence", "40", [bob]]]);
  it.says("testmanagement_user:presence", { user: alice, ...came(40, bob, alice), ...went("39") });
  assert.deepEqual(it.taken(), [
    ["presence", "39", []],
    ["presence", "40", [bob, alice]],
  ]);
  it.says("user:leave", bob.uuid);
  assert.deepEqual(it.taken(), [["presence", "40", [alice]]]);
  it.says("testmanagement_execution:delete", { artifact_id: 40 });
  assert.deepEqual(it.taken(), [["presence", "40", []]]);
  assert.deepEqual(present(it), {});
  assert.equal(it.told.length, 4);
});

test("the podium follows, and is told only when it changes", async () => {
  const it = await campaigned();
  it.taken();
  it.says("testmanagement_podium:update", leads(bob, 2));
  it.says("testmanagement_podium:update", leads(bob, 2));
  assert.deepEqual(it.campaign.podium, leads(bob, 2));
  assert.deepEqual(it.taken(), [["podium", leads(bob, 2)]]);
});

test("after a lost line the snapshots are read again, and only what has changed is told", async () => {
  const it = await campaigned();
  it.taken();
  it.server.procedures[PRESENCES] = () => [[{ 40: [bob] }]];
  it.server.socket.drop(1006);
  await back(it);
  assert.deepEqual(it.taken(), [
    ["presence", "39", []],
    ["presence", "40", [bob]],
  ]);
});

test("an event that comes right before or right behind the snapshot takes its place", async () => {
  const it = await campaigned();
  it.server.socket.drop(1006);
  it.server.isHolding = true;
  await back(it);
  const { socket } = it.server;
  socket.event(201, "user:leave", alice.uuid); // which the snapshot does not know: it was older
  socket.held.push([36, 1, 202, {}, [], { cmd: "testmanagement_user:presence", data: came(41, bob) }]);
  socket.held.push([36, 1, 203, {}, [], { cmd: "testmanagement_podium:update", data: leads(bob, 5) }]);
  it.server.release(socket); // in one turn, as they may come in one packet
  await settled();
  assert.deepEqual(present(it), { 39: [alice], 41: [bob] });
  assert.deepEqual(it.campaign.podium, leads(bob, 5));
});

test("what the history tells of the podium does not take the place of the snapshot", async () => {
  const it = await campaigned();
  it.server.procedures["wamp.subscription.get_events"] = () => [
    [{ publication: 300, kwargs: { cmd: "testmanagement_podium:update", data: leads(bob, 1) } }],
    { position: 300 },
  ];
  it.server.socket.drop(1006);
  await back(it);
  assert.equal(it.told.at(-1).missed, true);
  assert.deepEqual(it.campaign.podium, leads(alice, 1));
});

test("a newer ticket may show other tests: the snapshots are read again", async () => {
  const it = await campaigned();
  it.server.procedures["org.tuleap.session.refresh"] = () => [[{ expires_at: 0 }]];
  it.server.procedures[PRESENCES] = () => [[{}]];
  await it.connection.refresh();
  await settled();
  assert.deepEqual(present(it), {});
});

test("a campaign that is revoked shows nobody", async () => {
  const it = await campaigned();
  it.taken();
  it.server.socket.say([35, 0, { subscription: 1, reason: "wamp.error.not_authorized" }]);
  await settled();
  assert.deepEqual(it.taken(), [
    ["presence", "39", []],
    ["podium", []],
    ["lost", "wamp.error.not_authorized"],
  ]);
});
