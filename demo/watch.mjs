// Watches a board or a campaign with tuleaprt-client under Node, as a page does in a browser.
//
//   TICKET=<token> node demo/watch.mjs [topic] [url]
//
// Without TICKET it reads the token that `make run` has written to .run/ticket.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

import autobahn from "autobahn";
import WebSocket from "ws";

import { connect } from "../tuleaprt/web/static/client/tuleaprt-client.js";

const [topic = "org.tuleap.kanban.3", url = "ws://127.0.0.1:2998/ws"] = process.argv.slice(2);
const ticket = process.env.TICKET ?? readFileSync(".run/ticket", "utf8");
const [, kind, id] = /^org\.tuleap\.(kanban|testmanagement)\.([1-9]\d*)$/.exec(topic) ?? [];
if (!id) throw new Error(`${topic} is no topic of a board or a campaign: org.tuleap.kanban.3`);

const connection = connect({
  url,
  autobahn,
  WebSocket, // Node 18 and 20 have no WebSocket
  uuid: randomUUID(), // names this window; Tuleap's pages send the same in X-Client-UUID
  getTicket: () => ticket,
});
connection.on("state", (state, { reason, retryIn }) => {
  if (state === "live") return console.log(`user ${connection.session.user}`);
  console.log(`${state}: ${reason}${retryIn === null ? "" : `, next attempt in ${retryIn.toFixed(1)} s`}`);
  if (reason === "org.tuleap.error.token_expired") connection.close(); // there is no other token
});
connection.on("error", (error) => console.log(error.message));

const room = kind === "kanban" ? connection.board(id) : connection.campaign(id);
room.on("live", () => console.log(`watching ${topic}`));
room.on("gap", () => console.log("missed events are lost"));
room.on("*", (data, { cmd, publication }) => console.log(`${publication} ${cmd} ${JSON.stringify(data)}`));
