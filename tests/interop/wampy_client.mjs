// Drives wampy for the tests: one JSON command a line on stdin, one JSON result or event a line on stdout.
import { createInterface } from "node:readline";

import { Wampy } from "wampy";
import { CborSerializer } from "wampy/CborSerializer.js";
import { JsonSerializer } from "wampy/JsonSerializer.js";
import { MsgpackSerializer } from "wampy/MsgpackSerializer.js";
import WebSocket from "ws";

const serializers = { json: JsonSerializer, msgpack: MsgpackSerializer, cbor: CborSerializer };
const sessions = new Map();
// Its MessagePack reads integers above 32 bits as BigInt, which JSON has not.
const plain = (key, value) => (typeof value === "bigint" ? Number(value) : value);
const say = (value) => process.stdout.write(`${JSON.stringify(value, plain)}\n`);

async function open({ session, url, serializer, ticket }) {
  const wampy = new Wampy(url, {
    ws: WebSocket,
    realm: "tuleap",
    serializer: new serializers[serializer](),
    ...(ticket === null ? {} : { authid: "whoever", authmethods: ["ticket"], onChallenge: () => ticket }),
    reconnectInterval: 1,
    maxRetries: 1,
    onReconnect: () => say({ session, closed: "comes back" }),
    onClose: () => say({ session, closed: "for good" }),
  });
  sessions.set(session, wampy);
  const { authid, authrole } = await wampy.connect();
  return { id: wampy.getSessionId(), authid, authrole };
}

const commands = {
  open,
  subscribe: async ({ session, topic, options }) => {
    const event = ({ argsList, argsDict, details }) =>
      say({ session, event: { args: argsList, kwargs: argsDict, topic: details.topic ?? null } });
    // It cannot unsubscribe what was subscribed with options, be they empty.
    const some = Object.keys(options).length > 0 ? options : undefined;
    return (await sessions.get(session).subscribe(topic, event, some)).subscriptionId;
  },
  unsubscribe: async ({ session, subscription }) => {
    await sessions.get(session).unsubscribe(subscription);
  },
  call: async ({ session, procedure, args, kwargs }) => {
    const result = await sessions.get(session).call(procedure, { argsList: args, argsDict: kwargs });
    return { args: result.argsList, kwargs: result.argsDict };
  },
  publish: async ({ session, topic, kwargs, options }) => {
    await sessions.get(session).publish(topic, { argsDict: kwargs }, options);
  },
  leave: async ({ session }) => {
    await sessions.get(session).disconnect();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...rest } = JSON.parse(line);
  commands[command](rest)
    .then((result) => say({ id, result: result ?? null }))
    .catch((error) => say({ id, error: error.errorUri ?? String(error) }));
}
