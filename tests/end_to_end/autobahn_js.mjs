// Drives autobahn-js for the tests: one JSON command a line on stdin, one JSON result or event a line on stdout.
import { createInterface } from "node:readline";

import autobahn from "autobahn";
import WebSocket from "ws";

globalThis.WebSocket = WebSocket;

const connections = new Map();
const subscriptions = new Map();
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

function open({ client, url, ticket, uuid, realm = "tuleap" }) {
  return new Promise((resolve) => {
    const connection = new autobahn.Connection({
      url,
      realm,
      authmethods: ["ticket"],
      authid: "whoever",
      onchallenge: () => ticket,
      authextra: uuid === undefined ? {} : { uuid },
    });
    connections.set(client, connection);
    connection.onopen = (session, details) =>
      resolve({ authid: details.authid, authrole: details.authrole, authextra: details.authextra });
    connection.onclose = (why, details) => {
      resolve({ refused: details.reason ?? why });
      say({ client, closed: why, reason: details.reason });
      return true; // do not try again
    };
    connection.open();
  });
}

const commands = {
  open,
  subscribe: async ({ client, topic, options }) => {
    const subscription = await connections.get(client).session.subscribe(
      topic,
      (args, kwargs, details) => say({ client, event: { args, kwargs, publication: details.publication } }),
      options,
    );
    subscriptions.set(`${client} ${subscription.id}`, subscription);
    return subscription.id;
  },
  unsubscribe: ({ client, subscription }) => connections.get(client).session.unsubscribe(subscriptions.get(`${client} ${subscription}`)),
  call: ({ client, procedure }) => connections.get(client).session.call(procedure),
  publish: async ({ client, topic }) => {
    const publication = await connections.get(client).session.publish(topic, [], {}, { acknowledge: true });
    return publication.id;
  },
  register: ({ client, procedure }) => connections.get(client).session.register(procedure, () => null),
  leave: ({ client }) => connections.get(client).close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...rest } = JSON.parse(line);
  Promise.resolve()
    .then(() => commands[command](rest))
    .then((result) => say({ id, result: result ?? null }))
    .catch((error) => say({ id, error: error.error ?? String(error) }));
}
