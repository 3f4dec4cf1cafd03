/** The operator's view by WAMP's meta API: the sessions, the subscriptions, and all events. */

import { get } from "./api.js";
import { h, notify } from "./dom.js";
import { Events } from "./events.js";
import { keepSession } from "./session.js";

const META = ["session.on_join", "session.on_leave", "subscription.on_create", "subscription.on_subscribe",
  "subscription.on_unsubscribe", "subscription.on_delete"];
const NAMES = { sessions: "sessions", subscriptions: "subscriptions", deliveries_total: "events delivered", filtered_total: "events filtered" };
const PAUSE = 200; // ms; several meta events often arrive together
const COUNTING = 2000; // ms

const element = (id) => document.getElementById(id);

/** Null for a session or subscription that has ended since it was listed. */
function nullIfGone(error) {
  if (/^wamp\.error\.no_such_(session|subscription)$/.test(error.error)) return null;
  throw error;
}

class Inspector {
  constructor(users) {
    this._users = new Map(users.map((user) => [String(user.id), user]));
    this._events = new Events(element("log"), h("button"));
    this._reading = null;
    this._counts = {};
  }

  async joined(session) {
    this.lost();
    this._session = session;
    showState("live");
    await session.subscribe("org.tuleap.", (args, { cmd, data }, { publication, topic }) => {
      if (session !== this._session) return;
      this._events.show({ cmd, data, publication, topic, missed: false });
    }, { match: "prefix" });
    for (const topic of META) await session.subscribe(`wamp.${topic}`, () => session === this._session && this._soon());
    this._soon();
  }

  /** Answers that are still to come in the session are ignored. */
  lost() {
    this._session = null;
    clearTimeout(this._reading);
    this._reading = null;
    showState("reconnecting");
  }

  /** Read everything again soon. If a reading is under way, the next one follows it. */
  _soon() {
    this._isStale = true;
    this._reading ??= setTimeout(async () => {
      const session = this._session;
      this._isStale = false;
      await this._read().catch(() => {}); // the session has ended; the next one reads it all
      if (session !== this._session) return;
      this._reading = null;
      if (this._isStale) this._soon();
    }, PAUSE);
  }

  async _read() {
    const session = this._session;
    const [ids, subscriptions] = await Promise.all([session.call("wamp.session.list"), session.call("wamp.subscription.list")]);
    const all = await Promise.all(ids.map((id) => session.call("wamp.session.get", [id]).catch(nullIfGone)));
    const listed = await Promise.all(Object.values(subscriptions).flat().map((id) => this._subscription(session, id)));
    if (session !== this._session) return;
    const sessions = all.filter(Boolean).map((it) => this._drawSession(it));
    const rows = listed.filter(Boolean).map(({ uri, match, count }) =>
      h("tr", {}, h("td", {}, h("code", {}, uri || "(all)")), h("td", {}, match), h("td", { className: "number" }, String(count))));
    element("sessions").replaceChildren(...sessions);
    element("subscriptions").replaceChildren(...rows);
    this.count({ sessions: sessions.length, subscriptions: rows.length });
  }

  /** Set the numbers at the top. Those of sessions and subscriptions are the numbers of rows. */
  count(counts) {
    Object.assign(this._counts, counts);
    element("counts").replaceChildren(...Object.entries(NAMES).map(([name, text]) =>
      h("div", { "data-count": name }, h("dt", {}, text), h("dd", {}, String(this._counts[name] ?? "–")))));
  }

  async _subscription(session, id) {
    const [subscription, count] = await Promise.all(
      ["get", "count_subscribers"].map((what) => session.call(`wamp.subscription.${what}`, [id]).catch(nullIfGone)));
    return subscription && count && { ...subscription, count };
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

/** Read the numbers that the meta API does not have. */
async function readMetrics(inspector) {
  const counts = await get("counts").catch(() => ({}));
  inspector.count({ deliveries_total: counts.deliveries_total, filtered_total: counts.filtered_total });
  setTimeout(readMetrics, COUNTING, inspector);
}

async function start() {
  const [config, users] = await Promise.all([get("config"), get("users")]);
  const inspector = new Inspector(users);
  keepSession({
    url: config.url,
    realm: config.realm,
    getTicket: async () => (await get("operator/jwt")).token,
    joined: (session) => inspector.joined(session).catch((error) => notify(error.message ?? error.error)),
    lost: () => inspector.lost(),
  });
  await readMetrics(inspector);
}

start().catch((error) => notify(globalThis.autobahn ? error.message : "The page needs autobahn-js: type npm ci, and load it again."));
