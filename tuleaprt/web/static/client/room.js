/** A board: events in their order, once each, over lost connections. */

import { Emitter } from "./emitter.js";
import { asError } from "./errors.js";

const HISTORY = "wamp.subscription.get_events";

// A room that is refused with one of these is tried again only with another session or token.
const REFUSAL = /^wamp\.error\.(not_authorized|invalid_uri|invalid_argument)$|^org\.tuleap\.error\.limit_exceeded$/;

const REMEMBERED = 1000; // publications of a room; twice the default length of a server's event history

/** One board: its topic, subscribed again in each session of the connection. */
export class Room extends Emitter {
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
