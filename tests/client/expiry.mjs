// On a server whose tickets are good for a second only.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { becomes, heard, leave, open, post } from "./real.mjs";

afterEach(leave);

test("a page whose ticket has expired goes on with another, and has missed nothing", async () => {
  const connection = open(102);
  const board = connection.board(3);
  const notes = [];
  board.on("*", (data) => notes.push(data));
  board.on("gap", () => notes.push("gap"));
  await heard(board, "live");
  const [, { reason }] = await heard(connection, "state", (state) => state === "reconnecting");
  assert.equal(reason, "org.tuleap.error.token_expired");
  await post({ data: "while it has no ticket" });
  await becomes(connection, "live");
  if (!notes.length) await heard(board, "*");
  assert.deepEqual(notes, ["while it has no ticket"]);
});
