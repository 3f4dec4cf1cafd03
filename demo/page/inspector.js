/** What an operator sees by WAMP's meta API: who is there, who listens to what, and everything that is published. */

import { get } from "./api.js";
import { h, notify } from "./dom.js";
import { Events } from "./events.js";

const META = ["session.on_join", "session.on_leave", "subscription.on_create", "subscription.on_subscribe",
  "subscription.on_unsubscribe", "subscription.on_delete"];
const NAMES = { sessions: "sessions", subscriptions: "subscriptions", deliveries_total: "events delivered", filtered_total: "events withheld" };
const PAUSE = 200; // ms; meta events come in swarms
const COUNTING = 2000; // ms

const element = (id) => document.getElementById(id);

class Inspector {
  constructor(users) {
    this._users = new Map(users.map((user) => [String(user.id), user]));
    this._events = new Events(element("log"), h("button"));
    this._reading = null;
  }

  async joined(session) {
    this._session = session;
    showState("live");
    await session.subscribe("org.tuleap.", (args, { cmd, data }, { publication, topic }) =>
      this._events.show({ cmd, data, publication, topic, missed: false }), { match: "prefix" });
    for (const topic of META) await session.subscribe(`wamp.${topic}`, () => this._soon());
    await this._read();
  }

  _soon() {
    this._reading ??= setTimeout(() => {
      this._reading = null;
      this._read().catch(() => {}); // the session has ended; the next one reads it all
    }, PAUSE);
  }

  async _read() {
    const session = this._session;
    const [ids, subscriptions] = await Promise.all([session.call("wamp.session.list"), session.call("wamp.subscription.list")]);
    const all = await Promise.all(ids.map((id) => session.call("wamp.session.get", [id]).catch(() => null)));
    const listed = await Promise.all(Object.values(subscriptions).flat().map((id) => this._subscription(id)));
    element("sessions").replaceChildren(...all.filter(Boolean).map((it) => this._drawSession(it)));
    element("subscriptions").replaceChildren(...listed.filter(Boolean).map(({ uri, match, count }) =>
      h("tr", {}, h("td", {}, h("code", {}, uri || "(all)")), h("td", {}, match), h("td", { className: "number" }, String(count)))));
  }

  async _subscription(id) {
    try {
      const [subscription, count] = await Promise.all(
        ["get", "count_subscribers"].map((what) => this._session.call(`wamp.subscription.${what}`, [id])));
      return { ...subscription, count };
    } catch {
      return null; // gone meanwhile
    }
  }

  _drawSession({ session, authid, authrole, transport }) {
    const isOwn = session === this._session.id;
    const end = h("button", { type: "button", className: "quiet compact", onclick: () => this._session.call("wamp.session.kill", [session]).catch(() => {}) }, "End");
    return h("tr", { "data-session": session },
      h("td", {}, h("code", {}, String(session))),
      h("td", {}, this._users.get(authid)?.real_name ?? `${authrole} ${authid}`),
      h("td", {}, authrole),
      h("td", {}, h("code", { title: transport.type }, transport.protocol ?? transport.type)),
      h("td", {}, h("code", {}, transport.peer?.replace(/^tcp\d:/, "") ?? "")),
      h("td", {}, isOwn ? "this page" : end));
  }
}

function showState(state) {
  element("state").dataset.state = state;
  element("state").textContent = { live: "Live", reconnecting: "Reconnecting" }[state];
}

async function count() {
  const counts = await get("counts").catch(() => ({}));
  element("counts").replaceChildren(...Object.entries(NAMES).map(([name, text]) =>
    h("div", { "data-count": name }, h("dt", {}, text), h("dd", {}, counts[name] === undefined ? "–" : String(counts[name])))));
  setTimeout(count, COUNTING);
}

async function start() {
  const [config, users] = await Promise.all([get("config"), get("users")]);
  const inspector = new Inspector(users);
  const connection = new autobahn.Connection({
    url: config.url,
    realm: config.realm,
    authmethods: ["ticket"],
    onchallenge: async () => (await get("operator/jwt")).token,
    max_retries: -1,
    max_retry_delay: 10,
  });
  connection.onopen = (session) => inspector.joined(session).catch((error) => notify(error.message ?? error.error));
  connection.onclose = (why, { reason }) => {
    showState("reconnecting");
    if (reason === "org.tuleap.error.token_expired") setTimeout(() => connection.open(), 1000);
    return false;
  };
  connection.open();
  await count();
}

start().catch((error) => notify(globalThis.autobahn ? error.message : "The page needs autobahn-js: type npm ci, and load it again."));
