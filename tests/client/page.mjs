// Runs the script of a page in Node: the browser that it sees says what the page shows.
import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";

import autobahn from "autobahn-browser";
import WebSocket from "ws";

const { PORT, TICKET } = process.env;
const answers = { "/api/v1/jwt": { token: TICKET }, "/api/v1/kanban/3": { label: "the board" } };

globalThis.crypto ??= webcrypto;
Object.assign(globalThis, {
  autobahn,
  WebSocket,
  location: { host: `127.0.0.1:${PORT}` },
  fetch: async (path) => {
    console.log("read", path);
    return { json: async () => answers[path] };
  },
  document: {
    getElementById: (id) => ({
      set textContent(text) {
        console.log("show", id, text);
      },
    }),
  },
});
const client = new URL("../../tuleaprt/web/static/client/tuleaprt-client.js", import.meta.url);
const script = readFileSync(0, "utf8").replace("./tuleaprt-client.js", client).replace("wss://", "ws://");
await import(`data:text/javascript,${encodeURIComponent(script)}`);
