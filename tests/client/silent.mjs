// Through a proxy that forwards nothing from some time on, and closes nothing: started by test_client.py.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import WebSocket from "ws";

import { ask, becomes, heard, leave, open, post } from "./real.mjs";

afterEach(leave);

/** As a browser has it: it cannot drop a connection without the other end. */
class Plain extends WebSocket {}
Plain.prototype.terminate = undefined;

for (const [way, options] of [
  ["both", {}],
  ["to the server", {}],
  ["to the page", {}],
  ["both", { WebSocket: Plain }],
])
  test(`a page whose connection is stalled (${way}) opens another; no event is lost, none comes twice`, async () => {
    const connection = open(102, { pingInterval: 1, pingTimeout: 3, ...options });
    const board = connection.board(3);
    const notes = [];
    const hears = (data) => (notes.includes(data) ? Promise.resolve() : heard(board, "*", (it) => it === data));
    for (const name of ["gap", "lost"]) board.on(name, () => notes.push(name));
    board.on("*", (data) => notes.push(data));
    await heard(board, "live");
    await post({ data: 1 });
    await hears(1);

    await ask(`stall ${way}`);
    const given = heard(connection, "state", (state) => state === "reconnecting");
    await post({ data: 2 });
    const [, { reason }] = await given;
    assert.equal(reason, "unanswered");
    await post({ data: 3 });
    await becomes(connection, "live");
    await post({ data: 4 });
    await hears(4);

    await ask("release");
    await post({ data: 5 });
    await hears(5);
    await connection.refresh(); // what the other connection brought has come before this answer
    assert.deepEqual(notes, [1, 2, 3, 4, 5]);
    assert.equal(connection.state, "live");
  });
