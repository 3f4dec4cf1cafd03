/**
 * Follows Tuleap's boards and test campaigns through a tuleaprt server. The client survives lost connections, server
 * restarts and expired tokens. docs/client.rst describes the use in a page and the reaction to each interruption.
 *
 * The WAMP session is autobahn-js's. The connection is not: autobahn's Connection hides the server's close code, resets
 * its count of attempts, and does not reconnect after a GOODBYE.
 */

const HISTORY = "wamp.subscription.get_events";
const PING = "org.tuleap.session.ping";
const REFRESH = "org.tuleap.session.refresh";
const PRESENCES = "org.tuleap.testmanagement.presences";
const PODIUM = "org.tuleap.testmanagement.podium";

// When the client reconnects, by the server's reason or close code (docs/wamp.rst, "How sessions end"). After any other
// GOODBYE or ABORT: never. After any other close, and when the server cannot be reached: later.
const AFTER_REASON = {
  "org.tuleap.error.token_expired": "at once",
  "org.tuleap.close.revoked": "at once",
  "org.tuleap.error.rate_exceeded": "late",
  "org.tuleap.error.limit_exceeded": "late",
};
const AFTER_CODE = { 1001: "soon", 1012: "soon" };
// A room that is refused with one of these is tried again only with another session or token.
const REFUSAL = /^wamp\.error\.(not_authorized|invalid_uri|invalid_argument)$|^org\.tuleap\.error\.limit_exceeded$/;

// Milliseconds.
const LONGEST_PAUSE = 30_000;
const STABLE = 10_000; // a session that has lasted this long resets the count of failures
const OPENING = 20_000; // from the connection to WELCOME
const ANSWERING = 10_000;
const REFRESH_BEFORE = 300_000;
const REFRESH_PAUSE = 60_000; // the shortest, even if the page's clock is wrong
const TICK = 10_000;
const SLEEP = 75_000; // browsers run the timers of a page in the background once a minute
const LONGEST_TIMER = 2 ** 31 - 1;

// Reasons to drop a connection without a closing handshake.
const DEAD = new Set(["unanswered", "cut"]);

const REMEMBERED = 1000; // publications of a room; twice the default length of a server's event history

const CLOCK = {
  now: Date.now,
  setTimeout: (call, delay) => setTimeout(call, delay),
  clearTimeout: (timer) => clearTimeout(timer),
};

/** autobahn's deferred, plus `taken`: it is called with the answer before the next message is read. */
function deferred() {
  let reject, settle;
  const promise = new Promise((...both) => ([settle, reject] = both));
  const resolve = (value) => {
    promise.taken?.(value);
    settle(value);
  };
  return { promise, resolve, reject };
}

/** Package ws can drop a connection at once; a browser drops it when its close is not answered. */
const discard = (socket) => (socket.terminate ? socket.terminate() : socket.close());

/** An Error from autobahn's rejection, or from the reason with which the server ended the session. */
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

  /** Returns the listeners' results. An exception is a rejected promise, unhandled unless the caller awaits it. */
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

/** One board: its topic, subscribed again in each session of the connection. */
class Room extends Emitter {
  constructor(connection, topic, id) {
    super();
    this.id = id;
    this.topic = topic;
    this._connection = connection;
    this._position = null; // the last publication that the page has; null: none
    this._known = new Set();
    this._held = null; // events that arrive while the page catches up; null: it does not
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

  /** Subscribe in a new session, and deliver the events that the page has missed. */
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
      // A repeated refusal is not reported again.
      if (!isRefusal || !wasRefused) this._complain(error);
      if (!isRefusal) this._connection._ended(line, "later", "failed");
    }
  }

  async _catchUp(session, id, isOver) {
    const ask = (conditions) => session.call(HISTORY, [id], conditions);
    for (;;) {
      const missed = this._position === null ? null : await ask({ after_publication: this._position });
      if (isOver()) return;
      // A server that has more and sends nothing would be asked for ever.
      const isStuck = missed !== null && missed.kwargs.more && missed.args.length === 0;
      if (missed === null || missed.kwargs.position_lost || isStuck) {
        const start = await ask({ limit: 0 });
        if (isOver()) return;
        this._position = start.kwargs.position;
        // A load that is under way may have begun before this position.
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

  /** Make the page load the board and wait for it; repeat if the page fails. */
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
    this._held = []; // a _follow that is under way for the subscription stops
    this._isRefused = true;
    this._forget();
    this._emit("lost", reason);
  }

  /** The session has a newer token. */
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

/** A test campaign: a room that also keeps the presence and the podium. */
class Campaign extends Room {
  presence = new Map();
  podium = [];

  /** Applies the answers with `taken`: later, they would overwrite the events that arrive right after them. */
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
    if (!this.session) return; // the next session asks for a new token
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
    socket.onerror = () => {}; // a close event follows; without a listener, package ws ends the process
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
    return new Promise(() => {}); // the connection has ended: autobahn gets no answer
  }

  _joined(line, { authid, authextra }) {
    this._clock.clearTimeout(line.opening);
    line.openedAt = this._clock.now();
    this.session = { id: line.session.id, user: /^\d+$/.test(authid) ? Number(authid) : authid };
    this._planRefresh(line, authextra?.expires_at);
    this._heard(line);
    const rooms = [...this._rooms.values()]; // a room that a listener adds subscribes by itself
    this._become("live", null, null);
    for (const room of rooms) if (this._line === line && !room._isLeft) room._follow(line);
  }

  /** The connection has ended or is given up. `when`: how soon to reconnect. */
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

  /** A message has arrived: the connection is alive, and the interval until the next ping starts again. */
  _heard(line) {
    const delay = this._options.pingInterval * 1000 * (0.5 + this._options.random() / 2);
    this._clock.clearTimeout(line.silence);
    line.isAsked = false;
    line.silence = this._clock.setTimeout(() => this._ping(), Math.min(delay, LONGEST_TIMER));
  }

  /** Ask the server whether the connection is alive. Any message counts as the answer, even an ERROR. */
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

  /** Detect that the computer has slept: the token may have expired, and the connection may be lost without a close. */
  _watch() {
    const before = this._clock.now();
    this._watching = this._clock.setTimeout(() => {
      if (this._clock.now() - before > SLEEP) this._awake();
      this._watch();
    }, TICK);
  }

  _awake() {
    this._ping(); // first: on a failed network, the request for a new token may take long
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
