/**
 * The connection: one WAMP session after another, and the rooms that follow them.
 *
 * The session is autobahn-js's. The connection is not: autobahn's Connection hides the server's close code, resets its
 * count of attempts, and does not reconnect after a GOODBYE.
 */

import { Campaign } from "./campaign.js";
import { Emitter } from "./emitter.js";
import { asError, failure } from "./errors.js";
import { AFTER_CODE, AFTER_REASON, backoff, DEAD, pause } from "./reconnecting.js";
import { Room } from "./room.js";

const PING = "org.tuleap.session.ping";
const REFRESH = "org.tuleap.session.refresh";

// Milliseconds.
const STABLE = 10_000; // a session that has lasted this long resets the count of failures
const OPENING = 20_000; // from the connection to WELCOME
const ANSWERING = 10_000;
const REFRESH_BEFORE = 300_000;
const REFRESH_PAUSE = 60_000; // the shortest, even if the page's clock is wrong
const TICK = 10_000;
const SLEEP = 75_000; // browsers run the timers of a page in the background once a minute
const LONGEST_TIMER = 2 ** 31 - 1;

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

export class Connection extends Emitter {
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
    const delay = pause(when, this._failures++, this._options.random);
    this._retry = this._clock.setTimeout(() => this._open(), delay);
    this._become("reconnecting", reason, delay / 1000);
  }

  _drop(line) {
    this._line = this.session = null;
    for (const timer of [line.opening, line.refresh, line.silence]) this._clock.clearTimeout(timer);
    line.end.resolve();
  }

  _pause(failures) {
    return new Promise((resolve) => {
      const timer = this._clock.setTimeout(() => {
        this._pauses.delete(timer);
        resolve();
      }, backoff(failures, this._options.random));
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
