/** The operator's view by WAMP's meta API: the sessions, the subscriptions, and all events. */

import { get } from "./api.js";
import { h, notify, setChildren, TIME } from "./dom.js";
import { Events } from "./events.js";
import { read } from "./reading.js";
import { keepSession } from "./session.js";
import { showState } from "./status.js";

const META = ["session.on_join", "session.on_leave", "subscription.on_create", "subscription.on_subscribe",
  "subscription.on_unsubscribe", "subscription.on_delete"];
const TILES = {
  sessions: ["sessions", ({ sessions }) => sessions.length],
  subscriptions: ["subscriptions", ({ subscriptions }) => subscriptions.length],
  deliveries_total: ["events delivered", ({ metrics }) => metrics.deliveries_total],
  filtered_total: ["events filtered", ({ metrics }) => metrics.filtered_total],
};
const SOON = 200; // ms; several meta events often arrive together
const LATER = 2000; // ms; there are no meta events for the numbers of /metrics

const element = (id) => document.getElementById(id);
const number = (text) => h("td", { className: "number" }, String(text));
const code = (text, title = "") => h("td", {}, h("code", { title }, text));

class Inspector {
  constructor(users) {
    this._users = new Map(users.map((user) => [String(user.id), user]));
    this._events = new Events(element("log"), h("button"));
    this._reading = null; // the newest that has not failed
    this._rows = new Map(); // what a row shows → its element
    this._session = null;
    this._timer = null;
    this._isReading = this._isStale = false;
  }

  async joined(session) {
    this._session = session;
    this._isReading = false;
    showState("live");
    await session.subscribe("org.tuleap.", (args, { cmd, data }, { publication, topic }) => {
      if (session !== this._session) return;
      this._events.show({ cmd, data, publication, topic, missed: false });
    }, { match: "prefix" });
    for (const topic of META) await session.subscribe(`wamp.${topic}`, () => session === this._session && this._changed());
    if (!this._isReading) this._plan(session, 0);
  }

  /** Answers that are still to come in the session are ignored. */
  lost(state, why) {
    this._session = null;
    clearTimeout(this._timer);
    showState(state, why);
    if (this._reading) this._showAge("The connection has ended.");
  }

  /** If a reading is under way, another one follows it soon. */
  _changed() {
    this._isStale = true;
    if (!this._isReading) this._plan(this._session, SOON);
  }

  _plan(session, delay) {
    if (session !== this._session) return;
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._read(session), delay);
  }

  async _read(session) {
    this._isReading = true;
    this._isStale = false;
    try {
      const reading = await read(session);
      if (session === this._session) this._show(reading);
    } catch (error) {
      if (session === this._session) this._showAge(`The reading has failed: ${error.message ?? error.error}.`);
    }
    if (session !== this._session) return;
    this._isReading = false;
    this._plan(session, this._isStale ? SOON : LATER);
  }

  /** The tiles and both tables. They are drawn in one step, so that none is newer than another. */
  _show(reading) {
    this._reading = reading;
    const before = this._rows;
    this._rows = new Map();
    // Rows that stay the same are kept, and with them the focus.
    const row = (it, draw) => {
      const key = JSON.stringify([it, this._session.id]);
      this._rows.set(key, before.get(key) ?? draw(it));
      return this._rows.get(key);
    };
    setChildren(element("sessions"), reading.sessions.map((it) => row(it, () => this._drawSession(it))));
    setChildren(element("subscriptions"), reading.subscriptions.map((it) => row(it, drawSubscription)));
    drawTiles(reading);
    this._showAge(null);
  }

  /** When the reading was made, and why there is no newer one. */
  _showAge(failure) {
    const [age, at] = [element("read-at"), this._reading && TIME.format(this._reading.at)];
    const state = at ? `${failure ? "Old: read" : "Read"} at ${at}.` : "Nothing has been read yet.";
    age.textContent = [state, failure].filter(Boolean).join(" ");
    element("reading").toggleAttribute("data-old", failure !== null && at !== null);
  }

  _drawSession({ session, authid, authrole, transport }) {
    const isOwn = session === this._session.id;
    const end = h("button", { type: "button", className: "quiet compact", onclick: () => this._session?.call("wamp.session.kill", [session]).catch(() => {}) }, "End");
    return h("tr", { "data-session": session },
      code(String(session)),
      h("td", {}, this._users.get(authid)?.real_name ?? `${authrole} ${authid}`),
      h("td", {}, authrole),
      code(transport.protocol ?? transport.type, transport.type),
      code(transport.peer?.replace(/^tcp\d:/, "") ?? ""),
      h("td", {}, isOwn ? "this page" : end));
  }
}

const drawSubscription = ({ uri, match, count }) => h("tr", {}, code(uri || "(all)"), h("td", {}, match), number(count));

/** A reading of null: there is none yet. */
function drawTiles(reading) {
  element("counts").replaceChildren(...Object.entries(TILES).map(([name, [text, count]]) =>
    h("div", { "data-count": name }, h("dt", {}, text), h("dd", {}, reading ? String(count(reading)) : "–"))));
}

async function start() {
  drawTiles(null);
  const [config, users] = await Promise.all([get("config"), get("users")]);
  const inspector = new Inspector(users);
  keepSession({
    url: config.url,
    realm: config.realm,
    getTicket: async () => (await get("operator/jwt")).token,
    joined: (session) => inspector.joined(session).catch((error) => notify(error.message ?? error.error)),
    lost: (...why) => inspector.lost(...why),
  });
}

const NO_LIBRARY = "The page needs autobahn-js: type npm ci";
start().catch((error) => showState("offline", { reason: globalThis.autobahn ? error.message : NO_LIBRARY }));
