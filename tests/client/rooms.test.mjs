// What a page is told of a board: everything, once, in order, or that it must load it again.
import assert from "node:assert/strict";
import { test } from "node:test";

import { back, noted, page, settled } from "./fakes.mjs";

const HISTORY = "wamp.subscription.get_events";
const BOARD = "org.tuleap.kanban.3";

const numbers = (told) => told.map(({ publication }) => publication);
const conditions = ({ server }) => server.calls.filter(([it]) => it === HISTORY).map(([, , kwargs]) => kwargs);
const slot = (publication, cmd = "kanban_item:create") => ({ publication, kwargs: { cmd, data: publication } });

/** A page that shows a board whose position is 100. */
async function boarded(options = {}) {
  const it = await page({
    ...options,
    before: (server, clock) => {
      server.procedures[HISTORY] = () => [[], { position: 100 }];
      options.before?.(server, clock);
    },
  });
  it.board = it.connection.board(3);
  it.notes = noted(it.board, "live", "gap", "lost");
  options.listen?.(it.board);
  await settled();
  return it;
}

test("a board is live when its position is taken, and then tells what happens", async () => {
  const it = await boarded();
  const moves = noted(it.board, "kanban_item:move", "*");
  assert.deepEqual(it.server.subscribed, [BOARD]);
  assert.deepEqual(conditions(it), [{ limit: 0 }]);
  assert.deepEqual(it.notes, [["live"]]);
  it.server.socket.event(101, "kanban_item:move", { in_column: 5 });
  it.server.socket.event(102, "kanban:delete", "");
  const move = { topic: BOARD, cmd: "kanban_item:move", data: { in_column: 5 }, publication: 101, missed: false };
  const end = { topic: BOARD, cmd: "kanban:delete", data: "", publication: 102, missed: false };
  assert.deepEqual(it.told, [move, end]);
  assert.deepEqual(moves, [
    ["kanban_item:move", move.data, move],
    ["*", move.data, move],
    ["*", "", end],
  ]);
});

test("the same id is the same board, before and after the page is connected", async () => {
  const it = await boarded();
  assert.equal(it.connection.board(3), it.board);
  assert.notEqual(it.connection.board(4), it.board);
  assert.notEqual(it.connection.campaign(3), it.board);
});

test("events wait until the page has loaded the board", async () => {
  let loaded;
  const loading = new Promise((resolve) => (loaded = resolve));
  const it = await boarded({ listen: (board) => board.on("live", () => loading) });
  it.server.socket.event(101, "kanban_item:create", 1);
  await settled();
  assert.deepEqual(it.told, []);
  loaded();
  await settled();
  it.server.socket.event(102, "kanban_item:create", 2);
  assert.deepEqual(numbers(it.told), [101, 102]);
});

test("a board that could not be loaded is loaded again, later and later", async () => {
  let failures = 0;
  const load = async () => {
    if ((failures += 1) < 3) throw new Error("500");
  };
  const it = await boarded({ listen: (board) => [board.on("live", load), board.on("gap", load)] });
  it.server.socket.event(101, "kanban_item:create", 1);
  await it.clock.pass(1000);
  await it.clock.pass(2000);
  assert.deepEqual(it.notes, [["live"], ["gap"], ["gap"]]);
  assert.deepEqual([it.errors, numbers(it.told)], [["500", "500"], [101]]);
});

test("after a lost line the history tells what was missed, without what is known, and in order", async () => {
  const it = await boarded();
  it.server.socket.event(101, "kanban_item:create", 1);
  it.server.socket.drop(1006);
  it.server.isHolding = true;
  it.server.procedures[HISTORY] = () => [[slot(101), slot(102), slot(103)], { position: 103 }];
  await back(it);
  it.server.socket.event(103, "kanban_item:create", 103); // live and in the history
  it.server.socket.event(104, "kanban_item:create", 104);
  assert.deepEqual(numbers(it.told), [101]);
  it.server.release();
  await settled();
  assert.deepEqual(conditions(it).at(-1), { after_publication: 101 });
  assert.deepEqual(numbers(it.told), [101, 102, 103, 104]);
  assert.deepEqual(
    it.told.map(({ missed }) => missed),
    [false, true, true, false],
  );
  assert.deepEqual(it.notes, [["live"]]);
});

test("the next time it asks for what came after the last that it was told", async () => {
  const it = await boarded();
  it.server.procedures[HISTORY] = () => [[], { position: 140 }];
  it.server.socket.drop(1006);
  await back(it);
  it.server.socket.drop(1006);
  await back(it);
  it.server.socket.event(150, "kanban:delete", "");
  it.server.socket.drop(1006);
  await back(it);
  assert.deepEqual(
    conditions(it).map(({ after_publication: after }) => after),
    [undefined, 100, 140, 150],
  );
});

test("a long history comes in pieces", async () => {
  const it = await boarded();
  it.server.procedures[HISTORY] = (args, { after_publication: after }) =>
    after < 103 ? [[slot(after + 1)], { position: 103, more: after < 102 }] : [[], { position: 103 }];
  it.server.socket.drop(1012);
  await back(it);
  assert.deepEqual(numbers(it.told), [101, 102, 103]);
});

test("a position that is lost, at once or between two pieces, is a gap", async () => {
  for (const pieces of [0, 1]) {
    const it = await boarded();
    let asked = 0;
    it.server.procedures[HISTORY] = (args, { limit }) => {
      if (limit === 0) return [[], { position: 500 }];
      return (asked += 1) > pieces ? [[], { position: 500, position_lost: true }] : [[slot(101)], { more: true }];
    };
    it.server.socket.drop(1012);
    await back(it);
    assert.deepEqual(it.notes, [["live"], ["gap"]]);
    it.server.socket.event(501, "kanban:delete", "");
    assert.equal(numbers(it.told).at(-1), 501);
    it.server.socket.drop(1012);
    await back(it);
    assert.deepEqual(conditions(it).at(-2), { after_publication: 501 }); // which is lost again
  }
});

test("a history that has more and sends nothing is a gap, and is not asked for ever", async () => {
  const it = await boarded();
  it.server.procedures[HISTORY] = (args, { limit }) =>
    limit === 0 ? [[], { position: 500 }] : [[], { position: 500, more: true }];
  it.server.socket.drop(1012);
  await back(it);
  assert.deepEqual(it.notes, [["live"], ["gap"]]);
});

test("a board that was loading when the line was cut gets what it missed when it is loaded", async () => {
  let loaded;
  const loading = new Promise((resolve) => (loaded = resolve));
  const it = await boarded({ listen: (board) => board.on("live", () => loading) });
  it.server.socket.event(101, "kanban_item:create", 1);
  it.server.socket.drop(1006);
  it.server.procedures[HISTORY] = () => [[slot(101), slot(102)], { position: 102 }];
  await back(it);
  assert.deepEqual(conditions(it).at(-1), { after_publication: 100 });
  assert.deepEqual(it.told, []);
  loaded();
  await settled();
  assert.deepEqual(numbers(it.told), [101, 102]);
  assert.deepEqual(it.notes, [["live"]]);
});

test("a board that may not be seen is an error, once, and tried again in each session", async () => {
  const it = await boarded({ before: (server) => server.revokes.add(BOARD) });
  assert.deepEqual([it.errors, it.notes], [["wamp.error.not_authorized"], []]);
  it.server.socket.drop(1012);
  await back(it);
  assert.deepEqual([it.errors.length, it.connection.state], [1, "live"]);
  it.server.revokes.clear();
  it.server.socket.drop(1012);
  await back(it);
  assert.deepEqual(it.notes, [["live"]]);
});

test("a board that is revoked is lost; a ticket that has it again brings it back, with a gap", async () => {
  const it = await boarded();
  it.server.revokes.add(BOARD);
  it.server.procedures["org.tuleap.session.refresh"] = () => [[{ expires_at: 0 }]];
  it.server.socket.say([35, 0, { subscription: 1, reason: "wamp.error.not_authorized" }]);
  await settled();
  assert.deepEqual(it.notes, [["live"], ["lost", "wamp.error.not_authorized"]]);
  await it.connection.refresh();
  await settled();
  assert.deepEqual(it.errors, []);
  it.server.revokes.clear();
  await it.connection.refresh();
  await settled();
  assert.deepEqual(it.notes.at(-1), ["gap"]);
  it.server.socket.event(200, "kanban:delete", "");
  assert.deepEqual(numbers(it.told), [200]);
});

test("a request that the server cannot take now makes the page come back later", async () => {
  const busy = () => "org.tuleap.error.rate_exceeded";
  const it = await boarded({ before: (server) => (server.procedures[HISTORY] = busy) });
  assert.deepEqual(it.errors, ["org.tuleap.error.rate_exceeded"]);
  assert.deepEqual(it.states.at(-1), ["reconnecting", "failed", 1]);
  it.server.procedures[HISTORY] = () => [[], { position: 100 }];
  await back(it);
  assert.deepEqual([it.connection.state, it.notes], ["live", [["live"]]]);
});

test("who leaves a board hears no more of it, whenever he leaves", async () => {
  const it = await boarded();
  it.board.leave();
  it.board.leave();
  it.server.socket.event(101, "kanban:delete", "");
  assert.equal(it.server.socket.sent.at(-1)[0], 34);
  const again = it.connection.board(3);
  assert.notEqual(again, it.board);
  const notes = noted(again, "live");
  again.leave(); // SUBSCRIBE is under way
  await settled();
  assert.deepEqual([notes, it.told, it.errors], [[], [], []]);
  assert.equal(it.server.socket.sent.filter(([type]) => type === 34).length, 2);
  it.server.socket.drop(1012);
  await back(it);
  assert.deepEqual(it.server.subscribed, [BOARD, BOARD]);
});

test("a listener that throws does not keep others from hearing", async (context) => {
  const rejected = [];
  const note = (reason) => rejected.push(reason.message);
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", note);
  context.after(() => {
    process.removeListener("unhandledRejection", note);
    for (const other of others) process.on("unhandledRejection", other);
  });
  const it = await boarded();
  it.board.on("*", () => {
    throw new Error("a mistake of the page");
  });
  const heard = noted(it.board, "*");
  it.server.socket.event(101, "kanban:delete", "");
  it.server.socket.event(102, "kanban:delete", "");
  await settled();
  assert.deepEqual([heard.length, numbers(it.told)], [2, [101, 102]]);
  assert.deepEqual(rejected, ["a mistake of the page", "a mistake of the page"]);
});

test("a piece of the history of which all is known is no reason to ask for it again", async () => {
  const it = await boarded();
  it.server.socket.event(102, "kanban:delete", "");
  it.server.socket.event(101, "kanban:delete", ""); // an older place, by which the page asks
  it.server.procedures[HISTORY] = (args, { after_publication: after }) =>
    after === 101 ? [[slot(102)], { position: 103, more: true }] : [[slot(103)], { position: 103 }];
  it.server.socket.drop(1006);
  await back(it);
  assert.deepEqual(numbers(it.told), [102, 101, 103]);
});

test("a board is loaded for a new position when the load for the old one has ended", async () => {
  const loads = [];
  const load = () => new Promise((resolve) => loads.push(resolve));
  const it = await boarded({ listen: (board) => [board.on("live", load), board.on("gap", load)] });
  it.server.procedures[HISTORY] = () => [[], { position: 500, position_lost: true }];
  it.server.socket.drop(1012);
  await back(it);
  assert.deepEqual(it.notes, [["live"]]);
  loads[0]();
  await settled();
  assert.deepEqual(it.notes, [["live"], ["gap"]]);
  it.server.socket.event(501, "kanban:delete", "");
  assert.deepEqual(it.told, []);
  loads[1]();
  await settled();
  assert.deepEqual(numbers(it.told), [501]);
});

test("a board that is left or added as the page becomes live is followed accordingly, once", async () => {
  const it = await boarded();
  it.server.socket.drop(1012);
  it.connection.once("state", () => {
    it.board.leave();
    it.connection.board(4);
  });
  await back(it);
  assert.deepEqual(it.server.subscribed, [BOARD, "org.tuleap.kanban.4"]);
});
