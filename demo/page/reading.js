/** One reading of the server, from which the inspector draws its tiles and its tables. */

import { get } from "./api.js";

const TIME_LIMIT = 5000; // ms

/** Null for a session or subscription that has ended since it was listed. */
function nullIfGone(error) {
  if (/^wamp\.error\.no_such_(session|subscription)$/.test(error.error)) return null;
  throw error;
}

async function readAll(session) {
  const call = (procedure, ...args) => session.call(`wamp.${procedure}`, args);
  const [sessionIds, subscriptionIds, metrics] = await Promise.all([call("session.list"), call("subscription.list"), get("counts")]);
  const subscription = async (id) => {
    const [it, subscribers] = await Promise.all(["get", "list_subscribers"].map((what) => call(`subscription.${what}`, id)));
    return { ...it, subscribers };
  };
  const [sessions, subscriptions] = await Promise.all([
    Promise.all(sessionIds.map((id) => call("session.get", id).catch(nullIfGone))),
    Promise.all(Object.values(subscriptionIds).flat().map((id) => subscription(id).catch(nullIfGone))),
  ]);
  const shown = sessions.filter(Boolean);
  const ids = new Set(shown.map((it) => it.session));
  return {
    at: new Date(),
    sessions: shown,
    // A session that has joined during the reading is in neither table.
    subscriptions: subscriptions.filter(Boolean).map(({ id, uri, match, subscribers }) =>
      ({ id, uri, match, count: subscribers.filter((it) => ids.has(it)).length })),
    metrics,
  };
}

/** Fails if a part of it fails, or lasts too long: autobahn-js does not end the calls of a lost session. */
export async function read(session) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the server does not answer")), TIME_LIMIT);
  });
  try {
    return await Promise.race([readAll(session), limit]);
  } finally {
    clearTimeout(timer);
  }
}
