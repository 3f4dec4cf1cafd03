/** Follows Tuleap's boards and test campaigns through a tuleaprt server. See docs/client-reference.rst. */

export type State = "connecting" | "live" | "reconnecting" | "offline";

export interface Options {
  /** `wss://…/ws` */
  url: string;
  /**
   * Returns a token (Tuleap's `GET /api/v1/jwt`). Called for each new session and each refresh. Null: there is no token
   * any more, and the page goes offline. If it throws, the page tries again later.
   */
  getTicket: () => Promise<string | null> | string | null;
  /** The window's uuid, which the page also sends to Tuleap in `X-Client-UUID`. */
  uuid?: string | null;
  /** Default: `tuleap`. */
  realm?: string;
  /**
   * Seconds without a message until the client asks the server whether the connection is alive. The client waits a
   * random time between half of it and all of it, so that pages do not ask together. Default: 40.
   */
  pingInterval?: number;
  /** Seconds that the answer may take. Then the client drops the connection and opens another. Default: 10. */
  pingTimeout?: number;
  /** The autobahn-js library; default: `globalThis.autobahn`. */
  autobahn?: object;
  /** For tests: the constructor; default: `globalThis.WebSocket`. */
  WebSocket?: unknown;
  /** For tests. Milliseconds. */
  clock?: Clock;
  /** For tests: from 0 to 1. */
  random?: () => number;
}

export interface Clock {
  now(): number;
  setTimeout(call: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface StateDetails {
  /**
   * Why: the URI with which the server ended the session, `closed <code>`, `lost`, `unanswered` (the server did not
   * answer in time), `no ticket` (there is no token), `failed` (a request for a room failed), `cut`, `closed` (by the
   * page). Null: live.
   */
  reason: string | null;
  /** Seconds until the next attempt; null: there is none. */
  retryIn: number | null;
}

export interface RoomEvent<Data = unknown> {
  topic: string;
  cmd: string;
  /** As in docs/tuleap.rst. */
  data: Data;
  publication: number;
  /** From the event history, after an interruption of the connection. */
  missed: boolean;
}

/** A refusal of the server, with its URI as `reason`; or an exception of getTicket or of the page's own loading. */
export interface ConnectionError extends Error {
  reason?: string;
  /** The topic of the room that the error is about. */
  topic?: string;
}

export interface User {
  id: number;
  display_name: string;
  username: string;
  avatar_url: string;
  [more: string]: unknown;
}

/** A user's window that is on an execution. */
export interface Viewer extends User {
  uuid: string;
}

export interface Standing {
  user: User;
  score: number;
  rank: number;
}

/** Removes the listener. */
export type Off = () => void;

interface ConnectionEvents {
  state: (state: State, details: StateDetails) => void;
  event: (event: RoomEvent) => void;
  error: (error: ConnectionError) => void;
}

interface RoomEvents {
  /** A command of docs/tuleap.rst, such as `kanban_item:move`. */
  [cmd: `${string}:${string}`]: (data: any, event: RoomEvent<any>) => void;
  /** All commands. */
  "*": (data: any, event: RoomEvent<any>) => void;
  /** Subscribed, and the position is known: load the board. Events wait until the returned promise is fulfilled. */
  live: () => unknown;
  /** The position was lost: load the board again. Events wait, as for `live`. */
  gap: () => unknown;
  /** The subscription was revoked. */
  lost: (reason: string) => void;
}

interface CampaignEvents extends RoomEvents {
  presence: (executionId: string, viewers: Viewer[]) => void;
  podium: (podium: Standing[]) => void;
}

interface Emitter<Events> {
  on<Name extends keyof Events>(name: Name, listener: Events[Name]): Off;
  once<Name extends keyof Events>(name: Name, listener: Events[Name]): Off;
}

export interface Board extends Emitter<RoomEvents> {
  readonly id: number | string;
  readonly topic: string;
  /** Unsubscribe. The next call of `board` or `campaign` makes another one. */
  leave(): void;
}

export interface Campaign extends Emitter<CampaignEvents> {
  readonly id: number | string;
  readonly topic: string;
  /** The viewers of each execution, by the execution's id as text. Executions without a viewer are not in it. */
  readonly presence: ReadonlyMap<string, Viewer[]>;
  /** Best first. */
  readonly podium: readonly Standing[];
  leave(): void;
}

export interface Connection extends Emitter<ConnectionEvents> {
  readonly state: State;
  /** The session's id and the user's; null: not live. */
  readonly session: { id: number; user: number | string } | null;
  /** The same object for the same id, until it is left. */
  board(id: number | string): Board;
  campaign(id: number | string): Campaign;
  /** Send a new token now. Rejects with a ConnectionError if it is refused. */
  refresh(): Promise<void>;
  /** For demonstrations: drop the connection as a lost network would. */
  cut(): void;
  /** Leave for good. */
  close(): void;
}

/** Opens a connection, which reconnects by itself until the server or the page ends it for good. */
export function connect(options: Options): Connection;
