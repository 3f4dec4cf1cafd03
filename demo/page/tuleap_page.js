/**
 * Follows a board and a test campaign as Tuleap's own pages do, over socket.io. It has the interface of
 * tuleaprt-client, as far as this page uses it. Each room has a socket and a UUID of its own, because Tuleap shows
 * a kanban and a campaign on two pages.
 *
 * Such a page subscribes when it is loaded, and whenever the server sends error-jwt. It does not subscribe by itself
 * after a reconnection, and does not know which events it has missed.
 */

import { io } from "./socket.io.esm.min.js";

const PATH = "/local-socket.io";
const PRESENCES = "presences";
const VERSION = "2.0.0"; // of Tuleap's real-time server, which each subscription names
const REFRESH_BEFORE = 300_000; // ms
const WORST_FIRST = ["offline", "reconnecting", "connecting", "live"];

class Emitter {
  constructor() {
    this._listeners = [];
  }

  on(name, listener) {
    this._listeners.push({ name, listener });
  }

  /** What the listeners return. */
  _emit(name, ...values) {
    return this._listeners.filter((it) => it.name === name).map(({ listener }) => listener(...values));
  }
}

/** A kanban, and the socket of its page. */
class Room extends Emitter {
  namespace = "";

  constructor(connection, id, uuid) {
    super();
    this.id = id;
    this.state = "connecting";
    this.reason = null;
    this.transports = []; // of this connection, the newest last
    this._connection = connection;
    this._uuid = uuid;
    this._hasBeenLive = false;
    this._held = []; // events that come while the page loads; null: it does not
    this._refresh = null;
  }

  get roomId() {
    return this.id;
  }

  open(url) {
    const socket = (this.socket = io(url + this.namespace, { path: PATH, forceNew: true }));
    socket.io.on("open", () => this._opened(socket.io.engine));
    socket.on("connect", () => {
      // The page waits for error-jwt after a reconnection.
      if (this._hasBeenLive) this._become("reconnecting", "waiting");
      else this._subscribe();
    });
    socket.on("connect_error", () => this._lost("unreachable"));
    socket.on("disconnect", (reason) => this._lost(reason));
    socket.on("error-jwt", () => this._subscribe());
    socket.onAny((cmd, data) => cmd === "error-jwt" || this._receive({ cmd, data, publication: null, missed: false }));
  }

  async show() {
    const token = await this._connection.getTicket();
    if (!this.socket.connected) return;
    this.socket.emit("token", { token });
    this._planRefresh(token);
  }

  _opened(engine) {
    this._moved([engine.transport.name]);
    engine.on("upgrade", ({ name }) => this._moved([...this.transports, name]));
  }

  _moved(transports) {
    this.transports = transports;
    this._connection._emit("transport");
  }

  async _subscribe() {
    const { engine } = this.socket.io;
    const isOver = () => !this.socket.connected || this.socket.io.engine !== engine;
    try {
      const token = await this._connection.getTicket();
      if (isOver()) return;
      this.socket.emit("subscription", { nodejs_server_version: VERSION, token, room_id: this.roomId, uuid: this._uuid });
      // A subscription has no answer.
      if (engine.writeBuffer.length) await new Promise((sent) => engine.once("drain", sent).once("close", sent));
      if (isOver()) return;
      this._planRefresh(token);
      this._become("live", this._hasBeenLive ? "again" : null);
      await this._load(this._hasBeenLive ? "gap" : "live");
    } catch (error) {
      this._connection._emit("error", error);
    }
  }

  async _load(name) {
    this._hasBeenLive = true;
    this._held ??= [];
    await Promise.all(this._emit(name));
    const held = this._held ?? [];
    this._held = null;
    for (const event of held) this._deliver(event);
  }

  _receive(event) {
    this._apply(event);
    if (event.cmd === PRESENCES) return; // a snapshot and no event
    if (this._held) this._held.push(event);
    else this._deliver(event);
  }

  _deliver(event) {
    this._emit(event.cmd, event.data);
    this._connection._emit("event", event);
  }

  _lost(reason) {
    clearTimeout(this._refresh);
    this._moved([]);
    this._become(this.socket.active ? "reconnecting" : "offline", reason);
  }

  _become(state, reason) {
    Object.assign(this, { state, reason });
    this._connection._emit("state", this._connection.state, this._connection.why);
  }

  _planRefresh(token) {
    clearTimeout(this._refresh);
    const { exp } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    const delay = exp * 1000 - Date.now() - REFRESH_BEFORE;
    // The server asks for another token when a short one has expired.
    const refresh = () => this.show().catch((error) => this._connection._emit("error", error));
    if (delay > 0) this._refresh = setTimeout(refresh, delay);
  }

  _apply() {}
}

/** Tuleap's kanban page loads the board once. The server sends what the page has missed. */
class Board extends Room {
  async _load(name) {
    if (this._held) await super._load(name);
  }
}

/** A test campaign: a room that also keeps who is on which test. The page counts the podium itself. */
class Campaign extends Room {
  namespace = "/testmanagement";
  presence = new Map();
  podium = null;

  get roomId() {
    return `testmanagement_${this.id}`;
  }

  _apply({ cmd, data }) {
    if (cmd === PRESENCES) this.presence = new Map(Object.entries(data));
    else if (cmd === "testmanagement_user:presence") {
      if ("execution_to_remove" in data) this._set(data.execution_to_remove, data.execution_presences_to_remove);
      if ("execution_to_add" in data) this._set(data.execution_to_add, data.execution_presences_to_add);
    } else if (cmd === "user:leave") {
      for (const [id, users] of this.presence) this._set(id, users.filter(({ uuid }) => uuid !== data));
    } else if (cmd === "testmanagement_execution:delete") this._set(data.artifact_id, []);
    else return;
    this._emit("presence");
  }

  _set(execution, users) {
    this.presence.set(String(execution), users);
  }
}

class Connection extends Emitter {
  constructor({ url, getTicket, uuids }) {
    super();
    this.getTicket = getTicket;
    this._url = url;
    this._uuids = uuids;
    this._rooms = [];
  }

  board(id) {
    return this._follow(new Board(this, id, this._uuids.board));
  }

  campaign(id) {
    return this._follow(new Campaign(this, id, this._uuids.campaign));
  }

  /** The worst state of both rooms. */
  get state() {
    return WORST_FIRST.find((state) => this._rooms.some((room) => room.state === state)) ?? "connecting";
  }

  get why() {
    return { reason: this._rooms.find(({ state, reason }) => state === this.state && reason)?.reason ?? null };
  }

  /** The transports that both sockets have used since they connected, in order. */
  get transports() {
    return this._rooms.map(({ transports }) => transports).reduce((least, it) => (it.length < least.length ? it : least));
  }

  /** Show the server newer tokens. */
  async refresh() {
    await Promise.all(this._rooms.map((room) => room.show()));
  }

  cut() {
    for (const { socket } of this._rooms) socket.io.engine.close();
  }

  _follow(room) {
    this._rooms.push(room);
    room.open(this._url);
    return room;
  }
}

export const connect = (options) => new Connection(options);
