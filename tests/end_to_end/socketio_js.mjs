// Drives npm's socket.io-client for the tests: one JSON command a line on stdin, one JSON result or event a line on stdout.
import { createInterface } from "node:readline";

const libraries = {
  "4.6": await import("socket.io-client-4.6"),
  "4.7": await import("socket.io-client-4.7"),
  "4.8": await import("socket.io-client"),
};
const sockets = new Map();
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const commands = {
  // Resolves when the namespace is connected or refused.
  open: ({ client, url, version, namespace, options }) =>
    new Promise((resolve) => {
      const socket = libraries[version].io(url + namespace, {
        path: "/local-socket.io",
        forceNew: true,
        reconnectionDelay: 100,
        reconnectionDelayMax: 300,
        ...options,
      });
      sockets.set(client, socket);
      socket.io.on("open", () => {
        const { engine } = socket.io;
        say({ client, began: engine.transport.name });
        engine.once("upgrade", (transport) => say({ client, upgraded: transport.name }));
      });
      socket.on("connect", () => {
        const { engine } = socket.io;
        say({ client, connected: socket.id, transport: engine.transport.name });
        resolve({ sid: socket.id, transport: engine.transport.name });
      });
      socket.on("connect_error", (error) => resolve({ refused: error.message }));
      socket.on("disconnect", (reason) => say({ client, disconnected: reason }));
      socket.onAny((cmd, ...data) => say({ client, event: { cmd, data: data[0] } }));
    }),
  emit: ({ client, name, argument }) => {
    sockets.get(client).emit(name, argument);
  },
  // As a page that is closed: no DISCONNECT. The library would connect again, so it is told not to.
  vanish: ({ client }) => {
    const socket = sockets.get(client);
    socket.io.reconnection(false);
    socket.io.engine.close();
  },
  // As a connection that breaks: the library connects again.
  break: ({ client }) => {
    sockets.get(client).io.engine.close();
  },
  leave: ({ client }) => {
    sockets.get(client).disconnect();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command, ...rest } = JSON.parse(line);
  Promise.resolve()
    .then(() => commands[command](rest))
    .then((result) => say({ id, result: result ?? null }))
    .catch((error) => say({ id, error: String(error) }));
}
