/**
 * Follows Tuleap's boards and test campaigns through a tuleaprt server, over lost lines, restarts and tickets that
 * end. What a page does with it, and what happens on each kind of interruption: docs/client.rst.
 *
 * autobahn-js gives the WAMP session. Its Connection does not: it hides the code with which the server closes, forgets
 * how often it has tried, and does not come back after a GOODBYE.
 */

const HISTORY = "wamp.subscription.get_events";
const PING = "org.tuleap.session.ping";
const REFRESH = "org.tuleap.session.refresh";
const PRESENCES = "org.tuleap.testmanagement.presences";
const PODIUM = "org.tuleap.testmanagement.podium";

// When to come back, by what the server says (docs/wamp.rst, "How sessions end"). Any other GOODBYE or ABORT: never;
// any other close, and no server at all: later.
const AFTER_REASON = {
  "org.tuleap.error.token_expired": "at once",
  "org.tuleap.close.revoked": "at once",
  "org.tuleap.error.rate_exceeded": "late",
  "org.tuleap.error.limit_exceeded": "late",
};
const AFTER_CODE = { 1001: "soon", 1012: "soon" };
// To ask once more for such a room is of no use before there is another session or ticket.
const REFUSAL = /^wamp\.error\.(not_authorized|invalid_uri|invalid_argument)$|^org\.tuleap\.error\.limit_exceeded$/;

// Milliseconds.
const LONGEST_PAUSE = 30_000;
const STABLE = 10_000; // a session that has lasted so long was no failure
const OPENING = 20_000; // from the connection to WELCOME
const ANSWERING = 10_000;
const REFRESH_BEFORE = 300_000;
const REFRESH_PAUSE = 60_000; // also where a page's clock is wrong
const TICK = 10_000;
const SLEEP = 75_000; // a page in the background gets its turn once a minute
const LONGEST_TIMER = 2 ** 31 - 1;

// Why a connection is given up without a word of the other end.
const DEAD = new Set(["unanswered", "cut"]);

const REMEMBERED = 1000; // publications of a room; twice what a server's history has by default

const CLOCK = {
  now: Date.now,
  setTimeout: (call, delay) => setTimeout(call, delay),
  clearTimeout: (timer) => clearTimeout(timer),
};

/** autobahn's, but for `taken`: called with the answer before the next message is read. */
function deferred() {
  let reject, settle;
  const promise = new Promise((...both) => ([settle, reject] = both));
  const resolve = (value) => {
    promise.taken?.(value);
    settle(value);
  };
  return { promise, resolve, reject };
}

/** Package ws can drop a connection without the other end; a browser does so when its close is not answered. */
const discard = (socket) => (socket.terminate ? socket.terminate() : socket.close());

/** An Error of what autobahn rejects with, or of what the server said when it ended the session. */
const failure = (reason, message, more) => Object.assign(new Error(message || reason), { reason }, more);

const asError = (error, more) =>
  error instanceof Error ? Object.assign(error, more) : failure(error?.error ?? String(error), error?.args?.[0], more);

class Emitter {
  constructor() {
    this._listeners = new Map();
  }

  on(name, listener) {
    const listeners = this._listeners.get(name) ?? new Set();
    const entry = { listener };
    this._listeners.set(name, listeners.add(entry));
    return () => void listeners.delete(entry);
  }

  once(name, listener) {
    const off = this.on(name, (...values) => {
      off();
      return listener(...values);
    });
    return off;
  }

  /** What the listeners return. One that throws is an unhandled rejection, unless somebody waits for it. */
  _emit(name, ...values) {
    const call = ({ listener }) => {
      try {
        return listener(...values);
      } catch (error) {
        return Promise.reject(error);
      }
    };
    return [...(this._listeners.get(name) ?? [])].map(call);
  }
}

/** One board: its topic, in every session that the connection has. */
class Room extends Emitter {
  constructor(connection, topic, id) {
    super();
    this.id = id;
    this.topic = topic;
    this._connection = connection;
    this._position = null; // the last publication that the page knows; null: it knows nothing
    this._known = new Set();
    this._held = null; // what comes while the page is catching up; null: it is not
    this._loading = Promise.resolve();
    this._subscription = null;
    this._hasBeenLive = this._isRefused = this._isLeft = false;
  }

  leave() {
    if (this._isLeft) return;
    this._isLeft = true;
    this._connection._rooms.delete(this.topic);
    this._unsubscribe();
  }

  _unsubscribe(subscription = this._subscription) {
    this._subscription = null;
    if (subscription?.active && subscription.session === this._connection._line?.session)
      subscription.unsubscribe().catch(() => {}); // revoked meanwhile
  }

  /** Subscribe in a new session, and tell the page what it missed. */
  async _follow(line) {
    const held = (this._held = []);
    const isOver = () => this._held !== held || this._isLeft || this._connection._line !== line;
    const wasRefused = this._isRefused;
    this._isRefused = false;
    this._subscription = null;
    try {
      const receive = (args, kwargs, { publication }) => this._receive(kwargs, publication);
      const subscription = await line.session.subscribe(this.topic, receive);
      if (isOver()) return this._isLeft ? this._unsubscribe(subscription) : undefined;
      this._subscription = subscription;
      subscription.on_unsubscribe.then((reason) => this._subscription === subscription && this._revoked(reason));
      await this._read(line.session);
      if (!isOver()) await this._catchUp(line.session, subscription.id, isOver);
      if (isOver()) return;
      for (const event of held) this._deliver(event);
      if (this._held === held) this._held = null;
    } catch (error) {
      if (isOver()) return;
      const isRefusal = this._subscription === null && REFUSAL.test(error?.error);
      this._isRefused = isRefusal;
      // Once: another session or ticket tries again.
      if (!isRefusal || !wasRefused) this._complain(error);
      if (!isRefusal) this._connection._ended(line, "later", "failed");
    }
  }

  async _catchUp(session, id, isOver) {
    const ask = (conditions) => session.call(HISTORY, [id], conditions);
    for (;;) {
      const missed = this._position === null ? null : await ask({ after_publication: this._position });
      if (isOver()) return;
      if (missed === null || missed.kwargs.position_lost) {
        const start = await ask({ limit: 0 });
        if (isOver()) return;
        this._position = start.kwargs.position;
        // One that is under way may have begun before this position.
        this._loading = this._loading.then(() => this._load());
        await this._loading;
        return;
      }
      await this._loading;
      if (isOver()) return;
      for (const { publication, kwargs } of missed.args) this._deliver(this._event(kwargs, publication, true));
      if (!missed.kwargs.more) {
        this._position = missed.kwargs.position;
        return;
      }
    }
  }

  /** Have the page load the board, and wait for it; again if it could not. */
  async _load() {
    for (let failures = 0; !this._isLeft; failures += 1) {
      const name = this._hasBeenLive ? "gap" : "live";
      this._hasBeenLive = true;
      try {
        await Promise.all(this._emit(name));
        return;
      } catch (error) {
        this._complain(error);
        await this._connection._pause(failures);
      }
    }
  }

  _event({ cmd, data }, publication, missed) {
    return { topic: this.topic, cmd, data, publication, missed };
  }

  _receive(kwargs, publication) {
    if (this._isLeft) return;
    const event = this._event(kwargs, publication, false);
    this._apply(event);
    if (this._held) this._held.push(event);
    else this._deliver(event);
  }

  _deliver(event) {
    if (this._isLeft) return;
    if (event.missed) this._position = event.publication;
    if (this._known.has(event.publication)) return;
    this._position = event.publication;
    this._known.add(event.publication);
    if (this._known.size > REMEMBERED) this._known.delete(this._known.values().next().value);
    this._emit(event.cmd, event.data, event);
    this._emit("*", event.data, event);
    this._connection._emit("event", event);
  }

  _revoked(reason) {
    this._subscription = this._position = null;
    this._held = []; // what is under way for the subscription is over
    this._isRefused = true;
    this._forget();
    this._emit("lost", reason);
  }

  /** The session has a newer ticket. */
  async _refreshed(line) {
    if (this._isRefused) return this._follow(line);
    if (this._subscription) await this._read(line.session).catch((error) => this._complain(error));
  }

  _complain(error) {
    this._connection._emit("error", asError(error, { topic: this.topic }));
  }

  async _read() {}
  _apply() {}
  _forget() {}
}

/** A test campaign: a room that also keeps who is on which test, and who leads. */
class Campaign extends Room {
  presence = new Map();
  podium = [];

  /** Taken at once, so that no event that comes right behind is overwritten. */
  async _read(session) {
    const [presences, podium] = [PRESENCES, PODIUM].map((procedure) => session.call(procedure, [this.id]));
    presences.taken = (all) => this._isLeft || this._setPresence(all);
    podium.taken = (standings) => this._isLeft || this._setPodium(standings);
    await Promise.all([presences, podium]);
  }

  _apply({ cmd, data }) {
    if (cmd === "testmanagement_user:presence") {
      if ("execution_to_remove" in data) this._setUsers(data.execution_to_remove, data.execution_presences_to_remove);
      if ("execution_to_add" in data) this._setUsers(data.execution_to_add, data.execution_presences_to_add);
    } else if (cmd === "user:leave") {
      const isAnother = ({ uuid }) => uuid !== data;
      for (const [id, users] of [...this.presence]) this._setUsers(id, users.filter(isAnother));
    } else if (cmd === "testmanagement_execution:delete") this._setUsers(data.artifact_id, []);
    else if (cmd === "testmanagement_podium:update") this._setPodium(data);
  }

  _forget() {
    this._setPresence({});
    this._setPodium([]);
  }

  _setPresence(all) {
    for (const id of [...this.presence.keys()]) if (!(id in all)) this._setUsers(id, []);
    for (const [id, users] of Object.entries(all)) this._setUsers(id, users);
  }

  _setUsers(execution, users) {
    const id = String(execution);
    if (JSON.stringify(this.presence.get(id) ?? []) === JSON.stringify(users)) return;
    if (users.length) this.presence.set(id, users);
    else this.presence.delete(id);
    this._emit("presence", id, users);
  }

  _setPodium(standings) {
    if (JSON.stringify(this.podium) === JSON.stringify(standings)) return;
    this.podium = standings;
    this._emit("podium", standings);
  }
}

class Connection extends Emitter {
  constructor(options) {
    super();
    this.state = "connecting";
    this.session = null;
    this._options = options;
    this._clock = options.clock;
    this._rooms = new Map();
    this._failures = 0;
    this._retry = null; // the timer until the next attempt
    this._pauses = new Set(); // timers of _pause
    this._wake = () => this._awake();
    this._show = () => globalThis.document.visibilityState === "visible" && this._ping();
    globalThis.addEventListener?.("online", this._wake);
    globalThis.document?.addEventListener?.("visibilitychange", this._show);
    this._watch();
    this._open();
  }

  board(id) {
    return this._room(`org.tuleap.kanban.${id}`, Room, id);
  }

  campaign(id) {
    return this._room(`org.tuleap.testmanagement.${id}`, Campaign, id);
  }

  async refresh() {
    const line = this._line;
    if (!this.session) return; // a new session shows a new ticket anyway
    const ticket = await this._options.getTicket();
    if (line !== this._line) return;
    if (!ticket) throw failure("no ticket");
    const unanswered = this._clock.setTimeout(() => this._ended(line, "later", "unanswered"), ANSWERING);
    try {
      const answer = await Promise.race([line.session.call(REFRESH, [ticket]), line.end.promise]);
      if (line !== this._line) return;
      this._planRefresh(line, answer.expires_at);
      for (const room of this._rooms.values()) room._refreshed(line);
    } catch (error) {
      throw asError(error);
    } finally {
      this._clock.clearTimeout(unanswered);
    }
  }

  cut() {
    this._ended(this._line, "later", "cut");
  }

  close() {
    const line = this._line;
    for (const room of this._rooms.values()) room._isLeft = true;
    this._rooms.clear();
    if (line) this._drop(line);
    for (const timer of this._pauses) this._clock.clearTimeout(timer);
    this._rest("closed");
    if (!line) return;
    if (line.session.isOpen) line.session.leave(); // autobahn's onleave closes the socket
    else line.socket.close();
    const unanswered = this._clock.setTimeout(() => discard(line.socket), ANSWERING);
    line.socket.onclose = () => this._clock.clearTimeout(unanswered);
  }

  _room(topic, Kind, id) {
    let room = this._rooms.get(topic);
    if (!room) {
      this._rooms.set(topic, (room = new Kind(this, topic, id)));
      if (this.session) room._follow(this._line);
    }
    return room;
  }

  _open() {
    const { autobahn, WebSocket, url, uuid, realm } = this._options;
    this._retry = null;
    const socket = new WebSocket(url, ["wamp.2.json"]);
    const transport = {
      send: (message) => socket.readyState === 1 && socket.send(JSON.stringify(message)),
      close: (code, reason) => socket.close(code, reason),
    };
    const session = new autobahn.Session(transport, deferred, () => this._ticket(line));
    const line = (this._line = { socket, session, end: deferred(), openedAt: null, refresh: null });
    line.opening = this._clock.setTimeout(() => this._ended(line, "later", "unanswered"), OPENING);
    session.onjoin = (details) => this._joined(line, details);
    session.onleave = (reason, { message }) => {
      this._ended(line, AFTER_REASON[reason] ?? "never", reason, message);
      socket.close();
    };
    socket.onopen = () => session.join(realm, ["ticket"], undefined, { uuid });
    socket.onmessage = ({ data }) => {
      if (line.openedAt !== null && this._line === line) this._heard(line);
      transport.onmessage(JSON.parse(data));
    };
    socket.onclose = ({ code }) =>
      this._ended(line, AFTER_CODE[code] ?? "later", code === 1006 ? "lost" : `closed ${code}`);
    socket.onerror = () => {}; // it is closed next; package ws ends the process if nobody listens
  }

  async _ticket(line) {
    try {
      const ticket = await this._options.getTicket();
      if (ticket) return ticket;
      this._ended(line, "never", "no ticket");
    } catch (error) {
      this._emit("error", asError(error));
      this._ended(line, "later", "no ticket");
    }
    return new Promise(() => {}); // there is nobody to show one to
  }

  _joined(line, { authid, authextra }) {
    this._clock.clearTimeout(line.opening);
    line.openedAt = this._clock.now();
    this.session = { id: line.session.id, user: /^\d+$/.test(authid) ? Number(authid) : authid };
    this._planRefresh(line, authextra?.expires_at);
    this._heard(line);
    const rooms = [...this._rooms.values()]; // a listener may add one, which follows by itself
    this._become("live", null, null);
    for (const room of rooms) if (this._line === line && !room._isLeft) room._follow(line);
  }

  /** The line is of no use any more. `when`: how soon to come back. */
  _ended(line, when, reason, message) {
    if (!line || line !== this._line) return;
    this._drop(line);
    line.socket.onopen = line.socket.onmessage = null;
    if (DEAD.has(reason)) discard(line.socket);
    else line.socket.close();
    if (line.openedAt !== null && this._clock.now() - line.openedAt >= STABLE) this._failures = 0;
    if (when === "never") return this._rest(reason, failure(reason, message));
    const delay = this._delay(when);
    this._retry = this._clock.setTimeout(() => this._open(), delay);
    this._become("reconnecting", reason, delay / 1000);
  }

  _drop(line) {
    this._line = this.session = null;
    for (const timer of [line.opening, line.refresh, line.silence]) this._clock.clearTimeout(timer);
    line.end.resolve();
  }

  _delay(when) {
    const failures = this._failures++;
    if (when === "late") return this._backoff(Infinity);
    if (failures > 0 || when === "later") return this._backoff(failures);
    return when === "soon" ? 200 + 1800 * this._options.random() : 0;
  }

  _backoff(failures) {
    return Math.min(1000 * 2 ** failures, LONGEST_PAUSE) * (0.5 + this._options.random() / 2);
  }

  _pause(failures) {
    return new Promise((resolve) => {
      const timer = this._clock.setTimeout(() => {
        this._pauses.delete(timer);
        resolve();
      }, this._backoff(failures));
      this._pauses.add(timer);
    });
  }

  /** A message has come: the connection is alive, and the next question is a whole interval away. */
  _heard(line) {
    const delay = this._options.pingInterval * 1000 * (0.5 + this._options.random() / 2);
    this._clock.clearTimeout(line.silence);
    line.isAsked = false;
    line.silence = this._clock.setTimeout(() => this._ping(), Math.min(delay, LONGEST_TIMER));
  }

  /** Ask the server whether the connection is alive. Any message is an answer, an ERROR too. */
  _ping() {
    const line = this._line;
    if (!this.session || line.isAsked) return;
    const timeout = Math.min(this._options.pingTimeout * 1000, LONGEST_TIMER);
    this._clock.clearTimeout(line.silence);
    line.isAsked = true;
    line.silence = this._clock.setTimeout(() => this._ended(line, "later", "unanswered"), timeout);
    line.session.call(PING).catch(() => {});
  }

  /** @param {number} [expiresAt] seconds */
  _planRefresh(line, expiresAt) {
    this._clock.clearTimeout(line.refresh);
    if (!expiresAt) return;
    const left = expiresAt * 1000 - this._clock.now();
    const delay = Math.max(left - REFRESH_BEFORE, Math.min(left / 2, REFRESH_BEFORE), REFRESH_PAUSE);
    line.refresh = this._clock.setTimeout(() => this._refreshNow(), Math.min(delay, LONGEST_TIMER));
  }

  async _refreshNow() {
    const line = this._line;
    try {
      await this.refresh();
    } catch (error) {
      this._emit("error", error);
      if (line !== this._line) return;
      this._clock.clearTimeout(line.refresh);
      line.refresh = this._clock.setTimeout(() => this._refreshNow(), REFRESH_PAUSE);
    }
  }

  /** Notice that the computer has slept: tickets have aged, and a line may be dead without a word. */
  _watch() {
    const before = this._clock.now();
    this._watching = this._clock.setTimeout(() => {
      if (this._clock.now() - before > SLEEP) this._awake();
      this._watch();
    }, TICK);
  }

  _awake() {
    this._ping(); // the new ticket may be long in coming over a dead network
    if (this.session) return this._refreshNow();
    if (this._retry === null) return;
    this._clock.clearTimeout(this._retry);
    this._open();
  }

  _rest(reason, error) {
    for (const timer of [this._retry, this._watching]) this._clock.clearTimeout(timer);
    this._retry = null;
    globalThis.removeEventListener?.("online", this._wake);
    globalThis.document?.removeEventListener?.("visibilitychange", this._show);
    if (this.state !== "offline") this._become("offline", reason, null);
    if (error) this._emit("error", error);
  }

  _become(state, reason, retryIn) {
    this.state = state;
    this._emit("state", state, { reason, retryIn });
  }
}

/** See tuleaprt-client.d.ts. */
export function connect({
  realm = "tuleap",
  autobahn = globalThis.autobahn,
  WebSocket = globalThis.WebSocket,
  pingInterval = 40,
  pingTimeout = 10,
  clock = CLOCK,
  random = Math.random,
  ...options
}) {
  if (!autobahn?.Session) throw new Error("tuleaprt-client needs autobahn-js: load it before, or give it as autobahn");
  for (const [name, seconds] of Object.entries({ pingInterval, pingTimeout }))
    if (!(typeof seconds === "number" && seconds > 0)) throw new RangeError(`${name} must be a number of seconds above 0`);
  return new Connection({ ...options, realm, autobahn, WebSocket, pingInterval, pingTimeout, clock, random });
}
