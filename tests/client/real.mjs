// What the tests against a running server share: posts and tickets as Tuleap makes them, and pages.
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import WebSocket from "ws";

import { connect } from "../../tuleaprt/web/static/client/tuleaprt-client.js";

const { URL_, REST, KEY_FILE, AUTOBAHN } = process.env;
const { default: autobahn } = await import(AUTOBAHN);
export const [MEMBERS, BOSSES] = ["@gpig_project_members", "@gpig_project_admin"];
const fixture = new URL("../fixtures/tuleap/msg_kanban_item_create.json", import.meta.url);
const POST = JSON.parse(readFileSync(fixture, "utf8"));

/** The token of a user. */
export function ticket(user, { groups = ["@site_active", MEMBERS], rooms, seconds = 1800 } = {}) {
  const key = readFileSync(KEY_FILE, "latin1").trim().replace(/^PRIVATE_KEY=/, "");
  const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const data = { user_id: user, user_rights: groups, ...(rooms && { rooms }) };
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const signed = `${encoded({ typ: "JWT", alg: "HS512" })}.${encoded({ data, exp })}`;
  return `${signed}.${createHmac("sha512", key).update(signed).digest("base64url")}`;
}

/** As Tuleap does it. */
export async function post(changes) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ ...POST, ...changes });
  const { status, ...answer } = await fetch(`${REST}/message`, { method: "POST", headers, body });
  if (status !== 200) throw new Error(`${status}: ${await answer.text()}`);
}

/** Something happens in campaign 9, done by this user in his window. */
export const campaignPost = (by, cmd, data, groups = [MEMBERS]) =>
  post({
    sender_user_id: by,
    sender_uuid: `window of ${by}`,
    room_id: "testmanagement_9",
    rights: { ...POST.rights, tracker: groups, field: {} },
    cmd,
    data,
  });

export const userOf = (id) => ({ id, username: `user${id}`, display_name: `User ${id}` });

/** He has opened a test, or left the other. */
export const presence = (by, execution, leaves = "", ...rights) => {
  const said = { execution_id: execution, uuid: `window of ${by}`, remove_from: leaves, user: userOf(by) };
  return campaignPost(by, "testmanagement_user:presence", { presence: said }, ...rights);
};

export const update = (by, execution, status) =>
  campaignPost(by, "testmanagement_execution:update", {
    artifact_id: execution,
    status,
    previous_status: "notrun",
    user: userOf(by),
    previous_user: null,
  });

const pages = [];

/** A page of this user, in his window, on the running server. */
export function open(user, options = {}) {
  const connection = connect({
    url: URL_,
    uuid: `window of ${user}`,
    getTicket: async () => ticket(user, options.ticket),
    autobahn,
    WebSocket,
    random: () => 0,
    ...options,
  });
  connection.on("error", options.onError ?? ((error) => console.error(error)));
  pages.push(connection);
  return connection;
}

/** Wait for a named event with such values; the answer is its values. */
export const heard = (emitter, name, isIt = () => true) =>
  new Promise((resolve) => {
    const off = emitter.on(name, (...values) => {
      if (!isIt(...values)) return;
      off();
      resolve(values);
    });
  });

export const becomes = (connection, state) =>
  connection.state === state ? Promise.resolve() : heard(connection, "state", (it) => it === state);

/** A clock whose timers go off when the test says so. */
export class HeldClock {
  timers = new Map();
  last = 0;
  now = () => Date.now();
  setTimeout = (call, delay) => {
    this.timers.set((this.last += 1), { call, delay });
    return this.last;
  };
  clearTimeout = (timer) => void this.timers.delete(timer);

  /** The pause before the next attempt is over. */
  retry(connection) {
    const { call } = this.timers.get(connection._retry);
    this.timers.delete(connection._retry);
    call();
  }
}

const lines = createInterface({ input: process.stdin });
process.stdin.unref();

/** Have the test's other half do something: "restart" the server. */
export async function ask(what) {
  process.stdin.ref();
  console.log(`please ${what}`);
  await once(lines, "line");
  process.stdin.unref();
}

export function leave() {
  for (const page of pages.splice(0)) page.close();
  process.stdin.unref();
}
