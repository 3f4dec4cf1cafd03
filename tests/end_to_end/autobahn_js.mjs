// Drives autobahn-js for the tests: one JSON command a line on stdin, one JSON result or event a line on stdout.
import { createInterface } from "node:readline";

import autobahn from "autobahn";
import WebSocket from "ws";

// In a browser nobody need listen to an error; package ws ends the process.
globalThis.WebSocket = class extends WebSocket {
  constructor(...options) {
    super(...options);
    this.on("error", () => {});
  }
};

const connections = new Map();
const subscriptions = new Map();
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

function open({ client, url, ticket, uuid, realm = "tuleap", comes_back: comesBack = false }) {
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
    let opened = 0;
    connection.onopen = (session, details) => {
      opened += 1;
      if (opened > 1) say({ client, reopened: opened });
      resolve({ authid: details.authid, authrole: details.authrole, authextra: details.authextra });
    };
    connection.onclose = (why, details) => {
      resolve({ refused: details.reason ?? why });
      say({ client, closed: why, reason: details.reason });
      return !comesBack;
    };
    connection.open();
  });
}

const commands = {
  open,
  subscribe: async ({ client, topic, options }) => {
    let isAgain = false;
    const event = (args, kwargs, details) => {
      // The library hands an EVENT to each handler of its subscription.
      if (!isAgain) say({ client, event: { args, kwargs, publication: details.publication } });
    };
    const subscription = await connections.get(client).session.subscribe(topic, event, options);
    const key = `${client} ${subscription.id}`;
    isAgain = subscriptions.has(key);
    if (!isAgain) {
      subscriptions.set(key, subscription);
      // Only if the server has ended it.
      subscription.on_unsubscribe.then((reason) => {
        subscriptions.delete(key);
        say({ client, revoked: subscription.id, reason });
      });
    }
    return subscription.id;
  },
  unsubscribe: ({ client, subscription }) => {
    const key = `${client} ${subscription}`;
    const ending = connections.get(client).session.unsubscribe(subscriptions.get(key));
    subscriptions.delete(key);
    return ending;
  },
  call: async ({ client, procedure, args, kwargs }) => {
    const result = await connections.get(client).session.call(procedure, args, kwargs);
    // It is the only argument itself, if there is no other.
    return result instanceof autobahn.Result ? result : { args: [result], kwargs: {} };
  },
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
