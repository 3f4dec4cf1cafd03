/** Keeps a session of an operator open. A session whose server does not answer is dropped, and another is opened. */

const PING = "org.tuleap.session.ping";

// Seconds.
const OPENING = 20;
const PING_INTERVAL = 30;
const PING_TIMEOUT = 10;

/**
 * As in docs/own-page.rst, "A page that misses no event". `joined(session)` is called for each session, and
 * `lost(state, {reason, retryIn})` when it has ended or the server does not answer.
 */
export function keepSession({ url, realm, getTicket, joined, lost }) {
  const connection = new autobahn.Connection({ url, realm, authmethods: ["ticket"], onchallenge: getTicket });
  let timer;
  let session = null;

  const wait = (seconds, then) => {
    clearTimeout(timer);
    timer = setTimeout(then, seconds * 1000);
  };

  const drop = () => {
    clearTimeout(timer);
    session = null;
    removeEventListener("online", ask);
    document.removeEventListener("visibilitychange", ask);
    connection.onopen = connection.onclose = () => true;
    connection._transport?.close(); // connection.close() would wait for the server's GOODBYE
  };

  const again = (reason) => {
    const retryIn = 1 + Math.random();
    drop();
    wait(retryIn, () => keepSession({ url, realm, getTicket, joined, lost }));
    lost("reconnecting", { reason, retryIn });
  };

  const ask = async () => {
    const asked = session;
    if (asked === null) return;
    wait(PING_TIMEOUT, () => again("unanswered"));
    await asked.call(PING).catch(() => {}); // an ERROR is an answer, too
    if (session === asked && asked.isOpen) wait(PING_INTERVAL, ask);
  };

  connection.onopen = (opened) => {
    session = opened;
    wait(PING_INTERVAL, ask);
    joined(opened);
  };
  connection.onclose = (why, { reason }) => {
    // After any other GOODBYE or ABORT, the page does not reconnect.
    if (reason === null || reason === "org.tuleap.error.token_expired") again(reason ?? why);
    else {
      drop();
      lost("offline", { reason });
    }
    return true; // autobahn-js does not reconnect
  };
  addEventListener("online", ask);
  document.addEventListener("visibilitychange", ask);
  wait(OPENING, () => again("unanswered"));
  connection.open();
}
