// Substitutes for the world of a page: time, chance, and a server at the other end of its WebSocket.
import autobahn from "autobahn";

import { connect } from "../../tuleaprt/web/static/client/tuleaprt-client.js";

/** Whatever happens without time passing has happened: promises, and some answers of the server. */
export async function settled() {
  for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The pauses that a page announced, in seconds. */
export const delays = (states) => states.filter(([state]) => state === "reconnecting").map(([, , pause]) => pause);

/** Let a page connect again, when it said it would. */
export async function back({ states, clock }) {
  await clock.pass(delays(states).at(-1) * 1000);
  await settled();
}

/** Time that passes when it is told to. */
export class Clock {
  time = Date.parse("2026-03-14T15:00:00Z");
  timers = new Map();
  last = 0;

  now = () => this.time;
  setTimeout = (call, delay) => {
    this.timers.set((this.last += 1), { call, at: this.time + delay });
    return this.last;
  };
  clearTimeout = (timer) => void this.timers.delete(timer);

  async pass(milliseconds) {
    const end = this.time + milliseconds;
    for (;;) {
      const due = [...this.timers].filter(([, { at }]) => at <= end);
      if (due.length === 0) break;
      const [timer, { call, at }] = due.sort(([, one], [, other]) => one.at - other.at)[0];
      this.timers.delete(timer);
      this.time = Math.max(this.time, at);
      call();
      await settled();
    }
    this.time = Math.max(this.time, end);
  }

  /** The computer sleeps: time goes on, timers do not. */
  sleep(milliseconds) {
    this.time += milliseconds;
    for (const timer of this.timers.values()) timer.at += milliseconds;
  }
}

/** What answers at the other end, as the server of docs/wamp.rst. `sockets` are those that were opened, in order. */
export class Server {
  sockets = [];
  tickets = [];
  expiresAt = undefined;
  subscribed = []; // topics
  revokes = new Set(); // topics that are refused
  calls = []; // [procedure, args, kwargs]
  isHolding = false; // keep the answers to calls
  procedures = {
    "org.tuleap.session.ping": () => [],
    "wamp.subscription.get_events": () => [[], { position: 1 }],
    "org.tuleap.testmanagement.presences": () => [[{}]],
    "org.tuleap.testmanagement.podium": () => [[[]]],
  };
  isReachable = true;

  constructor() {
    const server = this;
    this.WebSocket = class {
      readyState = 0;
      held = [];
      sent = [];

      constructor(url, protocols) {
        this.url = url;
        this.protocols = protocols;
        server.sockets.push(this);
        setImmediate(() => {
          if (!server.isReachable) return this.drop(1006);
          this.readyState = 1;
          this.onopen?.();
        });
      }

      send(text) {
        const message = JSON.parse(text);
        this.sent.push(message);
        server.receive(this, message);
      }

      /** The server says this. */
      say(...messages) {
        for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) });
      }

      reply(message) {
        setImmediate(() => this.say(message));
      }

      /** The line is lost, or the server closes it. */
      drop(code) {
        this.readyState = 3;
        this.onclose?.({ code, reason: "", wasClean: code !== 1006 });
      }

      close() {
        this.readyState = 3;
      }

      event(publication, cmd, data, subscription = 1) {
        this.say([36, subscription, publication, {}, [], { cmd, data }]);
      }
    };
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** Answer what was held. */
  release(socket = this.socket) {
    this.isHolding = false;
    socket.say(...socket.held.splice(0));
  }

  receive(socket, message) {
    const [type, request] = message;
    if (type === 1) socket.reply([4, "ticket", {}]);
    else if (type === 5) this.authenticate(socket, message[1]);
    else if (type === 32) this.subscribe(socket, request, message[3]);
    else if (type === 34) socket.reply([35, request]);
    else if (type === 48) this.answer(socket, message);
  }

  authenticate(socket, ticket) {
    this.tickets.push(ticket);
    const refusal = this.refuse?.(ticket);
    if (refusal) return socket.reply([3, { message: "no" }, refusal]);
    const details = { realm: "tuleap", authid: "102", authrole: "user", authextra: { expires_at: this.expiresAt } };
    const roles = { broker: { features: { subscription_revocation: true } }, dealer: { features: {} } };
    return socket.reply([2, 1000 + this.sockets.length, { ...details, roles }]);
  }

  subscribe(socket, request, topic) {
    if (this.revokes.has(topic)) return socket.reply([8, 32, request, {}, "wamp.error.not_authorized", ["no"]]);
    this.subscribed.push(topic);
    return socket.reply([33, request, 1]);
  }

  answer(socket, [, request, , procedure, args = [], kwargs = {}]) {
    this.calls.push([procedure, args, kwargs]);
    const answer = this.procedures[procedure]?.(args, kwargs);
    if (answer === null) return; // no answer at all
    const isError = typeof answer === "string";
    const reply = isError ? [8, 48, request, {}, answer, ["no"]] : [50, request, {}, ...answer];
    if (this.isHolding) socket.held.push(reply);
    else socket.reply(reply);
  }
}

/** A page that is connected to such a server, and what it was told. */
export async function page(options = {}) {
  const server = new Server();
  const clock = new Clock();
  options.before?.(server, clock);
  const asked = [];
  const connection = connect({
    url: "wss://tuleap.example.com/ws",
    uuid: "the window",
    getTicket: async () => {
      asked.push(clock.time);
      return `ticket ${asked.length}`;
    },
    autobahn,
    WebSocket: server.WebSocket,
    clock,
    random: () => 1,
    ...options,
  });
  const states = [];
  const errors = [];
  const told = [];
  connection.on("state", (state, { reason, retryIn }) => states.push([state, reason, retryIn]));
  connection.on("error", (error) => errors.push(error.reason ?? error.message));
  connection.on("event", (event) => told.push(event));
  await settled();
  return { connection, server, clock, states, errors, told, asked };
}

/** Names of a room's events, as they come. */
export function noted(room, ...names) {
  const notes = [];
  for (const name of names) room.on(name, (...values) => notes.push([name, ...values]));
  return notes;
}
