// Watches a board with autobahn-js: what a page does, under Node.
//
//   TICKET=<token> node demo/watch.mjs [topic] [url]
//
// Without TICKET it takes the one that `make run` left in .run/ticket.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

import autobahn from "autobahn";
import WebSocket from "ws";

globalThis.WebSocket = WebSocket; // Node 18 and 20 have none of their own.

const [topic = "org.tuleap.kanban.3", url = "ws://127.0.0.1:2998/ws"] = process.argv.slice(2);
const ticket = process.env.TICKET ?? readFileSync(".run/ticket", "utf8");

const connection = new autobahn.Connection({
  url,
  realm: "tuleap",
  authmethods: ["ticket"],
  onchallenge: () => ticket,
  authextra: { uuid: randomUUID() }, // this window; Tuleap's pages send the same as X-Client-UUID
});

connection.onopen = async (session, details) => {
  const expires = new Date(details.authextra.expires_at * 1000);
  console.log(`user ${details.authid}, until ${expires.toISOString()}`);
  await session.subscribe(topic, (args, { cmd, data }, event) => {
    console.log(`${event.publication} ${cmd} ${JSON.stringify(data)}`);
  });
  console.log(`watching ${topic}`);
};

connection.onclose = (reason, details) => {
  // Nothing more will come after a refusal or the end of the ticket; otherwise autobahn-js tries again.
  console.log(`${reason}${details.reason ? `: ${details.reason}` : ""}`);
};

connection.open();
