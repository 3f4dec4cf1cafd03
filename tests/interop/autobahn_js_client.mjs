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

const { JSONSerializer, MsgpackSerializer, CBORSerializer } = autobahn.serializer;
const serializers = { json: JSONSerializer, msgpack: MsgpackSerializer, cbor: CBORSerializer };
const connections = new Map();
const subscriptions = new Map();
// Its CBOR reads integers above 2^53-1 as BigInt, which JSON has not.
const plain = (key, value) => (typeof value === "bigint" ? Number(value) : value);
const say = (value) => process.stdout.write(`${JSON.stringify(value, plain)}\n`);

function open({ session, url, serializer, ticket, uuid }) {
  return new Promise((resolve, reject) => {
    const connection = new autobahn.Connection({
      url,
      realm: "tuleap",
      serializers: [new serializers[serializer]()],
      ...(ticket === null ? { authmethods: ["anonymous"] } : { authmethods: ["ticket"], authid: "whoever", onchallenge: () => ticket }),
      authextra: uuid === undefined ? {} : { uuid },
      initial_retry_delay: 0.1,
      retry_delay_growth: 1,
      max_retries: 1000, // autobahn-js gives up after 15, and a server on a busy machine takes longer to start
    });
    connections.set(session, connection);
    let opened = 0;
    connection.onopen = (opening, { authid, authrole }) => {
      opened += 1;
      const welcome = { id: opening.id, authid, authrole };
      resolve(welcome);
      if (opened > 1) say({ session, event: { welcome } });
    };
    connection.onclose = (why, { reason, will_retry: retries }) => {
      reject(Object.assign(new Error(why), { error: reason ?? why }));
      say({ session, closed: retries ? "comes back" : "for good" });
    };
    connection.open();
  });
}

const commands = {
  open,
  subscribe: async ({ session, topic, options }) => {
    const event = (args, kwargs, details) => say({ session, event: { args, kwargs, topic: options.match ? details.topic : null } });
    const subscription = await connections.get(session).session.subscribe(topic, event, options);
    subscriptions.set(`${session} ${subscription.id}`, subscription);
    return subscription.id;
  },
  unsubscribe: async ({ session, subscription }) => {
    await connections.get(session).session.unsubscribe(subscriptions.get(`${session} ${subscription}`));
  },
  call: async ({ session, procedure, args, kwargs }) => {
    const result = await connections.get(session).session.call(procedure, args, kwargs);
    // It is the only argument itself, if there is no other.
    return result instanceof autobahn.Result ? result : { args: [result], kwargs: {} };
  },
  publish: async ({ session, topic, kwargs, options }) => {
    await connections.get(session).session.publish(topic, [], kwargs, { acknowledge: true, ...options });
  },
  leave: async ({ session }) => connections.get(session).close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...rest } = JSON.parse(line);
  Promise.resolve()
    .then(() => commands[command](rest))
    .then((result) => say({ id, result: result ?? null }))
    .catch((error) => say({ id, error: error.error ?? String(error) }));
}
